"""NC303: a normalization directly on a normalization."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node


class NormTwice(StaticRule):
    """A normalization is normalized again, with nothing between: one of the two does nothing.

    ## What it does
    Finds norms whose only use is another norm, at once or after steps that keep the values (reshapes, casts, an idle
    dropout). Two of one sort are a warning. A note are two of different sorts, and two layer normalizations of which one ends a
    module and the other follows that module: `nn.Transformer` itself ends post-norm layers in one more.

    ## Why is this bad?
    What the second receives has mean zero and variance one already, so it returns it; the scale and bias of the first are
    absorbed. It costs time and memory, and mostly shows that a block's end and the next one's beginning were both given
    a norm, or that another layer is missing between.

    ## When it is fine
    Where the first norm's output has another use, such as a skip (CLIP's vision tower begins so); where the second takes the
    length of vectors (`F.normalize`) for a comparison.

    ## Evidence
    The number of pairs; that nothing stands between them is read off the graph.

    ## References
    - Ba et al. 2016, Layer Normalization, section 5.1: invariance to re-scaling and re-centring.
    """

    code = "NC303"
    name = "norm-twice"
    severity = Severity.WARNING
    plain = "Something normalized is normalized again: one of the two does nothing"
    fixable = Fixable("take out the second norm", safe=False, note="a checkpoint loses its names")
    BAD = (
        Example(
            "a block that ends in a norm, in a net that adds one after each block",
            """
class Block(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(before, after, 3, bias=False), nn.BatchNorm2d(after)

    def forward(self, x):
        return self.norm(self.conv(x))

model = nn.Sequential(
    Block(3, 8), nn.BatchNorm2d(8), nn.ReLU(), Block(8, 8), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
    nn.Linear(8 * 16, 10),
)
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "a convolution between the norms",
            """
model = nn.Sequential(
    nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, groups=8, bias=False), nn.BatchNorm2d(8),
    nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 10),
)
""",
            "4x3x8x8",
        ),
        Example(
            "an activation between the norms",
            """
model = nn.Sequential(
    nn.Linear(8, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, 4)
)
""",
            "8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for the pairs of one sort, one for those of two sorts or modules."""
        pairs = [(first, node) for node in graph if node.live and (first := norm_before(node)) is not None]
        plain = [pair for pair in pairs if not is_matter_of_taste(*pair)]
        for found, severity in (
            (plain, Severity.WARNING),
            ([p for p in pairs if p not in plain], Severity.INFO),
        ):
            if not found:
                continue
            first, second = found[0]
            times = f", {len(found)} times" if len(found) > 1 else ""
            yield self.finding(
                f"{second.target} normalizes what {first.target} has just normalized{times}",
                help="remove one of the two, or put the layer or activation between them that is missing",
                evidence=Evidence(
                    len(found),
                    "pairs",
                    f"{len(found)} pair{'s' if len(found) > 1 else ''} of norms with nothing between",
                    limit=0,
                ),
                at=[node for pair in found for node in reversed(pair)],
                severity=severity,
                verdict=Verdict.CONFIRMED,
                count=len(found),
            )


def norm_before(node: Node) -> Node | None:
    """The norm that a norm is given the output of, if that goes nowhere else; None if there is none."""
    if not normalizes(node):
        return None
    users, source = given(node)
    while source is not None and not normalizes(source):
        if not keeps_statistics(source) or not set(source.users) <= users:
            return None
        users, source = {source}, next(before for before in source.inputs if before.depends)
    return source if source is not None and set(source.users) <= users else None


def given(norm: Node) -> tuple[set[Node], Node | None]:
    """The nodes of a norm (several, if it is written out), and the one activation that they work on; None if there are more."""
    parts, origins, pending = {norm}, set(), [norm]
    while pending:
        for source in pending.pop().inputs:
            if source.detail == f"of {norm.name}":
                if source not in parts:
                    parts.add(source)
                    pending.append(source)
            elif source.depends:
                origins.add(source)
    return parts, origins.pop() if len(origins) == 1 else None


def normalizes(node: Node) -> bool:
    """Whether a node gives features mean zero or size one: not local response normalization, not vectors of unit length."""
    return node.kind is Kind.NORM and node.carries and node.detail not in ("local", "unit")


def keeps_statistics(node: Node) -> bool:
    """Whether a step leaves a normalized value's statistics: another shape, the scale and bias of a norm written out."""
    from netcheck.trace.residual import hand_on

    if node.kind is Kind.RESHAPE:
        return node.detail == ""
    if node.kind in (Kind.SCALE, Kind.SHIFT):
        return any(source.kind is Kind.PARAMETER for source in node.inputs)
    return hand_on(node) is not None


def is_matter_of_taste(first: Node, second: Node) -> bool:
    """Whether two norms differ in what they normalize over, or are the layer norms that end two nested modules."""
    if first.detail != second.detail:
        return True
    owners = [norm.call.owner if norm.call else None for norm in (first, second)]
    return first.detail in ("layer", "rms") and owners[0] is not owners[1]
