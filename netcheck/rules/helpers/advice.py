"""What to write instead where a measurement is bad, by what the net has and lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netcheck.rules.helpers.patterns import row_without_norm

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph

_BETWEEN = 3  # weight layers between normalizations: the two of a gate stand beside a block's own
# Of 16 blocks without norms neither other weights nor further skips help: what the blocks add up grows, and they with it.
BLOCKS = "normalize what each block gets: `x = x + block(norm(x))`"


def is_normalized(graph: ModelGraph) -> bool:
    """Whether normalizations stand all along."""
    return len(row_without_norm(graph, 1).nodes) <= _BETWEEN


def for_blocks(graph: ModelGraph, instead: str) -> str:
    """What residual blocks without norms need first; for other nets the advice that is given."""
    from netcheck.trace.paths import is_residual

    return BLOCKS if is_residual(graph) and not is_normalized(graph) else instead
