"""Every rule with a fix against its own BAD examples, those of its documentation and those of tests/rules: they become clean,
and nothing is left to write; or the reason why that has to be done by hand is the one named here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from netcheck.fix.editor import editors
from netcheck.rules import base
from netcheck.rules.base import Example, TrainingRule, registry
from tests.fix.mending import PRELUDE, Mender, findings, left, text_of
from tests.test_rules import examples

# What the source does not say, or would not be one edit: by rule, the title of an example and a part of the reason.
BY_HAND = {
    "NC107": {
        "softmax as the last layer": "no CrossEntropyLoss",
        "for each pixel, over the channels": "no CrossEntropyLoss",
        "one of several results": "no CrossEntropyLoss",
        "twice": "the finding stays",
    },
    "NC109": {
        "dim 0 of (samples, classes)": "NC107",
        "no dim, on three dimensions": "yours to say",
        "attention weights in a loop over heads": "yours to say",
        "attention of each sample with itself, normalized over the batch": "yours to say",
    },
    "NC201": {"a mask written out by hand, on a signal": "arithmetic of its own"},
    "NC202": {
        "a mask drawn in every mode": "`if self.training:`",
        "a mask that chooses between the signal and zeros": "`if self.training:`",
    },
    "NC302": {
        "instance normalization, with functions": "no line of the source was found",
        "a bias added by hand": "no line of the source was found",
    },
    "NC303": {"one written by hand": "no line of the source was found"},
    "NC403": {"a helper that scales its argument in place": "the finding stays"},
    "NC501": {"weights drawn far too large": "initializes its weights itself"},
    "NC502": {"a bare parameter, never initialized": "no line was found"},
    "NC505": {
        "without biases": "without biases",
        "a cell written out, its gates in one matrix": "no line was found",
        "a cell written out, a layer for each gate": "no line was found",
    },
    "NC901": {"built in forward": "in `__init__`", "built and registered by the first call (information)": "in `__init__`"},
    "NC906": {
        "a dict of parameters, in an object that is no module": "`self.values`",
        "computed from a parameter once, in the constructor": "in forward",
    },
    "NC908": {"a GRU with batch_first whose last step is taken from dimension 0": "yours to say"},
}
CASES = [
    pytest.param(rule, example, id=f"{rule.code}-{example.title}")
    for rule in registry()
    if rule.fixable is not None and not rule.fixable.structural
    for flagged, example in examples(rule)
    if flagged
]


def test_rules_and_editors_name_each_other() -> None:
    assert {rule.code for rule in registry() if rule.fixable is not None} == set(editors())


def test_what_is_done_by_hand_is_an_example() -> None:
    known = {(case.values[0].code, case.values[1].title) for case in CASES}  # type: ignore[attr-defined, union-attr]
    assert {(code, title) for code, titles in BY_HAND.items() for title in titles} <= known


@pytest.mark.parametrize(("rule", "example"), CASES)
def test_a_bad_example_becomes_clean(rule: base.Rule, example: Example, tmp_path: Path, mender: Mender) -> None:
    file = tmp_path / "example.py"
    file.write_text(PRELUDE + example.source)
    symbols = () if isinstance(rule, TrainingRule) else ("model",)
    options = {"inputs": tuple(example.inputs.split()), "devices": example.devices, "batch_size": example.batch_size}
    offer = mender.offer(file, *symbols, **options)
    found = findings(offer, rule.code)
    assert found
    reason = BY_HAND.get(rule.code, {}).get(example.title)
    if reason is not None:
        assert any(reason in one.by_hand for one in found), [one.by_hand for one in found]
        return
    assert all(one.fix is not None for one in found), [one.by_hand for one in found]
    assert not left(offer, rule.code)
    file.write_bytes(text_of(offer, file).encode())
    again = mender.offer(file, *symbols, **options)
    assert not again.texts, text_of(again, file)
