"""What nests deeper than Python's stack, or holds one thing in very many places, costs no more than its size."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Callable
from functools import reduce
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import netcheck
from netcheck.load.examples import in_words
from netcheck.trace import structure
from netcheck.trace.calls import brief

PAIRS: dict[str, Callable[[Any], Any]] = {
    "tuples": lambda value: (value, value),
    "lists": lambda value: [value, value],
    "dicts": lambda value: {"left": value, "right": value},
    "ordered": lambda value: OrderedDict(left=value, right=value),
}
SINGLES: dict[str, Callable[[Any], Any]] = {
    "tuples": lambda value: (value,),
    "lists": lambda value: [value],
    "dicts": lambda value: {"inner": value},
}


def nested(value: Any, times: int, wrap: Callable[[Any], Any]) -> Any:
    return reduce(lambda inner, _: wrap(inner), range(times), value)


def innermost(value: Any) -> torch.Tensor:
    while not isinstance(value, torch.Tensor):
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    return value


class Wraps(nn.Module):
    def __init__(self, times: int, wrap: Callable[[Any], Any]) -> None:
        super().__init__()
        self.layer, self.times, self.wrap = nn.Linear(4, 4), times, wrap

    def forward(self, x: torch.Tensor) -> Any:
        return nested(self.layer(x), self.times, self.wrap)


class Unwraps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, value: Any) -> torch.Tensor:
        return self.layer(innermost(value))


class Repeats(nn.Module):
    def __init__(self, times: int, step: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.layer, self.norm, self.times, self.step = nn.Linear(4, 4), nn.BatchNorm1d(4), times, step

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(nested(self.layer(x), self.times, self.step))


class Level(nn.Module):
    def __init__(self, inner: nn.Module | None) -> None:
        super().__init__()
        self.layer, self.inner = nn.Linear(4, 4), inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.layer(x))
        return x if self.inner is None else self.inner(x)


def faults(report: netcheck.Report) -> list[str]:
    return [str(found.evidence) for found in report if found.code in ("NC003", "NC006", "NC008")]


@pytest.mark.parametrize("wrap", PAIRS.values(), ids=PAIRS.keys())
def test_a_result_that_shares_its_parts(wrap: Callable[[Any], Any]) -> None:
    model, x = Wraps(40, wrap).eval(), torch.randn(3, 4)
    graph = netcheck.trace(model, x)
    assert len(graph) < 200
    assert torch.equal(innermost(graph.module(x)), model.layer(x))
    assert graph.outputs == [node for node in graph if node.kind == "linear"]
    assert not faults(netcheck.check(model, x, remedies=False))


@pytest.mark.parametrize("wrap", SINGLES.values(), ids=SINGLES.keys())
def test_a_result_deep_inside(wrap: Callable[[Any], Any]) -> None:
    model, x = Wraps(900, wrap), torch.randn(3, 4)
    graph = netcheck.trace(model, x)
    assert torch.equal(innermost(graph.module(x)), model.layer(x))


@pytest.mark.parametrize(
    "value",
    [nested(torch.randn(3, 4), 40, PAIRS["tuples"]), nested(torch.randn(3, 4), 900, SINGLES["dicts"])],
    ids=["shared", "deep"],
)
def test_an_input_deep_inside(value: Any) -> None:
    graph = netcheck.trace(Unwraps(), (value,))
    assert not graph.lost
    assert torch.equal(graph.module(value), graph.model(value))
    assert not faults(netcheck.check(graph.model, (value,), remedies=False))


@pytest.mark.parametrize(
    ("times", "step"),
    [
        (60, lambda x: x + x),
        (60, lambda x: x * 0.5 + x * 0.5),
        (60, lambda x: x * torch.sigmoid(x)),
        (60, lambda x: torch.stack([x, x]).mean(0)),
        (60, lambda x: torch.relu(x) - torch.relu(-x)),
        (60, lambda x: torch.cat([torch.relu(x), torch.relu(-x)], 1)[:, :4]),
        (1400, lambda x: x + 1),
        (1400, lambda x: x * 1.001),
        (1400, lambda x: x.view(-1, 4)),
        (1400, lambda x: x[:, :]),
        (700, lambda x: (x + x) / 2),
        (700, lambda x: torch.maximum(x, -x)),
    ],
)
def test_one_step_again_and_again(times: int, step: Callable[[torch.Tensor], torch.Tensor]) -> None:
    report = netcheck.check(Repeats(times, step), torch.randn(8, 4), probe=False)
    assert not faults(report)
    assert str(report)


def test_a_sum_of_very_many_terms() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.layer(x)
            return reduce(operator.add, (torch.relu(x * (i + 1)) for i in range(1400)), x)

    assert not faults(netcheck.check(Sum(), torch.randn(2, 4), probe=False))


def test_a_skip_that_is_doubled_beyond_what_a_float_holds() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return reduce(lambda total, _: total + total, range(300), x + x + self.layer(x))

    model = nn.Sequential(nn.Linear(4, 4), *(Block() for _ in range(4)))
    (found,) = netcheck.check(model, torch.randn(2, 4), probe=False, select="NC405").findings
    assert str(found.evidence).endswith("the identity grows 10^362-fold")


def test_as_many_levels_of_modules_as_python_runs() -> None:
    levels = next(number for number in (240, 220, 200, 180) if runs(inside_each_other(number)))  # 3.12 runs fewer than 3.11
    report = netcheck.check(inside_each_other(levels), torch.randn(2, 4), remedies=False)
    assert not faults(report)
    assert report.summary is not None
    assert report.summary.depth == levels + 1


def inside_each_other(levels: int) -> nn.Module:
    return reduce(lambda inner, _: Level(inner), range(levels), Level(None))


def runs(model: nn.Module) -> bool:
    try:
        model(torch.randn(2, 4))
    except RecursionError:
        return False
    return True


def test_paths_and_order_of_nested_values() -> None:
    a, b, c = torch.zeros(1), torch.ones(1), torch.ones(2)
    value = [[a, {"x": b}], c, SimpleNamespace(y=(a,))]
    found = list(structure.tensors(value))
    assert [path for path, _ in found] == [
        (("item", 0), ("item", 0)),
        (("item", 0), ("item", 1), ("item", "x")),
        (("item", 1),),
        (("item", 2), ("attr", "y"), ("item", 0)),
    ]
    assert [id(tensor) for _, tensor in found] == [id(a), id(b), id(c), id(a)]
    changed: list[torch.Tensor] = []
    twin = structure.rebuild(value, lambda tensor: changed.append(tensor) or tensor + 1)
    assert [id(tensor) for tensor in changed] == [id(a), id(b), id(c), id(a)]
    assert (float(twin[0][0]), float(twin[0][1]["x"]), float(twin[2].y[0])) == (1.0, 2.0, 1.0)
    assert value[0][0] is a


def test_what_is_held_twice_is_held_twice_by_a_copy() -> None:
    inner = [torch.zeros(1)]
    ring: list[Any] = [inner, (inner,)]
    ring.append(ring)
    twin = structure.rebuild(ring, lambda tensor: tensor + 1)
    assert twin[0] is twin[1][0]
    assert twin[0] is not inner
    assert twin[2] is twin
    assert structure.rebuild([1, [2]], torch.clone) == [1, [2]]


def test_a_few_words_about_endless_values() -> None:
    pairs = nested(torch.zeros(2), 40, PAIRS["tuples"])
    assert in_words((torch.zeros(2), [3])) == "(float32 (2,), [3])"
    assert len(in_words(pairs)) < 300
    assert brief(pairs) == "tuple"
    assert brief((1, 2)) == "(1, 2)"
