"""Checks that the tests have a worker run in place of the engine."""

from __future__ import annotations

import os
import sys

import torch

from netcheck import progress
from netcheck.errors import TraceError
from netcheck.findings import Evidence, Finding, Report, Severity, Verdict
from netcheck.load.raised import describe, user_line
from netcheck.load.target import load


def check(target, settings):
    """Load a model, run it once and report one finding, whose evidence any change to torch would change."""
    progress.phase("load")
    loaded = load(target)
    progress.phase("run")
    try:
        loaded.model(torch.ones(2, 4))
    except Exception as error:
        raise TraceError(f"forward raised {describe(error)}", location=user_line(error)) from error
    value = float(torch.tanh(torch.ones(3)).sum())
    evidence = Evidence(round(value, 5), "", f"{value:.5f}")
    finding = Finding("NC999", "checked", Severity.WARNING, "ran", "", evidence, Verdict.CONFIRMED)
    return Report(loaded.name, [finding], inputs=f"settings {settings}")


def pid(target, settings):
    """Report which process did it, and whether torch was imported before."""
    return Report(target.symbol, inputs=f"{os.getpid()} {os.getppid()}", skipped=[str("torch" in sys.modules)])


def unpicklable(target, settings):
    """Report something that cannot be sent."""
    return Report(target.symbol, gradients=lambda: None)


def foreign(target, settings):
    """Report something that is not plain data: a tensor would have the parent import torch."""
    return Report(target.symbol, gradients=torch.ones(2))
