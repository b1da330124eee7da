"""A rule's documentation for a terminal: the Markdown page without its signs, wrapped to the width of the window.

poor-init (NC501)
Severity: at most error.

Weights are so small or so large for their activation that ...

Why is this bad?
  ...
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from netcheck.report.rules import page
from netcheck.report.terminal import Painter
from netcheck.rules.base import Rule

WIDEST = 100  # columns: longer lines are hard to read


def pages(rules: Iterable[Rule], *, colour: bool, columns: int = WIDEST) -> str:
    """The documentation of several rules, one after the other.

    Args:
        rules: what to print.
        colour: whether headings are coloured.
        columns: how wide the window is.
    """
    return "\n".join(written(page(rule), colour=colour, columns=columns) for rule in rules)


def written(markdown: str, *, colour: bool, columns: int = WIDEST) -> str:
    """One page of Markdown for a window of so many columns."""
    width = max(40, min(columns, WIDEST))
    return "\n".join(lines(markdown.rstrip("\n"), Painter(colour), width)) + "\n"


def lines(markdown: str, paint: Painter, width: int) -> Iterator[str]:
    """The lines of a page: headings painted, code indented, paragraphs and list entries wrapped."""
    paragraph: list[str] = []
    in_code = False
    for line in [*markdown.splitlines(), ""]:
        fence = line.startswith("```")
        if paragraph and (fence or not line or line.startswith(("- ", "#", "|"))):
            yield from wrapped(" ".join(paragraph), width)
            paragraph = []
        if fence:
            in_code = not in_code
        elif in_code:
            yield f"    {line}".rstrip()
        elif line.startswith("|"):  # a table
            yield line
        elif line.startswith("#"):
            yield paint(line.lstrip("# "), "heading")
        elif line:
            paragraph.append(line.strip())
        else:
            yield ""


def wrapped(paragraph: str, width: int) -> list[str]:
    """A paragraph, or an entry of a list with its later lines below its first word."""
    indent = "  " if paragraph.startswith("- ") else ""
    return textwrap.wrap(paragraph, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
