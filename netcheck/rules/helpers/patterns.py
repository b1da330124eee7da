"""A pattern that is named wherever it is, beside what it spends of the depth budget (see `netcheck.trace.budget`).

    row_of_activations(graph, ...)      tanh after tanh, nothing between them
    row_without_norm(graph)             weight layer after weight layer, no normalization between them
    pattern(rule, graph, row, ...)      the information: how long the row is, and what it costs

One finding names the cause, or what is cheapest to mend, and what else stands in the same stretch belongs to that one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from netcheck.figures.decades import Decades
from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import StaticRule
from netcheck.rules.helpers import depth_budget
from netcheck.rules.thresholds import Threshold
from netcheck.trace.kinds import Kind, is_weight_layer

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.budget import Cause
    from netcheck.trace.graph import ModelGraph, Node

SHARE = depth_budget.BUDGET / 3  # decades of which a pattern is worth a word
SPENT = "decades spent"  # the unit of what was found by its share alone
IN_A_ROW = "in a row"  # of what is named for its length
_SMALL = 0.1  # times its input: a branch that starts near zero (Fixup, SkipInit, LayerScale)
_NOTHING = 0.05  # decades


def noted(depth: int, what: str) -> Threshold:
    """How many in a row are worth a word, whatever they spend."""
    return Threshold("info", depth, f"{what} in a row from which they are information, whatever they cost")


@dataclass(frozen=True)
class Row:
    """Things of one sort that stand in a row.

    Attributes:
        nodes: the things, in order.
        what: what they are and what is not between them: "Tanh activations in a row, nothing between them".
        fewest: how many are a row at all; fewer are not named for what they spend.
    """

    nodes: Sequence[Node]
    what: str
    fewest: int


def pattern(rule: StaticRule, graph: ModelGraph, cause: Cause, row: Row, *, help: str, limit: float) -> Iterator[Finding]:
    """The information that a row is there, if it is long or spends a third of the budget.

    Args:
        rule: whose pattern it is.
        graph: the traced model.
        cause: what the row's remedy changes.
        row: what stands in a row.
        help: what to write instead.
        limit: how many in a row are worth a word, whatever they spend.
    """
    from netcheck.trace.budget import remedies, spent

    diagnosis, length = graph.diagnosis, len(row.nodes)
    if length < min(row.fewest, limit):
        return
    long = length >= limit
    # Most nets are shallow and inside the budget: nobody asks there what a change would do.
    cost = spent(graph, cause) if long or abs(diagnosis.gain) >= SHARE else 0.0
    if not long and cost < SHARE:
        return
    changed = remedies(graph).get(cause)
    tried = "" if changed is None else f"; with {depth_budget.REMEDIES[cause]} {Decades(changed)}"
    gain = f"static gain {Decades(diagnosis.gain)} decades, budget ±{diagnosis.budget:.0f}{tried}"
    evidence = Evidence(round(cost, 2), SPENT, gain, limit=SHARE)
    if long:
        evidence = Evidence(length, IN_A_ROW, f"{length} in a row, named from {limit:g}; {gain}", limit=limit)
    message = f"{length} {row.what}" + (tried if diagnosis.cause else f": {costs(cost, diagnosis.budget)}")
    main = code_of_cause(graph)
    yield rule.finding(
        message, help=help, evidence=evidence, at=row.nodes, severity=Severity.INFO, belongs_to="" if main == rule.code else main
    )


def costs(cost: float, budget: float) -> str:
    """What a pattern takes of the budget, in words."""
    if cost < _NOTHING:
        return f"costs nothing of the {budget:.0f} decades"
    return f"costs {cost:.1f} of {budget:.0f} decades"


def is_pattern(found: Finding) -> bool:
    """Whether a finding is the information that a pattern is there."""
    return found.evidence.unit in (SPENT, IN_A_ROW)


def verdict(found: Finding, gradients: Gradients, highest: Severity, error: float = depth_budget.HOPELESS) -> Finding:
    """A suspicion of the budget, or a pattern, beside the measured gain.

    A pattern that was named for its share alone is cleared where the measured gain is below a third of the budget.
    """
    if not is_pattern(found):
        return depth_budget.verdict(found, gradients, highest, error)
    gain = gradients.held_gain
    if math.isnan(gain):
        return found
    text = f"{found.evidence.text}; measured gain {Decades(gain)}"
    harmless = found.evidence.unit == SPENT and abs(gain) < SHARE
    return replace(
        found,
        evidence=replace(found.evidence, text=text),
        verdict=Verdict.CLEARED if harmless else found.verdict,
    )


def code_of_cause(graph: ModelGraph) -> str:
    """The code of the rule that names the cause of a gradient outside the budget; "" inside it."""
    cause = graph.diagnosis.cause
    if cause == "saturation":
        return "NC101" if blamed(graph, zero_centred=True) else "NC102"
    return {"init": "NC501", "no norm": "NC301", "no skip": "NC401"}.get(cause or "", "")


def blamed(graph: ModelGraph, *, zero_centred: bool) -> list[Node]:
    """The saturating activations, if most of them are of the asked sort."""
    from netcheck.trace.budget import saturating_activations

    found = saturating_activations(graph.diagnosis.network)
    of_sort = [node for node in found if node.activation and node.activation.zero_centred is zero_centred]
    return of_sort if 2 * len(of_sort) > len(found) or (zero_centred and 2 * len(of_sort) == len(found)) else []


def row_of_activations(graph: ModelGraph, *, zero_centred: bool, fewest: int) -> Row:
    """The most activations in a row that are flat on both sides: no norm, no other activation, no way around between them."""
    from netcheck.trace.budget import saturating_activations
    from netcheck.trace.paths import longest_run

    found = {
        node
        for node in saturating_activations(graph.diagnosis.network)
        if node.activation and node.activation.zero_centred is zero_centred
    }
    nodes = longest_run(
        graph, found.__contains__, lambda node: node.kind is Kind.NORM or joins_ways(node) or other_activation(node, found)
    )
    return Row(nodes, f"{depth_budget.name_of(nodes)} activations in a row, nothing between them", fewest)


def other_activation(node: Node, found: set[Node]) -> bool:
    """Whether something bends the signal that is not of the asked sort."""
    return node.kind is Kind.ACTIVATION and node not in found


def row_without_norm(graph: ModelGraph, fewest: int) -> Row:
    """The most weight layers before the head in a row with no normalization between them, each counted once.

    An activation that normalizes by itself (SELU) ends a row, and so does a branch that starts near zero.
    """
    from netcheck.trace.paths import longest_run

    network = graph.diagnosis.network

    def ends(node: Node) -> bool:
        normalizes = node.kind is Kind.NORM or bool(node.activation and node.activation.normalizes)
        layer = network.stats.get(node)
        scale = network.scales.get(node, (1.0, 0.0, 0.0))
        return normalizes or scale[0] < _SMALL**2 or (layer is not None and layer.square < _SMALL**2)

    nodes = longest_run(graph, lambda node: is_weight_layer(node) and node is not network.head, ends)
    return Row(each_once(nodes), "weight layers in a row without a normalization between them", fewest)


def each_once(nodes: Sequence[Node]) -> list[Node]:
    """Those of some layers that have weights of their own: a recurrent cell is one layer, however many steps it makes."""
    from netcheck.trace.questions.linear_pairs import weights_key

    found: dict[object, Node] = {}
    for node in nodes:
        found.setdefault(weights_key(node), node)
    return list(found.values())


def joins_ways(node: Node) -> bool:
    """Whether gradients part here, on the way back: a sum or a concatenation of two signals."""
    return node.kind in ("add", "cat") and sum(source.carries for source in node.inputs) > 1
