"""NC509: filters that are all zero."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.initialization.constant_weights import is_excused
from netcheck.trace.kinds import Kind
from netcheck.trace.questions.neighbours import UNCHANGED, ends

if TYPE_CHECKING:
    import torch

    from netcheck.trace.graph import ModelGraph, Node

_LOOKED_AT = 16  # weights of each filter that are read of all


class ZeroFilters(StaticRule):
    """Some output channels of a layer have no weight but zeros, while the others have some: they do not see the input.

    ## What it does
    Reads the weights of every linear and convolutional layer that trains, row by row. Where some rows are all zero, it is told
    whether they can learn: a rectifier behind them, at or below its edge, passes no gradient back, and they stay zero (a
    warning). Where a gradient reaches them they leave zero with the first step (information).

    ## Why is this bad?
    A filter of zeros gives the same number for every input, and the memory and time that it takes buy nothing. It comes of an
    initialization that fills a part of a weight, of weights that were copied into a larger layer, of a slice that was meant to
    be another dimension.

    ## When it is fine
    In the head, in the last layer of a residual branch, and beside filters of a single one each (`nn.init.dirac_`,
    `nn.init.eye_`), which start as the identity. In nets whose filters were pruned on purpose.

    ## Evidence
    How many of the layer's filters are all zero.

    ## References
    - Lu et al. 2019, Dying ReLU and Initialization: Theory and Numerical Examples.
    """

    code = "NC509"
    name = "zero-filters"
    severity = Severity.WARNING
    plain = "Some channels of a layer start at zero and do not see the input"
    BAD = (
        Example(
            "a part of the filters, behind which a rectifier stands",
            """
model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(576, 4))
nn.init.zeros_(model[0].weight[8:])
nn.init.zeros_(model[0].bias)
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "filters that start as the identity",
            """
model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(576, 4))
nn.init.dirac_(model[0].weight)
""",
            "4x3x8x8",
        ),
        Example(
            "a class that the head knows nothing of yet",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
nn.init.zeros_(model[2].weight[3:])
""",
            "8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each layer with such filters."""
        for node in graph:
            rows = zero_rows(node)
            if rows is None or is_excused(node, 0.0):
                continue
            zeros, all_of_them = int(rows.sum()), len(rows)
            still = stays(node, rows)
            one = zeros == 1
            yield self.finding(
                f"{zeros} of {all_of_them} filters of {node.target} {'is' if one else 'are'} all zero: "
                + ("no gradient reaches them" if still else "they see nothing of the input until the first step"),
                help="draw all filters at random: `nn.init.kaiming_normal_(layer.weight)`; build the layer with "
                "the channels that it needs",
                evidence=Evidence(
                    zeros, "filters", f"{zeros} of {all_of_them} filter{'' if one else 's'} hold{'s' if one else ''} zeros alone"
                ),
                at=[node],
                severity=Severity.WARNING if still else Severity.INFO,
                verdict=Verdict.CONFIRMED,
            )


def zero_rows(node: Node) -> torch.Tensor | None:
    """Which output channels of a layer have weights of zero alone; None of none, of all, and beside single ones."""
    from netcheck.trace.weights import trained_matrices

    if node.kind not in (Kind.LINEAR, Kind.CONV) or not node.live or not node.depends:
        return None
    for matrix in trained_matrices(node):
        step = max(1, matrix.shape[1] // _LOOKED_AT)
        rows = ~matrix[:, ::step].bool().any(1)
        if bool(rows.any()):
            rows &= ~matrix.bool().any(1)
        if not bool(rows.any()) or bool(rows.all()) or bool((matrix[~rows].count_nonzero(1) == 1).all()):
            return None
        return rows
    return None


def stays(node: Node, rows: torch.Tensor) -> bool:
    """Whether no gradient reaches these filters: what they give lies where each rectifier behind the layer is flat."""
    value = own_bias(node, rows)
    after = ends(node, UNCHANGED | {Kind.DROPOUT})
    if len(after) == 1 and after[0].kind is Kind.NORM and after[0].detail in ("batch", "instance"):
        node, value = after[0], own_bias(after[0], rows)  # it takes the same number from all that is the same
        after = ends(node, UNCHANGED | {Kind.DROPOUT})
    if value is None or not after:
        return False
    edges = [user.activation.flat_below if user.activation is not None else None for user in after]
    return all(edge is not None and bool((value <= edge).all()) for edge in edges)


def own_bias(node: Node, rows: torch.Tensor) -> torch.Tensor | None:
    """What a module adds to these channels; None of a function, whose bias is not asked for."""
    import torch

    if node.module is None:
        return None
    bias = getattr(node.module, "bias", None)
    if not isinstance(bias, torch.Tensor):
        return torch.zeros(())
    return bias.detach()[rows] if bias.shape == rows.shape else None
