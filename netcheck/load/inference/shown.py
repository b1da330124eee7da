"""What the source shows of forward's arguments, as proposals: calls of the model, docstrings and comments, the project's images.

model(torch.randn(1, 3, 64, 64))       x  (batch, 3, 64, 64)
# src: [src len, batch size]           src  (length, batch)
datasets.CIFAR10(...)                  images of 3 channels are 32 wide
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from netcheck.load.inference.proposals import BATCH, HEIGHT, LENGTH, WIDTH, Argument, Proposal, Slot, side_symbol
from netcheck.load.inference.signature import parameters_of
from netcheck.load.raised import is_installed
from netcheck.source.calling import Call, Shape, calls_shown
from netcheck.source.described import shapes_described
from netcheck.source.images import sides_shown
from netcheck.source.unbatched import unbatched_at
from netcheck.torch_versions import forward_of

BATCHES = re.compile(r"b|n|bs|bsz|nb|batch([ _-]?(size|sz|dim))?|batch[ _]?first|num[ _]samples|n[ _]samples|m|minibatch|mb")
LENGTHS = re.compile(r"t|l|s|seq|.*(len|length|time|steps?|frames|tokens)|seq(uence)?[ _]?\w*|time\w*|max_len")
HEIGHTS = re.compile(r"h|height|img_h|h_?in")
WIDTHS = re.compile(r"w|width|img_w|w_?in")
FURTHER = 12  # of a length beside another one


def source_of(model: nn.Module) -> tuple[str, str]:
    """The file of the user's that defines a model's class, and its name there; "" where there is none."""
    kind = type(model)
    try:
        file = inspect.getsourcefile(kind) or ""
    except (TypeError, OSError):
        return "", ""
    return (os.path.abspath(file), kind.__qualname__) if os.path.isfile(file) and not is_installed(file) else ("", "")


def with_project_sides(proposal: Proposal, model: nn.Module) -> Proposal:
    """With the size of the images that the project reads, where it is another than the usual one."""
    file, _ = source_of(model)
    sides = sides_shown(file) if file else {}
    return proposal.resized({side_symbol(channels): side for channels, side in sides.items()}, pin=False)


def calls(model: nn.Module, dtype: torch.dtype) -> Iterator[tuple[Proposal, str]]:
    """A proposal for each call of the model in its project, and the place: with two samples for one, then as it stands."""
    file, name = source_of(model)
    if not file or inspect.unwrap(forward_of(type(model))).__name__ != "forward":
        return
    names = [one.name for one in parameters_of(model) if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    for call in calls_shown(file, name):
        if len(call.args) <= max(1, len(names)):
            known = names or ["input"]
            for samples in (True, False):
                yield proposed(call, known, dtype, samples=samples), f"as {call.place} calls it"


def without_batch(proposal: Proposal, model: nn.Module) -> tuple[Proposal, str] | None:
    """A proposal of one sample, and the place, where that is all that the project gives; None where there is a batch."""
    file, name = source_of(model)
    slots = [slot for slot in proposal.slots().values() if slot.dims is not None]
    if (
        not file
        or inspect.unwrap(forward_of(type(model))).__name__ != "forward"
        or any((slot.dims or ())[:1] != (BATCH,) for slot in slots)
    ):
        return None
    place = unbatched_at(file, name)
    for slot in slots:
        proposal = proposal.replaced(slot.name, replace(slot, dims=(slot.dims or ())[1:]))
    return (proposal, f"as {place} calls it, without a batch") if place and slots else None


def proposed(call: Call, names: list[str], dtype: torch.dtype, *, samples: bool) -> Proposal:
    """The arguments of a call; with `samples`, the first axis of all tensors is the batch."""
    given = [(name, value, False) for name, value in zip(names, call.args, strict=False)]
    given += [(name, value, True) for name, value in call.kwargs.items()]
    arguments, sizes = [], {}
    firsts = {value.sizes[0] for _, value, _ in given if isinstance(value, Shape)}
    for name, value, keyword in given:
        if not isinstance(value, Shape):
            arguments.append(Argument(name, keyword, Slot(name, None, value=value, settled=True)))
            continue
        spatial = (HEIGHT, WIDTH) if len(value.sizes) == 4 and not value.whole and HEIGHT not in sizes else ()
        usual = [f"{name}.axis{axis}" for axis in range(len(value.sizes))]
        if len(value.sizes) == 4 and spatial:
            usual = [usual[0], f"{name}.features", *spatial]
        if len(firsts) == 1 and (samples or firsts != {1}):
            usual[0] = BATCH
        sizes.update({symbol: size for symbol, size in zip(usual, value.sizes, strict=True) if symbol != BATCH})
        arguments.append(Argument(name, keyword, Slot(name, tuple(usual), torch.int64 if value.whole else dtype, settled=True)))
    return Proposal(tuple(arguments), sizes, frozenset(sizes))


def as_described(proposal: Proposal, model: nn.Module) -> Proposal:
    """With the axes that docstrings and comments name; the same proposal where they name none."""
    file, name = source_of(model)
    said = shapes_described(file, name, inspect.unwrap(forward_of(type(model))).__name__) if file else {}
    arguments, sizes = [], {}
    lengths: list[str] = []
    for argument in proposal.arguments:
        slot, axes = argument.value, said.get(argument.name)
        if axes is None or not isinstance(slot, Slot) or slot.dims is None or slot.fill not in ("random", "length"):
            arguments.append(argument)
            continue
        dims = tuple(symbol_of(axis, number, axes, slot, lengths) for number, axis in enumerate(axes))
        if len(set(dims)) < len(dims) or BATCH not in dims:
            arguments.append(argument)
            continue
        sizes.update({dim: int(axis) for dim, axis in zip(dims, axes, strict=True) if axis.isdigit()})
        sizes.update({dim: FURTHER for dim in dims if dim.startswith("length ")})
        arguments.append(replace(argument, value=replace(slot, dims=dims, settled=True)))
    return replace(proposal, arguments=tuple(arguments)).resized(sizes, pin=False)


def symbol_of(axis: str, number: int, axes: tuple[str, ...], slot: Slot, lengths: list[str]) -> str:
    """The symbol for a word about one axis; `lengths` are the words for lengths so far."""
    if axis.isdigit():
        return f"{slot.name}.axis{number}"
    is_batch = BATCHES.fullmatch(axis) is not None and next(one for one in axes if BATCHES.fullmatch(one)) == axis
    if is_batch and (axis not in ("n", "m") or not any(one in ("b", "bs", "batch", "batch_size") for one in axes)):
        return BATCH
    if HEIGHTS.fullmatch(axis) or WIDTHS.fullmatch(axis):
        return HEIGHT if HEIGHTS.fullmatch(axis) else WIDTH
    if LENGTHS.fullmatch(axis):
        if axis not in lengths:
            lengths.append(axis)
        return LENGTH if lengths[0] == axis else f"length {axis}"
    told = (BATCHES, LENGTHS, HEIGHTS, WIDTHS)
    unknown = [one for one in axes if not one.isdigit() and not any(form.fullmatch(one) for form in told)]
    return slot.features if unknown[-1:] == [axis] and not slot.is_integer else f"{slot.name}.axis{number}"
