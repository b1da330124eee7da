"""What to write instead where a measurement is bad, by what the net has and lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netcheck.rules.helpers.patterns import row_without_norm

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph

_BETWEEN = 3  # weight layers between normalizations: the two of a gate stand beside a block's own
# Of 16 blocks without norms neither other weights nor further skips help: what the blocks add up grows, and they with it.
BLOCKS = "normalize what each block gets: `x = x + block(norm(x))`"
# Of 12 small recurrent nets with a warning all train then, 5 with Xavier or He weights everywhere. Orthogonal weights keep the
# length of a state: Saxe et al. 2014, Exact solutions to the nonlinear dynamics of learning in deep linear neural networks.
STATES = (
    "draw the weights from state to state by `nn.init.orthogonal_` and the others by `nn.init.xavier_uniform_`; zero the biases, "
    "but for an LSTM's forget gate: 1"
)


def is_normalized(graph: ModelGraph) -> bool:
    """Whether normalizations stand all along."""
    return len(row_without_norm(graph, 1).nodes) <= _BETWEEN


def for_weights(graph: ModelGraph, instead: str) -> str:
    """How recurrent nets draw their weights; for other nets the advice that is given."""
    from netcheck.trace.questions.recurrence import is_recurrent

    return STATES if is_recurrent(graph) else instead


def for_net(graph: ModelGraph, instead: str) -> str:
    """What recurrent nets, and residual blocks without norms, need first; for other nets the advice that is given."""
    from netcheck.trace.paths import is_residual

    instead = for_weights(graph, instead)
    return BLOCKS if is_residual(graph) and not is_normalized(graph) else instead
