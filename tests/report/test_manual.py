"""What the words of the reports mean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netcheck.errors import UsageError
from netcheck.report import html, manual, text
from netcheck.report.page import terms
from tests.readme import run
from tests.report import samples


@pytest.mark.parametrize("page", manual.terms(), ids=lambda page: page.name)
def test_a_term_has_a_sentence_and_more(page: manual.Page) -> None:
    assert page.short.endswith((".", "`"))
    assert len(page.short) < 150
    assert len(page.text.split()) > 30
    assert "<!--" not in page.text
    assert "\n|" not in page.text, "tables are not shown as such"
    assert page.pattern or not page.is_explained


@pytest.mark.parametrize("word", ["gain", "Decades", "effective rank", "effective-rank", "|g|/|w|", "std·√fan_in", "FLOPs"])
def test_a_word_is_found_as_it_is_written(word: str) -> None:
    assert manual.find(word).text.startswith("# ")


def test_an_unknown_word_gets_the_closest() -> None:
    with pytest.raises(UsageError, match="did you mean gain"):
        manual.find("gian")
    with pytest.raises(UsageError, match="lists all terms"):
        manual.find("xyzzy")


def test_a_report_explains_each_of_its_terms_once(tmp_path: Path) -> None:
    report = samples.report(tmp_path)
    shown = text.render([report, report], colour=False, root=tmp_path)
    for word in ("decades", "effective rank", "|g|/|w|", "budget"):
        assert len(re.findall(rf"^  {re.escape(word)}  +[A-Z]", shown, re.M)) == 1, word
    assert shown.splitlines()[-1].startswith("Checked 2 models")
    assert "In these words" not in text.render([report], colour=False, quiet=True, root=tmp_path)


def test_what_uses_no_term_gets_no_glossary() -> None:
    assert manual.glossary(["again, and against"]) == ""


def test_the_page_links_terms_to_what_they_mean(tmp_path: Path) -> None:
    page = html.render([samples.report(tmp_path)], root=tmp_path)
    linked = set(re.findall(r'href="#(term-[\w-]+)"', page))
    assert {"term-gain", "term-decades"} <= linked
    assert linked <= set(re.findall(r'id="([\w-]+)"', page))


def test_a_sentence_with_links_is_escaped() -> None:
    assert terms.linked("gain <b>") == '<a class="term" href="#term-gain">gain</a> &lt;b&gt;'
    assert terms.linked("again") == "again"


def test_explain_on_the_command_line() -> None:
    assert "decades" in run("netcheck explain").stdout
    assert run("netcheck explain 'effective rank'").stdout.startswith("effective rank\n")
    assert run("netcheck explain NC501").stdout.startswith("poor-init (NC501)")
    wrong = run("netcheck explain decadse")
    assert wrong.returncode == 2
    assert "did you mean decades?" in wrong.stderr


@pytest.mark.parametrize("page", manual.guides(), ids=lambda page: page.name)
def test_a_guide_is_read_in_a_terminal(page: manual.Page) -> None:
    assert page.short.endswith((".", "`.", "?"))
    assert "<!--" not in page.text
    shown = run(f"netcheck explain {page.name}").stdout
    assert shown.startswith(page.title)
    tables = [line for line in page.text.splitlines() if line.startswith("|")]
    assert all(line in shown.splitlines() for line in tables)
