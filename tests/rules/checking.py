"""Small models in one line, and what one rule says of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from netcheck.findings import Finding
from netcheck.rules.base import StaticRule
from netcheck.trace import trace


def net(forward: Callable[..., Any], **members: Any) -> nn.Module:
    """A module with this forward and these members: submodules, parameters, plain values."""
    model = type("Net", (nn.Module,), {"forward": forward})()
    for name, member in members.items():
        setattr(model, name, member)
    return model


def findings(rule: type[StaticRule], model: nn.Module, *inputs: Any, **options: Any) -> list[Finding]:
    """What `rule` finds in the graph of `model(*inputs)`; an input may be given by its shape."""
    args = tuple(torch.randn(each) if isinstance(each, tuple) else each for each in inputs)
    return list(rule().check(trace(model, args, options)))
