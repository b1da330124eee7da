"""Trainings that are watched: a healthy one, one whose rectifiers die midway, one that explodes."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netcheck
from netcheck.errors import UsageError
from netcheck.figures.watched import WatchedActivation, WatchedStep
from netcheck.measure.live import Change, Watch

EVERY = 20


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 32)])
        self.head = nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)


def batches(count: int, classes: int = 4) -> Any:
    """Noisy clusters that a small net learns to tell apart."""
    generator = torch.Generator().manual_seed(1)
    centres = 2 * torch.randn(classes, 16, generator=generator)
    for _ in range(count):
        y = torch.randint(classes, (32,), generator=generator)
        yield centres[y] + torch.randn(32, 16, generator=generator), y


def train(
    model: nn.Module, watch: Watch | None, steps: int = 200, disturb: Callable[[int, Any], None] = lambda *_: None
) -> float:
    """Train with SGD. `disturb` is called before each step with its number and the optimizer."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for number, (x, y) in enumerate(batches(steps), 1):
        disturb(number, optimizer)
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if watch is not None:
        watch.close()


def watched(disturb: Callable[[int, Any], None] = lambda *_: None) -> tuple[Watch, nn.Module]:
    torch.manual_seed(0)
    model = Net()
    watch = netcheck.watch(model, every=EVERY)
    train(model, watch, disturb=disturb)
    assert not watch.failed
    return watch, model


def codes(watch: Watch) -> list[str]:
    return [change.finding.code for change in watch.changes]


def test_of_a_healthy_training_nothing_is_said() -> None:
    watch, _ = watched()
    assert (codes(watch), watch.steps) == ([], 200)


def test_rectifiers_that_die_are_found_within_the_interval() -> None:
    def one_step_too_long(number: int, optimizer: Any) -> None:
        optimizer.param_groups[0]["lr"] = 40.0 if number == 90 else 0.05

    watch, _ = watched(one_step_too_long)
    dead = [change for change in watch.changes if change.finding.code == "NC605"]
    assert dead
    assert all(90 < change.step <= 90 + EVERY for change in dead if change.began)
    assert {change.finding.modules[0] for change in dead} <= {"layers.0", "layers.1", "layers.2", "layers.3", ""}


def test_a_training_that_explodes_is_found_within_the_interval() -> None:
    def too_fast(number: int, optimizer: Any) -> None:
        if number > 110:
            optimizer.param_groups[0]["lr"] = 1e6

    watch, _ = watched(too_fast)
    first = watch.changes[0]
    assert first.finding.code in ("TS809", "NC609", "NC602")
    assert 110 < first.step <= 110 + EVERY


def test_a_nan_is_named_at_its_first_operation() -> None:
    class Logarithm(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.log(self.layers[0](x)))

    model = Logarithm()
    with netcheck.watch(model, every=1) as watch:
        F.cross_entropy(model(torch.randn(8, 16).repeat(1, 1)), torch.zeros(8, dtype=torch.long)).backward()
    assert "log" in str(watch.changes[0])
    assert watch.changes[0].finding.code == "NC609"


def test_what_begins_and_ends_is_told_once() -> None:
    told: list[Change] = []
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    x, y = torch.randn(32, 16), torch.zeros(32, dtype=torch.long)
    with netcheck.watch(model, every=1, tell=told.append):
        for bias in (0.0, -1e3, -1e3, -1e3, 0.0, 0.0):
            with torch.no_grad():
                model[0].bias.fill_(bias)
            F.cross_entropy(model(x), y).backward()
    told = [change for change in told if change.finding.code == "NC605"]  # the biases are also moved far
    assert [(change.step, change.began) for change in told] == [(2, True), (5, False)]
    assert str(told[0]).startswith("step 2: dead-units (NC605) at 1: 100% of 32 units")
    assert str(told[1]) == "step 5: dead-units (NC605) at 1 is over"


def test_saturation_is_found() -> None:
    model = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 4))
    with torch.no_grad():
        model[0].weight.mul_(100)
    with netcheck.watch(model, every=1) as watch:
        model(torch.randn(32, 16)).sum().backward()
    assert codes(watch) == ["NC606"]


def test_training_goes_as_without() -> None:
    torch.manual_seed(0)
    plain = Net()
    other = copy.deepcopy(plain)
    train(plain, None, 60)
    with netcheck.watch(other, every=7) as watch:
        train(other, watch, 60)
    assert all(torch.equal(one, two) for one, two in zip(plain.parameters(), other.parameters(), strict=True))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in other.modules())
    assert not any(parameter._post_accumulate_grad_hooks for parameter in other.parameters())


def test_evaluation_is_no_step() -> None:
    model = Net()
    with netcheck.watch(model, every=1) as watch:
        model.eval()
        model(torch.randn(8, 16))
        model.train()
        with torch.no_grad():
            model(torch.randn(8, 16))
    assert watch.steps == 0


def test_a_model_that_is_watched_can_be_copied_and_saved() -> None:
    model = Net()
    with netcheck.watch(model, every=1) as watch:
        model(torch.randn(8, 16))
        twin = copy.deepcopy(model)
        steps = watch.steps
        twin(torch.randn(8, 16))
        assert watch.steps == steps
    file = io.BytesIO()
    with netcheck.watch(model, every=100):
        model(torch.randn(8, 16))
        model(torch.randn(8, 16))
        torch.save(model, file)
    file.seek(0)
    torch.load(file, weights_only=False)(torch.randn(8, 16))


def test_what_goes_wrong_in_the_watch_does_not_reach_the_training() -> None:
    def judge(step: WatchedStep) -> list[Any]:
        raise RuntimeError("boom")

    model = Net()
    watch = Watch(model, 1, judge)
    train(model, watch, 3)
    assert "boom" in watch.failed
    assert not watch.changes


def test_a_forward_that_raises_leaves_no_listener_behind() -> None:
    model = Net()
    with netcheck.watch(model, every=1):
        with pytest.raises(RuntimeError):
            model(torch.randn(8, 3))
        assert not torch.overrides._get_current_function_mode_stack()


@pytest.mark.parametrize(("model", "every"), [("net", 10), (Net(), 0), (Net(), 2.5)])
def test_a_request_that_makes_no_sense_is_refused(model: Any, every: Any) -> None:
    with pytest.raises(UsageError):
        netcheck.watch(model, every=every)


@pytest.mark.parametrize(
    ("step", "found"),
    [
        (WatchedStep(1, (WatchedActivation("a", "relu", 10, dead=0.4),), gain=1.0, layers=5, moved=1e-3), []),
        (WatchedStep(1, (WatchedActivation("a", "relu", 10, dead=0.6),)), ["NC605"]),
        (WatchedStep(1, gain=-4.0, layers=9), ["NC601"]),
        (WatchedStep(1, gain=4.0, layers=9), ["NC602"]),
        (WatchedStep(1, non_finite="log in body", gain=4.0), ["NC609"]),
        (WatchedStep(1, moved=2.0, moved_most=("head.weight", 3.0)), ["TS809"]),
    ],
)
def test_figures_are_judged_by_the_rules_limits(step: WatchedStep, found: list[str]) -> None:
    from netcheck.engine.watching import judged

    assert [one.code for one in judged(step)] == found
