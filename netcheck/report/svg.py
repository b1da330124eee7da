"""The networks drawn, as one SVG file: each model under its name and first sentence, its insides beside it, its findings below.

What it is made of stands in `netcheck.report.drawing`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from netcheck.findings import Report, by_importance
from netcheck.report import html, text
from netcheck.report.drawing.figures import Picture, drawing_of
from netcheck.report.headline import headline
from netcheck.report.isolation import isolated
from netcheck.report.terminal import Painter, printable, shorten

WIDTH, MARGIN, LINE = 1400.0, 24.0, 19.0
BESIDE, CAPTION = 40.0, 26.0
COLUMNS = 170  # characters of a line
MOST_PICTURES = 24  # of one model


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text, and how it is written: "name", "said", "caption", or the severity of a finding."""

    x: float
    y: float
    text: str
    style: str


@dataclass(frozen=True, slots=True)
class Hung:
    """A picture and its place on the sheet."""

    x: float
    y: float
    picture: Picture


@dataclass
class Sheet:
    """The whole file, filled from top to bottom."""

    models: str
    width: float = WIDTH
    height: float = MARGIN
    lines: list[Line] = field(default_factory=list)
    pictures: list[Hung] = field(default_factory=list)

    def write(self, said: str, style: str) -> None:
        """Add a text below all that is there, on as many lines as it takes."""
        for line in textwrap.wrap(said, COLUMNS if style != "name" else COLUMNS // 2) or [""]:
            self.height += LINE
            self.lines.append(Line(MARGIN, self.height, line, style))

    def hang(self, pictures: Sequence[Picture]) -> None:
        """Add pictures, side by side as far as there is room."""
        x, top, tallest = MARGIN, self.height + LINE, 0.0
        for index, one in enumerate(pictures):
            if x > MARGIN and x + one.width > WIDTH - MARGIN:
                x, top, tallest = MARGIN, top + tallest + BESIDE, 0.0
            if index:
                self.lines.append(Line(x, top + LINE - 8, f"inside {one.title}", "caption"))
            self.pictures.append(Hung(x, top + CAPTION, one))
            tallest = max(tallest, one.height + CAPTION)
            self.width = max(self.width, x + one.width + MARGIN)
            x += max(one.width, 8.0 * len(one.title) + 60) + BESIDE
        self.height = top + tallest + LINE


@isolated
def render(reports: Sequence[Report], *, root: Path | None = None) -> str:
    """All reports as one SVG document.

    Args:
        reports: one a model.
        root: directory that paths are shown relative to; None means the current one.
    """
    root = Path.cwd() if root is None else root
    sheet = Sheet(", ".join(printable(shorten(report.model)) for report in reports[:9]))
    for report in reports:
        model(sheet, report, root)
    for line in text.closing(reports, Painter(False), root, verbose=False).splitlines():
        sheet.write(shorten(line, 1000), "said")
    sheet.height += MARGIN
    return html.template("drawings.svg.jinja").render(sheet=sheet, style=html.part("drawing.css")).strip() + "\n"


def model(sheet: Sheet, report: Report, root: Path) -> None:
    """Add one model."""
    target = text.display_path(report.target, root)
    sheet.write(f"{text.name_of(report.model)}{f' ({target})' if target and report.target != report.model else ''}", "name")
    if first := headline(report):
        sheet.write(printable(str(first)), "said")
    if (drawn := drawing_of(report)) is not None:
        sheet.hang(drawn.pictures[:MOST_PICTURES])
    for found in by_importance(report.findings):
        if found.counts:
            message = printable(shorten(" ".join(found.message.splitlines()), 500))
            sheet.write(f"{found.severity.value} {found.code} {found.name}: {message}", found.severity.value)
    sheet.height += MARGIN
