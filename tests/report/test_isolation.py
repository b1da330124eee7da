"""One model's report cannot hurt another's, and a NaN is a value that every format can show."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from netcheck.figures.gradients import NodeProfile
from netcheck.findings import Report
from netcheck.report import html, output
from netcheck.settings import FORMATS, Settings

from . import samples

NOT_NUMBERS = (math.nan, math.inf, -math.inf)


def rendered(format: str, *reports: Report, verbose: bool = False) -> str:
    return output.rendered(reports, Settings(format=format, verbose=verbose), colour=False)


def strict(text: str) -> Any:
    """JSON as the standard has it."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("number", NOT_NUMBERS)
@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("format", FORMATS)
def test_what_is_no_number_is_shown(tmp_path: Path, format: str, verbose: bool, number: float) -> None:
    text = rendered(format, samples.without_numbers(tmp_path, number), verbose=verbose)
    assert "NC601" in text
    assert "not shown" not in text.lower()
    if format in ("json", "sarif"):
        strict(text)
    elif format == "json-lines":
        assert all(map(strict, text.splitlines()))
    elif format == "junit":
        ElementTree.fromstring(text)


def test_json_names_what_is_no_number(tmp_path: Path) -> None:
    entry = strict(rendered("json", samples.without_numbers(tmp_path, -math.inf)))["models"][0]
    assert entry["gradients"]["gain"] == entry["findings"][0]["evidence"]["value"] == "-Infinity"
    assert entry["unshown"] == ""


def test_a_drawing_leaves_out_what_is_no_number_and_says_so(tmp_path: Path) -> None:
    plot = pytest.importorskip("matplotlib.pyplot")
    plain = samples.gradients(6)
    profile = [replace(one, gradient_norm=math.nan) if i < 4 else one for i, one in enumerate(plain.profile)]
    report = samples.report(tmp_path, gradients=replace(plain, profile=tuple(profile)))
    assert "NaN or infinite at 2 of 6 weight layers" in rendered("text", report)
    axes = report.plot_gradients()
    assert "NaN or infinite at 2 of 6 weight layers" in axes.get_title()
    assert len(axes.lines[0].get_xdata()) == 4
    assert "<svg" in html.fragment(report)
    plot.close("all")


class Evil:
    """Raises whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise ZeroDivisionError(name)

    def __str__(self) -> str:
        raise ZeroDivisionError("str")

    __repr__ = __str__

    def __bool__(self) -> bool:
        raise ZeroDivisionError("bool")

    def __iter__(self) -> Any:
        raise ZeroDivisionError("iter")

    def __format__(self, form: str) -> str:
        raise ZeroDivisionError("format")


def broken(folder: Path) -> dict[str, Report]:
    """Reports that each have one part which cannot be shown."""
    report = samples.report(folder)
    evil: Any = Evil()
    (first, *rest) = report.findings
    return {
        "gradients": replace(report, gradients=evil),
        "summary": replace(report, summary=replace(report.summary, layers=evil, unknown=evil)),
        "evidence": replace(report, findings=[replace(first, evidence=evil), *rest]),
        "locations": replace(report, findings=[replace(first, locations=evil), *rest]),
        "batches": replace(report, known_batches=evil),
        "cost": replace(report, known_cost=evil),
        "inputs": replace(report, inputs=evil),
        "skipped": replace(report, skipped=evil),
        "seconds": replace(report, seconds=evil),
    }


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "part", ["gradients", "summary", "evidence", "locations", "batches", "cost", "inputs", "skipped", "seconds"]
)
def test_a_part_that_cannot_be_shown(tmp_path: Path, format: str, part: str) -> None:
    healthy = samples.report(tmp_path, model="Healthy", target="healthy.py:Healthy")
    text = rendered(format, healthy, broken(tmp_path)[part], replace(healthy, model="Last"))
    assert text.endswith("\n")
    assert "Healthy" in text
    assert "Last" in text
    lost = part in ("evidence", "locations") and "Error: " in text  # the finding itself cannot be shown
    assert text.count("bias-before-norm") >= 3
    assert text.count("the gradient loses 10 decades") >= 3 - lost
    if format in ("json", "sarif"):
        strict(text)
    elif format == "junit":
        ElementTree.fromstring(text)


def test_what_cannot_be_shown_is_said_once_and_the_rest_is_there(tmp_path: Path) -> None:
    bad = broken(tmp_path)["gradients"]
    text = str(bad)
    assert "not shown: its gradients: ZeroDivisionError: " in text
    assert "NC501" in text
    assert "inputs: x float32 (2, 64), inferred" in text
    entry = bad.to_dict()
    assert entry["gradients"] is None
    assert "ZeroDivisionError" in entry["unshown"]
    assert len(entry["findings"]) == 3
    assert "its gradients: ZeroDivisionError" in bad._repr_html_()


def test_a_format_that_never_works_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError("jinja2")

    monkeypatch.setattr(html, "template", missing)
    with pytest.raises(ImportError):
        html.render([samples.report(tmp_path)])


def test_a_profile_with_nothing_but_nan(tmp_path: Path) -> None:
    node = NodeProfile("a", "a", "nn.Linear", "linear", math.nan, math.nan, None, None, math.nan, math.nan, True)
    report = Report("Net", gradients=samples.gradients(0, profile=(node, node), slope=None, gain=math.nan))
    assert "gradient: NaN or infinite at 2 of 2 weight layers" in str(
        replace(report, summary=samples.report(Path("/tmp")).summary)
    )
