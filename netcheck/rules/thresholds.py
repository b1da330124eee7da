"""The numbers that rules judge by, and what a project sets in their place.

A rule declares its thresholds, and asks for them by name where it judges:

    class PoorInit(StaticRule):
        THRESHOLDS = (Threshold("error", 5.0, "decades of gain beyond which the finding is an error"),)

        def check(self, graph):
            ... if abs(gain) > self.limit("error") ...

    [tool.netcheck.rules.NC501]     # in pyproject.toml
    error = 6
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Threshold:
    """One number that a rule judges by; `meaning` is a phrase with its unit."""

    name: str
    default: float
    meaning: str


# Rules are made once and shared by all checks, so what one check sets for them lives beside them.
_chosen: ContextVar[Mapping[str, Mapping[str, float]] | None] = ContextVar("thresholds", default=None)


@contextmanager
def chosen(numbers: Mapping[str, Mapping[str, float]]) -> Iterator[None]:
    """Judge by these numbers, {code: {name: number}}, as long as the context lasts."""
    token = _chosen.set(numbers)
    try:
        yield
    finally:
        _chosen.reset(token)


def limit(code: str, threshold: Threshold) -> float:
    """The number that holds for one threshold of the rule with this code."""
    return (_chosen.get() or {}).get(code, {}).get(threshold.name, threshold.default)
