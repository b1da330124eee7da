"""What was checked can be forgotten: no cache of netcheck's keeps a user's model alive."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import netcheck
from netcheck.rules import base
from netcheck.source.parse import Unreadable, parse
from netcheck.trace import trace
from tests.test_rules import report_on

WAYS: dict[str, Callable[[nn.Module], Any]] = {
    "static": lambda model: netcheck.check(model, inputs=torch.randn(4, 3, 16, 16), probe=False),
    "inferred": lambda model: netcheck.check(model, probe=False),
    "probed": lambda model: netcheck.check(model, inputs=torch.randn(4, 3, 16, 16)),
    "split": lambda model: netcheck.check(model, inputs=torch.randn(4, 3, 16, 16), probe=False).batches,
    "cost": lambda model: netcheck.check(model, inputs=torch.randn(4, 3, 16, 16), probe=False).cost,
    "printed": lambda model: str(netcheck.check(model, inputs=torch.randn(4, 3, 16, 16), probe=False)),
    "page": lambda model: netcheck.check(model, inputs=torch.randn(4, 3, 16, 16), probe=False)._repr_html_(),
    "traced": lambda model: trace(model, (torch.randn(4, 3, 16, 16),)),
}


class Net(nn.Module):
    """Something for most rules to look at closely."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(), nn.Conv2d(8, 8, 3), nn.GELU(), nn.Hardswish()
        )  # fmt: skip
        self.table = nn.Parameter(torch.randn(8, 1, 1))
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.body(x) * self.table) + nn.functional.leaky_relu(self.body[0].weight.mean() - x.mean())
        return torch.log_softmax(self.head(x.mean((2, 3))), dim=1)


@pytest.mark.parametrize("way", WAYS)
def test_a_model_that_was_checked_is_forgotten(way: str) -> None:
    model = Net()
    reference = weakref.ref(model)
    assert WAYS[way](model) is not None
    del model
    gc.collect()
    assert reference() is None


OF_MODELS = [rule for rule in base.registry() if rule.BAD and not isinstance(rule, base.TrainingRule)]  # those look at files


@pytest.mark.parametrize("rule", OF_MODELS, ids=lambda rule: rule.code)
def test_what_a_rule_found_is_forgotten(rule: base.Rule, tmp_path: Path) -> None:
    report = report_on(rule.BAD[0], rule, tmp_path)
    assert report.graph is not None
    reference = weakref.ref(report.graph.model)
    del report, sys.modules["example"]
    gc.collect()
    assert reference() is None


def test_a_file_that_does_not_parse_keeps_no_caller_alive(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("class Net(:\n")
    model = Net()
    reference = weakref.ref(model)

    def look(held: nn.Module) -> None:
        with pytest.raises(Unreadable, match="syntax error"):
            parse(str(tmp_path / "net.py"))
        assert held.training

    look(model)
    del model
    gc.collect()
    assert reference() is None
