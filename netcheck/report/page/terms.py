"""Terms in a sentence of the page, as links to what they mean at its end.

linked("gain −4.0 decades")      <a class="term" href="#term-gain">gain</a> −4.0 <a ...>decades</a>
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from html import escape

from netcheck.report import manual
from netcheck.report.page import markup
from netcheck.report.terminal import printable_text


@dataclass(frozen=True, slots=True)
class TermView:
    """A term at the end of the page."""

    name: str
    title: str
    html: str


@cache
def views() -> tuple[TermView, ...]:
    """All terms that a page may link."""
    return tuple(TermView(page.name, page.title, markup.to_html(body(page.text), heading=3)) for page in linkable())


def linkable() -> list[manual.Page]:
    """The terms that are looked for in sentences."""
    return [page for page in manual.terms() if page.pattern]


def body(text: str) -> str:
    """A text without its title, which the page shows itself."""
    return text.partition("\n\n")[2]


@cache
def pattern() -> re.Pattern[str]:
    """Any term; the group that matches tells which."""
    return re.compile("|".join(f"(?P<t{index}>{page.pattern})" for index, page in enumerate(linkable())))


def linked(text: str) -> str:
    """A sentence as HTML: escaped, with a link at each term."""
    return "".join(pieces(text))


def pieces(text: str) -> Iterator[str]:
    """The parts of a sentence as HTML."""
    pages, end = linkable(), 0
    for match in pattern().finditer(text):
        page = pages[int((match.lastgroup or "t0")[1:])]
        yield shown(text[end : match.start()])
        yield f'<a class="term" href="#term-{page.name}">{shown(match[0])}</a>'
        end = match.end()
    yield shown(text[end:])


def shown(text: str) -> str:
    """Text as it may stand on the page."""
    return escape(printable_text(text))
