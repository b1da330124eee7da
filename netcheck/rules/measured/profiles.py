"""What the measured rules share: where in a profile something happens, and how to say it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from netcheck.figures.decades import Decades
from netcheck.rules.helpers import depth_budget

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients, NodeProfile
    from netcheck.trace.graph import ModelGraph, Node

SHARE = 0.8  # of all that is lost: the layers that are named lose that much together


def gain_text(gradients: Gradients) -> str:
    """The measured gain as evidence."""
    slope = gradients.slope
    each = f", {Decades(slope.per_layer)} a weight layer" if slope and abs(slope.per_layer) >= 0.05 else ""
    passes = f" ± {gradients.gain_spread / 2:.1f}" if math.isfinite(gradients.gain_spread) and gradients.passes > 1 else ""
    limit = f"budget ±{depth_budget.BUDGET:.0f}"
    return f"measured gain {gradients.held_gain}{passes} decades{each}, {limit}"


def arrives(gain: float) -> str:
    """The part of a gradient that arrives: "nothing", "10^-4.2"."""
    return "nothing" if math.isinf(gain) else f"10^{Decades(gain)}"


def steepest(gradients: Gradients, graph: ModelGraph, *, falling: bool) -> list[Node]:
    """The weight layers between which the gradient loses (or gains) most on its way back, in the order of the graph."""
    nodes = {node.name: node for node in graph}
    layers = [one for one in gradients.profile if one.is_weight_layer]
    changes: list[tuple[float, NodeProfile]] = []
    for before, after in pairwise(layers):
        if before.gradient_norm and after.gradient_norm:
            change = math.log10(before.gradient_norm / after.gradient_norm)
            changes.append((-change if falling else change, after))
        elif after.gradient_norm and falling:
            changes.append((math.inf, after))
    changes = sorted((pair for pair in changes if pair[0] > 0), key=lambda pair: -pair[0])
    total = sum(change for change, _ in changes if math.isfinite(change))
    found, lost = [], 0.0
    for change, layer in changes:
        if lost > SHARE * total or (math.isinf(lost)):
            break
        found.append(nodes[layer.node])
        lost += change
    return sorted(found, key=lambda node: node.index)


def slowest(gradients: Gradients, graph: ModelGraph) -> list[Node]:
    """The layers whose weights have the smallest relative gradients: the lowest tenth, one at least."""
    matrices = {name for name, value in graph.model.named_parameters(remove_duplicate=False) if value.dim() > 1}
    ordered = sorted(
        (one for one in gradients.parameters if one.relative > 0 and one.name in matrices),
        key=lambda one: one.relative,
    )
    return users_of([one.name for one in ordered[: max(1, len(ordered) // 10)]], graph)


def users_of(parameters: Sequence[str], graph: ModelGraph) -> list[Node]:
    """The operations that use some parameters, in the order of the graph."""
    owners = {name.rpartition(".")[0] for name in parameters}
    names = set(parameters)
    return [
        node
        for node in graph
        if (node.module is not None and node.path in owners)
        or (node.module is None and any(source.fx.target in names for source in node.inputs))
    ]


def head_of(graph: ModelGraph) -> Node | None:
    """The last weight layer on the way to the result."""
    from netcheck.trace.gain import Network

    return Network(graph).head


def is_gating(node: Node) -> bool:
    """Whether all that an activation's value does, through whatever layers, is to scale another signal."""
    pending, seen = [node], set()
    while pending:
        user = pending.pop()
        if user in seen:
            continue
        seen.add(user)
        if user.kind == "gate" and user is not node:
            continue
        following = [other for other in user.users if other.carries]
        if not following or any(other.kind in ("add", "output", "cat") for other in following):
            return False
        pending += following
    return True
