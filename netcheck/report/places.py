"""Files and lines as other programs want them: relative to the repository, with slashes, percent-encoded.

src/model.py, run in src/        "src/model.py"      the repository's root is the folder above that holds .git
/usr/lib/python3/x.py            None                outside of the repository
<stdin>                          None                no file
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from netcheck.findings import Finding, Location, Report
from netcheck.source.parse import notebook_at


def repository_of(folder: Path) -> Path:
    """The closest folder at or above `folder` that is a git repository; `folder` itself if there is none."""
    folder = Path(os.path.realpath(folder))
    return next((one for one in (folder, *folder.parents) if os.path.lexists(one / ".git")), folder)


def in_repository(file: str, root: Path) -> str | None:
    """The path of a file in the repository that holds `root`, with slashes; None for what lies elsewhere.

    Args:
        file: as in a Location: absolute, or relative to `root`.
        root: the directory that relative paths start from.
    """
    if not file or file.startswith("<") or "\0" in file:
        return None
    try:
        relative = os.path.relpath(os.path.realpath(root / file), repository_of(root))
    except (OSError, ValueError):  # a name too long for the system, another drive
        return None
    return None if relative.split(os.sep)[0] == os.pardir else Path(relative).as_posix()


def uri(path: str) -> str:
    """A path with slashes as a URI reference: what a URI may not hold is percent-encoded."""
    return quote(path.encode("utf-8", "backslashreplace"), safe="/~")


def in_file(place: Location, root: Path) -> Location:
    """A place as programs want it that know nothing of cells: of a notebook, the lines and columns of its JSON."""
    book = notebook_at(str(root / place.file))
    start = None if book is None else book.in_file(place.line, place.column)
    if book is None or start is None:
        return place
    end = book.in_file(place.end_line, place.end_column or 1) if place.end_line else None
    return replace(place, line=start[0], column=start[1], end_line=end and end[0], end_column=end and end[1])


def place_of(found: Finding, report: Report) -> Location | None:
    """Where a finding stands; if nobody knows, the beginning of the file that the user named."""
    file = report.target.partition(":")[0]
    return found.location or (Location(file, 1) if file.endswith((".py", ".ipynb")) else None)
