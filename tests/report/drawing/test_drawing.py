"""The network drawn: what is folded, where boxes stand, and what is said of them."""

from __future__ import annotations

import itertools
import random
import re
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

import netcheck
from netcheck.figures.network import Network, Operation
from netcheck.findings import Evidence, Finding, Report, Severity, Summary
from netcheck.report import html, svg
from netcheck.report.drawing.figures import drawing_of, level, thickness
from netcheck.report.drawing.layout import arranged
from netcheck.report.drawing.units import MOST, Unit, units
from tests.report import samples

SVG = "{http://www.w3.org/2000/svg}"


def network(layers: list[tuple[str, str]], modules: dict[str, str], edges: dict[int, tuple[int, ...]] | None = None) -> Network:
    """A chain of operations at these paths, with other inputs where `edges` says so."""
    made = [Operation("x", "", "x", "input", (2, 4))]
    for index, (path, operation) in enumerate(layers, 1):
        inputs = (edges or {}).get(index, (index - 1,))
        made.append(Operation(f"n{index}", path, operation, "linear", (2, 4), 20, inputs, operation == "nn.Linear"))
    made.append(Operation("output", "", "output", "output", (2, 4), 0, (len(layers),)))
    return Network(tuple(made), (("", "Net"), *modules.items()))


def blocks(count: int) -> Network:
    """A residual net: each block has a linear layer, an activation and a sum."""
    layers, edges, modules = [], {}, {"blocks": "ModuleList"}
    for index in range(count):
        start = 3 * index
        layers += [(f"blocks.{index}.fc", "nn.Linear"), (f"blocks.{index}", "torch.relu"), (f"blocks.{index}", "Tensor.add")]
        edges[start + 3] = (start, start + 2)
        modules |= {f"blocks.{index}": "Block", f"blocks.{index}.fc": "Linear"}
    return network(layers, modules, edges)


def titles(found: tuple[Unit, ...]) -> list[str]:
    return [f"{unit.count} {unit.title}" for unit in found]


def test_blocks_that_repeat_are_one_with_a_count() -> None:
    found = units(blocks(12))
    assert titles(found) == ["1 x", "12 Block", "1 output"]
    assert titles(found[1].inside) == ["1 nn.Linear", "1 relu", "1 add"]


def test_a_pattern_of_the_model_s_own_is_one_box() -> None:
    layers = [entry for i in range(16) for entry in ((f"layers.{i}", "nn.Linear"), ("", "torch.tanh"))]
    found = units(network(layers, {"layers": "ModuleList", **{f"layers.{i}": "Linear" for i in range(16)}}))
    assert titles(found) == ["1 x", "16 (nn.Linear + tanh)", "1 output"]


def test_what_does_not_repeat_is_not_folded() -> None:
    found = units(network([("a", "nn.Linear"), ("", "torch.relu"), ("b", "nn.Linear")], {"a": "Linear", "b": "Linear"}))
    assert titles(found) == ["1 x", "1 nn.Linear", "1 relu", "1 nn.Linear", "1 output"]


def test_a_module_that_runs_twice_has_two_boxes() -> None:
    inner = [("m.a", "nn.Linear"), ("m", "torch.relu")]
    found = units(network([*inner, ("", "torch.exp"), *inner], {"m": "Inner", "m.a": "Linear"}))
    assert titles(found) == ["1 x", "1 Inner", "1 exp", "1 Inner", "1 output"]


def test_no_picture_has_too_many_boxes() -> None:
    rng = random.Random(0)
    many = network([("", f"torch.f{rng.randrange(500)}") for _ in range(3000)], {})
    found = units(many)
    while found:
        assert len(found) <= MOST
        found = max((unit.inside for unit in found), key=len, default=())
    start = time.perf_counter()
    assert drawing_of(Report("Net", network=many)) is not None
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("seed", range(20))
def test_boxes_do_not_touch_and_no_way_leads_through_one(seed: int) -> None:
    rng = random.Random(seed)
    count = rng.randrange(2, 30)
    sizes = [(rng.uniform(60, 200), rng.choice((27.0, 44.0))) for _ in range(count)]
    edges = {(rng.randrange(end), end) for end in range(1, count) for _ in range(rng.choice((1, 1, 2)))}
    plan = arranged(sizes, sorted(edges))
    boxes = [(p.x, p.y, p.x + w, p.y + h) for p, (w, h) in zip(plan.places, sizes, strict=True)]
    for (left, top, right, bottom), (other_left, other_top, other_right, other_bottom) in itertools.combinations(boxes, 2):
        assert right <= other_left or other_right <= left or bottom <= other_top or other_bottom <= top
    for (start, end), points in plan.ways.items():
        assert points[0][1] < points[-1][1], "from top to bottom"
        for (x, upper), (_, lower) in itertools.pairwise(points[1:-1]):
            for index, (left, top, right, bottom) in enumerate(boxes):
                if index not in (start, end):
                    assert not (left < x < right and upper < bottom and lower > top)
    assert all(left >= 0 and right <= plan.width + 0.2 for left, _, right, _ in boxes)


def test_a_chain_stands_in_one_column_and_its_skip_beside_it() -> None:
    plan = arranged([(80, 44), (120, 44), (60, 44)], [(0, 1), (1, 2), (0, 2)])
    middles = {place.x + width / 2 for place, width in zip(plan.places, (80, 120, 60), strict=True)}
    assert len(middles) == 1
    assert all(x > plan.places[1].x + 120 for x, _ in plan.ways[0, 2][1:-1])


def test_a_way_is_as_wide_as_its_gradient() -> None:
    from netcheck.figures.decades import Decades

    widths = [thickness(Decades(number)) for number in (-9, -4, -1, 0, 2, 9)]
    assert widths == sorted(widths)
    assert [level(Decades(number)) for number in (-4, -2, 0, 2, 4)] == ["lost", "weak", "kept", "strong", "wild"]
    assert level(None) == "none"


def report(**changes: object) -> Report:
    about = Finding("NC501", "poor-init", Severity.WARNING, "m", "h", Evidence(1.0, "", ""), operations=("n4",))
    values = {"network": blocks(3), "findings": [about], "summary": Summary(9, 3, 60, 3, 0)}
    return Report("Net", **{**values, **changes})  # type: ignore[arg-type]


def test_findings_stand_at_their_operations() -> None:
    drawn = drawing_of(report())
    assert drawn is not None
    top, *insides = drawn.pictures
    repeat = next(box for box in top.boxes if box.title == "3 × Block")
    assert repeat.codes == (("NC501", "warning"),)
    assert repeat.opens == insides[0].anchor
    assert "60 parameters" not in repeat.told
    assert "180 parameters" in repeat.told


def test_an_inside_shows_what_comes_in_and_its_skip() -> None:
    drawn = drawing_of(report())
    assert drawn is not None
    inside = drawn.pictures[1]
    assert [box.title for box in inside.boxes] == ["input", "nn.Linear", "relu", "add"]
    assert len(inside.ways) == 4, "three one after the other, and one around them"


def test_what_was_measured_is_said_and_drawn() -> None:
    profile = samples.gradients(1).profile[0]
    gradients = replace(samples.gradients(1), profile=(replace(profile, node="n3", gradient_norm=1e-4, dead=0.5),))
    drawn = drawing_of(report(gradients=gradients))
    assert drawn is not None
    repeat = next(box for box in drawn.pictures[0].boxes if "Block" in box.title)
    assert "50% of the units dead" in repeat.told
    assert [way.level for way in drawn.pictures[0].ways] == ["none", "none"], "the last block was not measured"


def test_a_report_without_a_graph_has_no_drawing() -> None:
    assert drawing_of(Report("Net")) is None
    assert "<svg" in svg.render([Report("Net", summary=None)])


def test_the_file_is_svg_that_says_what_was_found() -> None:
    text = svg.render([report(), report(network=None)])
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    shown = [element.text or "" for element in root.iter(f"{SVG}text")]
    assert "3 × Block" in shown
    assert any(line.startswith("warning NC501 poor-init") for line in shown)
    assert "inside 3 × Block" in shown
    assert not list(root.iter(f"{SVG}a")), "links lead nowhere in a picture"
    right, bottom = float(root.get("width", 0)), float(root.get("height", 0))
    assert all(0 < float(e.get("x", 0)) < right and 0 < float(e.get("y", 0)) < bottom for e in root.iter(f"{SVG}text"))


def test_links_of_the_page_lead_to_insides() -> None:
    page = html.render([report()])
    opens = set(re.findall(r'<a href="#(model-1-drawing-\d+)"', page))
    assert opens
    assert opens <= set(re.findall(r'<details class="inside" id="([\w-]+)"', page))


def test_a_real_model() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 4)
            self.head = nn.Linear(16, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.encoder(x).mean(1))

    drawn = drawing_of(netcheck.check(Net, torch.ones(2, 5, 16), seeds=1, remedies=False))
    assert drawn is not None
    every = [box.title for picture in drawn.pictures for box in picture.boxes]
    assert "4 × TransformerEncoderLayer" in every
    assert "nn.MultiheadAttention" in every
    assert {way.level for way in drawn.pictures[0].ways} - {"none"}


@pytest.mark.parametrize("name", ["</text><script>", '"onload="', "]]>"])
def test_no_name_leaves_the_picture(name: str, tmp_path: Path) -> None:
    bad = replace(blocks(1), modules=(("", name), ("blocks.0", name)))
    root = ElementTree.fromstring(svg.render([replace(report(network=bad), model=name)]))
    assert not list(root.iter(f"{SVG}script"))
