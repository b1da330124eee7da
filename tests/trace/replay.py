"""What the tests of the tracer share: small models, and the oracle that a graph computes what its model does.

graph = traced(module(forward), x)    traced in eval mode; graph.module equals the model on new inputs
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from netcheck.trace import ModelGraph, Node, structure, trace


def module(forward: Callable[..., Any], **members: Any) -> nn.Module:
    """A module with this forward (its first parameter is the module) and these attributes."""
    built: nn.Module = type(forward.__name__, (nn.Module,), {"forward": forward})()
    for name, member in members.items():
        setattr(built, name, member)
    return built


def fresh(value: Any, seed: int = 1) -> Any:
    """Like `value`, with other numbers of the same shapes and dtypes (integers stay in their range)."""
    generator = torch.Generator().manual_seed(seed)

    def renew(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dtype == torch.bool or not tensor.numel():
            return tensor.clone()
        if not (tensor.is_floating_point() or tensor.is_complex()):
            low, high = int(tensor.min()), int(tensor.max()) + 1
            return torch.randint(low, high, tensor.shape, generator=generator, dtype=tensor.dtype)
        return torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)

    return structure.rebuild(value, renew)


def traced(model: nn.Module, *args: Any, training: bool = False, **kwargs: Any) -> ModelGraph:
    """The graph of `model`, held to compute what the model computes, on the given inputs and on new ones."""
    model.train(training)
    graph = trace(model, args, kwargs)
    assert not graph.lost, f"made by no recorded operation: {graph.lost}"
    require_replay(graph, model, args, kwargs)
    require_replay(graph, model, *fresh((args, kwargs)))
    return graph


def require_replay(graph: ModelGraph, model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """The graph's output, and what it leaves in its arguments and the state, are the model's bit for bit."""
    state = _state(model)
    expected = (*_run(model, args, kwargs), _state(model))
    _restore(model, state)
    actual = (*_run(graph.module, args, kwargs), _state(model))
    _restore(model, state)
    require_equal(actual, expected)


def _state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def _restore(model: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(state[name])


def _run(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    args, kwargs = structure.rebuild((args, dict(kwargs)), lambda tensor: tensor.detach().clone())
    torch.manual_seed(0)
    return model(*args, **kwargs), args, kwargs


def require_equal(actual: Any, expected: Any, where: str = "result") -> None:
    """The same types, and in them the same numbers, bit for bit."""
    assert type(actual) is type(expected) or isinstance(expected, nn.Parameter | torch.Size), where
    if isinstance(expected, torch.Tensor):
        assert actual.dtype == expected.dtype, where
        assert actual.shape == expected.shape, where
        assert torch.equal(actual.isnan(), expected.isnan()), where
        assert torch.equal(actual.nan_to_num(), expected.nan_to_num()), where
    elif dataclasses.is_dataclass(expected) or not isinstance(expected, Mapping | list | tuple):
        names = list(getattr(expected, "__dict__", ())) + list(getattr(expected, "__slots__", ()))
        if not names or callable(expected):
            assert actual == expected, where
        for name in names:
            require_equal(getattr(actual, name), getattr(expected, name), f"{where}.{name}")
    elif isinstance(expected, Mapping):
        assert list(actual) == list(expected), where
        for key in expected:
            require_equal(actual[key], expected[key], f"{where}[{key!r}]")
    else:
        assert len(actual) == len(expected), where
        for index, (one, other) in enumerate(zip(actual, expected, strict=True)):
            require_equal(one, other, f"{where}[{index}]")


def calls(graph: ModelGraph) -> list[str]:
    """What the graph calls, in order: "nn.Linear" for a module, the bare name for a function."""
    return [node.target if node.module is not None else node.function for node in graph if node.op.startswith("call")]


def call(graph: ModelGraph, name: str) -> Node:
    """The only call of this module class or function."""
    found = [n for n in graph if n.op.startswith("call") and name in (n.target, n.function)]
    assert len(found) == 1, f"{name}: {calls(graph)}"
    return found[0]


def feeds(source: Node, target: Node) -> bool:
    """Whether `target` is computed from `source`, by the graph's edges."""
    pending, seen = [target], set()
    while pending:
        node = pending.pop()
        if node is source:
            return True
        if node not in seen:
            seen.add(node)
            pending += node.inputs
    return False


def line(node: Node) -> str:
    """The text of the source that the node's place in forward spans (its first line)."""
    import linecache

    place = node.called_at
    assert place is not None
    text = linecache.getline(place.file, place.line)
    end = place.end_column - 1 if place.end_column and place.end_line == place.line else None
    return text[place.column - 1 : end].strip()
