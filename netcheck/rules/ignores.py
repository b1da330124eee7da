"""Findings that the settings leave out by where they are: per-file-ignores and per-model-ignores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netcheck.findings import Finding
from netcheck.rules.base import find, match_length
from netcheck.settings import Settings
from netcheck.settings.patterns import matches_file, matches_part


def is_ignored(finding: Finding, names: Sequence[str], file: str, settings: Settings) -> bool:
    """Whether the settings leave a finding out where it is.

    Args:
        finding: what was found.
        names: what the model is called: its class, the symbol that the user named.
        file: the file of the model, for a finding that has no place of its own.
        settings: the run's settings.
    """
    place = finding.location.file if finding.location else file
    for pattern, selectors in settings.per_file_ignores:
        if place and names_rule(finding.code, selectors) and matches_file(place, pattern, settings.root):
            return True
    for pattern, selectors in settings.per_model_ignores:
        if names_rule(finding.code, selectors) and all_match(finding.modules or ("",), names, pattern):
            return True
    return False


def names_rule(code: str, selectors: Iterable[str]) -> bool:
    """Whether one of the selectors stands for the rule with this code."""
    rule = find(code)
    return any(match_length(rule, selector) >= 0 for selector in selectors)


def all_match(paths: Iterable[str], names: Sequence[str], pattern: str) -> bool:
    """Whether a pattern matches every one of some module paths, under any of the model's names."""
    return all(any(matches_part(name, path, pattern) for name in names) for path in paths)
