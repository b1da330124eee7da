"""What goes to a terminal is escaped, measured and encoded."""

from __future__ import annotations

import io

import pytest

from netcheck.report.terminal import Painter, encodable, printable, shorten, wants_colour, width


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plain", "plain"),
        ("日本語 🔥 é", "日本語 🔥 é"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("a\u202eb", "a\\u202eb"),
        ("\x9b31m", "\\x9b31m"),
        ("\ud800", "\\ud800"),
        ("\u2028", "\\u2028"),
        ("\x00\x07", "\\x00\\x07"),
    ],
)
def test_what_would_move_the_cursor_is_escaped(text: str, printed: str) -> None:
    assert printable(text) == printed


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("🔥", 2), ("", 0)])
def test_width_counts_columns(text: str, columns: int) -> None:
    assert width(text) == columns


def test_a_long_name_loses_its_middle() -> None:
    assert shorten("a" * 50) == "a" * 50
    short = shorten("begin" + "x" * 10_000 + "end", 20)
    assert len(short) == 20
    assert short.startswith("begin")
    assert short.endswith("end")


def test_signs_of_ours_are_spelled_out_where_the_encoding_lacks_them() -> None:
    assert encodable("−5.0 decades, 3×3, √2", "utf-8") == "−5.0 decades, 3×3, √2"
    assert encodable("−5.0 decades, 3×3, √2", "ascii") == "-5.0 decades, 3x3, sqrt 2"
    assert encodable("−5.0", "cp1252") == "-5.0"
    assert encodable("日本 −1", None) == "日本 -1"
    assert encodable("−1", "no-such-encoding") == "−1"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("terminal", "asked", "environment", "colour"),
    [
        (True, None, {}, True),
        (False, None, {}, False),
        (True, None, {"TERM": "dumb"}, False),
        (True, None, {"NO_COLOR": "1"}, False),
        (True, None, {"NO_COLOR": ""}, True),
        (False, None, {"FORCE_COLOR": "1"}, True),
        (False, None, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (True, True, {"NO_COLOR": "1"}, True),
        (False, True, {}, True),
        (True, False, {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_is_as_asked_then_as_the_environment_says(
    terminal: bool, asked: bool | None, environment: dict[str, str], colour: bool
) -> None:
    assert wants_colour(Terminal() if terminal else io.StringIO(), asked, environment) is colour


def test_paint_leaves_text_alone_without_colour() -> None:
    assert Painter(colour=False)("x", "error") == "x"
    assert Painter(colour=True)("x", "error") == "\x1b[1;31mx\x1b[0m"
    assert Painter(colour=True)("", "error") == ""
