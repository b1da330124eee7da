"""Annotations, read back as GitHub's runner reads them: by a reader written from its documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from netcheck.findings import Location, Report, Severity, Summary
from netcheck.report.github import render

from . import hostile

COMMAND = re.compile(r"^::([\w-]+)(?: ([^:]*))?::(.*)$")


class Command(NamedTuple):
    """A workflow command that the runner obeys."""

    name: str
    properties: dict[str, str]
    message: str


def unescape(value: str) -> str:
    for sign, written in ((":", "%3A"), (",", "%2C"), ("\r", "%0D"), ("\n", "%0A"), ("%", "%25")):
        value = value.replace(written, sign)
    return value


def obeyed(log: str) -> tuple[list[Command], list[str]]:
    """The commands in a log, and its other lines."""
    commands, plain, resume = [], [], None
    for line in re.split(r"[\n\r]", log):
        if resume is not None:
            if line == f"::{resume}::":
                resume = None
            else:
                plain.append(line)
            continue
        match = COMMAND.match(line.lstrip())
        assert match or not line, f"neither command nor guarded: {line!r}"
        if match and match[1] == "stop-commands":
            resume = match[3]
        elif match:
            pairs = (pair.split("=", 1) for pair in (match[2] or "").split(",") if pair)
            commands.append(Command(match[1], {key: unescape(value) for key, value in pairs}, unescape(match[3])))
    assert resume is None
    return commands, plain


def annotations(log: str) -> list[Command]:
    return [command for command in obeyed(log)[0] if "group" not in command.name]


def test_an_annotation_says_where_and_what() -> None:
    place = Location("net,a:b.py", 3, 5, 3, 9)
    report = Report("Net", [hostile.plain(locations=(place,), help="first\nsecond")])
    (command,) = annotations(render([report]))
    assert command.name == "warning"
    properties = {
        "file": "net,a:b.py",
        "line": "3",
        "col": "5",
        "endColumn": "9",
        "title": "poor-init (NC501)",
    }
    assert command.properties == properties
    assert command.message == "Net: the fact\n−5.0 decades\nhelp: first\nsecond\nmore: netcheck rule NC501"


def test_files_are_named_from_the_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "src").mkdir()
    (command,) = annotations(render([Report("Net", [hostile.plain()])], root=tmp_path / "src"))
    assert command.properties["file"] == "src/model.py"
    elsewhere = hostile.plain(locations=(Location("/elsewhere/model.py", 3),))
    (command,) = annotations(render([Report("Net", [elsewhere])], root=tmp_path))
    assert set(command.properties) == {"title"}


def test_several_lines_have_no_columns() -> None:
    (command,) = annotations(render([Report("Net", [hostile.plain(locations=(Location("model.py", 3, 5, 7, 2),))])]))
    assert (command.properties["line"], command.properties["endLine"]) == ("3", "7")
    assert not {"col", "endColumn"} & set(command.properties)


@pytest.mark.parametrize("name", hostile.NAMES.values(), ids=hostile.NAMES)
def test_no_name_becomes_a_command(name: str) -> None:
    (command,) = annotations(render([hostile.report(name)]))
    assert (command.name, command.properties["title"]) == ("error", "poor-init (NC501)")
    assert "before" in command.message
    assert len(command.message) < 5000


def test_the_worst_ten_of_each_kind_are_shown_and_the_rest_counted() -> None:
    kinds = {Severity.INFO: "notice", Severity.WARNING: "warning", Severity.ERROR: "error"}
    findings = [hostile.plain(severity=severity, message=f"::error::{severity} {i}") for i in range(12) for severity in kinds]
    log = render([Report("Net", findings, summary=Summary(1, 1, 1, 1, 1))])
    shown = annotations(log)
    assert [command.name for command in shown] == ["error"] * 10 + ["warning"] * 10 + ["notice"] * 10
    for last in shown[9::10]:
        assert last.message == "3 more of this kind: see the log of this step"
    commands, plain = obeyed(log)
    assert [c.name for c in commands[30:]] == ["group", "endgroup"]
    assert sum("NC501" in line for line in plain) == 9
    assert plain[-1] == "Checked 1 model, 1 operation: 12 errors, 12 warnings, 12 info."


def test_ten_are_all_shown() -> None:
    report = Report("Net", [hostile.plain(message=str(i)) for i in range(10)])
    assert [command.message[5:6] for command in annotations(render([report]))] == list("0123456789")
