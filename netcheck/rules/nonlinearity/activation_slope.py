"""NC112: a slope of an activation that nobody means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_SELU = 2.0  # an ELU with the alpha of SELU, 1.67, is part of one: only beyond this nobody means it
# Where the slope for negative numbers is set: (attribute of the module, place and name among a function's arguments).
_SLOPES = {
    "LeakyReLU": ("negative_slope", 1, "negative_slope"),
    "leaky_relu": ("negative_slope", 1, "negative_slope"),
    "leaky_relu_": ("negative_slope", 1, "negative_slope"),
    "RReLU": ("upper", 2, "upper"),
    "rrelu": ("upper", 2, "upper"),
    "ELU": ("alpha", 1, "alpha"),
    "elu": ("alpha", 1, "alpha"),
    "elu_": ("alpha", 1, "alpha"),
    "PReLU": ("weight", 1, "weight"),
}


class ActivationSlope(StaticRule):
    """An activation is steeper for negative numbers than for positive ones, or turns their sign: `nn.LeakyReLU(2.0)`.

    ## What it does
    Looks at the slope below zero of LeakyReLU, RReLU, ELU and PReLU (of that where all channels start at one number). More than
    1 (of ELU more than 2, since SELU is made of one with 1.67) is reported, and what lies between −1 and 0.

    ## Why is this bad?
    These activations let a little of what is negative through, so that no unit is dead: 0.01, 0.2, 0.25. With a slope of 2
    negative numbers are doubled in each layer, which is the opposite of rectifying, and a deep stack explodes. A negative slope
    gives what is negative the sign of what is positive: the unit can no longer tell them apart.

    ## When it is fine
    Where it is the idea of the net, as in |x| by a slope of −1. PReLU may learn any slope.

    ## Evidence
    The slope as it is set.

    ## References
    - Maas, Hannun and Ng 2013, Rectifier Nonlinearities Improve Neural Network Acoustic Models.
    - He et al. 2015, Delving Deep into Rectifiers: PReLU starts at 0.25.
    """

    code = "NC112"
    name = "activation-slope"
    severity = Severity.WARNING
    plain = "An activation has a slope that can hardly be meant: it is steeper for negative numbers, or turns their sign"
    BAD = (
        Example(
            "a slope of 2 for negative numbers",
            "model = nn.Sequential(nn.Linear(16, 32), nn.LeakyReLU(2.0), nn.Linear(32, 4))",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "a slope of 0.2",
            "model = nn.Sequential(nn.Linear(16, 32), nn.LeakyReLU(0.2), nn.Linear(32, 4))",
            "8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each slope that several activations may share."""
        found: dict[tuple[str, float], list[Node]] = {}
        for node in graph:
            slope = slope_below(node)
            most = _SELU if "elu" in (node.function, type(node.module).__name__.lower()) else 1.0
            if slope is not None and (slope > most or -1 < slope < 0):
                found.setdefault((node.target, slope), []).append(node)
        for (target, slope), nodes in found.items():
            several = f"{len(nodes)} times {target}" if len(nodes) > 1 else target
            yield self.finding(
                f"{several} with a slope of {slope:g} for negative numbers: "
                + ("it makes them larger" if slope > 1 else "it turns their sign"),
                help="set a slope between 0 and 1: nn.LeakyReLU(0.2), nn.PReLU(), nn.ELU()",
                evidence=Evidence(slope, "slope", f"a slope of {slope:g} below zero", limit=1 if slope > 1 else 0),
                at=nodes,
                verdict=Verdict.CONFIRMED,
            )


def slope_below(node: Node) -> float | None:
    """The slope of an activation for numbers a little below zero, as it is set; None where that is no number of its own."""
    import torch

    name = type(node.module).__name__ if node.module is not None else node.function
    if node.kind is not Kind.ACTIVATION or not node.live or name not in _SLOPES:
        return None
    attribute, place, keyword = _SLOPES[name]
    value = getattr(node.module, attribute, None) if node.module is not None else node.argument(place, keyword)
    if isinstance(value, torch.Tensor):
        first = float(value.detach().flatten()[0]) if value.numel() and not value.is_meta else 0.0
        return first if bool((value.detach() == first).all()) else None
    return float(value) if isinstance(value, int | float) else None
