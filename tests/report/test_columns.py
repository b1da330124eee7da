"""Tables of plain text."""

from __future__ import annotations

import pytest

from netcheck.report.columns import in_columns
from netcheck.report.terminal import Painter


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    assert in_columns([("fc1", 640, ""), ("a.long.path", 10, "x ")], ("module", "count", "note"), right=("count",)) == (
        "module         count  note\n-----------  -------  ------\nfc1              640\na.long.path       10  x"
    )


def test_no_rows_leave_the_headers() -> None:
    assert in_columns([], ("a", "bc")) == "a    bc\n---  ----"


def test_colours_take_no_room() -> None:
    rows = [("error", "x"), ("a warning", "y")]
    painted = [(Painter(True)("error", "error"), "x"), (Painter(True)("a warning", "warning"), "y")]
    plain, coloured = (in_columns(each, ("severity", "code"), right=("severity",)) for each in (rows, painted))
    assert "\x1b[" in coloured
    for (cell, _), (shown, _) in zip(rows, painted, strict=True):
        coloured = coloured.replace(shown, cell)
    assert coloured == plain


@pytest.mark.parametrize("right", [(), ("b",), ("a", "c")])
def test_tables_are_those_of_tabulate(right: tuple[str, ...]) -> None:
    tabulate = pytest.importorskip("tabulate").tabulate
    rows = [("1", "two words", ""), ("-3.5e-05", "", "zwölf"), ("a", "b", "c" * 30)]
    sides = ["right" if header in right else "left" for header in "abc"]
    expected = tabulate(rows, "abc", tablefmt="simple", colalign=sides, disable_numparse=True)
    assert in_columns(rows, tuple("abc"), right) == expected
