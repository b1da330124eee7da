"""The report that a program reads line by line: one JSON object on each, with a key `type`.

    {"type": "run", "schema": 1, "netcheck": "..."}             the first line
    {"type": "finding", "model": ..., "target": ..., ...}       a finding, its keys as in `netcheck.report.json`
    {"type": "model", "model": ..., "target": ..., ...}         after a model's findings: the model, without them

With `--statistics` there is instead, the most frequent rule first:

    {"type": "statistics", "code": ..., "name": ..., "severity": ..., "findings": 3, "models": 2}

so that `jq 'select(.type == "finding")'` and `grep '"type": "finding"'` give the findings and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import netcheck
from netcheck.findings import Report
from netcheck.report.isolation import isolated
from netcheck.report.json import SCHEMA, checked, counts, model_entry


@isolated
def render(reports: Sequence[Report], *, statistics: bool = False) -> str:
    """All reports as lines of JSON in ASCII; with `statistics`, how often each rule found something, and not each finding."""
    return "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines(reports, statistics=statistics))


def lines(reports: Sequence[Report], *, statistics: bool = False) -> Iterator[dict[str, Any]]:
    """The objects, one a line."""
    run = {"type": "run", "schema": SCHEMA, "netcheck": netcheck.__version__}
    if statistics:
        yield {**run, "checked": checked(reports)}
        yield from ({"type": "statistics", **one} for one in counts(reports))
        return
    yield run
    for report in reports:
        entry = model_entry(report)
        names = {key: entry[key] for key in ("model", "target")}
        for found in entry.pop("findings"):
            yield {"type": "finding", **names, **found}
        yield {"type": "model", **entry}
