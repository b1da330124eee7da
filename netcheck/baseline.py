"""Findings that a project has agreed to live with, in a file: new ones fail a run, these do not. Imports no torch.

    netcheck --write-baseline src     every finding goes into netcheck-baseline.json
    netcheck src                      with `baseline = "netcheck-baseline.json"` in the settings: only new ones are shown

A finding is known by its rule, the qualified name of the function that its line stands in and the text of that line, so it
stays known where lines move. What is fixed leaves the file by itself, but never in continuous integration, where a run
should not change what is checked in. A finding that has become worse (a warning, now an error) counts as new.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from netcheck.atomic import replace_file
from netcheck.errors import UsageError
from netcheck.findings import Finding, Report, Severity
from netcheck.rules import base
from netcheck.settings import Settings
from netcheck.source.parse import Unreadable, parse

VERSION = 1
DEFAULT = "netcheck-baseline.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One known finding.

    Attributes:
        rule: its code.
        name: the qualified name of the function that its line stands in ("Net.__init__"); else the model's.
        line: the text of the line, its white space evened out; "" for a finding without a place.
        severity: what it was.
        target: the model, its path from the baseline's folder: to see what is fixed, not to know the finding again.
    """

    rule: str
    name: str
    line: str
    severity: str
    target: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What the finding is known by."""
        return self.rule, self.name, self.line


def entry_of(found: Finding, report: Report, folder: str) -> Entry:
    """The entry of a finding in a baseline that lies in a folder."""
    place = found.location
    name = (place.function if place else "") or report.model
    line = line_text(place.file, place.line) if place else ""
    return Entry(found.code, name, line, found.severity.value, target_of(report, folder))


def target_of(report: Report, folder: str) -> str:
    """A report's target with its path from a folder, so that it is the same from wherever netcheck runs."""
    file, _, symbol = report.target.rpartition(":")
    path = os.path.relpath(file, folder).replace(os.sep, "/") if os.path.exists(file) else file
    return f"{path}:{symbol}"


def line_text(file: str, line: int) -> str:
    """The text of a line with its white space evened out, "" if there is none."""
    try:
        lines = parse(file).lines
    except Unreadable:
        return ""
    return " ".join(lines[line - 1].split()) if 0 < line <= len(lines) else ""


def path_of(settings: Settings) -> Path:
    """The file of the baseline: as the settings say, else beside the configuration file."""
    return settings.baseline or Path(settings.root, DEFAULT)


def write(reports: Sequence[Report], settings: Settings) -> int:
    """Write all findings into the baseline; returns how many.

    Raises:
        UsageError: the file cannot be written.
    """
    file = path_of(settings)
    folder = os.path.dirname(os.path.abspath(file))
    entries = [entry_of(found, report, folder) for report in reports for found in (*report, *report.known) if found.counts]
    save(entries, file)
    return len(entries)


def apply(reports: Sequence[Report], settings: Settings, environment: Mapping[str, str] = os.environ) -> None:
    """Take the known findings out of the reports, into `Report.known`; take what is fixed out of the file.

    Raises:
        UsageError: the file cannot be read.
    """
    file = path_of(settings)
    folder = os.path.dirname(os.path.abspath(file))
    entries = read(file)
    free = list(entries)
    for report in reports:
        for found in [found for found in report.findings if found.counts]:
            mine = entry_of(found, report, folder)
            fitting = [one for one in free if one.key == mine.key and not found.severity > Severity(one.severity)]
            if fitting:
                free.remove(min(fitting, key=lambda one: one.target != mine.target))
                report.known.append(found)
        report.findings = [found for found in report.findings if found not in report.known]
    fixed = [one for one in free if is_fixed(one, reports, settings, folder)]
    if fixed and environment.get("CI", "").lower() in ("", "0", "false"):
        for one in fixed:
            entries.remove(one)
        with contextlib.suppress(UsageError):  # a folder that only may be read: what was found does not depend on it
            save(entries, file)


def is_fixed(entry: Entry, reports: Sequence[Report], settings: Settings, folder: str) -> bool:
    """Whether an entry that nothing fits stands for a finding that is gone, rather than for one not looked for."""
    path = entry.target.rpartition(":")[0]
    if path.endswith((".py", ".ipynb")) and not os.path.exists(os.path.join(folder, path)):
        return True
    rules = [rule for rule in base.select(settings.chosen, settings.ignore) if rule.code == entry.rule]
    for report in reports:
        if report.summary is not None and target_of(report, folder) == entry.target:
            measured = any(isinstance(rule, base.MeasuredRule) for rule in rules)
            return bool(rules) and (report.gradients is not None or not measured)
    return False


def read(file: Path) -> list[Entry]:
    """The entries of a baseline.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    try:
        content = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the baseline {file}: {error.strerror}; --write-baseline writes it") from error
    except ValueError as error:
        raise UsageError(f"{file} is no baseline: {error}") from error
    if not isinstance(content, dict) or content.get("netcheck-baseline") != VERSION:
        raise UsageError(f"{file} is no baseline of this version of netcheck: --write-baseline writes it anew")
    try:
        return [understood(one) for one in content["findings"]]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{file} is damaged: --write-baseline writes it anew") from error


def understood(table: Any) -> Entry:
    """One entry as it was read."""
    entry = Entry(**table)
    Severity(entry.severity)
    if not all(isinstance(value, str) for value in asdict(entry).values()):
        raise TypeError("an entry holds texts alone")
    return entry


def save(entries: Collection[Entry], file: Path) -> None:
    """Write a baseline, sorted, so that it changes little from one version to the next.

    Raises:
        UsageError: the file cannot be written.
    """
    rows = sorted((asdict(one) for one in entries), key=lambda row: (row["target"], row["rule"], row["name"], row["line"]))
    text = json.dumps({"netcheck-baseline": VERSION, "findings": rows}, indent=1, ensure_ascii=False) + "\n"
    try:
        replace_file(str(file), text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UsageError(f"cannot write the baseline {file}: {error.strerror or error}") from error
