"""Where the probe's numbers stay until they are read, and what it does on an accelerator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import netcheck
from netcheck.measure.gradients import Experiment, probe
from netcheck.measure.inputs import Example
from netcheck.measure.passes import Stage
from netcheck.measure.plan import Plan
from netcheck.measure.readout import Readout, fetched
from netcheck.measure.watch import Wires
from netcheck.trace.run import trace
from tests.gpus import needs_gpus

CPU = torch.device("cpu")


def encoder() -> tuple[nn.Module, torch.Tensor]:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Linear(16, 4)), torch.randn(4, 6, 16)


def convolutions() -> tuple[nn.Module, torch.Tensor]:
    layers = (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3), nn.Tanh())
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)), torch.randn(4, 3, 12, 12)


def tokens() -> tuple[nn.Module, torch.Tensor]:
    return nn.Sequential(nn.Embedding(50, 16), nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 4)), torch.randint(50, (4, 7))


MODELS = (encoder, convolutions, tokens)
Made = Callable[[], tuple[nn.Module, torch.Tensor]]


class Values(TorchFunctionMode):
    """Notes each call that needs a tensor's value in Python, or brings it to the CPU: where a GPU would have to be waited for."""

    READS = frozenset(("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__", "__contains__", "equal",
                       "allclose", "is_nonzero", "nonzero", "masked_select", "unique"))  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in self.READS or (name == "to" and args[1:] == ("cpu",)):
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


class Scalars(TorchDispatchMode):
    """Notes what torch's own code asks for by value, without a call that a function mode hears."""

    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self.seen = seen

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@contextmanager
def values_noted() -> Iterator[list[str]]:
    """The calls inside this context that wait for a device."""
    heard = Values()
    with heard, Scalars(heard.seen):
        yield heard.seen


def test_calls_that_wait_are_noted() -> None:
    x = torch.ones(3)
    with values_noted() as seen:
        x.sum().item()
        bool(x[0] > 0)
        x.to("cpu")
        x.tolist()
        torch.relu(x) * 2
    assert {"item", "__bool__", "to", "tolist"} <= set(seen)
    with values_noted() as seen:
        torch.linalg.vector_norm(torch.relu(x) * 2)
    assert seen == []


@pytest.mark.parametrize("made", MODELS)
@pytest.mark.parametrize("number", [0, 1], ids=["with the gradient a step further", "without"])
def test_a_pass_asks_for_no_number_before_all_are_read(made: Made, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = made()
    graph = trace(model, (x,))
    plan = Plan(CPU, torch.float32, 4, 1)
    experiment = Experiment(Stage(graph, Wires.of(graph), Example.of(graph, (x,), {}), plan, 0))
    assert graph.diagnosis.gain < 1  # estimated once, from the weights: not by the pass
    unread: list[list[str]] = []
    read = Readout.read

    def counted(readout: Readout) -> Any:
        numbers = read(readout)
        unread.append(list(seen))  # also what the readout itself asked for
        return numbers

    monkeypatch.setattr(Readout, "read", counted)
    with values_noted() as seen:
        assert experiment.one_pass(model, number).rms
    assert unread == [[]]


def test_tensors_of_several_precisions_are_fetched_by_one_copy() -> None:
    tensors = [
        torch.tensor([1.5, 2.5]),
        torch.tensor([1.0, -2.0, 3.0], dtype=torch.bfloat16),
        torch.tensor([1e-300], dtype=torch.float64),
        torch.tensor([1, -7]),
        torch.tensor([True, False, True]),
    ]

    class Elsewhere(torch.Tensor):
        """A tensor that says that it is on another device."""

        @property
        def device(self) -> torch.device:  # type: ignore[override]
            return torch.device("cuda")

    with values_noted() as seen:
        found = fetched([tensor.as_subclass(Elsewhere) for tensor in tensors])
    assert seen == ["to"]
    for one, tensor in zip(found, tensors, strict=True):
        assert one.dtype == tensor.dtype
        assert one.tolist() == tensor.tolist()


def test_numbers_are_read_in_their_own_precision() -> None:
    readout = Readout()
    readout.add("a", torch.tensor([1.5, 2.5]), torch.tensor(3.0, dtype=torch.float64))
    readout.add("b", torch.tensor([[1.0]], dtype=torch.bfloat16), torch.tensor(1e-300, dtype=torch.float64))
    numbers = readout.read()
    assert [part.tolist() for part in numbers["a"]] == [[1.5, 2.5], [3.0]]
    assert [part.tolist() for part in numbers["b"]] == [[1.0], [1e-300]]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_model_is_measured_in_the_precision_that_is_asked_for(dtype: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*[layer for _ in range(6) for layer in (nn.Linear(32, 32), nn.Tanh())], nn.Linear(32, 4))
    model.to(getattr(torch, dtype))
    x = torch.randn(4, 32, dtype=getattr(torch, dtype))
    exact, own = (netcheck.check(model, x, device="cpu", dtype=name).gradients for name in ("auto", dtype))
    assert exact is not None
    assert own is not None
    assert (exact.dtype, own.dtype) == ("float64", dtype)
    assert own.gain == pytest.approx(exact.gain, abs=0.05)
    assert own.effective_rank == pytest.approx(exact.effective_rank, abs=0.02)
    assert (own.unpredictability is None) == (dtype != "float32")  # a small step is rounded away in 16 bits
    assert {parameter.dtype for parameter in model.parameters()} == {getattr(torch, dtype)}


def test_a_precision_that_there_is_not_is_refused() -> None:
    with pytest.raises(netcheck.UsageError, match="int8"):
        netcheck.check(nn.Linear(2, 2), torch.randn(2, 2), dtype="int8")


# ---- on an accelerator -----------------------------------------------------------------------------------------------


@needs_gpus(1)
@pytest.mark.parametrize("made", MODELS)
def test_a_gpu_measures_what_the_cpu_measures(made: Made) -> None:
    torch.manual_seed(0)
    model, x = made()
    model.eval()  # dropout draws other numbers on another device
    graph = trace(model, (x,))
    here, there = probe(graph, (x,), device="cpu"), probe(graph, (x,), device="cuda")
    assert there.device.startswith("cuda")
    assert there.gain == pytest.approx(here.gain, abs=1e-4)
    assert {node.node for node in there.profile} == {node.node for node in here.profile}
    assert all(parameter.device.type == "cpu" for parameter in model.parameters())


@needs_gpus(1)
def test_a_model_on_a_gpu_stays_there_as_it_was() -> None:
    model, x = convolutions()
    model.cuda()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.cuda.get_rng_state()
    report = netcheck.check(model, x.cuda(), device="cuda")
    assert report.gradients is not None
    assert report.gradients.device.startswith("cuda")
    assert all(torch.equal(value, before[name]) and value.is_cuda for name, value in model.state_dict().items())
    assert torch.equal(state, torch.cuda.get_rng_state())


@needs_gpus(1)
def test_a_full_gpu_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = nn.Sequential(nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 4)), torch.randn(4, 1024)
    run, tried = Stage.run, []

    def hungry(stage: Stage, *rest: Any) -> Any:
        tried.append(stage.plan.samples)
        if stage.plan.samples > 8:
            torch.empty(torch.cuda.get_device_properties(0).total_memory * 2, dtype=torch.uint8, device="cuda")
        return run(stage, *rest)

    monkeypatch.setattr(Stage, "run", hungry)
    found = probe(trace(model, (x,)), (x,), device="cuda")
    assert found.batch == 8
    assert any("out of memory" in remark for remark in found.remarks)
    assert tried[:3] == [32, 16, 8]
