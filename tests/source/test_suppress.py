"""Finding the comments that suppress, and writing them."""

from __future__ import annotations

import ast
import json
import os
import stat
from pathlib import Path

import pytest

from netcheck.findings import Evidence, Finding, Location, Severity
from netcheck.source import annotate
from netcheck.source.annotate import add_comments
from netcheck.source.suppress import comments


def write(folder: Path, text: str | bytes, name: str = "net.py") -> str:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(file)


@pytest.mark.parametrize(
    ("line", "selectors"),
    [
        ("x = 1  # netcheck: ignore[NC101] why", ("NC101",)),
        ("x = 1  # netcheck: ignore[NC1 , poor-init,]", ("NC1", "poor-init")),
        ("x = 1  #netcheck:ignore", ()),
        ("x = 1  # noqa # NETCHECK: IGNORE[NC1]", ("NC1",)),
        ("x = 1  # netcheck: ignore[]", None),
        ("x = 1  # netcheck: ignored", None),
        ("x = '# netcheck: ignore[NC1]'", None),
        ("x = 1", None),
    ],
)
def test_what_is_a_comment(tmp_path: Path, line: str, selectors: tuple[str, ...] | None) -> None:
    found = comments(write(tmp_path, f"import torch\n{line}\n"))
    assert [one.selectors for one in found] == ([] if selectors is None else [selectors])
    assert all((one.line, one.covers, one.scope) == (2, 2, (2, 2)) for one in found)


def test_what_it_is_about(tmp_path: Path) -> None:
    source = """\
# netcheck: ignore[NC1]

# something else
@decorated
class Net(
    Base,
):  # netcheck: ignore[NC2]
    def f(self):
        return g(  # netcheck: ignore[NC3]
            1
        )  # netcheck: ignore[NC4]

# netcheck: ignore[NC5]
"""
    found = comments(write(tmp_path, source))
    assert [(one.line, one.covers, one.inside) for one in found] == [
        (1, 4, (5, 11)),
        (7, 7, (5, 11)),
        (9, 9, None),
        (11, 11, None),
        (13, 0, None),
    ]
    assert {one.scope for one in found[1:4]} == {(4, 11)}
    call = Location(found[0].file, 9, end_line=11)
    assert [one.selectors[0] for one in found if one.stands_at(call)] == ["NC1", "NC2", "NC3", "NC4"]
    assert not any(one.stands_at(Location("other.py", 9)) for one in found)


def test_files_without_and_files_that_are_no_python(tmp_path: Path) -> None:
    assert comments(str(tmp_path / "none.py")) == ()
    assert comments(write(tmp_path, "x = (  # netcheck: ignore")) == ()
    assert comments(write(tmp_path, b"\0\xff netcheck: ignore", "binary.py")) == ()
    assert comments(write(tmp_path, b"# coding: latin-1\nx = '\xe9'  # netcheck: ignore\n", "latin.py"))[0].line == 2
    file = write(tmp_path, "x = 1\n", "changing.py")
    assert comments(file) == ()
    write(tmp_path, "x = 1  # netcheck: ignore\n", "changing.py")
    assert len(comments(file)) == 1


def test_notebooks_have_the_lines_of_their_file(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cell["source"] = ["import torch\n", "x = 1  # netcheck: ignore[NC1]\n"]
    text = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)
    (found,) = comments(write(tmp_path, text, "net.ipynb"))
    assert "ignore[NC1]" in text.splitlines()[found.line - 1]


def finding(file: str, line: int, end_line: int | None = None, code: str = "NC101") -> Finding:
    place = Location(file, line, end_line=end_line)
    return Finding(code, "x", Severity.WARNING, "", "", Evidence(1.0, "", ""), locations=(place,))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1\ny = 2\n", "x = 1\ny = 2  # netcheck: ignore[NC101]\n"),
        ("x = 1\ny = 2", "x = 1\ny = 2  # netcheck: ignore[NC101]"),
        ("x = 1\r\ny = 2\r\n", "x = 1\r\ny = 2  # netcheck: ignore[NC101]\r\n"),
        ("x = 1\ny = 2  # why  \n", "x = 1\ny = 2  # why  # netcheck: ignore[NC101]\n"),
        ("x = 1\ny = 2  # netcheck: ignore[NC5] why\n", "x = 1\ny = 2  # netcheck: ignore[NC5, NC101] why\n"),
        ("x = 1\ny = 2  # netcheck: ignore[NC101]\n", "x = 1\ny = 2  # netcheck: ignore[NC101]\n"),
        ("x = 1\ny = 2 + \\\n  3\n", "x = 1\ny = 2 + \\\n  3  # netcheck: ignore[NC101]\n"),
        ('x = 1\ny = """\n"""\n', 'x = 1\ny = """\n"""  # netcheck: ignore[NC101]\n'),
        ('x = 1\ny = """\n  \n', None),
        ("x = '''\n # netcheck: ignore[NC5]\n'''\n", "x = '''\n # netcheck: ignore[NC5]\n'''  # netcheck: ignore[NC101]\n"),
        ("#\f\ny = '\\x85'\n", "#\f\ny = '\\x85'  # netcheck: ignore[NC101]\n"),
    ],
)
def test_a_comment_is_written_where_it_changes_nothing(tmp_path: Path, before: str, after: str | None) -> None:
    file = write(tmp_path, before)
    done, left = add_comments([finding(file, 2, 3)])
    assert (len(done), len(left)) == ((0, 1) if after is None else (1, 0))
    assert Path(file).read_bytes().decode() == (before if after is None else after)
    if after is not None:
        assert ast.dump(ast.parse(before)) == ast.dump(ast.parse(after))


def test_several_findings_share_a_comment_and_permissions_stay(tmp_path: Path) -> None:
    file = write(tmp_path, "x = 1\ny = 2\n")
    os.chmod(file, 0o750)
    done, left = add_comments([finding(file, 1), finding(file, 2, code="NC501"), finding(file, 1, code="NC104")])
    assert (len(done), left) == (3, [])
    assert Path(file).read_text() == "x = 1  # netcheck: ignore[NC101, NC104]\ny = 2  # netcheck: ignore[NC501]\n"
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o750
    assert sorted(os.listdir(tmp_path)) == ["net.py"]


def test_what_has_no_place_in_a_python_file_is_left(tmp_path: Path) -> None:
    nowhere = Finding("NC1", "x", Severity.ERROR, "", "", Evidence(1.0, "", ""))
    notebook = finding(write(tmp_path, "{}", "a.ipynb"), 1)
    beyond = finding(write(tmp_path, "x = 1\n", "b.py"), 7)
    gone = finding(str(tmp_path / "gone.py"), 1)
    broken = finding(write(tmp_path, "x = (\n", "c.py"), 1)
    done, left = add_comments([nowhere, notebook, beyond, gone, broken])
    assert (done, [found for found, _ in left]) == ([], [nowhere, notebook, gone, beyond, broken])
    assert {why for _, why in left} == {"cannot have a comment there"}


def test_a_file_that_cannot_be_written_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(file: str, raw: bytes) -> None:
        raise PermissionError(13, "Permission denied", file)

    monkeypatch.setattr(annotate, "replace_file", refused)
    one, beyond = finding(write(tmp_path, "x = 1\n"), 1), finding(str(tmp_path / "net.py"), 9)
    why = "has no comment: the file cannot be written: Permission denied"
    assert add_comments([one, beyond]) == ([], [(one, why), (beyond, why)])
