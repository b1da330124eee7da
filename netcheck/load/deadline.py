"""How long inference may take: so many seconds of computing, however long that takes on a busy machine.

    used = CPU seconds of this thread / seconds allowed, or
           seconds that it neither computed nor stood in line for a processor (it sleeps, it waits for a network) / 3 times those

The clock alone decides nothing: a machine with other work would find other inputs. Of the time between two looks a second counts
at most, of computing and of waiting: a machine that stands still, or reads a library from a slow disk, is no model that computes
or waits again and again. (A virtual machine that stands still counts that as computing, unless its host tells it.) Computing
itself takes longer on a busy machine, so whoever has hardly tried may have patience.
"""

from __future__ import annotations

import time

LENIENCE = 2  # times as long, for a run that gets further than any before
WAITING = 3  # times as long, for what waits instead of computing
LONGEST = 1.0  # seconds that count, between two looks
SHORT = 0.005  # seconds: below it nobody asks whether the thread stood in line


class OutOfTime(BaseException):
    """The deadline passed during a run. Not an Exception: a model must not catch it."""


class Deadline:
    """Starts to run when it is made."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.patience = 1.0  # times as long as that
        self._cpu, self._clock, self._queued = time.thread_time(), time.monotonic(), queued()
        self._computed = self._waited = 0.0  # seconds, until the last look

    @property
    def used(self) -> float:
        """The share that is used: 1 at the deadline."""
        self._look()
        return max(self._computed, self._waited / WAITING) / self.seconds

    @property
    def is_over(self) -> bool:
        """Whether nothing new may start."""
        return self.used >= self.patience

    def check(self, *, furthest: bool) -> None:
        """End a run that takes too long; one that is further than any before may take longer.

        Raises:
            OutOfTime: it does.
        """
        used = self.used
        if used >= (LENIENCE if furthest else 1) * self.patience:
            raise OutOfTime

    def _look(self) -> None:
        """Add what was computed and waited since the last look."""
        cpu, clock = time.thread_time(), time.monotonic()
        waited = clock - self._clock - (cpu - self._cpu)
        if waited > SHORT:  # seldom: the system is asked only where it could matter
            in_line = queued()
            waited -= in_line - self._queued
            self._queued = in_line
        self._computed += min(cpu - self._cpu, LONGEST)
        self._waited += min(max(waited, 0.0), LONGEST)
        self._cpu, self._clock = cpu, clock


def queued() -> float:
    """The seconds that this thread has stood in line for a processor; 0 where the system does not tell."""
    try:
        with open("/proc/thread-self/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
