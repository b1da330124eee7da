"""The documentation that `netcheck rule` and `netcheck rules` print."""

from __future__ import annotations

import re

import pytest

from netcheck.findings import Severity
from netcheck.report.rules import catalogue, page, pages
from netcheck.rules.base import Example, StaticRule, registry


class Documented(StaticRule):
    """A first line that says
    what it is.

    ## Why is this bad?
    Because.

    ## References
    - A paper.
    """

    code = "NC999"
    name = "documented"
    severity = Severity.WARNING
    BAD = (Example("a bad one.", "model = bad()\n"), Example("another", "x"))
    GOOD = (Example("a good one", "model = good()"),)


PAGE = """\
# documented (NC999)

Severity: at most warning.

A first line that says
what it is.

## Why is this bad?
Because.

## Example

A bad one:

```python
model = bad()
```

## Use instead

A good one:

```python
model = good()
```

## Flagged

- a bad one.
- another

## References
- A paper.
"""


def test_a_page() -> None:
    assert page(Documented()) == PAGE


def test_pages_follow_each_other() -> None:
    assert pages([Documented(), Documented()]) == PAGE + "\n" + PAGE


def test_the_catalogue_has_a_row_for_each_rule() -> None:
    table = catalogue((Documented(),)).splitlines()
    assert table[0].split() == ["code", "name", "severity", "summary"]
    assert table[2].split(maxsplit=3) == [
        "NC999",
        "documented",
        "warning",
        "A first line that says what it is.",
    ]
    for rule in registry():
        assert rule.code in catalogue(registry())
        assert page(rule).startswith(f"# {rule.name} ({rule.code})\n")


HEADINGS = {
    "What it does",
    "Why is this bad?",
    "When it is fine",
    "What to do",
    "What is not in the sum",
    "Evidence",
    "References",
}


def test_headings_stand_on_lines_of_their_own() -> None:
    for rule in registry():
        lines = rule.documentation.splitlines()
        assert {line[3:] for line in lines if line.startswith("## ")} <= HEADINGS, rule.code


def test_a_title_that_begins_with_a_name_of_code_keeps_it() -> None:
    class Named(Documented):
        BAD = (Example("nn.LSTM as PyTorch builds it", "model = nn.LSTM(4, 4)"),)

    assert "\nnn.LSTM as PyTorch builds it:\n" in page(Named())


def test_examples_bring_the_imports_that_they_use() -> None:
    class Importing(Documented):
        BAD = (Example("a net", "model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())"),)

    assert "```python\nfrom torch import nn\n\nmodel = nn.Sequential" in page(Importing())


@pytest.mark.parametrize("rule", [rule for rule in registry() if isinstance(rule, StaticRule)], ids=lambda rule: rule.code)
def test_what_a_page_shows_runs_as_it_stands(rule: StaticRule) -> None:
    for block in re.findall(r"```python\n(.*?)```", page(rule), re.DOTALL):
        names: dict[str, object] = {"__name__": "example"}
        exec(compile(block, rule.code, "exec"), names)
        assert "model" in names
