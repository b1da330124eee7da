"""The report that a program reads line by line: one JSON object on each, with a key `type`.

    {"type": "run", "schema": 1, "netcheck": "..."}             the first line
    {"type": "finding", "model": ..., "target": ..., ...}       a finding, its keys as in `netcheck.report.json`
    {"type": "model", "model": ..., "target": ..., ...}         after a model's findings: the model, without them
    {"type": "unchecked", "reason": ..., "models": 3, ...}      at the end: how many models were not checked, by reason

A model's lines are written as soon as it is checked. What only all models together tell (a comment that suppresses nothing) is
then a finding after them.

With `--statistics` there is instead, the most frequent rule first:

    {"type": "statistics", "code": ..., "name": ..., "severity": ..., "findings": 3, "models": 2}

so that `jq 'select(.type == "finding")'` and `grep '"type": "finding"'` give the findings and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import netcheck
from netcheck.findings import Report
from netcheck.report.isolation import isolated, isolated_one
from netcheck.report.json import SCHEMA, checked, counts, model_entry, unchecked

RUN = {"type": "run", "schema": SCHEMA, "netcheck": netcheck.__version__}


@isolated
def render(reports: Sequence[Report], *, statistics: bool = False) -> str:
    """All reports as lines of JSON in ASCII; with `statistics`, how often each rule found something, and not each finding."""
    if statistics:
        numbers = ({"type": "statistics", **one} for one in counts(reports))
        return written([{**RUN, "checked": checked(reports)}, *numbers]) + closing(reports)
    return opening() + "".join(map(section, reports)) + closing(reports)


def opening() -> str:
    """The first line."""
    return written([RUN])


@isolated
def closing(reports: Sequence[Report]) -> str:
    """The last lines: what was not checked."""
    return written({"type": "unchecked", **one} for one in unchecked(reports))


@isolated_one
def section(report: Report) -> str:
    """The lines of one report."""
    entry = model_entry(report)
    found = findings_of(entry)
    del entry["findings"]
    return found + written([{"type": "model", **entry}])


@isolated_one
def late(report: Report) -> str:
    """The lines of findings that became known after those of their model were written."""
    return findings_of(model_entry(report))


def findings_of(entry: dict[str, Any]) -> str:
    """A line for each finding of a model."""
    names = {key: entry[key] for key in ("model", "target")}
    return written({"type": "finding", **names, **found} for found in entry["findings"])


def written(objects: Iterable[dict[str, Any]]) -> str:
    """A line for each object."""
    return "".join(json.dumps(each, allow_nan=False) + "\n" for each in objects)
