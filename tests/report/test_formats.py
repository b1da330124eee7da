"""What all formats have in common: they are listed, they end their last line, no name breaks them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest

from netcheck.cli import cli
from netcheck.errors import UsageError
from netcheck.findings import Report, Severity, Summary
from netcheck.report import output
from netcheck.report.places import in_repository, repository_of, uri
from netcheck.settings import FORMATS, WITH_STATISTICS, Settings

from . import hostile, samples

SCRIPTS = ("<script>alert", "<img src=x", '" onmouseover')


def rendered(format: str, *reports: Report, **options: bool) -> str:
    return output.rendered(reports, Settings(format=format, **options), colour=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", hostile.NAMES.values(), ids=hostile.NAMES)
def test_no_name_breaks_a_format(format: str, name: str) -> None:
    for verbose in (False, True):
        text = rendered(format, hostile.report(name), verbose=verbose)
        assert text.endswith("\n")
        assert not set(text) & set("\x00\x1b\r\x07\x7f\u202e\u2028"), "no control leaves netcheck"
        if format not in ("json", "json-lines"):
            text.encode("utf-8")
        if format == "html":
            assert not any(script in text for script in SCRIPTS)


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_found_and_nothing_checked(format: str) -> None:
    assert rendered(format)
    clean = Report("Net", summary=Summary(3, 1, 10, 1, 1), target="model.py:Net")
    assert "NC501" not in rendered(format, clean)


@pytest.mark.parametrize("format", FORMATS)
def test_one_name_spelled_two_ways_is_one_format(format: str) -> None:
    if format == "full":
        assert rendered("full", hostile.report("Net")) == rendered("text", hostile.report("Net"))


def test_the_command_line_knows_every_format() -> None:
    check = cli.commands["check"]
    options = check.get_params(click.Context(check, help_option_names=["-h", "--help"]))  # which click remembers
    choice = next(option.type for option in options if option.name == "format")
    assert isinstance(choice, click.Choice)
    assert tuple(choice.choices) == FORMATS


@pytest.mark.parametrize("format", FORMATS)
def test_statistics(format: str) -> None:
    if format not in WITH_STATISTICS:
        with pytest.raises(UsageError, match="--statistics does not go with --format"):
            Settings(format=format, statistics=True)
        return
    one = Report("A", [hostile.plain(), hostile.plain(), hostile.plain("NC101", Severity.ERROR)])
    two = Report("B", [hostile.plain()])
    text = rendered(format, one, two, statistics=True)
    if format.startswith("json"):
        assert json_statistics(format, text) == [
            {"code": "NC501", "name": "poor-init", "severity": "warning", "findings": 3, "models": 2},
            {"code": "NC101", "name": "poor-init", "severity": "error", "findings": 1, "models": 1},
        ]
        return
    lines = text.splitlines()
    found = [line.replace("|", " ").split() for line in lines if "NC" in line]
    assert found == [["3", "2", "warning", "NC501", "poor-init"], ["1", "1", "error", "NC101", "poor-init"]]


def json_statistics(format: str, text: str) -> list[dict[str, Any]]:
    """The rows of statistics in one of the two formats, which say the rest in the same words."""
    if format == "json":
        document = json.loads(text)
        assert list(document) == ["schema", "netcheck", "checked", "statistics", "errors", "unchecked"]
    else:
        run, *rows = map(json.loads, text.splitlines())
        assert (run.pop("type"), {row.pop("type") for row in rows} - {"statistics"}) == ("run", set())
        document = {**run, "statistics": rows}
    assert (document["schema"], document["checked"]) == (1, 0)
    rows = document["statistics"]
    assert isinstance(rows, list)
    return rows


def test_statistics_of_nothing() -> None:
    clean = Report("Net", summary=Summary(3, 1, 10, 1, 1))
    for format in ("json", "json-lines"):
        assert '"checked": 1' in rendered(format, clean, statistics=True)
    assert rendered("text", clean, statistics=True) == "Checked 1 model, 3 operations: no findings.\n"
    assert rendered("text", clean, statistics=True, quiet=True) == ""


def test_concise_is_one_line_a_finding() -> None:
    summary = Summary(3, 1, 10, 1, 1)
    report = Report("Net", [hostile.plain(), hostile.plain(locations=())], summary=summary, target="model.py:Net")
    first, second, last = rendered("concise", report).splitlines()
    assert first == "model.py:3:5: NC501 warning poor-init: the fact (Net: −5.0 decades)"
    assert second == "model.py:1:1: NC501 warning poor-init: the fact (Net: −5.0 decades)"
    assert last == "Checked 1 model, 3 operations: 2 warnings."
    for name in hostile.NAMES.values():
        assert rendered("concise", hostile.report(name), quiet=True).count("\n") == 1


def test_concise_names_a_model_without_a_file() -> None:
    report = Report("Net", [hostile.plain(locations=())])
    assert rendered("concise", report, quiet=True) == "Net: NC501 warning poor-init: the fact (Net: −5.0 decades)\n"


@pytest.mark.parametrize("name", hostile.NAMES.values(), ids=hostile.NAMES)
def test_json_lines_are_json(name: str) -> None:
    lines = [json.loads(line) for line in rendered("json-lines", hostile.report(name)).splitlines()]
    assert [line["type"] for line in lines] == ["run", "finding", "finding", "model"]
    assert lines[0]["schema"] == 1
    assert all(line["model"] == name for line in lines[1:])
    assert lines[1]["evidence"]["value"] == "Infinity"
    assert lines[2]["verdict"] == "cleared"
    assert "findings" not in lines[3]


def test_paths_are_relative_to_the_repository(tmp_path: Path) -> None:
    inner = tmp_path / "package" / "models"
    inner.mkdir(parents=True)
    assert repository_of(inner) == inner, "no repository"
    (tmp_path / ".git").write_text("gitdir: elsewhere")  # as in a worktree
    assert repository_of(inner) == tmp_path
    assert in_repository("net.py", inner) == "package/models/net.py"
    assert in_repository("../net.py", inner) == "package/net.py"
    assert in_repository(str(tmp_path / "net.py"), inner) == "net.py"
    assert in_repository(str(tmp_path.parent / "net.py"), inner) is None
    assert in_repository("<stdin>", inner) is None
    assert in_repository("", inner) is None
    assert in_repository("a\0b", inner) is None


def test_a_path_through_a_link_is_the_file_it_means(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / ".git").mkdir()
    assert in_repository(str(tmp_path / "link" / "net.py"), tmp_path / "real") == "net.py"


def test_uris() -> None:
    assert uri("a b/ä%#?:.py") == "a%20b/%C3%A4%25%23%3F%3A.py"
    assert uri("\ud800").isascii()


@pytest.mark.parametrize("format", FORMATS)
def test_only_what_is_bad_enough_is_shown(tmp_path: Path, format: str) -> None:
    report = samples.report(tmp_path)
    for least, shown in (("info", True), ("warning", False), ("error", False)):
        text = output.rendered([report], Settings(format=format, min_severity=Severity(least)), colour=False)
        assert ("bias-before-norm" in text) is shown
        assert "poor-init" in text
