"""What one run of forward did: plain data, written by the recorder and read by the graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from torch import fx, nn

from netcheck.load.held import Census


@dataclass(slots=True)
class Call:
    """What the recorder noted about one node, next to torch.fx's own fields."""

    node: fx.Node
    path: str  # of the module itself for a leaf, of the enclosing module otherwise
    module: nn.Module | None  # the leaf module called
    owner: nn.Module | None  # the module whose forward made the call
    code: CodeType | None  # the user's function that made the call
    instruction: int  # where in `code`
    result: Any  # ("tensor", shape, dtype) or a list of such, see `describe`
    grad_enabled: bool
    training: bool
    outdated: tuple[fx.Node, ...] = ()  # of its inputs, those read by a reference from before they were changed in place


@dataclass
class Recording:
    """What one run of forward did.

    Attributes:
        graph: the torch.fx graph.
        calls: what is known about each node, by node.
        attributes: what the graph's get_attr and call_module targets mean.
        names: every qualified name of each parameter, by its target.
        reads: nodes whose values forward looked at (`.item()`, `if tensor:`): only the recorded path was seen.
        lost: places where a tensor appeared that no recorded operation made.
        entered: ids of the modules whose forward ran.
        sized: nodes whose shape, type or device forward looked at.
        written: nodes that wrote into a tensor of the model (a buffer that is updated).
        adopted: ids of the modules that forward built and registered, to use them from then on.
        kept: nodes whose values forward left behind in an attribute of the model.
        frozen: why the graph's module would compute something else than the model, a sentence each; none if it does not.
        transforms: calls of what torch.func made; what their functions do, the graph does not show.
        exposed: whether forward could write to a tensor of the model where nobody sees it (`.numpy()`, `.data_ptr()`).
        census: what the model holds.
    """

    census: Census
    graph: fx.Graph = field(default_factory=fx.Graph)
    calls: dict[fx.Node, Call] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    reads: list[fx.Node] = field(default_factory=list)
    lost: list[fx.Node] = field(default_factory=list)
    entered: set[int] = field(default_factory=set)
    adopted: set[int] = field(default_factory=set)
    sized: set[fx.Node] = field(default_factory=set)
    written: list[fx.Node] = field(default_factory=list)
    kept: list[fx.Node] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)
    transforms: list[fx.Node] = field(default_factory=list)
    exposed: bool = False


@dataclass(slots=True)
class Failure:
    """The operation that raised: what it was, what it was given, and where the user wrote it."""

    error: BaseException
    operation: str
    arguments: str
    path: str
    code: CodeType | None
    instruction: int
