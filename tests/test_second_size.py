"""What depends on a size that netcheck chose itself is no warning unless it holds at another size too."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

import netcheck
from netcheck.engine import second_size
from netcheck.findings import Severity


class Listener(nn.Module):
    """Strides of 256 in all: a signal of 128 samples becomes a map of one."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [4, 8, 16, 16, 16]
        self.layers = nn.ModuleList(nn.Conv1d(a, b, 41, 4, 20) for a, b in pairwise(sizes))
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight)
        self.head = nn.Conv1d(16, 1, 21, padding=10)

    def forward(self, y: Tensor) -> Tensor:
        for layer in self.layers:
            y = torch.relu(layer(y))
        return self.head(y).flatten(1)


class Fixed(Listener):
    """The same for signals of one length."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(1, 4)

    def forward(self, y: Tensor) -> Tensor:
        return self.last(super().forward(y))


def severities(report: netcheck.Report, code: str) -> set[Severity]:
    return {one.severity for one in report if one.code == code}


def test_a_guess_is_named_where_another_size_says_otherwise() -> None:
    report = netcheck.check(Listener())
    assert severities(report, "NC803") == {Severity.INFO}
    assert any("at samples 128, which netcheck chose, and not at samples 4096" in one.evidence.text for one in report)


def test_what_was_given_is_no_guess() -> None:
    assert Severity.WARNING in severities(netcheck.check(Listener(), torch.randn(4, 4, 128)), "NC803")


def test_what_holds_at_both_sizes_is_said() -> None:
    layers = [part for _ in range(14) for part in (nn.Conv1d(16, 16, 3, padding=1), nn.Sigmoid())]
    report = netcheck.check(nn.Sequential(nn.Conv1d(3, 16, 3), *layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 4)))
    assert not report.ok


def test_a_healthy_model_is_not_looked_at_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_size, "found_on", lambda *given: pytest.fail("looked at twice"))
    assert netcheck.check(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))).ok


def test_a_size_at_which_it_does_not_run_says_nothing() -> None:
    assert netcheck.check(Fixed()).summary is not None
