r"""Jupyter notebooks as Python text. Imports no torch.

A notebook is JSON that holds one line of code on one line of the file:

     12    "source": [
     13     "%matplotlib inline\n",            13: pass
     14     "model = nn.Linear(2, 3)\n"        14: model = nn.Linear(2, 3)

so the Python text puts every line of code on the line where the file has it, with empty lines between: a
traceback, a syntax error and a finding then all name the line that an editor shows. Where the JSON is laid
out otherwise (all on one line), the cells follow each other from line 1.
"""

from __future__ import annotations

import ast
import json
import re
import warnings

CELL_MAGICS_OVER_PYTHON = (
    "%%time",
    "%%timeit",
    "%%capture",
    "%%prun",
    "%%debug",
)  # others hold another language
MAGIC = re.compile(r"^(\s*)(?:[%!]|\?+\w)|^(\s*)[\w.]+\?+\s*$")
ASSIGNED_MAGIC = re.compile(r"^(\s*[\w, ]+=\s*)[%!].*$")


class NotANotebook(ValueError):
    """The bytes are not a notebook that holds Python. Its text says why."""


def to_python(raw: bytes) -> str:
    """The code cells of a notebook as one Python text, each line where the file has it.

    Raises:
        NotANotebook: the bytes are not the JSON of a notebook, or its language is not Python.
    """
    try:
        content = json.loads(raw)
        cells = content.get("cells") or [cell for sheet in content.get("worksheets", []) for cell in sheet["cells"]]
        language = content.get("metadata", {}).get("kernelspec", {}).get("language", "python")
        sources = [(cell.get("cell_type"), source_lines(cell)) for cell in cells]
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise NotANotebook(f"{type(error).__name__}: {error}") from error
    if language.lower() not in ("python", "ipython"):
        raise NotANotebook(f"its language is {language}")
    places = source_places(raw.decode("utf-8", "replace"), [lines for _, lines in sources])
    return lay_out(sources, places)


def source_lines(cell: dict[str, object]) -> list[str]:
    """A cell's source as a list of lines; version 3 notebooks call it `input`,
    and some write it as one string.
    """
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        return [str(line) for line in source]
    return str(source).splitlines(keepends=True)


def source_places(text: str, sources: list[list[str]]) -> list[int] | None:
    """For each cell the line of the file on which its source begins, or None where the layout is another."""
    lines = text.splitlines()
    places: list[int] = []
    position = 0
    for source in sources:
        while position < len(lines) and '"source": [' not in lines[position]:
            position += 1
        start = position + 1  # the first line of code, counted from 0
        written = [line.strip().rstrip(",") for line in lines[start : start + len(source)]]
        if len(written) < len(source) or any(decoded(w) != s for w, s in zip(written, source, strict=True)):
            return None
        places.append(start + 1)
        position = start
    return places


def decoded(written: str) -> str | None:
    """The string that a piece of JSON stands for."""
    try:
        value = json.loads(written)
    except ValueError:
        return None
    return value if isinstance(value, str) else None


def lay_out(sources: list[tuple[object, list[str]]], places: list[int] | None) -> str:
    """Write the code cells into one text, each at its place if places are known, else one after the other."""
    text: list[str] = []
    for number, (kind, lines) in enumerate(sources):
        if kind != "code":
            continue
        if places is not None:
            text += [""] * (places[number] - 1 - len(text))
        text += without_magics([line.rstrip("\r\n") for line in lines])
    return "\n".join(text) + "\n"


def is_python(text: str) -> bool:
    """Whether the text parses: then a line that begins with `%` is the rest of an expression, no magic."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def without_magics(lines: list[str]) -> list[str]:
    """The same number of lines with everything that only IPython understands made harmless."""
    if is_python("\n".join(lines)):
        return lines
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%") and first.split()[0] not in CELL_MAGICS_OVER_PYTHON:
        return [""] * len(lines)
    kept: list[str] = []
    continued = False  # whether the line above is a magic that ends with a backslash
    for line in lines:
        if continued:
            kept.append("")
        elif found := MAGIC.match(line):
            kept.append((found[1] or found[2] or "") + "pass")
        else:
            kept.append(ASSIGNED_MAGIC.sub(r"\1None", line))
        continued = line.rstrip().endswith("\\") and (continued or kept[-1].strip() == "pass")
    return kept
