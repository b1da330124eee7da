"""One training step on copies: ten sound set-ups of which nothing is said, and what is said when one thing in them is wrong."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netcheck
from netcheck.errors import UsageError
from netcheck.findings import Report, Severity


@dataclass
class SetUp:
    """A model with all that a step of it needs."""

    model: nn.Module
    inputs: Any
    targets: Any = None
    loss: Any = None
    optimizer: Any = None
    options: dict[str, Any] = field(default_factory=dict)

    def codes(self, least: Severity = Severity.WARNING) -> set[str]:
        """The rules on steps that find something."""
        return {found.code for found in self.report() if found.severity >= least}

    def report(self) -> Report:
        given = {"targets": self.targets, "loss": self.loss, "probe": False, "select": ("TS",)}
        if self.optimizer is not None:
            given["optimizer"] = self.optimizer
        return netcheck.check(self.model, self.inputs, **given, **self.options)


class Sequence(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.lstm = nn.LSTM(16, 32, batch_first=True)
        self.head = nn.Linear(32, 50)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(self.embedding(ids))[0]).transpose(1, 2)  # (B, V, T)


class OwnLoss(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.head(x)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.one, self.two = nn.Linear(16, 32), nn.Linear(32, 4), nn.Linear(32, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.body(x).relu()
        return self.one(h), self.two(h)


def both(output: Any, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(output[0], targets) + F.mse_loss(output[1].squeeze(1), targets.float())


def of_one(output: Any, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(output[0], targets)


def mlp(outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, outputs))


def sgd(model: nn.Module, lr: float = 0.05, **options: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr, **options)


def classifier(outputs: int = 10) -> SetUp:
    model = mlp(outputs)
    return SetUp(model, torch.randn(64, 16), torch.arange(64) % outputs, nn.CrossEntropyLoss(), sgd(model, momentum=0.9))


def images() -> SetUp:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0)
    return SetUp(model, torch.randn(16, 3, 12, 12), torch.arange(16) % 5, F.cross_entropy, optimizer)


def truth() -> SetUp:
    model = mlp(1)
    targets = (torch.arange(64) % 2).float().unsqueeze(1)
    return SetUp(model, torch.randn(64, 16), targets, nn.BCEWithLogitsLoss(), torch.optim.Adam(model.parameters()))


def probabilities() -> SetUp:
    model = nn.Sequential(nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 1), nn.Sigmoid())
    return SetUp(model, torch.randn(64, 16), torch.ones(64, 1), nn.BCELoss(), sgd(model))


def likelihood() -> SetUp:
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 6), nn.LogSoftmax(dim=1))
    return SetUp(model, torch.randn(32, 16), torch.arange(32) % 6, nn.NLLLoss(), torch.optim.RMSprop(model.parameters(), 1e-3))


def numbers() -> SetUp:
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1))
    return SetUp(model, torch.randn(40, 16), torch.randn(40, 1), nn.MSELoss(), sgd(model, 0.01))


def language() -> SetUp:
    model = Sequence()
    ids = torch.randint(1, 50, (4, 12))
    return SetUp(model, ids, ids.roll(-1, 1), nn.CrossEntropyLoss(ignore_index=0), torch.optim.Adam(model.parameters(), 1e-3))


def own() -> SetUp:
    model = OwnLoss()
    return SetUp(model, {"x": torch.randn(32, 16), "labels": torch.arange(32) % 4}, None, None, sgd(model))


def heads() -> SetUp:
    model = TwoHeads()
    return SetUp(model, torch.randn(32, 16), torch.arange(32) % 4, both, sgd(model, 0.01))


def groups() -> SetUp:
    model = mlp(3)
    decayed = [one for one in model.parameters() if one.dim() > 1]
    plain = [one for one in model.parameters() if one.dim() < 2]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}], lr=1e-3)
    torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    return SetUp(model, torch.randn(32, 16), torch.arange(32) % 3, nn.CrossEntropyLoss(label_smoothing=0.1), optimizer)


HOSTS = [classifier, images, truth, probabilities, likelihood, numbers, language, own, heads, groups]


@pytest.fixture(autouse=True)
def from_a_seed() -> None:
    torch.manual_seed(3)


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.__name__)
def test_nothing_is_said_of_a_sound_set_up(host: Callable[[], SetUp]) -> None:
    assert not host().codes(Severity.WARNING)
    assert host().report().step is not None


def activated(host: Callable[[], SetUp], *more: nn.Module) -> SetUp:
    """A set-up whose model ends with further modules."""
    set_up = host()
    set_up.model = nn.Sequential(set_up.model, *more)
    return set_up


def few(set_up: SetUp) -> SetUp:
    """With two samples, whose few numbers say little by their range."""
    set_up.inputs, set_up.targets = set_up.inputs[:2], set_up.targets[:2]
    return set_up


def changed(host: Callable[[], SetUp], **fields: Any) -> SetUp:
    """A set-up with other targets, or another loss or optimizer: what they are made of is called with the set-up."""
    set_up = host()
    for name, make in fields.items():
        setattr(set_up, name, make(set_up))
    return set_up


def shown_twice(set_up: SetUp) -> torch.optim.Optimizer:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.optim.SGD([*set_up.model.parameters(), *list(set_up.model.parameters())[-2:]], lr=0.05)


def with_a_new_head(host: Callable[[], SetUp]) -> SetUp:
    set_up = host()
    set_up.model[-1] = nn.Linear(32, 10)
    return set_up


def in_half(dtype: torch.dtype, optimizer: Callable[[nn.Module], torch.optim.Optimizer]) -> SetUp:
    set_up = numbers()
    set_up.model.to(dtype)
    set_up.inputs, set_up.targets = set_up.inputs.to(dtype), set_up.targets.to(dtype)
    set_up.optimizer = optimizer(set_up.model)
    return set_up


def shouting(host: Callable[[], SetUp]) -> SetUp:
    set_up = host()
    with torch.no_grad():
        set_up.model[-1].weight.mul_(60)
    return set_up


FAULTS: list[tuple[str, str, Callable[[], SetUp]]] = [
    ("TS703", "softmax before cross-entropy", lambda: activated(classifier, nn.Softmax(1))),
    ("TS703", "softmax of pixels", lambda: activated(language, nn.Softmax(1))),
    ("TS703", "rectifier before cross-entropy", lambda: activated(images, nn.ReLU())),
    ("TS703", "sigmoid before cross-entropy", lambda: activated(classifier, nn.Sigmoid())),
    ("TS703", "sigmoid of few numbers", lambda: few(activated(lambda: classifier(5), nn.Sigmoid()))),
    ("TS703", "sigmoid twice", lambda: activated(truth, nn.Sigmoid())),
    ("TS703", "softmax before a likelihood", lambda: changed(likelihood, model=lambda s: nn.Sequential(*s.model[:-1], nn.Softmax(1)))),
    ("TS704", "(N, 1) against (N)", lambda: changed(numbers, targets=lambda s: s.targets.squeeze(1))),
    ("TS704", "written out", lambda: changed(numbers, targets=lambda s: s.targets.squeeze(1), loss=lambda s: lambda a, b: ((a - b) ** 2).mean())),
    ("TS705", "classes from 1", lambda: changed(classifier, targets=lambda s: s.targets + 1)),
    ("TS705", "classes as float", lambda: changed(classifier, targets=lambda s: s.targets.float())),
    ("TS705", "classes as int32", lambda: changed(images, targets=lambda s: s.targets.int())),
    ("TS705", "truth values as integers", lambda: changed(truth, targets=lambda s: s.targets.long())),
    ("TS705", "truth values 0 and 255", lambda: changed(truth, targets=lambda s: s.targets * 255)),
    ("TS705", "logits for probabilities", lambda: changed(probabilities, model=lambda s: s.model[:-1])),
    ("TS705", "another size", lambda: changed(truth, targets=lambda s: s.targets.squeeze(1))),
    ("TS706", "all ignored", lambda: changed(language, targets=lambda s: torch.zeros_like(s.targets))),
    ("TS707", "a loud head", lambda: shouting(classifier)),
    ("TS708", "a loss of the classes", lambda: changed(classifier, loss=lambda s: lambda a, b: (a.argmax(1) - b).float().abs().mean())),
    ("TS708", "a detached loss", lambda: changed(images, loss=lambda s: lambda a, b: F.cross_entropy(a.detach(), b))),
    ("TS802", "a head that is replaced", lambda: with_a_new_head(classifier)),
    ("TS802", "one layer alone", lambda: changed(images, optimizer=lambda s: sgd(s.model[-1]))),
    ("TS802", "another model's", lambda: changed(truth, optimizer=lambda s: sgd(mlp(1)))),
    ("TS804", "twice", lambda: changed(classifier, optimizer=shown_twice)),
    ("TS806", "far too long", lambda: changed(numbers, optimizer=lambda s: sgd(s.model, 50.0))),
    ("TS806", "far too long with Adam", lambda: changed(numbers, optimizer=lambda s: torch.optim.Adam(s.model.parameters(), 3.0))),
    ("TS807", "lost in bfloat16", lambda: in_half(torch.bfloat16, lambda model: sgd(model, 1e-6))),
    ("TS807", "far too short", lambda: changed(classifier, optimizer=lambda s: sgd(s.model, 1e-12))),
    ("TS808", "Adam in float16", lambda: in_half(torch.float16, lambda model: torch.optim.Adam(model.parameters(), 1e-3))),
]  # fmt: skip


@pytest.mark.parametrize(("code", "make"), [pytest.param(code, make, id=f"{code} {title}") for code, title, make in FAULTS])
def test_a_fault_is_found(code: str, make: Callable[[], SetUp]) -> None:
    assert code in make().codes(), str(make().report())


INFORMATION: list[tuple[str, Callable[[], SetUp]]] = [
    ("TS703", lambda: activated(classifier, nn.LogSoftmax(1))),
    ("TS708", lambda: changed(heads, loss=lambda s: of_one)),
    ("TS803", lambda: changed(classifier, optimizer=lambda s: torch.optim.SGD([*s.model.parameters(), *mlp(2).parameters()], lr=0.05))),
    ("TS805", lambda: changed(classifier, optimizer=lambda s: sgd(s.model, weight_decay=1e-2))),
]  # fmt: skip


@pytest.mark.parametrize(("code", "make"), INFORMATION)
def test_what_is_common_is_information(code: str, make: Callable[[], SetUp]) -> None:
    set_up = make()
    assert code in set_up.codes(Severity.INFO)
    assert code not in set_up.codes(Severity.WARNING)


class Pairs(nn.Module):
    """Adds the scores of all pairs inside, as graph attention does."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.head = nn.Linear(16, 1), nn.Linear(16, 1), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 16) -> (N, 5)."""
        return self.head(torch.softmax(self.one(x) + self.other(x).squeeze(1), 1) @ x)


def contrastive(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Distances of all pairs, as a loss."""
    far = (output[:, None] - output[None]).square().sum(-1)
    return (far * (targets[:, None] == targets[None])).mean()


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), contrastive, None])
def test_all_pairs_that_are_meant_are_no_accident(loss: Any) -> None:
    model = Pairs()
    set_up = SetUp(model, torch.randn(16, 16), None if loss is None else torch.arange(16) % 5, loss, sgd(model))
    assert "TS704" not in set_up.codes(Severity.INFO)


def test_frozen_parameters_in_the_optimizer_are_information() -> None:
    set_up = classifier()
    set_up.model[0].requires_grad_(False)
    assert set_up.codes(Severity.INFO) == {"TS803"}


def test_model_and_optimizer_stay_as_they_are() -> None:
    set_up = groups()
    set_up.model[0].weight.grad = torch.ones_like(set_up.model[0].weight)
    called: list[int] = []
    set_up.optimizer.register_step_pre_hook(lambda *_: called.append(1))
    before = copy.deepcopy((set_up.model.state_dict(), set_up.optimizer.state_dict()))
    random = torch.get_rng_state()
    set_up.report()
    after = (set_up.model.state_dict(), set_up.optimizer.state_dict())
    assert all(torch.equal(one, after[0][name]) for name, one in before[0].items())
    assert str(before[1]) == str(after[1])
    assert not set_up.optimizer.state
    assert torch.equal(set_up.model[0].weight.grad, torch.ones_like(set_up.model[0].weight))
    assert torch.equal(random, torch.get_rng_state())
    assert not called
    assert not getattr(set_up.optimizer, "_opt_called", False)


def test_a_rate_of_zero_is_a_warm_up() -> None:
    set_up = changed(classifier, optimizer=lambda s: sgd(s.model, 0.0))
    assert not set_up.codes()


def test_what_is_no_optimizer_is_refused() -> None:
    with pytest.raises(UsageError, match="optimizer: expected"):
        netcheck.check(mlp(2), torch.randn(4, 16), optimizer=3)


def test_figures_are_those_of_torch() -> None:
    set_up = numbers()
    step = set_up.report().step
    assert step is not None
    assert step.update is not None
    expected = F.mse_loss(set_up.model(set_up.inputs), set_up.targets)
    expected.backward()
    set_up.optimizer.step()
    after = F.mse_loss(set_up.model(set_up.inputs), set_up.targets)
    assert math.isclose(step.update.before or 0, float(expected), rel_tol=1e-5)
    assert math.isclose(step.update.after or 0, float(after), rel_tol=1e-5)
