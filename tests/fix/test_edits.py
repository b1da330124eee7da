"""Edits in the bytes of files: what is not edited stays to the byte."""

from __future__ import annotations

import json

import pytest

from netcheck.figures.fixes import Edit
from netcheck.location import Location
from netcheck.source.edits import NotEditable, apart, applied, moved


def edit(line: int, column: int, content: str, *, to: int | None = None, file: str = "net.py") -> Edit:
    return Edit(file, line, column, line, column if to is None else to, content)


def test_line_ends_encodings_and_marks_stay() -> None:
    raw = "# -*- coding: latin-1 -*-\r\na = 'é'  # é\r\nb = 2\n\x0cc = 3".encode("latin-1")
    assert applied(raw, "net.py", [edit(2, 8, " + 'ü'"), edit(4, 6, "4", to=7)]) == (
        "# -*- coding: latin-1 -*-\r\na = 'é' + 'ü'  # é\r\nb = 2\n\x0cc = 4".encode("latin-1")
    )
    assert applied(b"\xef\xbb\xbfx = 1\n", "net.py", [edit(1, 5, "2", to=6)]) == b"\xef\xbb\xbfx = 2\n"


def test_what_the_encoding_lacks_is_refused() -> None:
    with pytest.raises(NotEditable, match="lacks"):
        applied(b"# -*- coding: latin-1 -*-\nx = 1\n", "net.py", [edit(2, 5, "'\N{GREEK SMALL LETTER PI}'", to=6)])


def test_what_would_be_no_python_is_refused() -> None:
    with pytest.raises(NotEditable, match="no Python any more"):
        applied(b"x = 1\n", "net.py", [edit(1, 5, "(", to=6)])


def test_edits_that_reach_into_each_other_are_refused() -> None:
    assert apart([edit(2, 1, "b"), edit(1, 1, "a"), edit(1, 1, "a")]) == [edit(1, 1, "a"), edit(2, 1, "b")]
    for other in (edit(1, 5, "b"), edit(1, 4, "b", to=6)):
        with pytest.raises(NotEditable, match="twice"):
            apart([edit(1, 3, "a", to=7), other])
    with pytest.raises(NotEditable, match="twice"):
        apart([edit(1, 3, "a"), edit(1, 3, "b")])


def test_places_move_with_what_comes_before_them() -> None:
    place = Location("net.py", 5, 10, 5, 20)
    assert moved(place, [edit(2, 1, "one\ntwo\n")]) == Location("net.py", 7, 10, 7, 20)
    assert moved(place, [edit(5, 2, "four")]) == Location("net.py", 5, 14, 5, 24)
    assert moved(place, [Edit("net.py", 3, 1, 5, 3, "x")]) == Location("net.py", 3, 9, 3, 19)
    assert moved(place, [edit(5, 20, "behind"), edit(9, 1, "\n"), edit(1, 1, "\n", file="other.py")]) == place


def test_places_are_put_back_to_where_they_were() -> None:
    from netcheck.source.edits import line_starts, put_back, spliced

    text = "one\ntwo three\nfour\n"
    edits = [edit(1, 1, "zero\n"), edit(2, 5, "3", to=10)]
    after = spliced(text, edits)
    assert after == "zero\none\ntwo 3\nfour\n"
    for word in ("one", "two", "four"):
        assert put_back(after.index(word), edits, line_starts(text)) == text.index(word)
    assert put_back(after.index("ero"), edits, line_starts(text)) is None


CELLS = [
    {"cell_type": "markdown", "metadata": {}, "source": ["# x = 1\n"]},
    {"cell_type": "code", "metadata": {}, "source": ["%matplotlib inline\n", "x = 1  # é\n", "y = [\n", "    2]"], "outputs": []},
    {"cell_type": "code", "metadata": {}, "source": "z = 'a\\tb'\nw = 4\n", "outputs": []},
]


@pytest.mark.parametrize("indent", [1, None])
def test_a_notebook_keeps_what_is_not_edited(indent: int | None) -> None:
    raw = json.dumps({"cells": CELLS, "metadata": {}, "nbformat": 4}, indent=indent, ensure_ascii=False).encode()
    from netcheck.source.notebook import read

    book = read(raw)
    lines = {line.text: number for number, line in book.lines.items()}
    edits = [
        edit(lines["x = 1  # é"], 6, " + 1", file="n.ipynb"),
        edit(lines["    2]"], 1, "    1,\n", file="n.ipynb"),
        edit(lines["w = 4"], 5, "5", to=6, file="n.ipynb"),
    ]
    changed = json.loads(applied(raw, "n.ipynb", edits))
    assert changed["cells"][0] == CELLS[0]
    assert changed["cells"][1]["source"] == ["%matplotlib inline\n", "x = 1 + 1  # é\n", "y = [\n", "    1,\n", "    2]"]
    assert changed["cells"][2]["source"] == "z = 'a\\tb'\nw = 5\n"
    if indent:
        before, after = raw.decode().split("\n"), applied(raw, "n.ipynb", edits[:1]).decode().split("\n")
        assert [one for one, other in zip(before, after, strict=True) if one != other] == ['    "x = 1  # é\\n",']


def test_a_magic_command_is_not_edited() -> None:
    raw = json.dumps({"cells": CELLS, "metadata": {}, "nbformat": 4}, indent=1).encode()
    from netcheck.source.notebook import read

    line = next(number for number, one in read(raw).lines.items() if one.text.startswith("%"))
    with pytest.raises(NotEditable, match="magic"):
        applied(raw, "n.ipynb", [edit(line, 1, "x", file="n.ipynb")])
