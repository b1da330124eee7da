"""Whether this torch tells of all that must be heard, tried once on a small model before the first trace is believed.

    Sample: a layer, an autograd function applied as usual, one whose `apply` was looked up long before, a function, a method,
    an operation on the result of each                              -> the names that its graph must have

A torch in which one of them goes unheard would give graphs that compute the same and say something else.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import nn

from netcheck.torch_versions import lacking
from netcheck.trace.attempts import attempt_fake


class Doubled(torch.autograd.Function):
    """Twice its argument."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x + x

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * 2


EARLY = Doubled.apply
HEARD = ["linear", "doubled", "doubled_1", "relu", "sum_1", "add"]


class Sample(nn.Module):
    """One call of each kind that a recorder hears."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2, device="meta")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(2, 2) -> (2)."""
        x = EARLY(Doubled.apply(self.linear(x)))  # type: ignore[no-untyped-call]
        return torch.relu(x).sum(0) + 1


@cache
def require_hearing() -> None:
    """Make sure that a recorder hears every kind of call.

    Raises:
        UsageError: it does not, in this torch.
    """
    recorder = attempt_fake(Sample(), (torch.empty(2, 2, device="meta"),), {})
    nodes = recorder.recording.graph.nodes
    heard = [node.name for node in nodes if node.op.startswith("call_")]
    if heard != HEARD or recorder.recording.lost:
        missing = [name for name in HEARD if name not in heard] or heard
        raise lacking(f"these calls are not announced: {', '.join(missing)}")
