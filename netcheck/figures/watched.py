"""What a step of a running training showed: plain data. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WatchedActivation:
    """An activation in one step.

    Attributes:
        path: of the module around it.
        operation: the function ("relu").
        units: how many it has.
        dead: the share of them that were 0 for the whole batch; None where it does not make zeros, or the batch is small.
        saturated: the share of its values where its slope is below a tenth of its steepest; None if it does not saturate.
    """

    path: str
    operation: str
    units: int
    dead: float | None = None
    saturated: float | None = None


@dataclass(frozen=True, slots=True)
class WatchedStep:
    """One step of a training.

    Attributes:
        step: its number, from 1.
        activations: in the order in which they ran.
        gain: decades from the gradient at the last hidden weight layer to that at the first; None where there are too few.
        layers: how many weight layers a gradient came back to.
        non_finite: the operation or parameter where the first NaN or infinity was, "" if there was none.
        moved: the norm of the change of all weights over their own; None if no step was taken.
        moved_most: the parameter whose change is largest beside its own norm, and how large.
    """

    step: int
    activations: tuple[WatchedActivation, ...] = ()
    gain: float | None = None
    layers: int = 0
    non_finite: str = ""
    moved: float | None = None
    moved_most: tuple[str, float] = ("", 0.0)
