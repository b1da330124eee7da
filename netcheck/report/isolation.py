"""One model cannot hurt another's report.

@isolated
def render(reports, ...) -> str      raises on the third model of five: it is rendered again, with a third report that has
                                     all that can be shown, and a sentence in `unshown` about the rest

@isolated_one
def fragment(report, ...) -> str     the same for one report
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from netcheck.findings import Finding, Report
from netcheck.load.raised import describe

Options = ParamSpec("Options")
Shown = TypeVar("Shown")
Attempt = Callable[[Report], object]

PARTS = {  # what a report is made of besides its findings, the most telling first, and what each is called
    "summary": "the table of its layers",
    "unchecked": "why it was not checked",
    "inputs": "its inputs",
    "skipped": "what was skipped of it",
    "seconds": "how long it took",
    "gradients": "its gradients",
    "network": "its graph",
    "known_cost": "its cost",
    "known_batches": "how its batch splits",
    "left_out": "what was left out of its file",
    "suppressed": "its suppressed findings",
    "known": "its known findings",
    "suppressions": "its comments",
}


def isolated(
    render: Callable[Concatenate[Sequence[Report], Options], Shown],
) -> Callable[Concatenate[Sequence[Report], Options], Shown]:
    """A function that renders reports, with those that it raises on replaced by what can be shown of them."""

    @wraps(render)
    def careful(reports: Sequence[Report], /, *args: Options.args, **options: Options.kwargs) -> Shown:
        try:
            return render(reports, *args, **options)
        except Exception:
            shown = [showable(report, lambda one: render([one], *args, **options)) for report in reports]
            return render(shown, *args, **options)  # which raises, if it is not a matter of what the reports say

    return careful


def isolated_one(render: Callable[Concatenate[Report, Options], Shown]) -> Callable[Concatenate[Report, Options], Shown]:
    """`isolated` for a function that renders one report."""

    @wraps(render)
    def careful(report: Report, /, *args: Options.args, **options: Options.kwargs) -> Shown:
        try:
            return render(report, *args, **options)
        except Exception:
            return render(showable(report, lambda one: render(one, *args, **options)), *args, **options)

    return careful


def showable(report: Report, attempt: Attempt) -> Report:
    """`report` if `attempt` does not raise on it, else one with all of its parts on which it does not."""
    error = failure(report, attempt)
    if error is None:
        return report
    bare = Report(text_of(report.model), target=text_of(report.target))
    built = replace(bare, unshown=f"a part of its report: {described(error)}")
    if failure(built, attempt) is not None:
        return bare
    missing: dict[str, Exception] = {}
    for name, part in PARTS.items():
        for value in variants(report, name):
            error = failure(replace(built, **{name: value}), attempt)
            if error is None:
                built = replace(built, **{name: value})
                break
            missing[part] = error
    for found in report.findings:
        error = failure(replace(built, findings=[*built.findings, found]), attempt)
        if error is None:
            built.findings.append(found)
        else:
            missing[f"a finding {name_of(found)}"] = error
    reasons = "; ".join(f"{part}: {described(error)}" for part, error in missing.items())
    return replace(built, unshown=reasons) if reasons else built


def variants(report: Report, name: str) -> Iterator[Any]:
    """A part of a report; of the summary, what it is without its layers, too."""
    try:
        value = report.cost if name == "known_cost" else getattr(report, name)
    except Exception:  # it was to be measured now
        return
    yield value
    if name == "summary" and value is not None:
        yield replace(value, layers=(), unknown=())


def failure(report: Report, attempt: Attempt) -> Exception | None:
    """What is raised where a report is rendered; None if it can be."""
    try:
        attempt(report)
    except Exception as error:
        return error
    return None


def described(error: Exception) -> str:
    """What was raised, and where: "ValueError: cannot convert float NaN to integer at profile.py:72"."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{describe(error)} at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else describe(error)


def name_of(found: Finding) -> str:
    """The code of a finding, whatever that is."""
    return text_of(getattr(found, "code", ""))


def text_of(value: object) -> str:
    """A value as text, whatever its `__str__` does."""
    try:
        return str(value)
    except Exception:
        return type(value).__name__
