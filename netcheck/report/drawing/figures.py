"""The pictures of a report as plain data: boxes with what is said of them, and ways as paths of SVG.

Drawing
  +-- Picture     the model itself, or the inside of a box
        +-- Box       a module, an operation, or what repeats
        +-- Way       what leads from a box to another: width and colour by the gradient that passes
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from netcheck.figures.decades import Decades
from netcheck.figures.gradients import NodeProfile
from netcheck.figures.network import Network
from netcheck.findings import Finding, Report
from netcheck.report.drawing.layout import Arrangement, Point, arranged
from netcheck.report.drawing.units import Unit, units
from netcheck.report.terminal import printable, shorten

CHARACTER, SMALL = 8.2, 7.4  # widest mean of a character, of titles and of what stands below
LINE, PADDING, MARK = 17.0, 10.0, 52.0
ENTRY, ENDS = "entry", ("input", "output")
MOST_PICTURES = 60  # of one model
LONGEST = 30  # characters of a title
KEPT, BUDGET = 1.0, 3.0  # decades: a gradient that changes less keeps its size; one that changes more is lost
THINNEST, THICKEST = 1.2, 9.0

Codes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Box:
    """One box.

    Attributes:
        x, y, width, height: its place.
        title, subtitle: what stands in it: class and count; name and shape.
        told: what is said where a person points at it, a line each.
        codes: the findings in it, as (code, severity), worst first.
        opens: the anchor of the picture of its inside; "" without one.
        kind: as of a unit; "input" and "output" for the ends.
    """

    x: float
    y: float
    width: float
    height: float
    title: str
    subtitle: str
    told: tuple[str, ...]
    codes: Codes
    opens: str
    kind: str


@dataclass(frozen=True, slots=True)
class Way:
    """What leads from a box to another.

    Attributes:
        path: as SVG has it.
        width: by the gradient that passes on it.
        level: "kept", "weak" or "strong" (one to three decades), "lost" or "wild" (more), "none" where nothing was measured.
        told: the gradient in words.
    """

    path: str
    width: float
    level: str
    told: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The model, or the inside of a box."""

    anchor: str
    title: str
    path: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    ways: tuple[Way, ...]

    @property
    def summary(self) -> str:
        """The picture in words, for those who do not see it."""
        return f"{self.title}: " + ", then ".join(box.title for box in self.boxes)


@dataclass(frozen=True, slots=True)
class Drawing:
    """All pictures of a model: first that of the model itself."""

    pictures: tuple[Picture, ...]

    def opened_from(self, picture: Picture) -> list[Picture]:
        """The pictures of the insides of a picture's boxes."""
        wanted = [box.opens for box in picture.boxes if box.opens]
        return [one for one in self.pictures if one.anchor in wanted]


@dataclass
class Artist:
    """Draws the pictures of one model; the model's own numbers stand beside."""

    network: Network
    profile: dict[str, NodeProfile]
    codes: dict[str, list[tuple[str, str]]]
    anchor: str
    pictures: list[Picture] = field(default_factory=list)

    def draw(self, title: str, path: str, found: Sequence[Unit]) -> str:
        """Draw a picture and those of all insides; gives its anchor, or "" where there are enough."""
        if len(self.pictures) >= MOST_PICTURES:
            return ""
        anchor = f"{self.anchor}-drawing-{len(self.pictures) + 1}"
        number = len(self.pictures)
        self.pictures.append(Picture(anchor, title, path, 0, 0, (), ()))
        found = self.with_entry(found)
        opened = [self.draw(title_of(unit), printable(shorten(unit.path)), unit.inside) if unit.inside else "" for unit in found]
        texts = [(title_of(unit), self.subtitle(unit)) for unit in found]
        codes = [self.codes_in(unit) for unit in found]
        sizes = [size(*text, marks) for text, marks in zip(texts, codes, strict=True)]
        edges = self.edges(found)
        plan = arranged(sizes, list(edges))
        boxes = tuple(
            Box(
                place.x,
                place.y,
                *sizes[index],
                *texts[index],
                tuple(self.told(unit)),
                codes[index],
                opened[index],
                self.kind(unit),
            )
            for index, (unit, place) in enumerate(zip(found, plan.places, strict=True))
        )
        ways = tuple(self.way(edges[pair], plan, pair) for pair in edges)
        self.pictures[number] = Picture(anchor, title, path, plan.width, plan.height, boxes, ways)
        return anchor

    def with_entry(self, found: Sequence[Unit]) -> Sequence[Unit]:
        """The boxes of a picture, behind one for what comes in from outside of it, if anything does."""
        first, last = found[0].start, found[-1].end
        outside = [source for one in self.network.operations[first:last] for source in one.inputs if source < first]
        return [Unit(ENTRY, "input", "", max(outside), max(outside) + 1), *found] if outside else found

    def kind(self, unit: Unit) -> str:
        """What sort of box it is."""
        kind = self.network.operations[unit.start].kind
        return "input" if unit.kind == ENTRY else kind if unit.kind == "operation" and kind in ENDS else unit.kind

    def edges(self, found: Sequence[Unit]) -> dict[tuple[int, int], int]:
        """Pairs of boxes of which the second takes what the first gives, and the operation that gives it."""
        own = [(index, unit) for index, unit in enumerate(found) if unit.kind != ENTRY]
        holder = {place: index for index, unit in own for place in range(unit.start, unit.end)}
        pairs: dict[tuple[int, int], int] = {}
        for place, index in holder.items():
            for source in self.network.operations[place].inputs:
                if (start := holder.get(source, 0)) != index:  # the first box is what comes from outside
                    pairs[start, index] = max(source, pairs.get((start, index), -1))
        return pairs

    def measured(self, place: int) -> NodeProfile | None:
        """What the probe says of an operation; None without it."""
        return self.profile.get(self.network.operations[place].name)

    def gradient(self, place: int) -> Decades | None:
        """The gradient that passes at an operation, or at the closest before it that was measured."""
        for _ in range(4):
            one = self.measured(place)
            if one is not None and one.gradient_norm is not None:
                return Decades.of(one.gradient_norm)
            sources = self.network.operations[place].inputs
            if len(sources) != 1:
                return None
            place = sources[0]
        return None

    def way(self, source: int, plan: Arrangement, pair: tuple[int, int]) -> Way:
        """One way, with the gradient of what it carries."""
        gradient = self.gradient(source)
        told = "" if gradient is None else f"gradient {gradient} decades"
        return Way(curve(plan.ways[pair]), thickness(gradient), level(gradient), told)

    def last(self, unit: Unit) -> int:
        """The operation whose result leaves a box."""
        return unit.end - 1

    def subtitle(self, unit: Unit) -> str:
        """A box's name and the shape that leaves it."""
        shape = self.network.operations[self.last(unit)].shape
        shown = "" if shape is None else "×".join(map(str, shape))
        name = "" if unit.count > 1 else shorten(printable(unit.name), LONGEST)
        return "  ".join(filter(None, [name, shown]))

    def codes_in(self, unit: Unit) -> Codes:
        """The findings in a box."""
        if unit.kind == ENTRY:
            return ()
        found = [code for one in self.network.operations[unit.start : unit.end] for code in self.codes.get(one.name, ())]
        return tuple(dict.fromkeys(found))

    def told(self, unit: Unit) -> Iterator[str]:
        """What is said where a person points at a box."""
        operations = self.network.operations[unit.start : unit.end]
        yield " ".join(filter(None, [title_of(unit), printable(shorten(unit.path))]))
        if (shape := operations[-1].shape) is not None:
            yield f"gives ({', '.join(map(str, shape))})"
        if unit.kind == ENTRY:
            return
        if parameters := sum(one.parameters for one in operations):
            yield f"{parameters:,} parameters"
        if len(operations) > 1:
            yield f"{len(operations):,} operations"
        if (gradient := self.gradient(self.last(unit))) is not None:
            yield f"gradient {gradient} decades"
        dead = [one.dead for place in range(unit.start, unit.end) if (one := self.measured(place)) is not None and one.dead]
        if dead and math.isfinite(max(dead)):
            yield f"{max(dead):.0%} of the units dead"
        for code, severity in self.codes_in(unit):
            yield f"{severity} {code}"


def drawing_of(report: Report, anchor: str = "model") -> Drawing | None:
    """The pictures of a report's network; None without one."""
    if report.network is None:
        return None
    profile = {one.node: one for one in report.gradients.profile} if report.gradients is not None else {}
    artist = Artist(report.network, profile, codes_by_operation(report.network, report.findings), anchor)
    artist.draw(printable(shorten(report.model)), "", units(report.network))
    return Drawing(tuple(artist.pictures))


def codes_by_operation(network: Network, findings: Sequence[Finding]) -> dict[str, list[tuple[str, str]]]:
    """The findings about each operation: those that name it, or its module where they name none."""
    inside: dict[str, list[str]] = {}
    for one in network.operations:
        inside.setdefault(one.path, []).append(one.name)
    found: dict[str, list[tuple[str, str]]] = {}
    for about in sorted((one for one in findings if one.counts), key=lambda one: -one.severity.rank):
        for name in about.operations or (name for path in about.modules for name in inside.get(path, ())):
            found.setdefault(name, []).append((about.code, about.severity.value))
    return found


def title_of(unit: Unit) -> str:
    """What stands in a box: its class, and how often it repeats."""
    title = shorten(printable(unit.title), LONGEST)
    return f"{unit.count} × {title}" if unit.count > 1 else title


def size(title: str, subtitle: str, codes: Codes) -> tuple[float, float]:
    """A box's width and height, with room for whatever font there is."""
    marks = MARK * len(codes[:3])
    width = max(len(title) * CHARACTER + (marks + 8 if marks else 0), len(subtitle) * SMALL) + 2 * PADDING
    return round(max(64.0, width), 1), (2 if subtitle else 1) * LINE + PADDING


def curve(points: Sequence[Point]) -> str:
    """A path through points: straight through the rows, with a bow between them."""
    (x, y), *others = points
    parts = [f"M{x:g} {y:g}"]
    for index, (to_x, to_y) in enumerate(others):
        if index % 2:
            parts.append(f"L{to_x:g} {to_y:g}")
        else:
            middle = (y + to_y) / 2
            parts.append(f"C{x:g} {middle:g} {to_x:g} {middle:g} {to_x:g} {to_y:g}")
        x, y = to_x, to_y
    return " ".join(parts)


def thickness(gradient: Decades | None) -> float:
    """How wide a way is drawn: a decade is one unit."""
    if gradient is None or math.isnan(gradient):
        return 1.6
    return round(min(THICKEST, max(THINNEST, 4.5 + gradient)), 1)


def level(gradient: Decades | None) -> str:
    """How far a gradient is from keeping its size."""
    if gradient is None or math.isnan(gradient):
        return "none"
    if abs(gradient) < KEPT:
        return "kept"
    if abs(gradient) <= BUDGET:
        return "weak" if gradient < 0 else "strong"
    return "lost" if gradient < 0 else "wild"
