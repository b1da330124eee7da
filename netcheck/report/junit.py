"""JUnit XML, which CI systems show as test results: one test case a model.

<testsuites>                        totals
  <testsuite name="netcheck">
    <properties>                      how many models were checked, and how many not, by reason
    <testcase name="TanhStack" classname="model.py" file="model.py" time="0.123">
      <failure type="NC501" message="...">    the findings at or above --fail-on, as the command prints them
      <error type="NC001" message="...">      in its place where the model could not be checked
      <skipped message="...">                 where it could not and that fails nothing, or where there was no model
      <system-out>                            lesser findings
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from netcheck.findings import Finding, Report, Severity, by_importance
from netcheck.report import selection, text
from netcheck.report.isolation import isolated
from netcheck.report.selection import documentation_of
from netcheck.report.terminal import Painter, printable_text, shorten

# What XML 1.0 cannot hold, not even escaped: controls, lone surrogates, two non-characters.
FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@isolated
def render(
    reports: Sequence[Report], *, fail_on: Severity = Severity.WARNING, require: str = "any", root: Path | None = None
) -> str:
    """All reports as one test suite.

    Args:
        reports: one a model.
        fail_on: the least severity that makes a test case fail.
        require: "all" if models that were not checked fail, too.
        root: directory that paths are shown relative to; None means the current one.
    """
    root = Path.cwd() if root is None else root
    suite = ElementTree.Element("testsuite", name="netcheck")
    suite.append(properties(reports))
    for report in reports:
        suite.append(case(report, Severity.INFO if require == "all" and report.unchecked else fail_on, root))
    totals = {
        "tests": str(len(reports)),
        "failures": str(len(suite.findall("testcase/failure"))),
        "errors": str(len(suite.findall("testcase/error"))),
        "skipped": str(len(suite.findall("testcase/skipped"))),
        "time": f"{sum(report.seconds for report in reports):.3f}",
    }
    suite.attrib |= totals
    suites = ElementTree.Element("testsuites", {"name": "netcheck", **totals})
    suites.append(suite)
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def properties(reports: Sequence[Report]) -> ElementTree.Element:
    """How many models were checked, and how many not, by reason."""
    element = ElementTree.Element("properties")
    numbers = {"checked": sum(report.summary is not None for report in reports)}
    numbers |= {f"not checked: {group.reason}": len(group.reports) for group in selection.not_checked(reports)}
    for name, number in numbers.items():
        ElementTree.SubElement(element, "property", name=allowed(name), value=str(number))
    return element


def case(report: Report, fail_on: Severity, root: Path) -> ElementTree.Element:
    """One model as a test case."""
    file = text.display_path(report.target.rpartition(":")[0] or report.target, root)
    attributes = {
        "name": text.name_of(report.model),
        "classname": file or "netcheck",
        "time": f"{report.seconds:.3f}",
    }
    element = ElementTree.Element("testcase", {key: allowed(value) for key, value in attributes.items()})
    if file:
        element.set("file", allowed(file))
    failing = by_importance(report.at_least(fail_on))
    lesser = [f for f in by_importance(report.findings) if f.counts and f.severity < fail_on]
    if failing:
        of_file = all(found.code.startswith("TS") for found in failing)  # which was read, though it has no model
        tag = "error" if report.summary is None and not of_file else "failure"
        element.append(failure(tag, failing, root))
    elif report.summary is None:
        said = "; ".join([*report.skipped, *(f.message for f in report.findings)])
        reason = f"not checked ({report.unchecked.reason}): {said}" if report.unchecked else said
        ElementTree.SubElement(element, "skipped", message=allowed(reason or "no model to check"))
    if lesser:
        ElementTree.SubElement(element, "system-out").text = allowed(printed(lesser, root))
    return element


def failure(tag: str, findings: Sequence[Finding], root: Path) -> ElementTree.Element:
    """The findings that fail a case: the worst one as the headline, all of them as text."""
    worst, more = findings[0], len(findings) - 1
    headline = f"{worst.name}: {shorten(worst.message, 500)}" + (f" (and {more} more)" if more else "")
    element = ElementTree.Element(tag, type=worst.code, message=allowed(headline))
    element.text = allowed("\n" + printed(findings, root) + "\n")
    return element


def printed(findings: Sequence[Finding], root: Path) -> str:
    """Findings as the text report has them, each with the command that says more."""
    shown = [(text.finding(found, Painter(False), root, verbose=False), documentation_of(found.code)) for found in findings]
    return "\n\n".join(f"{told}\nmore: {command}" for told, command in shown)


def allowed(value: str) -> str:
    """`value` with everything spelled out that XML cannot hold or no reader can show."""
    return FORBIDDEN.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), printable_text(value))
