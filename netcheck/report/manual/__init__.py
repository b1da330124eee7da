"""What netcheck's words mean, and how it is used: one text a page, which `netcheck explain`, the HTML page and reports share.

    terms/gain.md      # gain                                the title; what stands behind commas are other names
                       How much of ...                       one sentence
                       <!-- explained in reports: REGEX -->  what the word looks like in a report, whose end explains it;
                                                             "in reports" alone: the HTML page links it
                       ...                                   the rest
    guides/settings.md   the same, about how netcheck is used; README names them

Needs no torch, and reads a text when somebody asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from netcheck.errors import UsageError
from netcheck.report.columns import in_columns
from netcheck.settings.options import did_you_mean

COMMENT = re.compile(r"^<!-- .+ -->\n", re.MULTILINE)  # of guides: which test runs the example that follows
MARK = re.compile(r"^<!-- (explained )?in reports: (.+) -->\n\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """One text.

    Attributes:
        name: what it is asked for by: "effective-rank".
        title: its heading: "relative gradient, |g|/|w|".
        short: its first paragraph, one sentence.
        text: all of it as Markdown.
        pattern: what the word looks like in a report; "" where it is not looked for.
        is_explained: whether a report that uses the word explains it at its end.
    """

    name: str
    title: str
    short: str
    text: str
    pattern: str
    is_explained: bool

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in lower case."""
        return (self.name, *(one.strip().lower() for one in self.title.split(",")))

    @property
    def shown(self) -> str:
        """The shortest name that a report uses."""
        return self.title.rpartition(", ")[2]


@cache
def terms() -> tuple[Page, ...]:
    """All terms, by name."""
    return tuple(pages_in("terms"))


@cache
def guides() -> tuple[Page, ...]:
    """All pages about how netcheck is used, by name."""
    return tuple(pages_in("guides"))


def pages_in(folder: str) -> list[Page]:
    """The pages of a folder, by name."""
    found = [one for one in files(__name__).joinpath(folder).iterdir() if one.name.endswith(".md")]
    return sorted((read(one.name.removesuffix(".md"), one.read_text("utf-8")) for one in found), key=lambda page: page.name)


def read(name: str, text: str) -> Page:
    """The page in a file."""
    mark = MARK.search(text)
    text = COMMENT.sub("", MARK.sub("", text))
    title, short, *_ = text.split("\n\n", 2)
    return Page(
        name=name,
        title=title.removeprefix("# "),
        short=" ".join(short.split()),
        text=text,
        pattern=mark[2] if mark else "",
        is_explained=bool(mark and mark[1]),
    )


def find(word: str) -> Page:
    """The page about a word.

    Raises:
        UsageError: there is none.
    """
    wanted = word.strip().lower()
    pages = (*terms(), *guides())
    for page in pages:
        if wanted in page.names or wanted.replace(" ", "-") == page.name:
            return page
    known = [name for page in pages for name in page.names]
    close = did_you_mean(wanted, known) or ": `netcheck explain` lists all terms"
    raise UsageError(f"there is no explanation of {word!r}{close}")


def catalogue() -> str:
    """All terms, and all guides, a line each."""
    tables = [(terms(), "term"), (guides(), "guide")]
    return "\n".join(in_columns([(page.name, page.short) for page in pages], (name, "in short")) + "\n" for pages, name in tables)


def used_in(texts: Iterable[str]) -> list[Page]:
    """The terms that these texts use and a report explains, in the order of their first use."""
    text = "\n".join(texts)
    found = [(match.start(), page) for page in terms() if page.is_explained and (match := re.search(page.pattern, text))]
    return [page for _, page in sorted(found, key=lambda pair: pair[0])]


def glossary(texts: Iterable[str]) -> str:
    """What the terms in these texts mean, a line each; "" if there are none."""
    pages = used_in(texts)
    if not pages:
        return ""
    width = max(len(page.shown) for page in pages)
    lines = [f"  {page.shown:<{width}}  {page.short}" for page in pages]
    return "\n".join([f"In these words (more: `netcheck explain {pages[0].name}`):", *lines])
