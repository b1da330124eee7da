"""The engine's own check, counting what it imports, for a worker to run in place of the engine."""

from __future__ import annotations

import sys

from netcheck.engine import check_target, preload
from netcheck.findings import Report
from netcheck.settings import Settings

__all__ = ["imports", "preload"]


def imports(target, settings):
    """Report how many modules checking a target imported."""
    before = len(sys.modules)
    report = check_target(target, Settings(probe=False))
    return Report(target.symbol, inputs=str(len(sys.modules) - before), skipped=[found.code for found in report])
