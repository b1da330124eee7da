"""Models as people write them for an accelerator, on the CPU: CUDA graphs, kernels of their own, channels last."""

from __future__ import annotations

import types
from typing import Any

import pytest
import torch
from torch import nn

import netcheck
from netcheck.measure.axes import BatchAxes
from netcheck.measure.shards import compare
from netcheck.torch_versions import NO_MEMORY, captured, fake_mode


def gain_of(model: nn.Module, x: torch.Tensor) -> float:
    report = netcheck.check(model, x, select=["NC003", "NC006"])
    assert report.findings == []
    assert report.gradients is not None
    return report.gradients.gain


# As torch/cuda/graphs.py has it; what would replay a graph is a stand-in that computes with tensors of its own.
GRAPHS = """
def make_graphed_forward(func, graph_training_state, graphed, orig_fwd):
    def new_fwd(*user_args, **user_kwargs):
        if func.training == graph_training_state:
            return graphed(*user_args, **user_kwargs)
        else:
            return orig_fwd(*user_args, **user_kwargs)
    return new_fwd
"""


def capture(module: nn.Module) -> nn.Module:
    """What torch.cuda.make_graphed_callables does to a module."""
    graphs = types.ModuleType("torch.cuda.graphs")
    exec(GRAPHS, graphs.__dict__)

    def graphed(*_: Any) -> Any:
        raise AssertionError("a graph was replayed: it computes with other tensors than those of the run")

    module.forward = graphs.make_graphed_forward(module, module.training, graphed, module.forward)
    return module


def body() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def test_a_model_that_is_captured_in_a_graph_is_measured_as_it_was() -> None:
    x, plain, whole, parts = torch.randn(8, 6), body(), capture(body()), body()
    capture(parts[2])
    assert gain_of(whole, x) == gain_of(parts, x) == gain_of(plain, x)
    assert captured(whole) is not None  # as before
    assert captured(parts[2]) is not None
    assert captured(plain) is None
    nodes = [node.target for node in netcheck.trace(parts, x)]
    assert nodes == [node.target for node in netcheck.trace(plain, x)]


def test_a_model_that_is_captured_in_a_graph_is_split_as_it_was() -> None:
    assert compare(BatchAxes(capture(body()), (torch.randn(4, 6),), {}), 8, 2).equal


class Kernel(torch.autograd.Function):
    """Launches a kernel of its own, as Triton does: with the addresses of tensors."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        y = torch.empty_like(x)
        assert x.data_ptr(), "the kernel was launched at address 0"
        assert y.data_ptr(), "the kernel was launched at address 0"
        return y.copy_(x * 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * 2


class Launches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(Kernel.apply(self.first(x))))


@pytest.mark.parametrize("inputs", ["given", "inferred"])
def test_a_kernel_is_never_launched_on_tensors_without_memory(inputs: str) -> None:
    report = netcheck.check(Launches(), torch.randn(4, 6) if inputs == "given" else None, devices=2)
    assert report.findings == []
    assert report.graph is not None
    assert report.graph.tensors == "real"
    assert report.gradients is not None
    assert report.cost is not None
    assert "Kernel" in " ".join(node.target for node in report.graph)


def test_fake_tensors_refuse_to_say_where_they_are() -> None:
    with fake_mode():
        x = torch.ones(3)
    for tensor in (x, torch.relu(x)):
        with pytest.raises(RuntimeError, match=NO_MEMORY):
            tensor.data_ptr()


def test_a_recurrent_layer_that_flattens_its_weights_is_traced_without_values() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(6, 5, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.rnn.flatten_parameters()
            return self.rnn(x)[0]

    flatten = nn.RNNBase.flatten_parameters
    assert netcheck.trace(Recurrent(), torch.randn(2, 3, 6)).tensors == "fake"
    assert nn.RNNBase.flatten_parameters is flatten


class ChannelsLast(nn.Module):
    """Insists on the layout of its example."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
        self.to(memory_format=torch.channels_last)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x.permute(0, 2, 3, 1).view(len(x), -1).view(len(x), 8, 8, 3).permute(0, 3, 1, 2))


@pytest.mark.parametrize("samples", [4, 40])
def test_fresh_inputs_are_laid_out_as_the_example(samples: int) -> None:
    x = torch.randn(samples, 3, 8, 8).to(memory_format=torch.channels_last)
    assert gain_of(ChannelsLast(), x) < 1
