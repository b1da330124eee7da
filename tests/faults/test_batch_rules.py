"""Variants of what the rules about batches and devices look for, and of what they must leave alone; by shapes alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netcheck
from netcheck.findings import Finding, Severity
from tests.trace.replay import module

Forward = Callable[[Any, torch.Tensor], Any]


def findings(model: nn.Module, *inputs: torch.Tensor, rule: str, devices: int = 2, samples: int | None = None) -> list[Finding]:
    report = netcheck.check(model, inputs, select=[rule], devices=devices, batch_size=samples, probe=False)
    assert report.summary is not None, str(report)
    return [found for found in report if found.code == rule]


def layered(forward: Forward) -> nn.Module:
    model = module(forward, layer=nn.Linear(6, 6), conv=nn.Conv1d(6, 4, 3), rnn=nn.GRU(6, 5, batch_first=True))
    model.register_buffer("table", torch.randn(8, 6))
    return model


# ---- NC704 ----------------------------------------------------------------------------------------------------------

HARD_CODED: dict[str, tuple[Forward, tuple[int, ...], str]] = {
    "view": (lambda self, x: self.layer(x).view(8, 6), (8, 6), "Tensor.view"),
    "reshape by -1": (lambda self, x: self.layer(x).reshape(8, -1), (8, 6), "Tensor.reshape"),
    "a function": (lambda self, x: torch.reshape(self.layer(x), (8, 2, 3)), (8, 6), "torch.reshape"),
    "expand": (lambda self, x: self.layer(x) + self.table[0].expand(8, 6), (8, 6), "Tensor.expand"),
    "a first state": (lambda self, x: self.rnn(x, torch.zeros(1, 8, 5))[0], (8, 4, 6), "torch.zeros"),
    "by the input's type": (lambda self, x: self.rnn(x, x.new_zeros(1, 8, 5))[0], (8, 4, 6), "Tensor.new_zeros"),
    "behind other layers": (lambda self, x: self.layer(F.relu(self.layer(x)).view(8, 6)), (8, 6), "Tensor.view"),
}  # fmt: skip


@pytest.mark.parametrize("case", HARD_CODED)
def test_a_batch_size_in_forward_is_found_with_its_line(case: str) -> None:
    forward, shape, target = HARD_CODED[case]
    (found,) = findings(layered(forward), torch.randn(*shape), rule="NC704", samples=32)
    assert target in found.message
    assert found.location is not None
    assert found.location.file == __file__


@pytest.mark.parametrize(
    ("forward", "shape"),
    [
        (lambda self, x: self.layer(x).view(x.shape[0], -1), (8, 6)),
        (lambda self, x: self.layer(x).view(-1, 6), (6, 6)),
        (lambda self, x: self.layer(x).unflatten(1, (2, 3)), (2, 6)),
        (lambda self, x: self.layer(x).view(len(x) // 2, 2, 6).flatten(0, 1), (8, 6)),
        (lambda self, x: self.rnn(x, x.new_zeros(1, len(x), 5))[0], (8, 4, 6)),
        (lambda self, x: self.layer(x) @ self.table.T, (8, 6)),
        (lambda self, x: self.layer(x).view(-1, 4, 6).mean(1), (4, 4, 6)),
        (lambda self, x: self.layer(x) + torch.zeros(6).view(1, 6), (1, 6)),
        (lambda self, x: self.layer(x) + torch.zeros(6), (6, 6)),
    ],
)
def test_sizes_from_the_input_are_left_alone(forward: Forward, shape: tuple[int, ...]) -> None:
    assert findings(layered(forward), torch.randn(*shape), rule="NC704", samples=32) == []


def test_a_table_with_one_row_for_each_sample_does_not_fit_another_batch() -> None:
    (found,) = findings(layered(lambda self, x: self.layer(x) + self.table), torch.randn(8, 6), rule="NC704", samples=16)
    assert "runs at a batch of 8, but not of every size" in found.message
    assert "at a batch of 16" in found.evidence.text


# ---- NC703 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "wrong"),
    [((1, 6), True), ((6,), True), ((), True), ((8, 6), False), ((1, 1), True)],
)
def test_an_argument_beside_the_batch(shape: tuple[int, ...], wrong: bool) -> None:
    model = module(lambda self, x, y: self.layer(x * y), layer=nn.Linear(6, 3))
    found = findings(model, torch.randn(8, 6), torch.randn(shape), rule="NC703", devices=4)
    assert bool(found) == wrong
    for each in found:
        assert each.severity is Severity.ERROR
        assert f"y {shape}" in each.message


# ---- NC706 and NC305 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("samples", "devices", "small", "alone"),
    [
        (32, 4, None, False),
        (31, 4, Severity.WARNING, False),
        (16, 4, Severity.WARNING, False),
        (4, 4, Severity.ERROR, False),
        (5, 4, Severity.WARNING, True),
        (4, 1, None, False),
    ],
)
def test_batch_norm_of_vectors(samples: int, devices: int, small: Severity | None, alone: bool) -> None:
    net = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))
    x = torch.randn(8, 6)
    found = findings(net, x, rule="NC706", devices=devices, samples=samples)
    assert [each.severity for each in found] == ([small] if small else [])
    assert bool(findings(net, x, rule="NC305", devices=devices, samples=samples)) == alone
    assert findings(net.eval().requires_grad_(False), x, rule="NC706", devices=1, samples=samples) == []


# ---- NC708 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forward", "fixed"),
    [
        (lambda self, x: self.layer(x) + torch.ones(6), True),
        (lambda self, x: torch.where(x > 0, self.layer(x), torch.zeros(6)), True),
        (lambda self, x: self.layer(x).masked_fill(torch.ones(8, 6).bool(), 0.0), True),
        (lambda self, x: self.layer(torch.cat([x, torch.zeros(1, 6)])), True),
        (lambda self, x: self.layer(x) + torch.eye(6)[0] * 2, True),
        (lambda self, x: self.layer(x) + torch.ones(6).to(x.device), False),
        (lambda self, x: self.layer(x) + torch.ones(6, device=x.device), False),
        (lambda self, x: self.layer(x) + torch.ones(6).to(x) * 2, False),
        (lambda self, x: self.layer(x)[torch.arange(4)], False),
        (lambda self, x: self.layer(x) * torch.tensor(0.5), False),
        (lambda self, x: self.layer(x) + torch.zeros_like(x), False),
        (lambda self, x: (self.layer(x), torch.arange(6)), False),
    ],
)
def test_tensors_that_stay_where_they_were_made(forward: Forward, fixed: bool) -> None:
    assert bool(findings(layered(forward), torch.randn(8, 6), rule="NC708")) == fixed


# ---- NC707 ----------------------------------------------------------------------------------------------------------


def counted(self: Any, x: torch.Tensor) -> torch.Tensor:
    self.table.add_(x.mean())
    return self.layer(x) + self.table[0]


def kept_for_a_plot(self: Any, x: torch.Tensor) -> torch.Tensor:
    self.seen = self.layer(x)
    return self.seen * 2


@pytest.mark.parametrize(
    ("forward", "severity"),
    [(counted, Severity.WARNING), (kept_for_a_plot, Severity.INFO), (lambda self, x: self.layer(x), None)],
)
def test_what_forward_leaves_behind(forward: Forward, severity: Severity | None) -> None:
    found = findings(layered(forward), torch.randn(8, 6), rule="NC707")
    assert [each.severity for each in found] == ([severity] if severity else [])
