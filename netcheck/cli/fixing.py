"""`netcheck --diff` and `netcheck --fix`: edits that were tried, shown or written."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from netcheck.cli.printing import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netcheck.findings import Report
    from netcheck.settings import Settings


def fix(reports: Sequence[Report], settings: Settings) -> int:
    """Try edits for what was found; show them, or write them and say what is left.

    Returns:
        The exit code: of the findings as they are with --diff, of those that are left with --fix.

    Raises:
        UsageError: a file cannot be written.
    """
    from netcheck import engine, worker
    from netcheck.fix import offering, writing
    from netcheck.report import fixes, output
    from netcheck.report.terminal import wants_colour
    from netcheck.worker import checked

    plan = engine.planned(settings.targets, settings)
    targets = [*plan.targets, *(part for inside in plan.parts.values() for part in inside)]
    files = [*plan.files, *(one.file for one in plan.targets if one.file)]
    offer = offering.offered(reports, targets, files, settings, lambda some: checked(some, settings))
    colour = wants_colour(sys.stdout, settings.colour, os.environ)
    is_read = settings.format in ("text", "full", "concise")
    if is_read:
        changes = writing.diffs(offer.texts)
        structures = [writing.between(one.before, one.after) for one in offer.structures]
        text = fixes.render(offer.reports, changes, offer.left, structures, colour=colour, written=settings.fix)
    else:
        text = output.rendered(offer.reports, settings, colour=colour)
    if settings.fix:
        writing.write(offer.texts, offer.originals)
    if settings.output_file is not None and str(settings.output_file) != "-":
        output.save(text, settings.output_file)
    else:
        show(text, colour=colour)
    if not settings.fix:
        return engine.exit_code(list(reports), settings)
    left = worker.check_targets(settings) if offer.texts else list(reports)
    if is_read:
        show("\n" + output.rendered(left, settings, colour=colour), colour=colour)
    return engine.exit_code(left, settings)
