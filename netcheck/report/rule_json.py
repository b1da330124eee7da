"""Rules for programs: a list of objects.

code, name, severity, summary    as in the catalogue; the severity is the highest that the rule gives
documentation                    str, the whole page in Markdown
fix                              title, safe (bool: outputs and gradients stay the same), note, structural (bool: offered, never
                                 applied): what `--fix` may write; or null
thresholds                       list of name, default (float), meaning: what a project may set
bad, good                        lists of title, source (Python that defines `model`), inputs: what the rule must flag and not
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from netcheck.report.rules import page
from netcheck.rules.base import Example, Rule


def render(rules: Iterable[Rule]) -> str:
    """The rules as a JSON list in ASCII, indented."""
    return json.dumps([entry(rule) for rule in rules], indent=2) + "\n"


def entry(rule: Rule) -> dict[str, Any]:
    """One rule."""
    return {
        "code": rule.code,
        "name": rule.name,
        "severity": rule.severity.value,
        "summary": rule.summary,
        "documentation": page(rule),
        "fix": None if rule.fixable is None else asdict(rule.fixable),
        "thresholds": [{"name": one.name, "default": one.default, "meaning": one.meaning} for one in rule.THRESHOLDS],
        "bad": examples(rule.BAD),
        "good": examples(rule.GOOD),
    }


def examples(chosen: Sequence[Example]) -> list[dict[str, str]]:
    """Examples as plain data."""
    return [{"title": one.title, "source": one.source.strip(), "inputs": one.inputs} for one in chosen]
