"""Source excerpts: the caret stands under what is meant, whatever the line holds."""

from __future__ import annotations

import linecache
from pathlib import Path

import pytest

from netcheck.findings import Location
from netcheck.report.excerpt import MOST_COLUMNS, excerpt, lay_out
from netcheck.report.terminal import Painter, width

PLAIN = Painter(colour=False)


def shown(tmp_path: Path, source: str | bytes, *place: int | None) -> list[str]:
    """The excerpt at line, column, end line and end column of a file that holds `source`."""
    file = tmp_path / "model.py"
    file.write_bytes(source.encode() if isinstance(source, str) else source)
    return excerpt(Location(str(file), *place), None, PLAIN, "error")  # type: ignore[arg-type]


def underlined(line: str, underline: str) -> str:
    """What stands over the carets, column by column."""
    start, end = underline.index("^"), underline.rindex("^") + 1
    text, column = "", 0
    for character in line:
        if start <= column < end:
            text += character
        column += width(character)
    return text


def test_one_line(tmp_path: Path) -> None:
    assert shown(tmp_path, "import x\n    net = nn.Tanh()\n", 2, 11, 2, 20) == [
        "  |",
        "2 |     net = nn.Tanh()",
        "  |           ^^^^^^^^^",
        "  |",
    ]


def test_of_a_place_that_is_a_line_all_is_marked(tmp_path: Path) -> None:
    assert shown(tmp_path, "class A:\n    b = 1  \n", 2, 1)[2] == "  |     ^^^^^"


def test_without_an_end_one_character_is_marked(tmp_path: Path) -> None:
    assert shown(tmp_path, "net = x", 1, 7)[2] == "  |       ^"


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("\tnet = nn.Tanh()", "nn.Tanh()"),
        ('  名前 = ["日本語", nn.Tanh()]', "nn.Tanh()"),
        ('x = "e\u0301\u0301", nn.Tanh()', "nn.Tanh()"),
        ('x = "🔥", nn.Tanh()', "nn.Tanh()"),
        ("\x0cx = 1; nn.Tanh()", "nn.Tanh()"),
        ('x = "\x1b[2J"; nn.Tanh()', "nn.Tanh()"),
        ('x = "\u202e"; nn.Tanh()', "nn.Tanh()"),
        ('x = "' + "a" * 500 + '"; nn.Tanh() # ' + "b" * 500, "nn.Tanh()"),
    ],
    ids=["tab", "wide", "combining", "emoji", "form feed", "escape", "override", "long"],
)
def test_the_carets_stand_under_what_is_meant(tmp_path: Path, line: str, part: str) -> None:
    start = line.index(part) + 1
    _, source, carets, _ = shown(tmp_path, line + "\n", 1, start, 1, start + len(part))
    assert underlined(source, carets) == part
    assert width(source) <= MOST_COLUMNS + 10
    assert "\x1b" not in source
    assert "\u202e" not in source


def test_several_lines_get_a_bracket(tmp_path: Path) -> None:
    source = "net = nn.Sequential(\n    nn.Tanh(),\n)\n"
    assert shown(tmp_path, source, 1, 7, 3, 2) == [
        "  |",
        "1 |   net = nn.Sequential(",
        "  |  _______^",
        "2 | |     nn.Tanh(),",
        "3 | | )",
        "  | |_^",
        "  |",
    ]


def test_a_bracket_from_the_start_of_a_line_needs_no_corner_below(tmp_path: Path) -> None:
    assert shown(tmp_path, "  f(\n    1)\n", 1, 3, 2, 7)[1:4] == [
        "1 | /   f(",
        "2 | |     1)",
        "  | |______^",
    ]


def test_of_many_lines_the_first_and_the_last_are_shown(tmp_path: Path) -> None:
    source = "f(\n" + "".join(f"    {i},\n" for i in range(100)) + ")\n"
    lines = shown(tmp_path, source, 1, 1, 102, 2)
    assert [line[:3].strip() for line in lines] == ["", "1", "2", "3", "4", "...", "102", "", ""]
    assert lines[5] == "...   |"


@pytest.mark.parametrize("place", [(99, 1), (0, 1)])
def test_a_line_that_does_not_exist_shows_nothing(tmp_path: Path, place: tuple[int, int]) -> None:
    assert shown(tmp_path, "x\n", *place) == []


@pytest.mark.parametrize("place", [(1, 50), (1, 50, 1, 60), (1, 3, 1, 1), (1, 1, 99, 99), (1, 0), (1, 5, 0, 0)])
def test_columns_that_do_not_exist_do_no_harm(tmp_path: Path, place: tuple[int, ...]) -> None:
    assert any("^" in line for line in shown(tmp_path, "net = 1\n", *place))


@pytest.mark.parametrize("source", [b"", b"\xff\xfe\x00 not utf-8\n", b"# coding: nonsense\nx = 1\n"])
def test_a_file_that_cannot_be_read_shows_nothing(tmp_path: Path, source: bytes) -> None:
    assert shown(tmp_path, source, 1, 1) == []


def test_a_missing_file_or_a_directory_shows_nothing(tmp_path: Path) -> None:
    for file in (tmp_path / "none.py", tmp_path):
        assert excerpt(Location(str(file), 1), None, PLAIN, "error") == []


def test_the_encoding_that_a_file_declares_is_used(tmp_path: Path) -> None:
    assert "é = 1" in shown(tmp_path, "# coding: latin-1\né = 1\n".encode("latin-1"), 2, 1)[1]


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    assert "old" in shown(tmp_path, "old\n", 1, 1)[1]
    assert "newer" in shown(tmp_path, "newer\n", 1, 1)[1]


def test_a_relative_path_starts_from_the_root(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("here\n")
    assert "here" in excerpt(Location("model.py", 1), tmp_path, PLAIN, "error")[1]


def test_a_notebooks_cell_is_shown() -> None:
    cell = "net = nn.Tanh()\n"
    linecache.cache["<ipython-input-1-abc>"] = (len(cell), None, [cell], "<ipython-input-1-abc>")
    assert "nn.Tanh" in excerpt(Location("<ipython-input-1-abc>", 1), None, PLAIN, "error")[1]


def test_a_long_line_is_cut_where_nothing_is_underlined() -> None:
    row = lay_out(1, "a" * 300 + "here" + "b" * 300, 300, 304)
    assert row.text.startswith("...a")
    assert row.text.endswith("b...")
    assert row.text[row.start : row.end] == "here"
    row = lay_out(1, "here" + "b" * 300, 0, 4)
    assert row.text.startswith("hereb")
    assert (row.start, row.end) == (0, 4)


def test_an_underline_longer_than_the_room_ends_with_it() -> None:
    row = lay_out(1, "a" * 1000, 500, 900)
    assert 0 < row.start < row.end <= len(row.text)
