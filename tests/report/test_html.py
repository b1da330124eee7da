"""The page as a parser sees it, and the plain data that it is made of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import netcheck
from netcheck.figures.batches import Shard
from netcheck.findings import Evidence, Layer, Location, Report, Summary
from netcheck.report.html import fragment, render
from netcheck.report.page import charts, markup, memory, outline, source, views
from netcheck.report.page import split as splitting

from . import hostile, samples

html5lib = pytest.importorskip("html5lib")


def parsed(page: str) -> Any:
    """The tree of a page that a strict parser takes without a complaint."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)


@pytest.mark.parametrize("name", hostile.NAMES.values(), ids=hostile.NAMES)
def test_any_name_is_text(name: str) -> None:
    tree = parsed(render([hostile.report(name), hostile.report("Net", file=name)]))
    assert len(tree.findall(".//script")) == len(tree.findall(".//style")) == 1
    assert len(tree.findall(".//article")) == 4
    attributes = {key for element in tree.iter() for key in element.attrib}
    assert not any(key.startswith("on") for key in attributes)
    html5lib.HTMLParser(strict=True).parseFragment(fragment(hostile.report(name)))


def test_nothing_points_elsewhere(tmp_path: Path) -> None:
    page = render([samples.report(tmp_path)], root=tmp_path)
    assert not re.search(r"(src|href|action)=\"(?!#)", page)
    assert not re.search(r"url\(|@import|https?://", page)
    for link in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{link}"' in page
    anchors = re.findall(r' id="([^"]+)"', page)
    assert len(anchors) == len(set(anchors))


def test_the_page_says_what_the_text_says(tmp_path: Path) -> None:
    page = re.sub(r'<a class="term"[^>]*>([^<]*)</a>', r"\1", render([samples.report(tmp_path)], root=tmp_path))
    for part in (
        "model.py:4:38",
        "<mark>nn.Linear(64, 64)</mark>",
        "measured gain −10.0 decades, budget ±3",
        "<code>nn.init.xavier_uniform_(layer.weight, gain=5/3)</code>",
        "layers.0 ... layers.19 (20)",
        "confirmed: a fact",
        "3 passes of 32 samples",
        "0 ... 19",
        "Memory of one training step with Adam: 50.0 MiB",
        "Batch of 5 over 3 devices, replicas on the CPU: outputs and gradients differ by 0.5 (float64).",
        "<code>nn.BatchNorm1d in layers.3</code>",
        "<code>(2, 64)</code>",
        "<title>netcheck: 1 error, 1 info</title>",
    ):
        assert part in page, part


def test_a_page_without_models() -> None:
    assert "No model was checked." in render([])
    skipped = Report("data.py", skipped=["holds no model"], target="data.py")
    assert "holds no model" in render([skipped])


def test_a_report_shows_itself_in_a_notebook(tmp_path: Path) -> None:
    shown = samples.report(tmp_path)._repr_html_()
    assert shown.startswith('<div class="netcheck fragment">')
    assert "<script" not in shown
    assert 'href="#' not in shown


def test_every_rule_s_documentation_becomes_html() -> None:
    for rule in netcheck.rules():
        html = markup.to_html(rule.documentation)
        html5lib.HTMLParser(strict=True).parseFragment(html)
        assert "## " not in html
        assert html.count("<h4>") == rule.documentation.count("\n## ")


def test_markup() -> None:
    text = "First *so* `a*b*c`\nline <b>.\n\n## Why?\nBecause\n- one\n  more\n- **two**\n\n```python\nx < 1\n\n```\n2 * 3 * 4"
    assert markup.to_html(text).splitlines() == [
        "<p>First <em>so</em> <code>a*b*c</code> line &lt;b&gt;.</p>",
        "<h4>Why?</h4>",
        "<p>Because</p>",
        "<ul><li>one more</li><li><strong>two</strong></li></ul>",
        "<pre><code>x &lt; 1",
        "</code></pre>",
        "<p>2 * 3 * 4</p>",
    ]


def test_source_lines(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("".join(f"    line {i}\n" for i in range(1, 21)))

    def shown(*place: int | None) -> list[tuple[int, str]]:
        return [(one.number, one.marked) for one in source.lines_at(Location("net.py", *place), tmp_path)]  # type: ignore[arg-type]

    assert shown(5, 5, 5, 9) == [(3, ""), (4, ""), (5, "line"), (6, ""), (7, "")]
    assert shown(1) == [(1, "line 1"), (2, ""), (3, "")]
    assert shown(19, 10, 20, 9) == [(17, ""), (18, ""), (19, "19"), (20, "line")]
    assert [number for number, marked in shown(3, 1, 20, 1) if marked] == [3, 4, 5, 6, 7]
    assert shown(21) == []
    assert source.lines_at(Location("no.py", 1), tmp_path) == []


def layer(path: str, operation: str = "nn.Linear", parameters: int = 10) -> Layer:
    return Layer(path, operation, "linear", (2, 3), parameters, None)


def test_alike_siblings_make_one_row() -> None:
    layers = [layer(f"blocks.{i}.{part}") for i in range(4) for part in ("first", "second")]
    layers += [layer("blocks.4.first"), layer("head"), layer("", "torch.tanh", 0), layer("", "torch.tanh", 0)]
    finding = hostile.plain(modules=("blocks.2.second",))
    blocks, head, own = outline.outline(layers, [finding])
    assert (blocks.name, blocks.parameters, blocks.codes, blocks.below) == (
        "blocks",
        90,
        (),
        (("NC501", "warning"),),
    )
    four, last = blocks.rows
    assert (four.name, four.count, four.below) == ("0 ... 3", 4, (("NC501", "warning"),))
    assert [(row.name, row.codes) for row in four.rows] == [
        ("first", ()),
        ("second", (("NC501", "warning"),)),
    ]
    assert (last.name, last.count, last.below) == ("4", 1, ())
    assert (head.name, head.shape) == ("head", "2×3")
    assert (own.name, own.operations) == ("", ("torch.tanh (2 times)",))


def test_an_outline_of_any_depth_is_finite() -> None:
    (row,) = outline.outline([layer(".".join("a" * 5000))], [])
    depth = 0
    while row.rows:
        (row,) = row.rows
        depth += 1
    assert depth == outline.DEEPEST
    assert outline.outline([], []) == ()


def test_a_wide_outline_is_fast() -> None:
    layers = [layer(f"a.{i}.b.{j}.c.{k}") for i in range(10) for j in range(10) for k in range(50)]
    (row,) = outline.outline(layers, [])
    assert (row.rows[0].count, row.parameters) == (10, 50_000)


def test_a_drawing_of_the_profile() -> None:
    chart = charts.profile(samples.gradients(20), lambda one: (("NC501", "error"),) if one.path == "layers.3" else ())
    assert chart
    gradient, activation = chart.lines
    (points,) = gradient.pieces
    assert (points[0].x, points[-1].x) == (0.0, charts.WIDTH)
    assert points[0].y > points[-1].y == 0.0
    assert gradient.ticks[0][1] == "10⁻¹⁰"
    assert 3 <= len(gradient.ticks) <= 7
    assert activation.ticks[0][1] == "10⁻¹", "what hardly changes is drawn flat"
    assert [stop.name for stop in chart.stops if stop.codes] == ["layers.3"]


def test_marks_stand_at_the_operation_that_is_meant() -> None:
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.softmax(self.fc2(torch.sigmoid(self.fc1(x))), dim=0)

    report = netcheck.check(Net(), torch.randn(4, 8), select=["NC109"])
    (view,) = views.page_of([report], Path.cwd()).models
    assert view.chart
    assert [stop.operation for stop in view.chart.stops if stop.codes] == ["torch.softmax"]


def test_what_has_no_logarithm_is_a_gap() -> None:
    from dataclasses import replace

    measured = samples.gradients(3)
    nodes = list(measured.profile)
    for index, value in ((1, 0.0), (3, None), (4, float("nan"))):
        nodes[index] = replace(nodes[index], gradient_norm=value, rms=float("inf"))
    chart = charts.profile(replace(measured, profile=tuple(nodes)), lambda one: ())
    assert chart
    assert [[point.index for point in piece] for piece in chart.lines[0].pieces] == [[0], [2], [5]]
    assert dict(chart.stops[3].facts)["gradient norm"] == "none"
    assert dict(chart.stops[4].facts)["gradient norm"] == "not finite"
    assert dict(chart.stops[4].facts)["activation rms"] == "∞"
    nothing = tuple(replace(node, gradient_norm=None, rms=0.0) for node in nodes)
    empty = charts.profile(replace(measured, profile=nothing), lambda one: ())
    assert empty
    assert empty.lines == ()
    assert charts.profile(samples.gradients(0), lambda one: ()) is None


def test_long_profiles_are_drawn_as_lines_alone() -> None:
    chart = charts.profile(samples.gradients(1000), lambda one: ())
    assert chart
    assert chart.lines[0].circles == ()


def test_memory_bars() -> None:
    figures = memory.figures(samples.cost())
    sgd, adam = figures.bars
    assert [(part.name, part.start, part.share) for part in adam.parts] == [
        ("parameters", 0.0, round(10 / 60, 4)),
        ("optimizer", round(10 / 60, 4), round(20 / 60, 4)),
        ("gradients", 0.5, round(10 / 60, 4)),
        ("the optimizer's step", round(40 / 60, 4), round(10 / 60, 4)),
    ]
    assert sgd.parts[-1].name == "activations and gradients"
    assert sgd.parts[-1].start + sgd.parts[-1].share == 1.0
    assert figures.limit == pytest.approx(50 / 60)
    assert (len(figures.rows), figures.left_out) == (15, 5)
    assert figures.rows[0][-1] == "20.0 MiB"
    assert memory.figures(samples.cost(device_memory=None)).limit is None
    assert memory.figures(samples.cost(memory={})).bars == ()


def test_many_devices_are_cut() -> None:
    shards = tuple(Shard(i, 1, ()) for i in range(100))
    split = splitting.split(samples.batches(batch_size=100, shards=shards, comparison=None, duplicates=4, sampler=(2, 2)))
    assert (len(split.devices), split.left_out) == (64, 36)
    first, second = split.sentences
    assert first == "batch of 100 over 3 devices"
    assert second == "DistributedSampler  2 samples for each process, 4 samples more than there are"
    refused = splitting.split(samples.batches(shards=(), refusal="why", comparison=None))
    assert refused.sentences[1] == "nn.DataParallel raises: why"


def test_memory_of_a_device() -> None:
    split = splitting.split(samples.batches(), device_memory=50 * 2**20)
    assert split.optimizers == ("SGD", "Adam")
    assert split.devices[0].peaks == ("60.0 MiB", "50.0 MiB")
    assert split.need is not None
    assert (split.need.device, split.need.samples, split.need.limit) == (0, 2, pytest.approx(50 / 60))
    assert dict(split.need.facts) == {
        "parameters and buffers": "10.0 MiB",
        "their gradients": "10.0 MiB",
        "state of SGD": "10.0 MiB",
        "state of Adam": "20.0 MiB",
        "activations and gradients at their most": "40.0 MiB",
    }
    assert [bar.name for bar in split.need.bars] == ["SGD", "Adam"]
    shards = (Shard(0, 2, (), memory=samples.cost().memory), Shard(1, 1, ()))
    assert splitting.split(samples.batches(shards=shards)).devices[1].peaks == ("not known", "not known")


def test_gauges() -> None:
    gauge = views.gauge(Evidence(-6.0, "decades", "", 3.0))
    assert gauge
    assert 0 < gauge.value < gauge.low < 0.5 < gauge.high < 1
    for value, unit, limit in ((1.0, "layers", 3.0), (float("inf"), "decades", 3.0), (1.0, "decades", None)):
        assert views.gauge(Evidence(value, unit, "", limit)) is None


def test_what_goes_to_another_process_is_enough(tmp_path: Path) -> None:
    import pickle

    report = samples.report(tmp_path)
    report.become_plain()
    assert render([pickle.loads(pickle.dumps(report))], root=tmp_path) == render([report], root=tmp_path)


def test_a_model_that_could_not_be_checked() -> None:
    report = Report("Net", [hostile.plain("NC003")], target="model.py:Net")
    assert '<span class="badge error">not checked</span>' in render([report])
    assert "not checked" not in render([Report("Net", summary=Summary(1, 1, 1, 1, 1))])
