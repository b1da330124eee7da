"""Whatever the code of a model can reach beside the model is afterwards as before: caches above all."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

import netcheck
from netcheck.load.surroundings import Surroundings

TABLES: dict[int, torch.Tensor] = {}
OUTPUTS: list[torch.Tensor] = []
RECENT: deque[torch.Tensor] = deque(maxlen=2)
NESTED: dict[str, Any] = {"deep": [{}]}
SCALE = torch.ones(4)
SETTINGS = SimpleNamespace(last=None)
MASK: torch.Tensor | None = None
TEACHER = nn.BatchNorm1d(4)


@functools.lru_cache
def positions(length: int) -> torch.Tensor:
    return torch.arange(length).float()


@functools.cache
def table_of(length: int) -> torch.Tensor:
    return positions(length) + 1


def stored(length: int) -> torch.Tensor:
    if length not in TABLES:
        TABLES[length] = torch.ones(length)
    return TABLES[length]


class Registry:
    kept: ClassVar[list[torch.Tensor]] = []
    newest: torch.Tensor | None = None

    @classmethod
    def keep(cls, x: torch.Tensor) -> torch.Tensor:
        cls.kept.append(x)
        cls.newest = x
        return x


class Context:
    def __init__(self) -> None:
        self.hidden: torch.Tensor | None = None


CONTEXT = Context()


class Net(nn.Module):
    """One linear layer; what its forward does besides is given."""

    shared: ClassVar[dict[str, torch.Tensor]] = {}
    calls = 0

    def __init__(self, reach: Callable[[Net, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.fc, self.name = nn.Linear(4, 4), reach.__name__

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return REACHES[self.name](self, self.fc(x))

    def helper(self, x: torch.Tensor) -> torch.Tensor:
        type(self).calls += 1
        return stored(x.shape[-1]) * x


def into_a_dict(net: Net, x: torch.Tensor) -> torch.Tensor:
    return x + stored(4)


def into_a_dict_by_a_method(net: Net, x: torch.Tensor) -> torch.Tensor:
    return Net.helper(net, x)


def into_a_list(net: Net, x: torch.Tensor) -> torch.Tensor:
    OUTPUTS.append(x)
    RECENT.append(x)
    return x


def into_a_nested_dict(net: Net, x: torch.Tensor) -> torch.Tensor:
    NESTED["deep"][0]["x"] = x
    return x


def into_functools_caches(net: Net, x: torch.Tensor) -> torch.Tensor:
    return x * table_of(4)


def into_a_class(net: Net, x: torch.Tensor) -> torch.Tensor:
    Net.shared["x"] = x
    return Registry.keep(x)


def into_an_object(net: Net, x: torch.Tensor) -> torch.Tensor:
    CONTEXT.hidden = x
    return x


def into_a_namespace(net: Net, x: torch.Tensor) -> torch.Tensor:
    SETTINGS.last = x
    return x


def into_a_global(net: Net, x: torch.Tensor) -> torch.Tensor:
    global MASK
    MASK = x > 0
    return x * MASK


def into_a_tensor(net: Net, x: torch.Tensor) -> torch.Tensor:
    SCALE.mul_(2)
    return x * SCALE


def into_another_model(net: Net, x: torch.Tensor) -> torch.Tensor:
    return TEACHER(x)


def counter() -> Callable[[Net, torch.Tensor], torch.Tensor]:
    last: torch.Tensor | None = None

    def into_a_closure(net: Net, x: torch.Tensor) -> torch.Tensor:
        nonlocal last
        before, last = last, x
        return x if before is None else x + before

    return into_a_closure


CLOSED = counter()

ALL = (
    into_a_dict, into_a_dict_by_a_method, into_a_list, into_a_nested_dict, into_functools_caches, into_a_class,
    into_an_object, into_a_namespace, into_a_global, into_a_tensor, into_another_model, CLOSED,
)  # fmt: skip
REACHES = {reach.__name__: reach for reach in ALL}


def world() -> list[Any]:
    """All that the functions above could have changed, as a person would look at it."""
    cell = (CLOSED.__closure__ or ())[0].cell_contents
    return [
        dict(TABLES), list(OUTPUTS), list(RECENT), dict(NESTED["deep"][0]), positions.cache_info().currsize,
        table_of.cache_info().currsize, dict(Net.shared), Net.calls, list(Registry.kept), Registry.newest,
        vars(CONTEXT).copy(), vars(SETTINGS).copy(), MASK, SCALE.tolist(), TEACHER.running_mean.tolist(),
        int(TEACHER.num_batches_tracked), cell,
    ]  # fmt: skip


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    before = Surroundings([Net(reach) for reach in ALL])
    yield
    before.restore()


@pytest.mark.parametrize("probe", [False, True], ids=["traced", "probed"])
@pytest.mark.parametrize("reach", ALL, ids=lambda reach: reach.__name__)
def test_what_forward_reaches_is_put_back(reach: Callable[..., Any], probe: bool) -> None:
    before = world()
    model, x = Net(reach), torch.randn(8, 4)
    report = netcheck.check(model, inputs=x, probe=probe)
    assert world() == before
    assert report.graph is not None
    assert type(model(x)) is torch.Tensor  # its own next run computes with real tensors
    assert world() != before, "the test reaches nothing"


def test_what_was_there_stays() -> None:
    TABLES[4] = torch.full((4,), 3.0)
    known = TABLES[4]
    netcheck.check(Net(into_a_dict), inputs=torch.randn(8, 4))
    assert list(TABLES) == [4]
    assert TABLES[4] is known
    assert known.tolist() == [3.0] * 4


def test_inference_of_inputs_leaves_nothing() -> None:
    before = world()
    for reach in ALL:
        netcheck.check(Net(reach), probe=False)
    assert world() == before


def test_what_a_hook_reaches_is_put_back() -> None:
    model, seen = Net(into_a_dict), []
    model.fc.register_forward_hook(lambda module, args, output: seen.append(output))
    netcheck.check(model, inputs=torch.randn(8, 4))
    assert seen == []


def test_what_a_hook_on_all_modules_reaches_is_put_back() -> None:
    seen: list[Any] = []
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, output: seen.append(output))
    try:
        netcheck.check(nn.Linear(4, 4), inputs=torch.randn(8, 4))
    finally:
        handle.remove()
    assert seen == []


def test_a_global_that_forward_makes_is_gone() -> None:
    space: dict[str, Any] = {"nn": nn, "__name__": "made_here"}
    source = """
class Made(nn.Module):
    def forward(self, x):
        global made
        made = x * 2
        return made
"""
    exec(source, space)
    netcheck.check(space["Made"](), inputs=torch.randn(2, 4), probe=False)
    assert "made" not in space


class Proxy:
    """What stands for an object that is not there yet, as web frameworks have them."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("working outside of a request")

    @property
    def __dict__(self) -> Any:
        raise RuntimeError("working outside of a request")


CURRENT = Proxy()


def past_a_proxy(net: Net, x: torch.Tensor) -> torch.Tensor:
    if net.training is None:
        return CURRENT.value
    return x * stored(4)


def test_an_object_that_raises_when_it_is_looked_at_is_passed_over() -> None:
    surroundings = Surroundings([SimpleNamespace(forward=past_a_proxy, _forward_hooks={}, _forward_pre_hooks={})])  # type: ignore[list-item]
    TABLES[4] = torch.ones(4)
    surroundings.restore()
    assert TABLES == {}


def test_an_object_that_holds_much_is_not_walked_through() -> None:
    NESTED["data"] = [torch.ones(1) for _ in range(100_000)]
    surroundings = Surroundings([Net(into_a_nested_dict)])
    assert len(surroundings.seen) < 10_000


KEPT: dict[str, Any] = {"before": [torch.zeros(1)]}


class Keeps(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        KEPT["now"] = x
        return x


def test_only_what_is_new_around_a_model_is_an_addition() -> None:
    surroundings = Surroundings([Keeps()])
    assert not list(surroundings.additions())
    given = torch.ones(2)
    Keeps()(given)
    assert [value is given for value in surroundings.additions()] == [True]
    surroundings.restore()
    assert list(KEPT) == ["before"]
