"""What calls of a model showed beside its results: plain data. Imports no torch.

Calls
  +-- Part            a part of an input that has no influence
  +-- Derivative      a custom autograd function, its backward beside differences of its forward
"""

from __future__ import annotations

from dataclasses import dataclass

from netcheck.figures.batches import Operation


@dataclass(frozen=True, slots=True)
class Derivative:
    """How the backward of a custom autograd function fits its forward.

    Attributes:
        operation: where forward applies it first.
        off: the difference of J^T c and of what forward's differences give, relative to the larger.
        kind: "right", "wrong"; "straight-through", where the forward is flat and the backward is not; "chosen", where the
            forward hands its input on and the backward alone is what the function is for (a reversed, scaled, clipped gradient).
    """

    operation: Operation
    off: float
    kind: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an input that has no influence on the result.

    Attributes:
        name: the argument, and the way to the tensor inside it.
        axis: the dimension of which some entries have none; None: the tensor as a whole.
        entries: which.
        size: how many entries the dimension has.
    """

    name: str
    axis: int | None
    entries: tuple[int, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Calls:
    """What two calls in eval mode on the same arguments did, and what custom functions do.

    Attributes:
        written: names of arguments whose values forward changed.
        changed: names of parameters and buffers whose values it changed.
        off: the relative difference of the two results; None where forward was not run.
        derivatives: of the custom autograd functions, in the order of forward.
        silent: parts of the inputs that have no influence.
        idle: trained parameters whose gradient is always exactly zero.
        chosen: whether netcheck chose the inputs: their sizes may be none that people use.
    """

    written: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    off: float | None = None
    derivatives: tuple[Derivative, ...] = ()
    silent: tuple[Part, ...] = ()
    idle: tuple[str, ...] = ()
    chosen: bool = False
