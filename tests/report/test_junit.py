"""JUnit XML, read back by junitparser and by the standard library."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from netcheck.findings import Report, Severity, Summary, Verdict
from netcheck.report.junit import render

from . import hostile

junitparser = pytest.importorskip("junitparser")
SUMMARY = Summary(3, 1, 10, 1, 1)


def cases(*reports: Report, **options: Any) -> list[Any]:
    """The test cases, as a CI system sees them."""
    text = render(reports, **options)
    ElementTree.fromstring(text.encode())
    (suite,) = junitparser.JUnitXml.fromstring(text.encode())
    found = list(suite)
    assert suite.tests == len(found) == len(reports)
    results = [type(result).__name__ for case in found for result in case.result]
    counts = (suite.failures, suite.errors, suite.skipped)
    assert counts == tuple(results.count(kind) for kind in ("Failure", "Error", "Skipped"))
    return found


def kinds(case: Any) -> list[str]:
    return [type(result).__name__ for result in case.result]


def test_one_case_a_model() -> None:
    clean = Report("Clean", summary=SUMMARY, target="src/a.py:Clean", seconds=1.25)
    faulty = Report("Faulty", [hostile.plain(), hostile.plain(severity=Severity.ERROR)], summary=SUMMARY)
    nothing = Report("data.py", target="data.py", skipped=["holds no model"])
    unloaded = Report("Net", [hostile.plain("NC001", Severity.ERROR)], target="b.py:Net")
    first, second, third, fourth = cases(clean, faulty, nothing, unloaded)
    assert (first.name, first.classname, first.time, kinds(first)) == ("Clean", "src/a.py", 1.25, [])
    assert kinds(second) == ["Failure"]
    failure = second.result[0]
    assert (failure.type, failure.message) == ("NC501", "poor-init: the fact (and 1 more)")
    assert "error[NC501]" in failure.text
    assert "warning[NC501]" in failure.text
    assert (kinds(third), third.result[0].message) == (["Skipped"], "holds no model")
    assert (kinds(fourth), fourth.result[0].type) == (["Error"], "NC001")


@pytest.mark.parametrize(
    ("fail_on", "expected"),
    [(Severity.INFO, ["Failure"]), (Severity.WARNING, ["Failure"]), (Severity.ERROR, [])],
)
def test_fail_on_decides(fail_on: Severity, expected: list[str]) -> None:
    (case,) = cases(Report("Net", [hostile.plain()], summary=SUMMARY), fail_on=fail_on)
    assert kinds(case) == expected
    assert ("NC501" in (case.system_out or "")) is (not expected)


def test_what_was_cleared_fails_nothing() -> None:
    (case,) = cases(Report("Net", [hostile.plain(verdict=Verdict.CLEARED)], summary=SUMMARY))
    assert (kinds(case), case.system_out) == ([], None)


@pytest.mark.parametrize("name", hostile.NAMES.values(), ids=hostile.NAMES)
def test_any_name_can_be_read_back(name: str) -> None:
    (case,) = cases(hostile.report(name))
    assert kinds(case) == ["Failure"]
    if name.isprintable() and len(name) < 100:
        assert case.name == name
        assert name in case.result[0].text
        assert name in case.result[0].message
