"""Which operation is to blame where PyTorch's backward raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import netcheck
from netcheck.errors import BackwardError
from netcheck.findings import Severity
from netcheck.measure import passes
from netcheck.measure.gradients import probe
from netcheck.trace.run import trace
from tests.trace.replay import module

X = torch.randn(4, 8)
Forward = Callable[[Any, torch.Tensor], torch.Tensor]


def net(forward: Forward) -> nn.Module:
    """A net with two layers."""
    return module(forward, linear=nn.Linear(8, 8), head=nn.Linear(8, 3))


def overwritten(self: Any, x: torch.Tensor) -> torch.Tensor:
    y = torch.relu(self.linear(x))
    z = self.head(y)
    y += 1  # what relu and head keep
    return z + y[:, :3]  # type: ignore[no-any-return]


def no_gradient(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.head(Refuses.apply(self.linear(x)))  # type: ignore[no-any-return]


class Refuses(torch.autograd.Function):
    """Its backward raises."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        raise NotImplementedError("no gradient here")


def why(forward: Forward) -> BackwardError:
    """The error of a net whose backward raises."""
    with pytest.raises(BackwardError) as caught:
        probe(trace(net(forward), (X,)), (X,), device="cpu")
    assert caught.value.untrainable
    return caught.value


def test_the_operation_that_overwrites_is_named_with_its_line() -> None:
    error = why(overwritten)
    assert "cannot be trained" in str(error)
    assert "Tensor.add_ overwrites what" in str(error)
    assert error.location is not None
    assert error.location.line == overwritten.__code__.co_firstlineno + 3


def test_a_function_whose_backward_raises_is_reported_in_its_own_words() -> None:
    error = why(no_gradient)
    assert "NotImplementedError: no gradient here" in str(error)


def test_it_is_a_confirmed_error_of_the_report() -> None:
    report = netcheck.check(net(overwritten), (X,), seeds=1)
    (found,) = (finding for finding in report.findings if finding.code == "NC006")
    assert found.severity is Severity.ERROR
    assert "confirmed" in str(found.verdict).lower()


def test_a_net_is_trained_from_the_result_that_can_be() -> None:
    def two(self: Any, x: torch.Tensor) -> Any:
        y = self.linear(x)
        return Refuses.apply(y), self.head(y)

    assert probe(trace(net(two), (X,)), (X,), device="cpu").gain > -3


def test_what_netcheck_itself_raises_in_a_pass_is_no_fault_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    source = compile("def broken(*_, **__): raise KeyError('node')", passes.__file__, "exec")
    names: dict[str, Any] = {}
    exec(source, names)
    monkeypatch.setattr(passes.Stage, "run", names["broken"])
    report = netcheck.check(net(lambda self, x: self.head(torch.relu(self.linear(x)))), X, device="cpu")
    (found,) = [found for found in report if found.code in ("NC006", "NC008")]
    assert found.code == "NC008"
    assert "KeyError: 'node' at passes.py:1, which is no fault of the model" in found.message
