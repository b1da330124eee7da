"""Tracing leaves a model, its state and all random number generators as they were, whatever forward does."""

from __future__ import annotations

import copy
import hashlib
import random
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import netcheck
from netcheck.errors import TraceError
from netcheck.trace import trace
from tests.trace.replay import module
from tests.zoo import LARGE, Entry, zoo

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
SAMPLE = (
    "torchvision/resnet18", "torchvision/mobilenet_v3_small", "torchvision/vit_b_16", "torchvision/googlenet",
    "torchvision/swin_t", "timm/convit_tiny", "timm/xcit_nano_12_p16_224", "transformers/BertModel",
    "transformers/T5ForConditionalGeneration", "transformers/MixtralForCausalLM", "transformers/MambaModel",
    "transformers/Wav2Vec2Model",
)  # fmt: skip

Snapshot = dict[str, Any]


def snapshot(model: nn.Module) -> Snapshot:
    """All that a model and Python hold that tracing could change: values by value, objects by identity."""
    taken: Snapshot = {
        "python": random.getstate(),
        "numpy": repr(np.random.get_state()),
        "torch": torch.get_rng_state().tolist(),
        "gradients": torch.is_grad_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "recursion": sys.getrecursionlimit(),
        "call": nn.Module.__call__,
        "apply": torch.autograd.Function.__dict__["apply"],
        "single apply": dict(vars(torch.autograd.function._SingleLevelFunction)),
        "function modes": torch._C._len_torch_function_stack(),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }
    for name, tensor in model.state_dict(keep_vars=True).items():
        if isinstance(tensor, torch.Tensor):
            taken[f"state {name}"] = described(tensor)
    for name, each in model.named_modules():
        taken[f"attributes {name}"] = {key: held(value) for key, value in each.__dict__.items()}
        for key, value in each.__dict__.items():
            if isinstance(value, torch.Tensor):
                taken[f"tensor {name}.{key}"] = described(value)
    return taken


def described(tensor: torch.Tensor) -> Any:
    values = None
    if not (tensor.is_meta or tensor.is_sparse or nn.parameter.is_lazy(tensor)):
        flat = tensor.detach().contiguous().flatten()
        values = hashlib.sha256(flat.view(torch.uint8).numpy() if tensor.numel() else b"").digest()
    gradient = None if tensor.grad is None else (id(tensor.grad), tensor.grad.tolist())
    return (
        id(tensor),
        type(tensor),
        tensor._version,
        tensor.requires_grad,
        gradient,
        values,
        repr(vars(tensor)),
    )


def held(value: Any) -> Any:
    """Identity, and for a container the identities of what it holds, in order."""
    if isinstance(value, dict):
        return id(value), [(key, held(item)) for key, item in value.items()]
    if isinstance(value, list | tuple | deque):
        return id(value), [held(item) for item in value]
    if isinstance(value, set):
        return id(value), sorted(map(repr, value))
    if isinstance(value, np.ndarray):
        return id(value), value.tolist()
    return value if isinstance(value, bool | int | float | str) else id(value)


def require_untouched(model: nn.Module, run: Callable[[], Any]) -> None:
    before = snapshot(model)
    run()
    after = snapshot(model)
    assert before.keys() == after.keys()
    changed = [key for key in before if before[key] != after[key]]
    assert not changed


def nasty(then: Callable[[], Any] = lambda: None) -> nn.Module:
    """A model that changes all it can in forward, and then calls `then`."""

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.last = h = self.norm(self.linear(x))
        self.history.append(h)
        self.queue.append(h)
        self.table["x"] = x
        self.table["nested"]["list"].append(h)
        self.names.add(self.calls)
        self.array += 1
        self.running.mul_(0.9).add_(h.mean(0))
        self.count += 1
        self.plain.zero_()
        with torch.no_grad():
            self.linear.weight.mul_(2)
        self.linear.bias.data.fill_(3.0)
        self.linear.weight.tag = "seen"
        self.new = nn.Linear(2, 2)
        self.register_buffer("late", torch.zeros(3), persistent=False)
        self.linear.register_forward_hook(lambda *given: None)
        self.norm.eval()
        self.linear.requires_grad_(False)
        self.holder.content = h
        self.holder.parts[0] = h
        del self.goes
        self._modules["linear"] = self._modules.pop("linear")
        random.random(), np.random.rand(), torch.rand(3), torch.manual_seed(7)
        then()
        return torch.dropout(h, 0.5, True) + self.running

    class Holder:
        def __init__(self) -> None:
            self.content: Any = None
            self.parts = [1, 2]

    model = module(
        forward, linear=nn.Linear(4, 4), norm=nn.BatchNorm1d(4), calls=0, last=None, history=[],
        queue=deque(maxlen=3), table={"nested": {"list": []}}, names=set(), array=np.zeros(3), plain=torch.ones(4),
        holder=Holder(), goes=1, lock=threading.Lock(),
    )  # fmt: skip
    model.register_buffer("running", torch.zeros(4))
    model.register_buffer("count", torch.tensor(0))
    model.linear.weight.tag = "mine"
    model.linear(X).sum().backward()
    return model.train()


def test_a_model_that_changes_all_it_can() -> None:
    model = nasty()
    require_untouched(model, lambda: trace(model, (X,)))
    assert (model.holder.content, model.holder.parts) == (None, [1, 2])
    assert model.linear.weight.tag == "mine"


def test_a_model_that_changes_all_it_can_run_on_real_tensors() -> None:
    model = nasty(lambda: bool(model.last.sum() > 1e9))
    graph = None

    def run() -> None:
        nonlocal graph
        graph = trace(model, (X,))

    require_untouched(model, run)
    assert graph is not None
    assert graph.tensors == "real"


def stop(error: BaseException) -> Any:
    raise error


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), RecursionError("deep"), MemoryError()])
def test_forward_raises(error: BaseException) -> None:
    model = nasty(lambda: stop(error))

    def run() -> None:
        with pytest.raises(TraceError):
            trace(model, (X,))

    require_untouched(model, run)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit()])
def test_forward_is_interrupted(error: BaseException) -> None:
    model = nasty(lambda: stop(error))

    def run() -> None:
        with pytest.raises(type(error)):
            trace(model, (X,))

    require_untouched(model, run)


def test_interrupted_in_the_middle_of_an_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    from netcheck.trace.fakes import Fakes

    model = nasty()
    done = Fakes.run

    def interrupted(self: Fakes, name: str, *given: Any) -> Any:
        return done(self, name, *given) if name != "mean" else stop(KeyboardInterrupt())

    def run() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Fakes, "run", interrupted)
            with pytest.raises(KeyboardInterrupt):
                trace(model, (X,))

    require_untouched(model, run)


def test_the_inputs_too() -> None:
    def forward(self: Any, batch: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
        batch["y"] = batch["x"].mul_(2)
        batch["list"].append(1)
        return x.relu_() + batch["y"]

    x, inner = X.clone(), X.clone()
    batch = {"x": inner, "list": [torch.ones(2)]}
    trace(module(forward), (batch, x))
    assert torch.equal(x, X)
    assert torch.equal(inner, X)
    assert list(batch) == ["x", "list"]
    assert len(batch["list"]) == 1


def test_the_graph_does_not_hold_the_inputs_or_fakes_in_the_model() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        self.cache["x"] = self.linear(x)
        return self.cache["x"]

    model = module(forward, linear=nn.Linear(4, 4), cache={})
    trace(model, (X,))
    assert model.cache == {}
    assert type(copy.deepcopy(model).linear.weight) is nn.Parameter
    assert type(model(X)) is torch.Tensor


def test_a_model_is_traced_twice_to_the_same_graph() -> None:
    model = nasty()
    first, second = (trace(model, (X,)) for _ in range(2))
    assert [(node.name, node.target, node.kind, node.shape) for node in first] == [
        (node.name, node.target, node.kind, node.shape) for node in second
    ]


@pytest.mark.parametrize("entry", [e for e in zoo() if e.name in SAMPLE], ids=lambda entry: entry.name)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
def test_a_sample_of_the_zoo(entry: Entry, training: bool) -> None:
    model = entry.build().train(training)
    args, kwargs = entry.inputs(model)
    require_untouched(model, lambda: trace(model, args, kwargs))


@pytest.mark.slow
@pytest.mark.parametrize("entry", zoo(), ids=lambda entry: entry.name)
def test_the_whole_zoo(entry: Entry) -> None:
    model = entry.build()
    if sum(p.numel() for p in model.parameters()) > LARGE:
        pytest.skip("too large to compare byte by byte here")
    args, kwargs = entry.inputs(model)
    require_untouched(model, lambda: trace(model, args, kwargs))


class Gate(torch.jit.ScriptModule):
    """A block that asks a random tensor for its value, in TorchScript."""

    def __init__(self) -> None:
        super().__init__()
        self.p = 0.5
        self.layer = nn.Linear(4, 4)

    def survives(self) -> bool:
        drawn = torch.bernoulli(torch.tensor(self.p).float())
        return torch.equal(drawn, torch.tensor(1).float())

    @torch.jit.script_method
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.survives():
            return self.layer(x) + x
        return x


def test_a_scripted_function_keeps_no_fake_tensors() -> None:
    model = nn.Sequential(nn.Linear(4, 4), Gate(), Gate())
    for _ in range(4):  # TorchScript optimizes from the second run on
        netcheck.infer_inputs(model)
        trace(model, (X,))
    assert model(X).shape == X.shape
