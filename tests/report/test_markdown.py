"""The pull-request comment, rendered to HTML by a CommonMark parser and read back from there."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from netcheck.findings import Location, Report, Severity, Summary
from netcheck.report.markdown import LONGEST, escape, render

from . import hostile

markdown_it = pytest.importorskip("markdown_it")
EXPECTED_TAGS = {"h2", "h3", "p", "details", "summary", "b", "strong", "code", "pre", "br", "em"}
EXPECTED_TAGS |= {"table", "thead", "tbody", "tr", "th", "td"}


class Reader(HTMLParser):
    """Collects the tags, and the text outside of code."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.within: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attributes]
        if tag != "br":
            self.within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "br":
            assert self.within.pop() == tag

    def handle_data(self, data: str) -> None:
        if "code" not in self.within:
            self.text.append(data)


def read(markdown: str) -> Reader:
    html = markdown_it.MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(markdown)
    reader = Reader()
    reader.feed(html)
    assert reader.within == []
    return reader


@pytest.mark.parametrize("name", hostile.NAMES.values(), ids=hostile.NAMES)
def test_no_name_formats_the_comment(name: str) -> None:
    reader = read(render([hostile.report(name)], verbose=True))
    assert set(reader.tags) <= EXPECTED_TAGS
    assert set(reader.attributes) <= {"class", "style"}
    assert reader.tags.count("details") == 2
    assert reader.tags.count("h2") == reader.tags.count("h3") == 1
    for piece in reader.text:  # what GitHub and GitLab look for in each piece of text by itself
        assert not any(sign in piece for sign in ("@everyone", "#1", "!2", "%3", "http://", "www.ex"))


@pytest.mark.parametrize("name", [n for n in hostile.NAMES.values() if n.strip() and n.isprintable() and len(n) < 100])
def test_a_name_is_shown_as_it_is(name: str) -> None:
    reader = read(render([Report("Net", [hostile.plain(message=f"before {name} after", help="")])]))
    assert f"before {name} after" in "".join(reader.text)


def test_escape() -> None:
    assert escape("plain text, (1.5) of x/y") == "plain text, (1.5) of x/y"
    assert escape("__init__") == "&#95;&#95;init&#95;&#95;"
    assert escape("/close") == "&#47;close"
    assert escape("1. first") == "1&#46; first"


def test_it_holds_what_a_person_needs() -> None:
    text = render([Report("Net", [hostile.plain(help="write `x = 1`\nor not")], summary=Summary(3, 1, 10, 1, 1))])
    assert text.startswith("<!-- netcheck -->\n## netcheck: 1 warning\n")
    assert "`model.py:3:5`" in text
    assert "**help**: write `x = 1`  \nor not" in text
    assert text.endswith("Checked 1 model, 3 operations: 1 warning.\n")


def test_a_comment_stays_within_the_platform_s_limit() -> None:
    reports = [
        Report(f"Net{i}", [hostile.plain(severity=Severity.ERROR, message="x" * 900, help="`" * 500)] * 20) for i in range(50)
    ]
    text = render(reports)
    assert len(text) <= LONGEST
    assert "more findings did not fit into one comment" in text
    assert read(text).tags.count("details") > 10


def test_source_is_shown_between_fences_that_it_cannot_close(tmp_path: object) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "net.py"
    file.write_text("x = '````</details>'\n")
    text = render([Report("Net", [hostile.plain(locations=(Location(str(file), 1, 1, 1, 3),))])])
    assert "`````text\n" in text
    assert read(text).tags.count("details") == 1
