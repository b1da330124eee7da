"""The fix of one finding as a person or a program takes it: a diff of its file, or ranges and what to write there.

diff(found, root)            the lines that change, without others around them
replacements(found, root)    by file: ranges in its own lines and columns, of a notebook those of its JSON
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from netcheck.figures.fixes import Edit, Fix
from netcheck.findings import Finding, Location
from netcheck.report.places import in_file
from netcheck.report.text import display_path
from netcheck.source.differences import unified
from netcheck.source.edits import NotEditable, applied
from netcheck.source.parse import NOTEBOOK, Unreadable, limit_of, read


def summary(fix: Fix) -> str:
    """What a fix does, and whether it is safe."""
    if fix.structural:
        kept = "offered: tried, and it makes another network of it; it is never applied"
    elif fix.safe:
        kept = "safe: tried, and outputs and gradients stay the same"
    else:
        kept = "unsafe: tried, and it changes what is computed"
    return "; ".join(filter(None, (f"{fix.title} ({kept})", fix.note)))


def note(found: Finding) -> str:
    """What is said of a finding's fix, or of why there is none; "" for nothing."""
    if found.fix is not None:
        return summary(found.fix)
    return f"by hand, for {found.by_hand}" if found.by_hand else ""


def diff(found: Finding, root: Path, context: int = 1) -> str:
    """What the fix of a finding changes, each file with its name; "" if there is none, or a file has changed since."""
    parts = []
    for file, edits in by_file(found).items():
        try:
            raw = read(file, limit_of(file))
            parts.append(unified(raw, applied(raw, file, edits), Path(display_path(file, root)).as_posix().lstrip("/"), context))
        except (Unreadable, NotEditable):
            return ""
    return "".join(parts)


def by_file(found: Finding) -> dict[str, list[Edit]]:
    """The edits of a finding's fix, by file."""
    files: dict[str, list[Edit]] = {}
    for edit in found.fix.edits if found.fix is not None else ():
        files.setdefault(edit.file, []).append(edit)
    return files


def replacements(found: Finding, root: Path) -> Iterator[tuple[str, list[tuple[Location, str]]]]:
    """Each file that the fix of a finding changes, its ranges, and what is to stand there."""
    for file, edits in by_file(found).items():
        yield file, [in_bytes_of(edit, root) for edit in edits]


def in_bytes_of(edit: Edit, root: Path) -> tuple[Location, str]:
    """The range of an edit in its file, and the text: of a notebook as its JSON has it."""
    place = Location(edit.file, edit.line, edit.column, edit.end_line, edit.end_column)
    if not edit.file.endswith(NOTEBOOK):
        return place, edit.content
    end = in_file(replace(place, line=edit.end_line, column=edit.end_column), root)
    start = in_file(place, root)
    return replace(start, end_line=end.line, end_column=end.column), json.dumps(edit.content, ensure_ascii=False)[1:-1]
