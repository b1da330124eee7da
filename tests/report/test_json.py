"""The report that a program reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

import netcheck
from netcheck.figures.cost import Cost, LayerCost, Memory
from netcheck.findings import Evidence, Finding, Layer, Location, Report, Severity, Summary
from netcheck.report.json import document, model_entry, plain, render


def report(**changes: Any) -> Report:
    finding = Finding(
        "NC501",
        "poor-init",
        Severity.ERROR,
        "message",
        "help",
        Evidence(float("-inf"), "decades", "text", float("nan")),
        modules=("layers.0",),
        locations=(Location("model.py", 3, 5),),
    )
    layer = Layer("layers.0", "nn.Linear", "linear", (2, 64), 4160, Location("model.py", 3))
    values: dict[str, Any] = {
        "model": "Net",
        "findings": [finding],
        "summary": Summary(4, 1, 4160, 1, 1, layers=(layer,)),
        "target": "model.py:Net",
        "graph": object(),
    }
    return Report(**{**values, **changes})


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def test_the_document_is_strict_json_in_ascii() -> None:
    text = render([report(model="日本 \ud800 \x1b")])
    assert text.isascii()
    parsed = json.loads(text, parse_constant=refuse)
    assert parsed["schema"] == 1
    assert parsed["netcheck"] == netcheck.__version__
    assert parsed["models"][0]["findings"][0]["evidence"] == {
        "value": "-Infinity",
        "unit": "decades",
        "text": "text",
        "limit": "NaN",
    }


def test_the_keys_are_the_documented_ones() -> None:
    from netcheck.report import json as module

    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*map(keys, value.values()))
        return set().union(*map(keys, value)) if isinstance(value, list) else set()

    documented = module.__doc__ or ""
    for key in keys(document([report()])):
        assert key in documented
    entry = model_entry(report())
    expected = [
        "model",
        "target",
        "ok",
        "headline",
        "well",
        "inputs",
        "wrapped",
        "seconds",
        "summary",
        "gradients",
        "network",
        "cost",
        "batches",
        "step",
        "findings",
        "suppressed",
        "known",
        "skipped",
        "unshown",
        "left_out",
        "construction",
        "unchecked",
    ]
    assert list(entry) == expected
    assert entry["findings"][0]["locations"][0] == {
        "file": "model.py",
        "line": 3,
        "column": 5,
        "end_line": None,
        "end_column": None,
        "function": "",
    }
    assert entry["summary"]["layers"][0]["shape"] == [2, 64]


def test_a_cost_comes_with_all_its_figures() -> None:
    from netcheck.report import json as module

    memory = {"sgd": Memory(10, 8, 8, 100, 0), "adam": Memory(10, 8, 16, 100, 8)}
    found = Cost(4, 100, 200, 10, 8, 64, memory, layers=(LayerCost("0", "nn.Linear", 100, 200, 10, 64),))
    entry = model_entry(report(known_cost=found))["cost"]
    assert (entry["flops"], entry["peak_bytes"], entry["largest_batch"]) == (300, 126, None)
    assert entry["memory"]["sgd"]["working"] == 100
    assert entry["layers"][0]["operation"] == "nn.Linear"
    for key in (*entry, *entry["memory"]["sgd"], *entry["layers"][0]):
        assert key in (module.__doc__ or "")


def test_a_target_that_could_not_be_checked_is_an_error() -> None:
    assert document([report()])["errors"] == []
    assert document([report(summary=None)])["errors"] == ["model.py:Net: message"]
    assert document([])["models"] == []


def test_report_to_dict_is_the_entry() -> None:
    assert report().to_dict() == model_entry(report())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Severity.ERROR, "error"),
        (float("inf"), "Infinity"),
        (1.5, 1.5),
        (True, True),
        ((1, {2}), [1, [2]]),
        ({1: None}, {"1": None}),
        (len, str(len)),
    ],
)
def test_plain(value: Any, expected: Any) -> None:
    assert plain(value) == expected
    assert type(plain(value)) is type(expected)


def test_scalars_of_other_libraries_become_numbers() -> None:
    torch = pytest.importorskip("torch")
    assert plain(torch.tensor(2.0)) == 2.0
    assert plain(torch.tensor(float("nan"))) == "NaN"
    assert plain(torch.float32) == "torch.float32"
    assert isinstance(plain(torch.zeros(2)), str)
