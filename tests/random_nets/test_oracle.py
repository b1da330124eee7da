"""The oracle for random nets sees each kind of fault that it is there for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import fx

import netcheck
from netcheck.errors import ProbeError, TraceError
from netcheck.measure import gradients
from netcheck.rules.initialization.poor_init import PoorInit
from netcheck.trace import run
from netcheck.trace.graph import ModelGraph
from tests.random_nets.oracle import faults
from tests.random_nets.writing import Draw, Part

INPUTS = "def inputs():\n    return (torch.randn(4, 8),), {}"


def net(*lines: str, member: str = "nn.Linear(8, 8)") -> str:
    """The source of a net with one layer, and some lines of forward."""
    import random

    part = Part(Draw(random.Random(0)))
    part.line(f"x = {part.member(member)}(x)", *lines)
    return part.source(INPUTS)


def kinds(source: str, folder: Path) -> set[str]:
    """The kinds of fault on a net."""
    return {fault.kind for fault in faults(source, folder / "net.py", training=True)}


def test_nothing_is_wrong_with_a_plain_net(tmp_path: Path) -> None:
    assert kinds(net("x = torch.relu(x)"), tmp_path) == set()


def test_a_net_that_pytorch_cannot_run_or_train_must_be_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kinds(net("x = x @ torch.ones(3, 3)"), tmp_path) == set()
    assert kinds(net("y = torch.relu(x)", "y += 1", "x = y"), tmp_path) == set()
    monkeypatch.setattr(netcheck.engine.judging, "is_ignored", lambda *arguments: True)
    assert kinds(net("x = x @ torch.ones(3, 3)"), tmp_path) == {"unsaid"}
    assert kinds(net("y = torch.relu(x)", "y += 1", "x = y"), tmp_path) == {"unsaid"}


def test_a_rule_that_fails_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: PoorInit, graph: ModelGraph) -> Iterable[netcheck.Finding]:
        raise KeyError("x")

    monkeypatch.setattr(PoorInit, "check", fails)
    assert kinds(net(), tmp_path) == {"NC008"}


def test_a_trace_and_a_probe_that_fail_for_no_reason_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any, **options: Any) -> Any:
        raise ProbeError("no")

    def cannot(*arguments: Any, **options: Any) -> Any:
        raise TraceError("no")

    with monkeypatch.context() as patch:
        patch.setattr(gradients, "probe", fails)
        assert kinds(net(), tmp_path) == {"NC006"}
    monkeypatch.setattr(run, "attempt_fake", cannot)
    monkeypatch.setattr(run, "can_run_for_real", lambda model: False)
    assert kinds(net(), tmp_path) == {"NC003", "trace raised"}


def test_a_report_that_raises_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netcheck.Report, "to_dict", lambda report: {}["x"])
    assert kinds(net(), tmp_path) == {"raised"}


def test_a_graph_that_computes_something_else_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = ModelGraph.module.func  # type: ignore[attr-defined]

    def other(graph: ModelGraph) -> fx.GraphModule:
        module = built(graph)
        module.register_forward_hook(lambda module, args, result: result + 1e-6)
        return module

    monkeypatch.setattr(ModelGraph, "module", property(other))
    assert kinds(net(), tmp_path) == {"graph differs"}


def test_whatever_is_changed_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = netcheck.check

    def moving(model: Any, inputs: Any, **options: Any) -> Any:
        torch.rand(1)
        with torch.no_grad():
            next(model.parameters()).add_(1)
        inputs[0].requires_grad_()
        model.register_forward_hook(lambda *arguments: None)
        return checked(model, inputs, **options)

    monkeypatch.setattr(netcheck, "check", moving)
    seen = {fault.seen for fault in faults(net(), tmp_path / "net.py", training=True)}
    assert {"torch's generator", "net.m1.weight", "inputs[0][0]", "net _forward_hooks"} <= seen
