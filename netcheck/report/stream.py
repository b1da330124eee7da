"""The text report, written model by model as each is finished.

    with progress.reading(stream):     Net (net.py:Net): no findings            as soon as it is known
        check the models               Other (other.py:Other)                   as soon as it is known
    stream.close(reports)              Checked 2 models, 9 operations: ...      at the end

What is written is `text.render` of all reports, but for findings that only all models together tell (a comment that
suppresses nothing): of a model that was written before they were known, they come at the end, under its name again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from netcheck.findings import Finding, Report
from netcheck.report import concise, json_lines, selection, text
from netcheck.report.terminal import Painter
from netcheck.settings import Settings


class Stream:
    """Writes reports as they come, in a format that a line or a section at a time can be written in."""

    def __init__(self, settings: Settings, write: Callable[[str], None], *, colour: bool) -> None:
        """Begin with nothing written.

        Args:
            settings: the format (text, full, concise or json-lines), and how much is said.
            write: what writes text at once.
            colour: whether to use ANSI colours.
        """
        self.settings = settings
        self.write = write
        self.colour = colour
        self.shown: dict[int, list[Finding]] = {}  # by id of a report, what of it was written
        self.kept: list[Report] = []  # so that no id is used twice
        self.said: list[str] = []  # the blocks that were written
        self.begun = False

    def __call__(self, report: Report, total: int) -> None:
        """Write one of `total` reports; a single one comes with the end."""
        if total > 1:
            self.show(report)

    def close(self, reports: Sequence[Report]) -> None:
        """Write what is left to be said of these reports, and what was checked."""
        self.begin()
        for report in reports:
            if id(report) not in self.shown:
                self.show(report)
            elif new := [found for found in report.findings if not any(found is old for old in self.shown[id(report)])]:
                self.show(Report(report.model, new, target=report.target), late=True)
        if self.settings.format == "json-lines":
            self.write(json_lines.closing(reports))
        elif not self.settings.quiet:
            paint = Painter(self.colour)
            reports = selection.as_bad_as(reports, self.settings.min_severity)
            if self.settings.format != "concise":
                self.block(text.to_read(self.said, reports, paint))
            self.block(text.summing_up(reports, paint, Path.cwd(), verbose=self.settings.verbose))

    def begin(self) -> None:
        """Write what stands before all models."""
        if self.settings.format == "json-lines" and not self.begun:
            self.begun = True
            self.write(json_lines.opening())

    def show(self, report: Report, *, late: bool = False) -> None:
        """Write what is said of one model, or `late`, what else is said of one that was shown."""
        self.begin()
        self.shown[id(report)] = list(report.findings)
        self.kept.append(report)
        (report,) = selection.as_bad_as([report], self.settings.min_severity)
        if self.settings.format == "json-lines":
            self.write(json_lines.late(report) if late else json_lines.section(report))
            return
        if self.settings.format == "concise":
            self.write(concise.render([report], colour=self.colour, verbose=self.settings.verbose, quiet=True))
            return
        options = {"verbose": self.settings.verbose, "quiet": self.settings.quiet}
        self.block(text.section(report, Painter(self.colour), Path.cwd(), **options))

    def block(self, lines: str) -> None:
        """Write some lines, apart from those before them."""
        if not lines:
            return
        apart = "\n" if self.begun and self.settings.format != "concise" else ""
        self.begun = True
        self.said.append(lines)
        self.write(f"{apart}{lines}\n")
