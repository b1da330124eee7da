"""The engine's own check, counting what it imports, for a worker to run in place of the engine."""

from __future__ import annotations

import sys

from netcheck import compiler
from netcheck.engine import check_target, keep_up, preload
from netcheck.findings import Report
from netcheck.settings import Settings

__all__ = ["compiles", "imports", "keep_up", "preload"]


def imports(target, settings):
    """Report how many modules checking a target imported."""
    before = len(sys.modules)
    report = check_target(target, Settings(probe=False))
    return Report(target.symbol, inputs=str(len(sys.modules) - before), skipped=[found.code for found in report])


def compiles(target, settings):
    """Report whether torch's compiler was there before and after a check."""
    before = compiler.loaded()
    report = check_target(target, Settings(probe=False))
    return Report(target.symbol, inputs=f"{before} {compiler.loaded()}", skipped=[found.code for found in report])
