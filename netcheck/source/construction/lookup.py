"""What stands under a trail of names in a project's configuration files. Imports no torch."""

from __future__ import annotations

from typing import Any

from netcheck.source.construction.project import Project
from netcheck.source.construction.settings import settings_in
from netcheck.source.construction.values import Unknown, as_record


def preferred(project: Project, subject: str) -> list[str]:
    """A project's configuration files, those that name a class before the others."""
    if not subject:
        return project.settings
    named = [file for file in project.settings if mentions(file, subject)]
    return [*named, *(file for file in project.settings if file not in named)]


def mentions(file: str, subject: str) -> bool:
    """Whether a configuration file has a class's name among its values."""
    pending = [settings_in(file)]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, str) and subject in (value, value.rpartition(".")[2]):
            return True
    return False


def in_files(files: list[str], trail: tuple[str | int, ...], forced: dict[str, str]) -> Any:
    """What stands under a trail of names in the first of some files that has them, and does not choose another class."""
    for file in files:
        value = settings_in(file)
        for part in trail:
            value = value.get(part) if isinstance(value, dict) else None
        chooses_another = isinstance(value, dict) and any(value.get(name, one) != one for name, one in forced.items())
        if value is not None and not chooses_another:
            return as_record(value)
    return Unknown(trail)
