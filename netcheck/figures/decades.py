"""Arithmetic of gains, in decades, that estimates and measurements share."""

from __future__ import annotations


def held(gain: float, pooled: float) -> float:
    """A gain with the decades that pooling took given back, up to 0: what is forgiven counts neither as a loss nor as growth."""
    return max(gain, min(0.0, gain + pooled))
