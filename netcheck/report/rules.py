"""A rule's documentation, and the catalogue of rules. Needs the rule classes alone: imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from netcheck.report.columns import in_columns
from netcheck.rules.base import Example, Rule

_IMPORTS = {
    "torch": "import torch",
    "F": "import torch.nn.functional as F",
    "nn": "from torch import nn",
}  # by the name that an example uses


def page(rule: Rule) -> str:
    """The documentation of one rule as Markdown: what it is, why, what to write instead."""
    before, references = split_references(rule.documentation)
    parts = [
        f"# {rule.name} ({rule.code})",
        f"Severity: at most {rule.severity.value}.",
        before,
        *fix(rule),
        *thresholds(rule),
        *example("Example", rule.BAD),
        *example("Use instead", rule.GOOD),
        *titles("Flagged", rule.BAD),
        *titles("Left alone", rule.GOOD),
        references,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def pages(rules: Iterable[Rule]) -> str:
    """The documentation of several rules, one after the other."""
    return "\n".join(page(rule) for rule in rules)


def catalogue(rules: Sequence[Rule]) -> str:
    """All rules as a table: code, name, the highest severity and what it looks for."""
    rows = [(rule.code, rule.name, rule.severity.value, rule.summary) for rule in rules]
    return in_columns(rows, ("code", "name", "severity", "summary")) + "\n"


def split_references(documentation: str) -> tuple[str, str]:
    """The documentation before its references, and the references, which belong at the end of the page."""
    before, heading, after = documentation.partition("## References")
    return before.strip(), (heading + after).strip()


def fix(rule: Rule) -> list[str]:
    """What `--fix` may write as a section, or nothing."""
    if rule.fixable is None:
        return []
    if rule.fixable.structural:
        how = "It makes another network of it: `netcheck --diff` shows it, where it was tried and holds; nothing applies it"
        return ["## Fix", f"{rule.fixable.title[:1].upper()}{rule.fixable.title[1:]}. {how}."]
    how = (
        "`netcheck --diff` shows it and `netcheck --fix` writes it, where it was tried and outputs and gradients stay the same"
        if rule.fixable.safe
        else "Unsafe: it changes what the model computes. `netcheck --diff --unsafe-fixes` shows it, where it was tried and holds"
    )
    title = f"{rule.fixable.title[:1].upper()}{rule.fixable.title[1:]}."
    also = f" Beside: {rule.fixable.note}." if rule.fixable.note else ""
    return ["## Fix", f"{title} {how}.{also}"]


def thresholds(rule: Rule) -> list[str]:
    """The numbers that a project may set for the rule as a section, or nothing."""
    if not rule.THRESHOLDS:
        return []
    lines = [f"{each.name} = {each.default:.10g}  # {each.meaning}" for each in rule.THRESHOLDS]
    table = "\n".join([f"[tool.netcheck.rules.{rule.code}]", *lines])
    return ["## Thresholds", "Set in pyproject.toml; these are the defaults:", f"```toml\n{table}\n```"]


def example(title: str, examples: Sequence[Example]) -> list[str]:
    """The first example as a section, or nothing."""
    if not examples:
        return []
    first = examples[0]
    return [f"## {title}", sentence(first.title), f"```python\n{with_imports(first.source.strip())}\n```"]


def with_imports(source: str) -> str:
    """An example as it runs where it is pasted: behind the imports of the names that it uses."""
    needed = [line for name, line in _IMPORTS.items() if re.search(rf"\b{name}\.", source)]
    return "\n".join([*needed, "", source]) if needed else source


def titles(title: str, examples: Sequence[Example]) -> list[str]:
    """What all examples are, as a list; nothing where the one already shown is the only one."""
    if len(examples) < 2:
        return []
    return [f"## {title}", "\n".join(f"- {example.title}" for example in examples)]


def sentence(text: str) -> str:
    """`text` with a capital and a colon, as it stands before code; a name of code ("nn.LSTM ...") stays as it is."""
    is_code = any(mark in text.partition(" ")[0] for mark in "._(")
    return f"{text[:1] if is_code else text[:1].upper()}{text[1:].rstrip('.:')}:"
