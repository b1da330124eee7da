"""How long inference may take.

Counted in this thread's CPU seconds, so that a busy machine does not change the answer; a wall clock bounds
what waits instead of computing.
"""

from __future__ import annotations

import time

LENIENCE = 2  # times as long, for a run that gets further than any before
WALL = 3  # times as long by the wall clock


class OutOfTime(BaseException):
    """The deadline passed during a run. Not an Exception: a model must not catch it."""


class Deadline:
    """Starts to run when it is made."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._cpu, self._wall = time.thread_time(), time.monotonic()

    @property
    def used(self) -> float:
        """The share that is used: 1 at the deadline."""
        cpu, wall = time.thread_time() - self._cpu, time.monotonic() - self._wall
        return max(cpu, wall / WALL) / self.seconds

    @property
    def is_over(self) -> bool:
        """Whether nothing new may start."""
        return self.used >= 1

    def check(self, *, furthest: bool) -> None:
        """End a run that takes too long; one that is further than any before may take longer.

        Raises:
            OutOfTime: it does.
        """
        used = self.used
        if used >= (LENIENCE if furthest else 1):
            raise OutOfTime
