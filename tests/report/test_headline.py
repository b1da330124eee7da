"""The first sentence about a model, and what is well about it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from netcheck.figures.unchecked import Reason, Unchecked
from netcheck.findings import Evidence, Finding, Location, Report, Severity, Summary
from netcheck.report import html, markdown, text
from netcheck.report import json as as_json
from netcheck.report.headline import first_clause, headline, well
from netcheck.rules.base import registry
from tests.report import samples

JARGON = re.compile(
    r"decade|effective rank|\|g\||cotangent|fan_in|Jacobian|eigen|singular|spectrum|homogene|\brms\b|operand", re.I
)
SMALL = Summary(3, 3, 30, 3, 3)


def found(code: str, severity: Severity = Severity.WARNING, **more: object) -> Finding:
    values = {"message": "a fact", "help": "do this", "evidence": Evidence(1.0, "", "")}
    return Finding(code, "name", severity, **{**values, **more})  # type: ignore[arg-type]


def test_the_worst_finding_is_told_with_what_to_do_and_where(tmp_path: Path) -> None:
    first = headline(samples.report(tmp_path))
    assert str(first) == (
        "The first layers get less than 1/1,000,000,000 of the gradient that the last one gets, and will not learn: the weights "
        "start at the wrong size. Initialize with `nn.init.xavier_uniform_(layer.weight, gain=5/3)` (line 4)."
    )


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (-4.0, "the first layers get 1/10,000 of the gradient that the last one gets, and will hardly learn"),
        (-3.6, "1/4,000"),
        (-math.inf, "get none of the gradient"),
        (3.5, "the gradient grows 3,000-fold on its way to the first layers"),
        (80.0, "grows beyond all measure"),
    ],
)
def test_a_gradient_in_words(gain: float, said: str) -> None:
    report = Report("Net", [found("NC601")], summary=SMALL, gradients=samples.gradients(3, gain=gain))
    assert said.lower() in str(headline(report)).lower()


def test_an_estimate_is_called_one() -> None:
    poor = found("NC501", evidence=Evidence(-4.0, "decades", ""))
    assert str(headline(Report("Net", [poor], summary=SMALL))).startswith("By an estimate, the first layers get 1/10,000")


def test_a_finding_whose_gradient_says_nothing_is_told_by_its_message() -> None:
    report = Report("Net", [found("NC501")], summary=SMALL, gradients=samples.gradients(3, gain=math.nan))
    assert str(headline(report)) == "A fact. Do this."


def test_another_file_is_named() -> None:
    place = Location("/src/blocks.py", 7, 1)
    report = Report("Net", [found("NC404", locations=(place,))], target="/src/net.py:Net", summary=SMALL)
    assert str(headline(report)).endswith("Do this (blocks.py line 7).")


def test_several_findings_and_a_part_of_one() -> None:
    findings = [found("NC501", evidence=Evidence(-4, "decades", "")), found("NC101", belongs_to="NC501"), found("NC404")]
    first = headline(Report("Net", findings, summary=SMALL))
    assert first is not None
    assert first.others == "1 more finding is below."


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (0.2, "gradients keep their size from end to end"),
        (-2.0, "1/100 of the gradient reaches the first layers, which is enough for training"),
        (2.0, "the gradient grows 100-fold on its way to the first layers, which training bears"),
        (-4.0, "Nothing serious was found"),
    ],
)
def test_nothing_to_worry_about(gain: float, said: str) -> None:
    report = Report("Net", [found("NC302", Severity.INFO)], summary=SMALL, gradients=samples.gradients(3, gain=gain))
    assert said in str(headline(report))
    assert str(headline(report)).endswith("1 remark is below.")


def test_what_was_not_measured_is_not_praised() -> None:
    report = Report("Net", summary=SMALL)
    assert str(headline(report)) == "Nothing to worry about in its structure; its gradients were not measured."
    assert list(well(report)) == []


def test_what_was_not_checked() -> None:
    assert str(headline(Report("Net", unchecked=Unchecked(Reason.INPUTS)))).startswith(
        "It was not checked: no inputs. Give inputs"
    )
    assert headline(Report("empty.py")) is None


def test_what_is_well() -> None:
    sound = replace(samples.gradients(3, gain=0.0), effective_rank=0.4, all_learn=True)
    lines = list(well(Report("Net", summary=SMALL, gradients=sound)))
    assert "gradients keep their size from end to end" in lines
    assert "every trained parameter gets a gradient" in lines
    bad = replace(sound, effective_rank=0.01, dead={"relu": 0.9}, homogeneity=6.0, first_nonfinite="relu", gain=-5.0)
    assert list(well(Report("Net", summary=SMALL, gradients=bad))) == ["every trained parameter gets a gradient"]


def test_a_clause_ends_where_no_code_is_cut() -> None:
    assert first_clause("write `a = 1; b = 2`; or leave it") == "write `a = 1; b = 2`"
    assert first_clause("write `a; b` and `c") == "write `a; b` and `c"


@pytest.mark.parametrize("rule", registry(), ids=lambda rule: rule.code)
def test_a_rule_s_plain_sentence_is_plain(rule: object) -> None:
    plain = rule.plain  # type: ignore[attr-defined]
    assert not JARGON.search(plain)
    assert plain.strip(". ") == plain
    assert not plain or plain[0].isupper() or plain.startswith("{gradient}")


def test_every_format_for_persons_begins_with_it(tmp_path: Path) -> None:
    report = samples.report(tmp_path)
    start = "The first layers get less than 1/1,000,000,000"
    shown = text.render([report], colour=False, verbose=True, root=tmp_path)
    assert shown.splitlines()[1].strip().startswith(start)
    assert "  well: no number became infinite" in shown
    assert "well:" not in text.render([report], colour=False, root=tmp_path)
    page = html.render([report], root=tmp_path)
    assert page.index(start) < page.index("<dt>inputs</dt>")
    assert start in markdown.render([report], root=tmp_path).replace("&#45;", "-")
    (entry,) = json.loads(as_json.render([report]))["models"]
    assert entry["headline"].startswith(start)
    assert entry["well"]
