"""Whether a model computes after an edit what it computed before it: plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sameness:
    """How far an edited model is from the one before, both in the same state and on the same inputs.

    Attributes:
        outputs: the largest difference of an output, in training and in evaluation, relative to the outputs' norm; None where
            they cannot be compared.
        gradients: the same of the gradients at parameters and inputs, in training.
        removed: names of the state dictionary that are gone.
        added: names that are new.
        renamed: pairs of names that hold what another held before.
        limit: up to which difference it is rounding.
        problem: why they cannot be compared; "" where they can.
    """

    outputs: float | None = None
    gradients: float | None = None
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    limit: float = 0.0
    problem: str = ""

    @property
    def holds(self) -> bool:
        """Whether outputs and gradients are the same."""
        if self.problem or self.outputs is None or self.gradients is None:
            return False
        return max(self.outputs, self.gradients) <= self.limit

    @property
    def difference(self) -> str:
        """What differs, as the rest of a sentence about the edited model; "" for nothing."""
        if self.holds:
            return ""
        if self.problem:
            return self.problem
        if self.outputs is None or self.gradients is None:
            return "its outputs cannot be compared with those before"
        if self.outputs > self.limit:
            return f"its outputs are others ({self.outputs:.1e} of their norm)"
        return f"its gradients are others ({self.gradients:.1e} of their norm)"
