"""NC909: a view that takes one axis for another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise
from math import prod
from operator import mul
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

Shape = tuple[int, ...]


def net(expression: str) -> str:
    """A model that views its sequence `h` (N, T, 8), or heads (N, 2, T, 4) of it, in this way."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(50, 8), nn.Linear(8, 4)

    def forward(self, tokens):
        n, t = tokens.shape
        h = self.embed(tokens)
        heads = h.view(n, t, 2, 4).transpose(1, 2)
        return self.head({expression})

model = Net()
"""


class CrossedAxes(StaticRule):
    """A view or reshape takes one axis for another: the shape is right, and the numbers are another sample's, step's or head's.

    ## What it does
    Looks at every view and reshape of an activation that turns several dimensions into several. Where one of them appears
    again at another place, and the numbers are not cut at the same places, memory order and meaning disagree. Since 16 steps
    may also be 2 heads of 8, the model is recorded once more on inputs whose sizes are primes before anything is said.

    ## Why is this bad?
    A view does not move numbers, it counts them off anew. (N, heads, T, d) seen as (N, T, heads * d) gives each step the
    numbers of several steps of one head; (layers, N, H) seen as (N, layers * H) gives each sample another one's state;
    (N, T, C) seen as (N, C, T) is no transposition. No shape is wrong, and the net learns around it.

    ## When it is fine
    Where numbers are shifted on purpose, as for relative positions behind a padding, which is not meant here.

    ## Evidence
    The shapes, and where the axis is afterwards.

    ## References
    - PyTorch documentation of torch.Tensor.view and torch.permute.
    """

    code = "NC909"
    name = "crossed-axes"
    severity = Severity.WARNING
    plain = "It mixes up the axes of a tensor: the shape is right, and the numbers belong to something else"
    BAD = (
        Example("heads joined without moving them", net("heads.reshape(n, t, 8)"), "tokens=long:3x16"),
        Example("a transposition written as a view", net("h.view(n, 8, t).transpose(1, 2)"), "tokens=long:3x5"),
    )
    GOOD = (
        Example("heads moved behind the steps, then joined", net("heads.transpose(1, 2).reshape(n, t, 8)"), "tokens=long:3x16"),
        Example("groups of features", net("h.view(n, t, 4, 2).flatten(2)"), "tokens=long:3x16"),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such views."""
        from netcheck.trace.questions.primes import at_primes

        suspects = [node for node in graph if is_view(node) and is_suspect(*shapes(node))]
        twin = at_primes(graph) if suspects else None
        found = []
        for node in suspects:
            seen = twin.nodes[node.index] if twin is not None else node
            axis = moved(*shapes(seen), certain=True)
            if axis is not None:
                found.append((node, seen, axis))
        if not found:
            return
        node, seen, (before, after) = found[0]
        old, new = shapes(node)
        yield self.finding(
            f"{node.target} of {old} as {new} takes dimension {before} for dimension {after}: it counts the numbers off anew "
            "and moves none",
            help=f"move the axis first: x.transpose({min(before, after)}, {max(before, after)}) or x.permute(...), then "
            f"reshape(...); .view(...) alone joins or splits dimensions that stand side by side",
            evidence=Evidence(
                len(found),
                "views",
                f"{'×'.join(map(str, shapes(seen)[0]))} is cut as {'×'.join(map(str, shapes(seen)[1]))}",
                limit=0,
            ),
            at=[each for each, _, _ in found],
            verdict=Verdict.CONFIRMED,
        )


def is_view(node: Node) -> bool:
    """Whether an operation views an activation in another shape; not to shift it, as relative positions are: padded before, or
    cut and viewed again.
    """
    if node.function not in ("view", "reshape") or node.kind is not Kind.RESHAPE or not node.live or not node.depends:
        return False
    source = node.inputs[0]
    cut_again = node.users and all(user.kind is Kind.INDEX and user.users and is_reshaped(user) for user in node.users)
    if cut_again or (source.kind is Kind.INDEX and source.inputs[0].kind is Kind.RESHAPE and is_reshaped(source)):
        return False
    return source.shape is not None and node.shape is not None and source.kind not in (Kind.PAD, Kind.CAT)


def is_reshaped(node: Node) -> bool:
    """Whether all that takes a value gives it another shape."""
    return all(user.kind is Kind.RESHAPE for user in node.users)


def shapes(node: Node) -> tuple[Shape, Shape]:
    """The shapes before and after a view."""
    return node.inputs[0].shape or (), node.shape or ()


def is_suspect(before: Shape, after: Shape) -> bool:
    """Whether a view may take one axis for another: one stands elsewhere, or is kept and has the size of another."""
    kept = {size for size in after[1:] if size > 1 and before[1:].count(size) > 1}
    return bool(kept) or moved(before, after) is not None


def moved(before: Shape, after: Shape, *, certain: bool = False) -> tuple[int, int] | None:
    """The dimension that stands elsewhere after a view: (place before, place after); None if there is none.

    Args:
        before: the shape before.
        after: the shape after.
        certain: whether the numbers must be cut at other places, so that no splitting and joining explains the shapes.
    """
    for old, new in groups(before, after):
        if len(old) < 2 or len(new) < 2 or (certain and nested([before[i] for i in old], [after[i] for i in new])):
            continue
        for place in old:
            sizes = [i for i in new if after[i] == before[place]]
            if sizes and offset(before, old, place) != offset(after, new, sizes[0]):
                return place, sizes[0]
    return None


def groups(before: Shape, after: Shape) -> Iterator[tuple[list[int], list[int]]]:
    """The dimensions of two shapes that hold the same numbers, as few at a time as can be; those of one entry are left out."""
    old, new = ([i for i, size in enumerate(shape) if size != 1] for shape in (before, after))
    left, right = list[int](), list[int]()
    while old or new:
        have, want = prod(before[i] for i in left), prod(after[i] for i in right)
        if left and have == want:
            yield left, right
            left, right = [], []
        elif have <= want and old:
            left = [*left, old.pop(0)]
        elif new:
            right = [*right, new.pop(0)]
        else:
            return
    yield left, right


def nested(before: list[int], after: list[int]) -> bool:
    """Whether each cut of one shape falls on a cut of the other, or between two: dimensions are only split and joined."""
    cuts = sorted({*accumulate(before, mul), *accumulate(after, mul)})
    return all(larger % smaller == 0 for smaller, larger in pairwise(cuts))


def offset(shape: Shape, group: list[int], place: int) -> int:
    """How many entries stand before a dimension of a group."""
    return prod(shape[i] for i in group if i < place)
