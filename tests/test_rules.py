"""Every rule against its examples, those that its documentation shows and those in the file of its name under tests/rules: it
flags each of BAD and none of GOOD.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netcheck import engine
from netcheck.errors import UsageError
from netcheck.findings import Report, Severity
from netcheck.rules import base
from netcheck.rules.base import (
    BatchRule,
    CallRule,
    Example,
    MeasuredRule,
    Notice,
    Rule,
    StaticRule,
    StepRule,
    TrainingRule,
    registry,
)
from netcheck.source.training.reading import read

HEADINGS = {f"## {each}" for each in ("What it does", "Why is this bad?", "When it is fine", "Evidence", "References",
                                      "What to do", "What is not in the sum")}  # fmt: skip
PRELUDE = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n"


def examples(rule: Rule) -> Iterator[tuple[bool, Example]]:
    """Each example of a rule, after whether it must be flagged."""
    further: Any = None
    name = type(rule).__module__.replace("netcheck.", "tests.", 1)
    if importlib.util.find_spec(name) is not None:
        further = importlib.import_module(name)
    for flagged, side in ((True, "BAD"), (False, "GOOD")):
        for source in filter(None, (rule, further)):
            yield from ((flagged, example) for example in getattr(source, side, ()))


EXAMPLES = [
    pytest.param(rule, example, flagged, id=f"{rule.code}-{'bad' if flagged else 'good'}-{example.title}")
    for rule in registry()
    if not isinstance(rule, Notice | TrainingRule)
    for flagged, example in examples(rule)
]


def model_of(example: Example, folder: Path) -> Any:
    """What the example's source defines as `model`, imported from a file so that its lines can be found."""
    import torch

    file = folder / "example.py"
    file.write_text(PRELUDE + example.source)
    spec = importlib.util.spec_from_file_location("example", file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["example"] = importlib.util.module_from_spec(spec)
    torch.manual_seed(0)
    spec.loader.exec_module(module)
    return module.model


def report_on(example: Example, rule: Rule, folder: Path) -> Report:
    """What netcheck says of an example when it runs one rule alone; only measured ones need to measure."""
    return check_example(example, folder, select=[rule.code], probe=isinstance(rule, MeasuredRule | BatchRule | CallRule))


def check_example(example: Example, folder: Path, **options: Any) -> Report:
    """What netcheck says of an example as it stands: with the inputs and the devices that it names."""
    model = model_of(example, folder)
    beside = vars(sys.modules["example"])
    options |= {name: beside[name] for name in ("targets", "loss", "optimizer") if name in beside}
    options |= {name: getattr(example, name) for name in ("device_memory", "devices", "batch_size", "strategy")} | {
        "device": "cpu"
    }
    if not example.inputs:
        return engine.check(model, **options)
    from netcheck.load.inputs import parse_specs

    given = parse_specs(example.inputs.split())
    return engine.check(model, given.kwargs or tuple(given.args), **options)


@pytest.fixture(autouse=True)
def forget_the_example() -> Iterator[None]:
    yield
    sys.modules.pop("example", None)


@pytest.mark.parametrize(("rule", "example", "flagged"), EXAMPLES)
def test_an_example_is_flagged_if_it_is_bad(rule: Rule, example: Example, flagged: bool, tmp_path: Path) -> None:
    report = report_on(example, rule, tmp_path)
    assert report.summary is not None, f"the example does not run:\n{report}"
    found = [finding for finding in report if finding.code == rule.code]
    assert bool(found) == flagged, str(report)
    for finding in found:
        assert finding.name == rule.name
        assert finding.severity <= rule.severity
        assert finding.message
        assert finding.help
        assert finding.evidence.text


FILES = [
    pytest.param(rule, example, flagged, id=f"{rule.code}-{'bad' if flagged else 'good'}-{example.title}")
    for rule in registry()
    if isinstance(rule, TrainingRule)
    for flagged, example in examples(rule)
]


@pytest.mark.parametrize(("rule", "example", "flagged"), FILES)
def test_a_training_file_is_flagged_if_it_is_bad(rule: TrainingRule, example: Example, flagged: bool, tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(PRELUDE + example.source)
    found = list(rule.check(read(str(file))))
    assert bool(found) == flagged, found
    for finding in found:
        assert finding.code == rule.code
        assert finding.severity <= rule.severity
        assert finding.message
        assert finding.help
        assert finding.evidence.text
        assert finding.location is not None


@pytest.mark.parametrize("rule", registry(), ids=lambda rule: rule.code)
def test_a_rule_says_what_a_rule_must_say(rule: Rule) -> None:
    assert re.fullmatch(r"TS\d{3}" if isinstance(rule, TrainingRule | StepRule) else r"NC\d{3}", rule.code)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    assert isinstance(rule.severity, Severity)
    assert rule.summary.endswith(".")
    assert "## Why is this bad?" in rule.documentation
    assert {line for line in rule.documentation.splitlines() if line.startswith("## ")} <= HEADINGS
    if isinstance(rule, Notice):
        assert "## What to do" in rule.documentation
    else:
        assert "## References" in rule.documentation
        titles = [example.title for _, example in examples(rule)]
        assert len(set(titles)) == len(titles)


def test_further_examples_belong_to_rules() -> None:
    files = Path(__file__).parent.glob("rules/*/[!_]*.py")
    homes = {f"{file.parent.name}.{file.stem}" for file in files if not file.stem.startswith("test_")}
    assert homes <= {type(rule).__module__.removeprefix("netcheck.rules.") for rule in registry()}


def test_codes_and_names_are_unique() -> None:
    rules = registry()
    assert len({rule.code for rule in rules}) == len({rule.name for rule in rules}) == len(rules)
    assert [rule.code for rule in rules] == sorted(rule.code for rule in rules)


class Complete(StaticRule):
    """A rule."""

    code = "NC999"
    name = "complete"
    severity = Severity.ERROR
    BAD = GOOD = (Example("a title", "model = 1"),)


class Lacking(StaticRule):
    """A rule."""

    code = "NC998"
    severity = Severity.ERROR
    BAD = Complete.BAD


def test_a_rule_that_lacks_a_part_is_refused_with_its_place() -> None:
    base.require_complete(Complete, known={})
    with pytest.raises(TypeError, match="reuses code NC999 of Complete"):
        base.require_complete(Complete, known={"NC999": Complete()})
    with pytest.raises(TypeError, match=r"test_rules\.py:\d+: rule Lacking lacks name, GOOD$"):
        base.require_complete(Lacking, known={})


def test_a_selector_names_a_rule_by_code_beginning_or_name() -> None:
    rule = Complete()
    lengths = {
        "ALL": 0,
        "all": 0,
        "NC": 2,
        "nc9": 3,
        "NC999": 5,
        "complete": 5,
        "NC8": -1,
        "comp": -1,
        "": -1,
    }
    for selector, length in lengths.items():
        assert base.match_length(rule, selector) == length


def test_of_two_selectors_the_longer_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "registry", lambda: (Complete(),))
    table = [
        ((), (), True),
        (("NC1",), (), False),
        (("ALL",), ("NC9",), False),
        (("NC999",), ("NC9",), True),
        (("NC9",), ("NC999",), False),
        (("NC9",), ("NC9",), False),
        ((), ("ALL",), False),
    ]
    for chosen, ignored, selected in table:
        assert bool(list(base.select(chosen, ignored))) == selected


def test_a_rule_is_found_by_code_or_name() -> None:
    assert base.find("nc001") is base.find("cannot-load") is registry()[0]
    with pytest.raises(UsageError, match=r"unknown rule 'canot-load': did you mean cannot-load\?"):
        base.find("canot-load")
    with pytest.raises(UsageError, match="`netcheck rules` lists all"):
        base.find("zzzzzz")
