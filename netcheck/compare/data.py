"""A comparison that a program reads.

schema        int, 1
netcheck      str, netcheck's version
comparisons   list of: old, new, said_old, said_new (str), figures (name, old, new: numbers or null), layers (kind: "added",
              "removed" or "changed"; paths, old, new: str), gains (path, old, new: decades or null), came, went, stayed
              (findings, as in `netcheck.report.json`)
alone         list of str, a sentence for each model without a partner
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import netcheck
from netcheck.compare.comparison import Comparison
from netcheck.report.json import finding_entry, plain

SCHEMA = 1


def render(comparisons: Sequence[Comparison], alone: Sequence[str]) -> str:
    """All comparisons as one JSON document."""
    document = {
        "schema": SCHEMA,
        "netcheck": netcheck.__version__,
        "comparisons": [entry(one) for one in comparisons],
        "alone": list(alone),
    }
    return json.dumps(plain(document), indent=2, allow_nan=False) + "\n"


def entry(one: Comparison) -> dict[str, Any]:
    """One comparison as plain data."""
    return {
        "old": one.old,
        "new": one.new,
        "said_old": one.said_old,
        "said_new": one.said_new,
        "figures": [{"name": each.name, "old": each.old, "new": each.new} for each in one.figures],
        "layers": [asdict(each) for each in one.layers],
        "gains": [asdict(each) for each in one.gains],
        "came": [finding_entry(each) for each in one.came],
        "went": [finding_entry(each) for each in one.went],
        "stayed": [finding_entry(each) for each in one.stayed],
    }
