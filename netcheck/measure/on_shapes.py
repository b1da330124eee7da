"""Which operations mix samples, told from shapes alone: forward on fake tensors at two batch sizes, and what each operation does.

    softmax(dim=0) of (6, 4), and of (3, 4)      dimension 0 is the batch: it grew, and the softmax goes over it

The last resort, where nothing can be run: an operation whose dimensions no table tells is taken to keep samples apart.
"""

from __future__ import annotations

from collections.abc import Collection
from math import prod
from typing import TYPE_CHECKING

from netcheck.errors import TraceError
from netcheck.measure.mixing import PART, WHOLE, UnjudgedError, paired
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.measure.axes import BatchAxes
    from netcheck.trace.node import Node

_OVER_DIM = frozenset((
    "mean", "sum", "std", "var", "amax", "amin", "max", "min", "median", "prod", "logsumexp", "softmax", "log_softmax", "cumsum",
    "cumprod", "sort", "argsort", "flip", "norm", "vector_norm", "argmax", "argmin", "logcumsumexp", "std_mean", "var_mean",
))  # fmt: skip
_DIM_AT = {"norm": 2, "vector_norm": 2, "flip": 1, "roll": 2}


def mixing_by_shapes(axes: BatchAxes) -> list[Node]:
    """The operations of a model that mix samples, as far as shapes tell: nodes of its graph at a batch of 6.

    Raises:
        UnjudgedError: forward does not run at these batch sizes, or does other things.
    """
    try:
        whole, part = axes.graph_at(WHOLE), axes.graph_at(PART)
    except TraceError as error:
        raise UnjudgedError(str(error)) from error
    twins = dict(paired(whole, part))
    return [node for node, twin in twins.items() if node.depends and node.live and mixes(node, twin)]


def mixes(node: Node, twin: Node) -> bool:
    """Whether an operation goes over the dimension of its first input that grew with the batch."""
    if not node.inputs or not node.inputs[0].depends:
        return False
    before, smaller = node.inputs[0].shape, twin.inputs[0].shape
    batch = grown(before, smaller)
    if batch is None or before is None:
        return False
    rank = len(before)
    if node.kind is Kind.SOFTMAX and node.module is not None:
        return over(getattr(node.module, "dim", None), rank, {batch})
    if node.kind is Kind.NORM and node.detail == "batch":
        return node.training and batch == 0
    if node.kind in (Kind.RECURRENT, Kind.ATTENTION) and node.module is not None and rank == 3:
        return batch == int(bool(getattr(node.module, "batch_first", False)))
    if node.kind in (Kind.CONV, Kind.POOL) and node.module is not None:
        return batch != 0
    if node.function in ("view", "reshape"):
        return not keeps_together(before, node.shape or (), batch, grown(node.shape, twin.shape))
    if node.function in _OVER_DIM and node.module is None:
        dim = node.argument(_DIM_AT.get(node.function, 1), "dim")
        return prod(node.shape or ()) > 1 and over(dim, rank, {batch})
    return False


def grown(larger: tuple[int, ...] | None, smaller: tuple[int, ...] | None) -> int | None:
    """The one dimension that differs between two batch sizes; None if there is none, or several."""
    if larger is None or smaller is None or len(larger) != len(smaller):
        return None
    changed = [dim for dim, (a, b) in enumerate(zip(larger, smaller, strict=True)) if a != b]
    return changed[0] if len(changed) == 1 else None


def over(dim: object, rank: int, batch: Collection[int]) -> bool:
    """Whether an operation over `dim` goes over one of these dimensions; without one, it goes over all."""
    if dim is None:
        return True
    dims = dim if isinstance(dim, tuple | list) else (dim,)
    return any(isinstance(each, int) and each % rank in batch for each in dims)


def keeps_together(before: tuple[int, ...], after: tuple[int, ...], batch: int, moved: int | None) -> bool:
    """Whether as many numbers of one sample stand together after a view as before, so that samples are only folded."""
    if moved is None:
        return True
    inner, now = prod(before[batch + 1 :]), prod(after[moved + 1 :])
    return inner == now * (after[moved] // before[batch] or 1) or now % max(inner, 1) == 0 or inner % max(now, 1) == 0
