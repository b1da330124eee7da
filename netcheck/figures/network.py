"""The traced graph as plain data: what forward does, in which order, and what each operation takes. Imports no torch.

Network
  +-- Operation     one call that forward makes, an input, or the result
  +-- modules       the class of each module that forward runs, by path
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        name: its name in the graph, unique.
        path: module path, of the enclosing module for a function; "" for the model itself.
        operation: as a person writes it ("nn.Conv2d", "torch.cat"); of an input its argument, of the result "output".
        kind: as in `netcheck.trace.kinds`.
        shape: of its (first) output, batch first; None if it holds no tensor.
        parameters: scalars that it is the first to use.
        inputs: the operations whose values it takes, by their places among the operations, in order of its arguments.
        is_weight_layer: whether it multiplies with trained weights.
    """

    name: str
    path: str
    operation: str
    kind: str
    shape: tuple[int, ...] | None
    parameters: int = 0
    inputs: tuple[int, ...] = ()
    is_weight_layer: bool = False


@dataclass(frozen=True, slots=True)
class Network:
    """What one forward pass of a model does.

    Attributes:
        operations: those that depend on the inputs, between the inputs and the result, in execution order.
        modules: pairs of path and class name ("layer1.0", "Bottleneck") of the modules that they run in; the model itself is "".
    """

    operations: tuple[Operation, ...]
    modules: tuple[tuple[str, str], ...]

    @property
    def classes(self) -> dict[str, str]:
        """The class names by path."""
        return dict(self.modules)
