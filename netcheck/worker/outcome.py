"""What becomes of a target that could not be checked: a report with one finding, NC001 to NC007. Imports no
torch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace

from netcheck.errors import NeedsArguments, NetcheckError
from netcheck.figures.unchecked import Reason, Unchecked
from netcheck.findings import Evidence, Finding, Location, Report, Severity, Verdict, by_importance
from netcheck.load.guard import NotAModel
from netcheck.load.raised import describe, is_installed, user_line
from netcheck.rules import base
from netcheck.source.targets import Target

FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>.+)$', re.MULTILINE)
NO_CHECK = "nothing else was checked"


def report_of(target: Target, error: BaseException, seconds: float = 0.0) -> Report:
    """The report for a target whose check raised."""
    report = Report(target.symbol, target=target.name, seconds=seconds)
    if isinstance(error, NotAModel) and target.discovered:
        report.skipped.append(f"{target.name}: {error}")  # netcheck's own mistake: nobody asked for it
    elif isinstance(error, NetcheckError) and error.code:
        report.findings.append(finding_of(error, target))
        report.unchecked = Unchecked(error.reason, error.package)
    else:
        message = f"checking {target.symbol} raised {describe(error)}"
        help = "run the model by itself first: it must not raise this"
        report.findings.append(crashed(message, help, user_line(error) or place_of(target)))
        report.unchecked = Unchecked(Reason.DEFECT)
    return report


def finding_of(error: NetcheckError, target: Target) -> Finding:
    """The finding for an error that netcheck raised on purpose."""
    severity = Severity.ERROR
    if isinstance(error, NeedsArguments):  # a class that nobody asked for fails no run
        severity = Severity.INFO if target.discovered else Severity.WARNING
    return Finding(
        code=error.code,
        name=error.name,
        severity=severity,
        message=str(error),
        help=error.help,
        evidence=Evidence(1.0, "", NO_CHECK),
        verdict=Verdict.CONFIRMED,
        modules=(error.module,) if error.module else (),
        locations=(error.location or place_of(target),),
    )


def crash_report(
    target: Target, what: str, help: str, evidence: Evidence, faults: str = "", reason: Reason = Reason.CRASHED
) -> Report:
    """The report for a target whose process ended, or was ended, without one.

    Args:
        target: what was checked.
        what: what happened, a clause that follows the target's name.
        help: what to do about it.
        evidence: how long it ran, or how much memory it took.
        faults: the stack that the process left, innermost call first.
        reason: the same by class.
    """
    place = place_in(faults)
    message = f"{target.symbol}: {what}" + (f" while in {place.function}" if place and place.function else "")
    finding = crashed(message, help, place or place_of(target), evidence)
    return Report(target.symbol, [finding], target=target.name, unchecked=Unchecked(reason))


def completed(known: Sequence[Report], fault: Report, *, measuring: bool = False, ignored: Sequence[str] = ()) -> Report:
    """The report on a target that was not checked to the end: what was known last, and what ended it.

    Args:
        known: that, if anything was.
        fault: the report that has nothing but the fault.
        measuring: whether it only went over a limit of time or memory while the model was run for real (NC006).
        ignored: selectors of rules that are ignored.
    """
    if not known:
        return fault
    report = known[0]
    for found in fault.findings:
        if measuring and any(base.match_length(base.find("NC006"), selector) > 0 for selector in ignored):
            continue
        if measuring:
            found = replace(found, code="NC006", name="cannot-probe", severity=Severity.INFO)
        report.findings.append(found)
    report.findings = by_importance(report.findings)
    return report


def crashed(message: str, help: str, place: Location, evidence: Evidence | None = None) -> Finding:
    """A finding NC007."""
    return Finding(
        code="NC007",
        name="crashed",
        severity=Severity.ERROR,
        message=message,
        help=help,
        evidence=evidence or Evidence(1.0, "", NO_CHECK),
        verdict=Verdict.CONFIRMED,
        locations=(place,),
    )


def place_of(target: Target) -> Location:
    """Where a target is defined, as far as its name says."""
    return Location(target.file or target.module, target.line or 1)


def place_in(faults: str) -> Location | None:
    """The innermost line of user code in the stacks that faulthandler wrote,
    of the thread that it calls current.
    """
    current = faults.rpartition("Current thread")[2] or faults
    for stack in (current, faults):
        for frame in FRAME.finditer(stack):
            if os.path.isfile(frame["file"]) and not is_installed(frame["file"]):
                function = "" if frame["function"] == "<module>" else frame["function"]
                return Location(frame["file"], int(frame["line"]), function=function)
    return None
