"""Thresholds that a project sets: every one is declared, documented, and changes the verdict of its rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from netcheck import engine
from netcheck.errors import UsageError
from netcheck.findings import Finding, Report, Severity
from netcheck.report.rules import page
from netcheck.rules import base, thresholds
from netcheck.rules.base import registry
from netcheck.settings import Settings
from netcheck.source.targets import Target
from tests.test_rules import check_example, examples, report_on

WITH = [rule for rule in registry() if rule.THRESHOLDS]


def said(rule: base.Rule, report: Report) -> list[Finding]:
    """What a rule says of a model that has been checked, by the thresholds that hold now."""
    assert report.graph is not None
    if isinstance(rule, base.StaticRule):
        found = list(rule.check(report.graph))
        return found if report.gradients is None else [rule.verdict(one, report.gradients) for one in found]
    if isinstance(rule, base.MeasuredRule):
        return list(rule.check(report.gradients, report.graph))
    if isinstance(rule, base.CostRule):
        concerned = rule.concerned(report.graph, None)
        return list(rule.check(report.cost, report.graph)) if concerned and report.cost else []
    if isinstance(rule, base.StepRule):
        return list(rule.check(report.step, report.graph)) if report.step else []
    assert isinstance(rule, base.BatchRule)
    return list(rule.check(report.batches, report.graph)) if report.batches else []


def outcome(rule: base.Rule, numbers: Mapping[str, float], reports: Sequence[Report]) -> list[list[tuple[Severity, str]]]:
    """Severity and evidence of what a rule says of each model, judging by these numbers."""
    with thresholds.chosen({rule.code: numbers}):
        return [[(one.severity, str(one.evidence)) for one in said(rule, report)] for report in reports]


@pytest.mark.parametrize("rule", WITH, ids=lambda rule: rule.code)
def test_each_is_documented_and_has_its_default(rule: base.Rule) -> None:
    for each in rule.THRESHOLDS:
        assert rule.limit(each.name) == each.default
        assert f"{each.name} = {each.default:.10g}  # {each.meaning}" in page(rule)
        with thresholds.chosen({rule.code: {each.name: 123.0}, "NC000": {each.name: 7.0}}):
            assert rule.limit(each.name) == 123.0
    assert f"[tool.netcheck.rules.{rule.code}]" in page(rule)


@pytest.mark.parametrize("rule", WITH, ids=lambda rule: rule.code)
def test_each_changes_what_its_rule_says(rule: base.Rule, tmp_path: Path) -> None:
    measured = any(each.name == "error" for each in rule.THRESHOLDS)  # only what was measured is an error
    reports = [
        check_example(example, tmp_path, select=[rule.code]) if measured else report_on(example, rule, tmp_path)
        for _, example in examples(rule)
    ]
    before = outcome(rule, {}, reports)
    assert any(before)
    for each in rule.THRESHOLDS:
        assert any(outcome(rule, {each.name: number}, reports) != before for number in (0.0, 1e9)), each.name


def test_settings_name_them_by_code_or_name() -> None:
    settings = Settings(rules=(("nc501", (("error", 6),)), ("no-skip-connection", (("warning", 9),))))
    base.require_settings(settings)
    assert base.thresholds_in(settings) == {"NC501": {"error": 6}, "NC401": {"warning": 9}}


@pytest.mark.parametrize(
    ("rule", "name", "sentence"),
    [
        ("NC501", "eror", "unknown threshold 'eror' of NC501 (poor-init): did you mean error?"),
        ("NC401", "x", "unknown threshold 'x' of NC401 (no-skip-connection): choose one of info, warning"),
        ("NC001", "x", "unknown threshold 'x' of NC001 (cannot-load): it has none"),
        ("poor-inti", "error", "unknown rule 'poor-inti': did you mean poor-init?"),
    ],
)
def test_unknown_ones_are_refused(rule: str, name: str, sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        base.require_settings(Settings(rules=((rule, ((name, 1.0),)),)))
    assert str(raised.value) == sentence


def test_a_check_judges_by_them_and_the_next_one_does_not(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("import torch\nfrom torch import nn, Tensor\n" + base.find("NC501").BAD[0].source)
    target = Target(str(file), "model")
    strict = Settings(rules=(("poor-init", (("error", 4),)),))
    for settings, severity in ((strict, Severity.ERROR), (Settings(), Severity.WARNING)):
        assert engine.check_target(target, settings).findings[0].severity is severity
