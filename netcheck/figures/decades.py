"""Sizes of gradients, as those who estimate, measure and show them write them: in decades."""

from __future__ import annotations

import math

MOST_SHOWN = 100  # decades, beyond which the number says no more


class Decades(float):
    """log10 of a ratio; shown with a sign as wide as a plus: "−5.0", "0.0", "+0.3", "< −100", "−∞", "not finite"."""

    @classmethod
    def of(cls, after: float, before: float = 1.0) -> Decades:
        """How many decades lie between two sizes; minus infinity if nothing is left, NaN if what is left is not finite."""
        if not math.isfinite(after):
            return cls(math.nan)
        return cls(math.log10(after / before) if after > 0 else -math.inf)

    def __str__(self) -> str:
        """With one digit."""
        return self.text(1)

    def text(self, digits: int, plus: str = "+") -> str:
        """With so many digits."""
        if MOST_SHOWN < abs(self) < math.inf:
            return f"< −{MOST_SHOWN}" if self < 0 else f"> {MOST_SHOWN}"
        return signed(self, digits, plus)

    def __format__(self, form: str) -> str:
        """In a text: as by itself, or in a form for numbers."""
        return super().__format__(form) if form else str(self)


def signed(value: float, digits: int, plus: str = "+") -> str:
    """A number with a sign that is as wide as a plus; one that is not finite in a word."""
    if not math.isfinite(value):
        return "not finite" if math.isnan(value) else ("−∞" if value < 0 else "∞")
    text = f"{float(value):+.{digits}f}"
    if not text.strip("+-0."):
        return text.lstrip("+-")
    return text.replace("-", "−").replace("+", plus)


def held(gain: float, pooled: float) -> Decades:
    """A gain with the decades that pooling took given back, up to 0: what is forgiven counts neither as a loss nor as growth."""
    return Decades(max(gain, min(0.0, gain + pooled)))
