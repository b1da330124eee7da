"""What to write instead where a measurement is bad, by what the net has and lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netcheck.rules.helpers.patterns import row_without_norm
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_BETWEEN = 3  # weight layers between normalizations: the two of a gate stand beside a block's own
# Of 16 blocks without norms neither other weights nor further skips help: what the blocks add up grows, and they with it.
BLOCKS = "normalize what each block gets: `x = x + block(norm(x))`"
# Of 14 small transformers with a warning all train then, 11 with the best of what can be tried (weights, norms, skips).
ATTENTION = (
    "normalize what each block of attention and each block behind it gets, and lead an identity around it: "
    "`x = x + block(norm(x))`"
)
# Of residual CNNs that double their skips neither other weights nor norms help.
IDENTITY = "add the block's input as it is, `x + branch(x)`: the factor on the skip multiplies from block to block"
# Of 12 small recurrent nets with a warning all train then, 5 with Xavier or He weights everywhere. Orthogonal weights keep the
# length of a state: Saxe et al. 2014, Exact solutions to the nonlinear dynamics of learning in deep linear neural networks.
STATES = (
    "draw the weights from state to state by `nn.init.orthogonal_` and the others by `nn.init.xavier_uniform_`; zero the biases, "
    "but for an LSTM's forget gate: 1"
)
BEFORE_ALL = (ATTENTION, IDENTITY, STATES)  # better than all that can be tried on a run


def is_normalized(graph: ModelGraph) -> bool:
    """Whether normalizations stand all along."""
    return len(row_without_norm(graph, 1).nodes) <= _BETWEEN


def has_skips_and_norms(graph: ModelGraph) -> bool:
    """Whether normalizations stand all along, and identities lead around most of the depth: of attention around norms, too."""
    from netcheck.trace.paths import fewest, is_residual, most
    from netcheck.trace.questions.attention import attends

    if not (is_residual(graph) and is_normalized(graph)):
        return False
    return not attends(graph) or 2 * fewest(graph, is_norm) < most(graph, is_norm)


def is_norm(node: Node) -> bool:
    """Whether an operation normalizes."""
    return node.kind is Kind.NORM


def for_blocks(graph: ModelGraph, instead: str) -> str:
    """The form that blocks of attention need where they have another; for other nets the advice that is given."""
    from netcheck.trace.questions.attention import attends

    return ATTENTION if attends(graph) and not has_skips_and_norms(graph) else instead


def for_weights(graph: ModelGraph, instead: str) -> str:
    """How recurrent nets draw their weights, and what blocks of attention need first; for other nets the advice that is given."""
    from netcheck.trace.questions.recurrence import is_recurrent

    return STATES if is_recurrent(graph) else for_blocks(graph, instead)


def for_net(graph: ModelGraph, instead: str, *, vanishes: bool = False) -> str:
    """As `for_weights`, and what residual blocks need first: norms and, unless the gradient vanishes, skips without factors."""
    from netcheck.trace.questions.skips import amplified

    if not vanishes and amplified(graph):
        return IDENTITY
    instead = for_weights(graph, instead)
    return BLOCKS if instead != ATTENTION and lacks_norms(graph) else instead


def with_norms(graph: ModelGraph, instead: str) -> str:
    """The advice that is given, and what residual blocks without norms need beside it."""
    return f"{instead}, and {BLOCKS}" if lacks_norms(graph) else instead


def lacks_norms(graph: ModelGraph) -> bool:
    """Whether blocks are residual without a normalization in each."""
    from netcheck.trace.paths import is_residual

    return is_residual(graph) and not is_normalized(graph)
