"""What holds for all tests that measure: no time limit of netcheck's own passes, however busy the machine is."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable

import pytest

from netcheck.measure import distributed, groups

PATIENCE = 600.0  # seconds, after which a test is not slow but stuck


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have ranks wait for one another for as long as it takes; a test that is about waiting says how long."""
    for module in (distributed, groups):
        monkeypatch.setattr(module, "SECONDS", PATIENCE)
    monkeypatch.setattr(distributed, "WAIT_SECONDS", PATIENCE)
    monkeypatch.setattr(groups, "CONNECTING_SECONDS", PATIENCE)
    monkeypatch.setattr(groups, "MEETING_SECONDS", PATIENCE)


def until(true: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def end_this_process(number: int) -> None:
    """Have a signal end this process, as the system does: by a call that nothing refuses to a model's own code."""
    ctypes.CDLL(None).kill(os.getpid(), int(number))
