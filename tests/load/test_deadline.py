"""The time that inference may take is time of computing: other work on the machine does not shorten it."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from netcheck.errors import InputError
from netcheck.load import deadline as deadlines
from netcheck.load.deadline import Deadline, OutOfTime
from netcheck.load.inference.probe import Probe
from netcheck.load.inputs import infer_inputs


class Clock:
    """Time as a test wants it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cpu = self.clock = self.in_line = 0.0
        monkeypatch.setattr(time, "thread_time", lambda: self.cpu)
        monkeypatch.setattr(time, "monotonic", lambda: self.clock)
        monkeypatch.setattr(deadlines, "queued", lambda: self.in_line)

    def passes(self, *, cpu: float = 0.0, in_line: float = 0.0, waiting: float = 0.0) -> None:
        self.cpu, self.in_line = self.cpu + cpu, self.in_line + in_line
        self.clock += cpu + in_line + waiting


def test_computing_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, deadline = Clock(monkeypatch), Deadline(2.0)
    clock.passes(cpu=1.0)
    assert deadline.used == 0.5
    clock.passes(cpu=1.0)
    assert deadline.is_over
    deadline.check(furthest=True)
    with pytest.raises(OutOfTime):
        deadline.check(furthest=False)


def test_standing_in_line_for_a_processor_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, deadline = Clock(monkeypatch), Deadline(2.0)
    clock.passes(cpu=0.5, in_line=1000.0)
    assert deadline.used == 0.25


def test_waiting_counts_a_third(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, deadline = Clock(monkeypatch), Deadline(2.0)
    for _ in range(3):
        clock.passes(cpu=0.01, waiting=1.0)
        deadline.check(furthest=False)
    assert deadline.used == pytest.approx(0.5)
    for _ in range(3):
        clock.passes(waiting=1.0)
        deadline.check(furthest=True)
    assert deadline.is_over


def test_a_machine_that_stands_still_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, deadline = Clock(monkeypatch), Deadline(2.0)
    clock.passes(cpu=0.1, waiting=1000.0)
    assert deadline.used == pytest.approx(1 / 3 / 2)


def test_a_machine_that_stands_still_and_counts_that_as_computing_ends_no_first_run(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, deadline = Clock(monkeypatch), Deadline(2.0)
    clock.passes(cpu=1000.0)
    deadline.check(furthest=False)
    assert deadline.used == 0.5
    clock.passes(cpu=1.0)  # but what computes again and again is ended
    assert deadline.is_over
    clock.passes(cpu=2.0)
    deadline.check(furthest=True)
    clock.passes(cpu=1.0)
    with pytest.raises(OutOfTime):
        deadline.check(furthest=True)


def test_the_system_tells_how_long_a_thread_stood_in_line() -> None:
    assert deadlines.queued() >= 0.0
    assert deadlines.queued() < time.monotonic()


def test_what_is_imported_first_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    from netcheck.load.inference import probe

    clock = Clock(monkeypatch)

    class Engine(probe.FakeEngine):
        def __init__(self) -> None:
            super().__init__()
            clock.passes(cpu=50.0)

    monkeypatch.setattr(probe, "FakeEngine", Engine)
    assert Probe(nn.Linear(2, 2), seconds=1.0).deadline.used == 0.0


def test_a_forward_that_waits_is_given_up() -> None:
    class Waits(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            while True:
                time.sleep(0.01)
                x = x + 1

    with pytest.raises(InputError, match="time allowed"):
        infer_inputs(Waits(), seconds=0.1)


def test_a_slow_machine_tries_the_first_few_too(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    class Slow(nn.Module):
        """Needs images of 96, and takes 0.2 seconds for each try."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4 * 94 * 94, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(x)
            clock.passes(cpu=0.2)
            return self.head(x.flatten(1))

    assert infer_inputs(Slow(), seconds=0.19).args[0].shape == (2, 3, 96, 96)
