"""Whatever way netcheck is asked, and whatever forward does: the process and the model are bit for bit as before."""

from __future__ import annotations

import gc
import locale
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import netcheck
from netcheck.load.keeping import finished, kept, setting
from netcheck.load.untouched import PROCESS, untouched

Read, Disturb = Callable[[], Any], Callable[[], Any]
X = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
HELD = SimpleNamespace(python=random.Random(1), numpy=np.random.default_rng(1), torch=torch.Generator().manual_seed(1))
CACHE: dict[str, torch.Tensor] = {}


def remembered(x: torch.Tensor) -> torch.Tensor:
    """Fills what is global, of the kinds that there are."""
    CACHE["x"] = x
    remembered.calls = getattr(remembered, "calls", 0) + 1  # type: ignore[attr-defined]
    remembered.table["x"] = x  # type: ignore[attr-defined]
    return x


def forget() -> None:
    """Empties all that `remembered` fills."""
    CACHE.clear()
    vars(remembered).clear()
    remembered.table = {}  # type: ignore[attr-defined]


forget()


def attribute(owner: Any, name: str, other: Any) -> tuple[Read, Disturb]:
    return lambda: getattr(owner, name), lambda: setattr(owner, name, other)


def toggled(read: Callable[[], bool], write: Callable[[bool], Any]) -> tuple[Read, Disturb]:
    return read, lambda: write(not read())


def flag(owner: Any, name: str) -> tuple[Read, Disturb]:
    return toggled(lambda: bool(getattr(owner, name)), lambda value: setattr(owner, name, value))


def entered(context: Callable[[], Any]) -> Disturb:
    """Enters a context and never leaves it."""

    def enter() -> None:
        manager = context()
        manager.__enter__()
        KEPT.append(manager)

    return enter


KEPT: list[Any] = []
cuda, backends = torch.backends.cuda, torch.backends
STATES: dict[str, tuple[Read, Disturb]] = {
    "random": (random.getstate, random.random),
    "random seed": (random.getstate, lambda: random.seed(5)),
    "numpy": (lambda: repr(np.random.get_state()), lambda: np.random.rand(3)),
    "torch": (lambda: torch.get_rng_state().tolist(), lambda: torch.rand(3)),
    "torch seed": (lambda: torch.get_rng_state().tolist(), lambda: torch.manual_seed(5)),
    "torch seed without fakes": (lambda: torch.get_rng_state().tolist(), lambda: torch.empty(8).uniform_()),
    "seed of a GPU that has not started": (lambda: torch.cuda._lazy_seed_tracker.get_calls(), lambda: torch.manual_seed(6)),
    "a generator of random": (lambda: HELD.python.getstate(), lambda: HELD.python.random()),
    "a generator of numpy": (lambda: HELD.numpy.bit_generator.state, lambda: HELD.numpy.random()),
    "a generator of torch": (lambda: HELD.torch.get_state().tolist(), lambda: HELD.torch.manual_seed(9)),
    "default dtype": (torch.get_default_dtype, lambda: torch.set_default_dtype(torch.float64)),
    "default device": (torch.get_default_device, lambda: torch.set_default_device("meta")),
    "default device by a context": (torch.get_default_device, entered(lambda: torch.device("meta"))),
    "deterministic": toggled(torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    "deterministic, warn only": (
        torch.get_deterministic_debug_mode, lambda: torch.set_deterministic_debug_mode("warn"),
    ),
    "filled memory": flag(torch.utils.deterministic, "fill_uninitialized_memory"),
    "cudnn": flag(backends.cudnn, "enabled"),
    "cudnn benchmark": flag(backends.cudnn, "benchmark"),
    "cudnn deterministic": flag(backends.cudnn, "deterministic"),
    "tf32 in cudnn": (lambda: backends.cudnn.conv.fp32_precision, lambda: setattr(backends.cudnn, "allow_tf32", False)),
    "tf32": (lambda: cuda.matmul.fp32_precision, lambda: setattr(cuda.matmul, "allow_tf32", True)),
    "float32 products": (torch.get_float32_matmul_precision, lambda: torch.set_float32_matmul_precision("medium")),
    "float32 of oneDNN": (
        lambda: backends.mkldnn.matmul.fp32_precision, lambda: setattr(backends.mkldnn.matmul, "fp32_precision", "bf16"),
    ),
    "flash attention": toggled(cuda.flash_sdp_enabled, cuda.enable_flash_sdp),
    "plain attention": toggled(cuda.math_sdp_enabled, cuda.enable_math_sdp),
    "attention kernels": (
        lambda: (cuda.mem_efficient_sdp_enabled(), cuda.cudnn_sdp_enabled(), torch._C._get_sdp_priority_order()),
        entered(lambda: torch.nn.attention.sdpa_kernel([torch.nn.attention.SDPBackend.MATH], set_priority=True)),
    ),
    "mkldnn": flag(backends.mkldnn, "enabled"),
    "fast path of attention": toggled(backends.mha.get_fastpath_enabled, backends.mha.set_fastpath_enabled),
    "gradients": (torch.is_grad_enabled, lambda: torch.set_grad_enabled(False)),
    "anomalies": (torch.is_anomaly_enabled, lambda: torch.autograd.set_detect_anomaly(True)),
    "autocast": (
        lambda: (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        lambda: (torch.set_autocast_enabled("cpu", True), torch.set_autocast_dtype("cpu", torch.float16)),
    ),
    "threads": (torch.get_num_threads, lambda: torch.set_num_threads(torch.get_num_threads() + 1)),
    "denormal numbers": (lambda: sys.float_info.min * 0.5, lambda: torch.set_flush_denormal(True)),
    "threads of backward": (
        torch._C._is_multithreading_enabled, lambda: torch.autograd.set_multithreading_enabled(False),
    ),
    "hooks of all modules": (
        lambda: len(nn.modules.module._global_forward_hooks),
        lambda: nn.modules.module.register_module_forward_hook(lambda *given: None),
    ),
    "environment": (lambda: dict(os.environ), lambda: os.environ.update(NETCHECK_TESTS="1", PATH="/")),
    "environment without": (lambda: os.environ.get("PATH"), lambda: os.environ.pop("PATH", None)),
    "working directory": (os.getcwd, lambda: os.chdir(os.sep)),
    "warnings": (lambda: list(warnings.filters), lambda: warnings.simplefilter("error")),
    "a warning's form": attribute(warnings, "showwarning", print),
    "sys.path": (lambda: (id(sys.path), list(sys.path)), lambda: sys.path.insert(0, "/nowhere")),
    "another sys.path": (lambda: (id(sys.path), list(sys.path)), lambda: setattr(sys, "path", ["/nowhere", *sys.path])),
    "sys.argv": (lambda: list(sys.argv), lambda: sys.argv.append("--more")),
    "recursion": (sys.getrecursionlimit, lambda: sys.setrecursionlimit(sys.getrecursionlimit() + 7)),
    "Ctrl-C": (lambda: signal.getsignal(signal.SIGINT), lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)),
    "SIGTERM": (lambda: signal.getsignal(signal.SIGTERM), lambda: signal.signal(signal.SIGTERM, lambda *given: None)),
    "stdout": attribute(sys, "stdout", open(os.devnull, "w")),  # noqa: SIM115
    "stderr": attribute(sys, "stderr", sys.__stderr__),
    "excepthook": attribute(sys, "excepthook", lambda *given: None),
    "level of logging": (lambda: logging.root.level, lambda: logging.root.setLevel(1)),
    "handlers of logging": (lambda: list(logging.root.handlers), lambda: logging.root.addHandler(logging.NullHandler())),
    "logging": (lambda: logging.root.manager.disable, lambda: logging.disable(logging.CRITICAL)),
    "collector": toggled(gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    "locale": (lambda: locale.setlocale(locale.LC_NUMERIC), lambda: locale.setlocale(locale.LC_ALL, "C")),
    "errors of numpy": (np.geterr, lambda: np.seterr(all="ignore")),
    "a global cache": (lambda: list(CACHE), lambda: remembered(X)),
    "attributes of a function": (lambda: (list(vars(remembered)), list(remembered.table)), lambda: remembered(X)),  # type: ignore[attr-defined]
}  # fmt: skip


class Net(nn.Module):
    """A healthy net whose forward disturbs something first."""

    def __init__(self, disturb: Disturb = lambda: None) -> None:
        super().__init__()
        self.disturb = disturb
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 4)
        self.noise = HELD.torch

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.disturb()
        remembered(x)
        HELD.python.random()
        HELD.numpy.random()
        return self.second(torch.relu(self.first(x)))


def check(model: nn.Module) -> None:
    report = netcheck.check(model, X, seeds=1, remedies=False)
    assert report.summary is not None, str(report)


with suppress(ImportError):
    from netcheck.lightning import NetcheckCallback


def lightning(model: nn.Module) -> None:
    pytest.importorskip("pytorch_lightning")
    callback = NetcheckCallback(fail_on=None, probe=False)
    callback.on_train_batch_start(SimpleNamespace(is_global_zero=True), model, (X, X), 0)  # type: ignore[arg-type]
    assert callback.report is not None


def on_demand(model: nn.Module) -> None:
    report = netcheck.check(model, X, probe=False)
    assert report.graph is not None
    before = snapshot(list(STATES))
    assert report.cost is not None
    assert report.batches is not None
    report.graph.in_mode(training=not model.training)
    assert str(report)
    assert snapshot(list(STATES)) == before


WAYS: dict[str, Callable[[nn.Module], Any]] = {
    "check": check,
    "check of a function": lambda model: netcheck.check(lambda: disturbed(model), X, probe=False),
    "check of data": lambda model: netcheck.check(model, Loader(model.disturb), probe=False),  # type: ignore[arg-type]
    "assert_clean": lambda model: netcheck.assert_clean(model, X, probe=False, select=("NC3",)),
    "trace": lambda model: netcheck.trace(model, X),
    "trace in the other mode": lambda model: netcheck.trace(model, X).in_mode(training=False),
    "infer_inputs": netcheck.infer_inputs,
    "lightning": lightning,
    "on demand": on_demand,
}


def disturbed(model: Any) -> nn.Module:
    """The model, as a function gives it that disturbs things too."""
    model.disturb()
    return model  # type: ignore[no-any-return]


class Loader:
    """Gives a batch, and disturbs something."""

    def __init__(self, disturb: Disturb) -> None:
        self.disturb = disturb

    def __iter__(self) -> Iterator[torch.Tensor]:
        self.disturb()
        yield X


def snapshot(names: list[str]) -> dict[str, Any]:
    return {name: STATES[name][0]() for name in names}


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    """One failure must not be the next test's."""
    with kept(PROCESS):
        yield
        KEPT.clear()


def require_untouched(way: Callable[[nn.Module], Any], names: list[str], disturb: Disturb) -> None:
    """What these states are about is as before."""
    model = Net(disturb)
    forget()
    before, held = snapshot(names), of_model(model)
    way(model)
    after = snapshot(names)
    assert [name for name in names if after[name] != before[name]] == []
    assert of_model(model) == held


def of_model(model: nn.Module) -> Any:
    return [(name, id(p), p._version, p.grad, p.requires_grad, p.tolist()) for name, p in model.named_parameters()]


BLINDING = ("default device", "default device by a context", "gradients", "warnings", "stdout", "autocast")
BUILDING = ("check of a function", "check of data")
BUILT = ("a generator of random", "a generator of numpy", "a generator of torch", "a global cache", "attributes of a function")


def all_at_once() -> None:
    """Disturb all that lets a model run on as it would."""
    for name in STATES:
        if name not in BLINDING:
            STATES[name][1]()


@lru_cache
def changed_by(way: str) -> list[str]:
    """What a way leaves otherwise than it was, when forward disturbs all at once."""
    with untouched():
        model = Net(all_at_once)
        forget()
        before, held = snapshot(list(STATES)), of_model(model)
        WAYS[way](model)
        after = snapshot(list(STATES))
        assert of_model(model) == held
        return [name for name in STATES if after[name] != before[name]]


@pytest.mark.parametrize("state", [state for state in STATES if state not in BLINDING])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_leaves_every_state(way: str, state: str) -> None:
    if way in BUILDING and state in BUILT:
        pytest.skip("what a function that builds a model, or a loader, does to its own is what it is for")
    assert state not in changed_by(way)


@pytest.mark.parametrize("state", STATES)
def test_each_state_by_itself(state: str) -> None:
    require_untouched(WAYS["trace"], [state], STATES[state][1])


@pytest.mark.parametrize("state", BLINDING)
@pytest.mark.parametrize("way", ["check", "infer_inputs"])
def test_what_changes_the_course_of_a_run(way: str, state: str) -> None:
    require_untouched(WAYS[way], [state], STATES[state][1])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no"), SystemExit(3)], ids=repr)
@pytest.mark.parametrize("way", [way for way in WAYS if way not in ("on demand", "trace in the other mode")])
def test_whatever_ends_it(way: str, error: BaseException) -> None:
    names = list(STATES)

    def disturb() -> None:
        for name in names:
            STATES[name][1]()
        raise error

    model = Net(disturb)
    forget()
    before = snapshot(names)
    try:
        WAYS[way](model)
    except (netcheck.NetcheckError, AssertionError, type(error)):
        pass
    after = snapshot(names)
    own = BUILT if way in BUILDING else ()
    assert [name for name in names if after[name] != before[name] and name not in own] == []


@pytest.mark.parametrize(
    "around",
    [
        torch.no_grad, torch.inference_mode, lambda: torch.device("meta"), lambda: torch.autocast("cpu"),
        lambda: torch.autograd.detect_anomaly(check_nan=False),
    ],
    ids=["no_grad", "inference_mode", "device", "autocast", "anomaly"],
)  # fmt: skip
def test_the_callers_own_contexts_stay_as_they_are(around: Any) -> None:
    names = ["gradients", "default device", "autocast", "anomalies", "torch"]
    model = Net()
    with warnings.catch_warnings(), around():
        warnings.simplefilter("ignore")
        before = snapshot(names)
        report = netcheck.check(model, X, seeds=1, remedies=False)
        assert snapshot(names) == before
    assert report.summary is not None, str(report)


def test_a_loader_draws_the_same_batches_afterwards() -> None:
    generator = torch.Generator().manual_seed(3)
    loader = DataLoader(TensorDataset(X, X), batch_size=2, shuffle=True, generator=generator)
    before = generator.get_state()
    netcheck.check(Net(), loader, probe=False)
    assert torch.equal(generator.get_state(), before)


def test_a_guard_in_a_guard_gives_each_its_own() -> None:
    random.seed(0)
    first, second = random.random(), random.random()
    random.seed(0)
    with untouched():
        assert random.random() == first
        with untouched():
            assert random.random() == second
            torch.set_default_dtype(torch.float64)
        assert torch.get_default_dtype() is torch.float32
        assert random.random() == second
    assert random.random() == first


def test_threads_take_turns() -> None:
    before = sys.getrecursionlimit()

    def work() -> None:
        for _ in range(20):
            with untouched():
                sys.setrecursionlimit(sys.getrecursionlimit() + 100)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.getrecursionlimit() == before


def test_an_interrupted_restoration_is_finished() -> None:
    done: list[str] = []

    def interrupted() -> None:
        if not done:
            done.append("begun")
            raise KeyboardInterrupt
        done.append("finished")

    with pytest.raises(KeyboardInterrupt):
        finished([interrupted, lambda: done.append("the rest")])
    assert done == ["begun", "finished", "the rest"]


def test_what_fails_to_be_restored_keeps_nothing_else() -> None:
    done: list[str] = []
    with pytest.raises(ZeroDivisionError):
        finished([lambda: 1 / 0, lambda: done.append("the rest")])
    assert done == ["the rest"]


def test_what_has_not_changed_is_not_written() -> None:
    written: list[int] = []
    value = [1]
    with kept([setting(lambda: value[0], written.append)]):
        pass
    assert not written
    with kept([setting(lambda: value[0], written.append)]):
        value[0] = 2
    assert written == [1]


def test_a_guard_starts_no_driver() -> None:
    with untouched():
        pass
    assert not torch.cuda.is_initialized()


def test_a_gpu_is_seeded_as_it_would_have_been(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that starts while a model is checked: what the user had asked for holds, not what netcheck has."""
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: seeds.append(seed))
    monkeypatch.setattr(torch.cuda, "seed_all", lambda: seeds.append(-1))
    torch.cuda._lazy_call(lambda: torch.cuda.manual_seed_all(42), seed_all=True)
    with untouched():
        torch.cuda._lazy_call(lambda: torch.cuda.manual_seed_all(0), seed_all=True)
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert seeds == [-1, 42]
