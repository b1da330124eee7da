"""Exit codes: what a run over many models comes to."""

from __future__ import annotations

from collections.abc import Sequence

from netcheck.figures.unchecked import Reason
from netcheck.findings import Report, Severity
from netcheck.settings import Settings

NOTHING_LOADED = ("NC001", "NC002")
UNCHECKED = ("NC001", "NC002", "NC003", "NC004", "NC007", "NC008")  # what says why a model was not checked


def exit_code(reports: Sequence[Report], settings: Settings) -> int:
    """2: fewer models were checked than `require` asks for; 1: findings as bad as `fail_on`; 0: neither."""
    if too_few(reports, settings):
        return 2
    failed = any(report.at_least(settings.fail_on) for report in reports)
    return int(failed and not settings.exit_zero)


def too_few(reports: Sequence[Report], settings: Settings) -> bool:
    """Whether fewer models were checked than the settings require."""
    left = [report for report in reports if was_left(report)]
    match settings.require:
        case "all":
            return not all(map(is_accepted, left))
        case "any":
            checked = any(report.summary is not None and not was_left(report) for report in reports)
            return bool(left) and not checked and not any(fails_by_itself(report, settings) for report in left)
        case _:
            return False


def was_left(report: Report) -> bool:
    """Whether there was a model that was not checked: the report says so, or that nothing could be loaded."""
    return report.unchecked is not None or any(found.code in NOTHING_LOADED for found in report.at_least(Severity.WARNING))


def is_accepted(report: Report) -> bool:
    """Whether a comment in the source, or the baseline, says that a model that cannot be checked need not be."""
    return not report.findings and any(found.code in UNCHECKED for found in (*report.suppressed, *report.known))


def fails_by_itself(report: Report, settings: Settings) -> bool:
    """Whether a model that was not traced ran, and what it raised fails the run: that is a finding, as others are."""
    ran = report.unchecked is not None and report.unchecked.reason in (Reason.INPUTS, Reason.TRACE)
    return ran and bool(report.at_least(settings.fail_on))
