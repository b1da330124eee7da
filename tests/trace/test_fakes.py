"""Fake tensors: the quick ways to a shape give what PyTorch gives, and refuse what it refuses."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from netcheck.errors import TraceError
from netcheck.trace import trace

SHAPES = {nn.BatchNorm1d: ((4, 3), (4, 3, 5)), nn.BatchNorm2d: ((4, 3, 5, 6),), nn.BatchNorm3d: ((4, 3, 2, 5, 6),)}
NORMS = [(kind, shape) for kind, shapes in SHAPES.items() for shape in shapes]


def result_of(model: nn.Module, value: torch.Tensor) -> tuple[tuple[int, ...], torch.dtype]:
    graph = trace(model, (value,))
    assert graph.tensors == "fake"
    (node,) = [node for node in graph if node.module is not None]
    return node.shape, node.dtype


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("affine", "tracked"), list(itertools.product([True, False], repeat=2)))
@pytest.mark.parametrize(("kind", "shape"), NORMS)
def test_batch_norm_gives_a_tensor_like_its_input(kind, shape, affine, tracked, training) -> None:
    model = kind(3, affine=affine, track_running_stats=tracked).train(training)
    real = model(torch.randn(shape))
    assert result_of(model, torch.randn(shape)) == (tuple(real.shape), real.dtype)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_batch_norm_of_another_precision(dtype) -> None:
    model = nn.BatchNorm2d(3).to(dtype)
    assert result_of(model, torch.randn(2, 3, 4, 4, dtype=dtype)) == ((2, 3, 4, 4), dtype)


def test_batch_norm_of_mixed_precision() -> None:
    assert result_of(nn.BatchNorm2d(3), torch.randn(2, 3, 4, 4, dtype=torch.bfloat16)) == ((2, 3, 4, 4), torch.bfloat16)


class Strides(nn.Module):
    """Takes another way where its normalization gives channels that are not next to each other."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x)
        return x.sum(3) if x.is_contiguous(memory_format=torch.channels_last) else x.sum((2, 3))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_batch_norm_keeps_strides(memory_format) -> None:
    value = torch.randn(2, 3, 4, 5).to(memory_format=memory_format)
    model = Strides()
    assert list(trace(model, (value,)))[-1].shape == tuple(model(value).shape)


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (nn.BatchNorm2d(3), (2, 3, 4), "expected 4D input"),
        (nn.BatchNorm2d(3), (2, 4, 5, 5), "3"),
        (nn.BatchNorm1d(3), (1, 3), "more than 1 value per channel"),
        (nn.BatchNorm1d(3, track_running_stats=False).eval(), (1, 3), "more than 1 value per channel"),
    ],
)
def test_batch_norm_refuses_what_it_refuses_for_real(model, shape, message) -> None:
    with pytest.raises((ValueError, RuntimeError)):
        model(torch.randn(shape))
    with pytest.raises(TraceError, match=message):
        trace(model, (torch.randn(shape),))


def test_a_batch_norm_asks_for_gradients_if_its_weights_do() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.norm(x)
            return torch.cat([y, y]) if y.requires_grad else y

    assert list(trace(Net(), (torch.randn(2, 3),)))[-1].shape == (4, 3)
    frozen = Net().requires_grad_(False)
    assert list(trace(frozen, (torch.randn(2, 3),)))[-1].shape == (2, 3)
