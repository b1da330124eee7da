"""The page in a real browser: it looks nowhere else, obeys mouse and keyboard, is readable in every mode."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from netcheck.findings import Report, Summary
from netcheck.report.html import fragment, render

from . import hostile, samples

if not sys.platform.startswith("linux"):
    pytest.skip("the browser is driven over Linux descriptors", allow_module_level=True)

from . import browser

if browser.program() is None:
    pytest.skip("there is no Chromium here", allow_module_level=True)

# The least contrast of any text with what is behind it: [ratio, text].
CONTRAST = """(() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const over = (top, below) => { const a = top[3] ?? 1; return [0, 1, 2].map((i) => a * top[i] + (1 - a) * below[i]); };
  const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const v = c[i] / 255; return sum + weight * (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); }, 0);
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  let worst = [99, ""];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement, text = walk.currentNode.textContent.trim();
    if (!text || !element.checkVisibility() || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
    const style = getComputedStyle(element), back = behind(element);
    const ink = over(parse(element instanceof SVGElement ? style.fill : style.color), back);
    const [a, b] = [light(ink), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < worst[0]) worst = [ratio, text.slice(0, 60)];
  }
  return worst;
})()"""


@pytest.fixture(scope="module")
def page() -> Iterator[browser.Browser]:
    with browser.running() as running:
        yield running


def opened(page: browser.Browser, folder: Path, *reports: Report, **options: Any) -> None:
    """Write the page to a folder and open it; nothing must go wrong and nothing be fetched."""
    file = folder / "report.html"
    file.write_text(render(reports, root=folder), encoding="utf-8")
    page.open(file, **options)
    page.js("new Promise((done) => setTimeout(done, 20))")
    assert page.told("Runtime.exceptionThrown", "Page.javascriptDialogOpening") == []
    assert [entry["entry"]["text"] for entry in page.told("Log.entryAdded")] == []
    assert {request["request"]["url"].split("#")[0] for request in page.told("Network.requestWillBeSent")} <= {file.as_uri()}


@pytest.mark.parametrize("name", hostile.NAMES.values(), ids=hostile.NAMES)
def test_no_name_does_anything(page: browser.Browser, tmp_path: Path, name: str) -> None:
    opened(page, tmp_path, hostile.report(name, gradients=samples.gradients(3)), hostile.report("Net", file=name))
    assert page.js("document.scripts.length") == 1
    assert page.js("document.querySelectorAll('main > section').length") == 2
    assert page.js("document.querySelectorAll('article').length") == 4
    assert page.js("document.querySelectorAll('img, iframe, [onmouseover], [onerror], a:not([href^=\"#\"])').length") == 0
    assert page.js("document.documentElement.scrollWidth <= innerWidth"), "it does not push the page wide"
    if name.isprintable() and name.strip() and len(name) < 100:
        assert name in page.js("document.querySelector('h2').textContent")
        assert name in page.js("document.querySelector('.message').textContent")


def test_pointing_at_a_drawing_reads_its_values(page: browser.Browser, tmp_path: Path) -> None:
    opened(page, tmp_path, samples.report(tmp_path), height=4000)
    box = page.js(
        "(({left, top, width, height}) => [left, top, width, height])(document.querySelector('.chart').getBoundingClientRect())"
    )
    # The drawing's area of points is 720 of its 786 units and begins at 54.
    for share, layer in ((0.0, "layers.0"), (1.0, "(model)")):
        x = box[0] + box[2] * (54 + 720 * share) / 786
        page("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=box[1] + box[3] / 2)
        reading = page.js("document.querySelector('.reading').textContent")
        assert reading.startswith(layer), reading
    assert "gradient norm 1" in reading
    assert "25% saturated" in reading
    assert page.js("document.querySelector('.cursor').getAttribute('visibility')") == "visible"


def test_the_arrow_keys_read_the_values_too(page: browser.Browser, tmp_path: Path) -> None:
    opened(page, tmp_path, samples.report(tmp_path))
    page.js("document.querySelector('.chart').focus()")
    read = []
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "End", "Home"):
        page.key(key)
        read.append(page.js("document.querySelector('.reading').textContent"))
    assert [one.split(" ")[0] for one in read] == ["layers.0", "(model)", "layers.1", "(model)", "layers.0"]
    assert "NC501 error" in read[0]


def test_the_tab_key_reaches_everything_that_can_be_operated(page: browser.Browser, tmp_path: Path) -> None:
    opened(page, tmp_path, samples.report(tmp_path), samples.report(tmp_path, model="Second"))
    reached = set()
    for _ in range(80):
        page.key("Tab")
        reached.add(
            page.js("(document.activeElement.tagName + '.' + document.activeElement.getAttribute('class')).toLowerCase()")
        )
    assert {"a.skip", "button.null", "a.rule", "pre.null", "svg.chart gradient", "summary.null"} <= reached
    page.js("document.querySelector('.skip').click()")
    assert page.js("document.activeElement.id") == "content"


def test_filters(page: browser.Browser, tmp_path: Path) -> None:
    clean = Report("Clean", summary=Summary(3, 1, 10, 1, 1), target="model.py:Clean")
    opened(page, tmp_path, samples.report(tmp_path), *[clean] * 4)
    shown = "[...document.querySelectorAll('article, main > section')].filter((e) => e.checkVisibility()).length"
    assert page.js(shown) == 1 + 3, "many models without findings are folded away"
    page.js("document.querySelector('[data-clean]').click()")
    assert page.js(shown) == 5 + 3
    page.js("document.querySelector('[data-filter=error]').click()")
    assert page.js(shown) == 5 + 2


def test_a_link_to_a_rule_unfolds_its_documentation(page: browser.Browser, tmp_path: Path) -> None:
    opened(page, tmp_path, samples.report(tmp_path))
    assert not page.js("document.querySelector('#rule-NC501').open")
    page.js("document.querySelector('a.rule').click(); new Promise((done) => setTimeout(done, 50))")
    assert page.js("document.querySelector('#rule-NC501').open")


@pytest.mark.parametrize("media", ["screen", "print"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(page: browser.Browser, tmp_path: Path, scheme: str, media: str) -> None:
    opened(page, tmp_path, samples.report(tmp_path), hostile.report("Net"), scheme=scheme, media=media)
    page.js("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    ratio, text = page.js(CONTRAST)
    assert ratio >= 4.5, f"{text!r} has a contrast of {ratio:.2f}"
    background = page.js("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is (scheme == "light" or media == "print")


@pytest.mark.parametrize("width", [320, 480, 1100, 2000])
def test_no_width_makes_the_page_scroll_sideways(page: browser.Browser, tmp_path: Path, width: int) -> None:
    opened(page, tmp_path, samples.report(tmp_path), hostile.report("x" * 10_000), width=width)
    page.js("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    assert page.js("document.documentElement.scrollWidth") <= width


def test_paper_shows_what_is_folded_on_the_screen(page: browser.Browser, tmp_path: Path) -> None:
    opened(page, tmp_path, samples.report(tmp_path))
    pdf = base64.b64decode(page("Page.printToPDF")["data"])
    assert pdf.startswith(b"%PDF")
    opened(page, tmp_path, samples.report(tmp_path), media="print")
    assert page.js("document.querySelector('#rule-NC501 .documentation').getBoundingClientRect().height") > 50
    assert not page.js("document.querySelector('.reading').checkVisibility()")


def test_what_a_screen_reader_gets(page: browser.Browser, tmp_path: Path) -> None:
    opened(page, tmp_path, samples.report(tmp_path), samples.report(tmp_path, model="Second"))
    nodes = [node for node in page("Accessibility.getFullAXTree")["nodes"] if not node.get("ignored")]
    named: dict[str, list[str]] = {}
    for node in nodes:
        named.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
    for role in ("link", "button", "image", "region", "navigation", "heading"):
        assert all(name.strip() for name in named.get(role, [])), (role, named.get(role))
    assert {"main", "navigation", "heading", "link", "button", "status", "article", "table"} <= set(named)
    gradient = next(name for name in named["image"] if name.startswith("Gradient norm"))
    assert "from −9.5 at the input to 0.0 at the output" in gradient
    levels = page.js("[...document.querySelectorAll('h1,h2,h3,h4,h5')].map((h) => +h.tagName[1])")
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels


def test_without_a_script_everything_is_there(page: browser.Browser, tmp_path: Path) -> None:
    page("Emulation.setScriptExecutionDisabled", value=True)
    try:
        opened_without = tmp_path / "report.html"
        opened_without.write_text(render([samples.report(tmp_path)], root=tmp_path))
        page.open(opened_without)
    finally:
        page("Emulation.setScriptExecutionDisabled", value=False)
    assert page.js("document.querySelectorAll('article').length") == 3
    assert page.js("document.querySelector('.filters') === null || document.querySelector('.filters').hidden")


def test_a_notebook_s_fragment_leaves_the_rest_of_its_page_alone(page: browser.Browser, tmp_path: Path) -> None:
    file = tmp_path / "notebook.html"
    inside = fragment(samples.report(tmp_path), root=tmp_path)
    file.write_text(f"<!DOCTYPE html><meta charset=utf-8><h2 id=mine>mine</h2><p>text</p>{inside}")
    page.open(file)
    assert page.told("Runtime.exceptionThrown") == []
    assert page.js("getComputedStyle(document.querySelector('#mine')).fontFamily") != page.js(
        "getComputedStyle(document.querySelector('.netcheck h2')).fontFamily"
    )
    assert page.js("getComputedStyle(document.body).maxWidth") == "none"
    assert page.js("document.querySelectorAll('.netcheck article').length") == 3
