"""The state that a model makes for itself.

    def init_hidden(self, batch_size): ...      hidden: [(zeros(1, B, 30), zeros(1, B, 30)), ...]

The method is called with two batch sizes: the axes that differ are the batch.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from netcheck.load.inference.proposals import BATCH, Argument, Proposal, Slot
from netcheck.load.inference.signature import by_name
from netcheck.load.untouched import untouched

MAKERS = re.compile(
    r"_?(init|initial|begin|zero|empty|blank|reset|get|make|create|new|start)_?"
    r"((init|initial|zero|zeros|empty|start)_?)?"
    r"(hidden|states?|hx|carry|memory|mems?|cache|cell|context|rnn_state|lstm_state|h0|h)"
    r"(_?(states?|layer|zeros|vector|s))?"
)
TAKERS = re.compile(
    r"(.*_)?(hidden|states?|hx|hxs|carry|memory|mems?|h_?0|h_?c|hc|h|hs|hid)(_?(states?|\d|t|in|prev|init|last|tuple))?"
    r"|(prev|previous|last|initial|init)_\w+"
)
WORDS = {
    r"n|b|bs|bsz|bsize|batch|batches|.*batch_?(size|sz)?|n_?samples|num_(envs|samples)|size|length_batch": "batch",
    r".*device": "device",
    r".*dtype": "dtype",
    r"(use_)?(cuda|gpu)": "cuda",
}
PROBES = (3, 5)  # batch sizes that seldom are a width


def with_own_states(proposal: Proposal, model: nn.Module, dtype: torch.dtype) -> Proposal:
    """A proposal whose states are those that the model makes, where it makes some."""
    takers = [argument for argument in proposal.arguments if TAKERS.fullmatch(argument.name.lower())]
    if not takers and len(proposal.arguments) > 1 and by_name(proposal.arguments[-1].name, model, dtype, first=False) is None:
        takers = [proposal.arguments[-1]]
    for name, maker in makers(model) if takers else ():
        one, other = (made(maker, batch, model, dtype) for batch in PROBES)
        state = compared(one, other, takers[0].name)
        if state is None:
            continue
        several = type(state) in (tuple, list) and len(takers) > 1 and len(takers) == len(state)
        given = dict(zip((taker.name for taker in takers), state if several else [state] * len(takers), strict=True))
        arguments = tuple(
            replace(each, value=moved(given[each.name], each.name)) if each.name in given else each for each in proposal.arguments
        )
        found = sizes_of(one, takers, several)
        return replace(proposal, arguments=arguments, sizes={**proposal.sizes, **found}, why=f"with the state that {name} makes")
    return proposal


def makers(model: nn.Module) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The model's methods that make a state, in the order of their classes."""
    for kind in type(model).__mro__:
        if kind is nn.Module:
            return
        for name, value in vars(kind).items():
            if MAKERS.fullmatch(name.lower()) and inspect.isfunction(value):
                yield name, getattr(model, name)


def made(maker: Callable[..., Any], batch: int, model: nn.Module, dtype: torch.dtype) -> Any:
    """What a method returns for a batch size; None where it cannot be called so."""
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    known = {"batch": batch, "device": device, "dtype": dtype, "cuda": False}
    values: dict[str, Any] = {}
    for parameter in inspect.signature(maker).parameters.values():
        word = next((known[word] for pattern, word in WORDS.items() if re.fullmatch(pattern, parameter.name.lower())), None)
        if word is not None:
            values[parameter.name] = word
        elif parameter.default is parameter.empty and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            if values:
                return None
            values[parameter.name] = batch
    try:
        with untouched(), torch.no_grad():
            return maker(**values)
    except Exception:  # it wants something else
        return None


def compared(one: Any, other: Any, path: str) -> Any:
    """A tree of slots for two trees of tensors that differ in the batch; None where they are no such trees."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        pairs = list(zip(one.shape, other.shape, strict=False))
        if one.dim() != other.dim() or not one.dim() or any(a != b and (a, b) != PROBES for a, b in pairs):
            return None
        dims = tuple(BATCH if a != b else f"{path}.axis{axis}" for axis, (a, b) in enumerate(pairs))
        return Slot(path, dims, one.dtype, settled=True) if BATCH in dims else None
    if type(one) is type(other) and isinstance(one, (tuple, list)) and len(one) == len(other) and one:
        parts = [compared(a, b, f"{path}.{number}") for number, (a, b) in enumerate(zip(one, other, strict=True))]
        return None if None in parts else type(one)(parts) if type(one) in (tuple, list) else tuple(parts)
    return None


def moved(value: Any, name: str) -> Any:
    """A tree of slots under the name of another argument."""
    if isinstance(value, Slot):
        return renamed_below(value, name)
    return type(value)(moved(child, f"{name}.{number}") for number, child in enumerate(value))


def renamed_below(slot: Slot, name: str) -> Slot:
    """The same slot under another name; its sizes are named after it."""
    dims = tuple(dim if dim == BATCH else f"{name}.axis{axis}" for axis, dim in enumerate(slot.dims or ()))
    return replace(slot, name=name, dims=dims)


def sizes_of(state: Any, takers: list[Argument], several: bool) -> dict[str, int]:
    """The sizes of a state's axes by their symbols."""
    found: dict[str, int] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, Tensor):
            found.update({f"{path}.axis{axis}": int(size) for axis, size in enumerate(value.shape)})
        else:
            for number, child in enumerate(value):
                walk(child, f"{path}.{number}")

    for number, taker in enumerate(takers):
        walk(state[number] if several else state, taker.name)
    return found
