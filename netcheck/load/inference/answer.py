"""The answer of a search: live tensors and how they were found, or an error that says what was tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from netcheck.errors import InputError
from netcheck.load.examples import ExampleInputs
from netcheck.load.inference.faults import is_fault, is_of_the_model
from netcheck.load.inference.probe import Outcome
from netcheck.load.inference.proposals import SPATIAL, Proposal, Slot
from netcheck.load.inference.recorder import Consumer
from netcheck.load.inference.rooms import rooms
from netcheck.load.inference.search import Search
from netcheck.load.inference.values import fill, ids, plain_fill
from netcheck.load.raised import user_line
from netcheck.torch_versions import forward_of

Make = Callable[[Slot, tuple[int, ...]], Any]
WAYS_OUT = (
    "give inputs: --input 2x3x224x224 on the command line, or a function netcheck_inputs() beside the model that returns them"
)
NOUNS = {"embedding": "entries", "embedding_bag": "entries", "linear": "input features"}


def inferred(model: nn.Module, *, seconds: float, first: Proposal | None = None, how: str = "") -> ExampleInputs:
    """Inputs with which forward runs.

    Raises:
        InputError: none were found.
    """
    if forward_of(type(model)) is nn.Module.forward:
        raise InputError(
            f"{type(model).__name__} has no forward, so there is nothing to give inputs to",
            help="check the model that contains it",
        )
    search = Search(model, seconds=seconds)
    outcome = search.search(first)
    if outcome is None:
        raise not_found(search)
    make = maker(outcome, model)
    values = drawn(outcome, make)
    if search.probe.values_matter and not search.probe.runs_on(outcome.proposal, values):
        values = drawn(outcome, as_run(outcome.proposal.longest))
    return replace(example(outcome, how or search.shown_at, make, values), by_chance=search.probe.values_matter)


def example(outcome: Outcome, how: str, make: Make, values: dict[str, Any]) -> ExampleInputs:
    """Live tensors for a proposal that ran: these values of its slots; at other sizes, others that `make` makes."""
    proposal, said, guessed = outcome.proposal, how or reasons(outcome), guessed_sizes(outcome)
    args, kwargs = proposal.build(lambda slot, shape: values[slot.name])

    def resized(sizes: Mapping[str, int]) -> ExampleInputs:
        other = proposal.resized(sizes, pin=False)
        return ExampleInputs(*other.build(make), f"inputs: {other}, {said}", guessed={**guessed, **sizes})

    described = f"inputs: {proposal}, {said}"
    return ExampleInputs(args, kwargs, described, guessed=guessed, resized=resized if guessed else None)


def drawn(outcome: Outcome, make: Make) -> dict[str, Any]:
    """What `make` makes of each slot."""
    return {slot.name: make(slot, outcome.proposal.shape(slot)) for slot in outcome.proposal.slots().values()}


def as_run(length: int) -> Make:
    """What makes the values with which forward ran, where values decide whether it does."""
    return lambda slot, shape: slot.value if slot.dims is None else plain_fill(slot, shape, length)


def maker(outcome: Outcome, model: nn.Module | None = None) -> Make:
    """What makes a value for a slot; the model is asked, if it is given, how large ids may be that it shifts."""
    proposal, bounds = outcome.proposal, outcome.recorder.bounds
    generator = torch.Generator().manual_seed(0)
    known = {} if model is None or not outcome.recorder.shifted else rooms(model, plainly(proposal))

    def make(slot: Slot, shape: tuple[int, ...]) -> Any:
        if slot.dims is None:
            return slot.value
        if slot.name in known or (slot.name in bounds and slot.dtype.is_floating_point):
            return ids(shape, known.get(slot.name, bounds.get(slot.name, 2)), generator).to(slot.dtype)
        high = bounds.get(slot.name, 2)
        if slot.fill == "length":
            high = proposal.longest
        return fill(slot, shape, high=high, generator=generator)

    return make


def guessed_sizes(outcome: Outcome) -> dict[str, int]:
    """The sizes of images, signals and sequences that neither the model nor its file decides."""
    proposal = outcome.proposal
    used = {dim for slot in proposal.slots().values() for dim in slot.dims or ()}
    return {symbol: proposal.size(symbol) for symbol in SPATIAL if symbol in used - proposal.pinned - outcome.recorder.fixed}


def plainly(proposal: Proposal) -> list[tuple[str, bool, Any]]:
    """A proposal's arguments as plain values, to try them with other ids."""
    generator = torch.Generator().manual_seed(0)
    args, kwargs = proposal.build(lambda slot, shape: plain_value(slot, shape, generator))
    positional = [argument.name for argument in proposal.arguments if not argument.keyword]
    named = [(name, False, value) for name, value in zip(positional, args, strict=True)]
    return [*named, *((name, True, value) for name, value in kwargs.items())]


def plain_value(slot: Slot, shape: tuple[int, ...], generator: torch.Generator) -> Any:
    """What stands for a slot."""
    return slot.value if slot.dims is None else fill(slot, shape, high=2, generator=generator)


def reasons(outcome: Outcome) -> str:
    """What the inputs were inferred from: "inferred from conv1's 3 input channels"."""
    slots = outcome.proposal.slots()
    found = [reason(outcome.consumers[name]) for name in slots if name in outcome.consumers]
    return "inferred from " + (" and ".join(dict.fromkeys(found)) if found else "what forward accepts")


def reason(consumer: Consumer) -> str:
    """What one weight says about the input that it meets."""
    layer, _, _ = consumer.parameter.rpartition(".")
    axis = 0 if consumer.operation.startswith(("embedding", "conv_transpose")) or len(consumer.shape) == 1 else 1
    size = consumer.shape[axis] if consumer.shape else 1
    noun = NOUNS.get(consumer.operation) or ("input channels" if consumer.operation.startswith("conv") else "features")
    return f"{layer or consumer.parameter}'s {size} {noun}"


def not_found(search: Search) -> InputError:
    """What was tried, and where the best try ended."""
    best = search.furthest
    runs = f"{search.probe.runs} tries" if search.probe.runs != 1 else "one try"
    if best is None and search.probe.last is not None:
        return InputError(f"forward did not end on {search.probe.last} within the time allowed", help=WAYS_OUT)
    if best is None or best.error is None:
        return InputError(f"no inputs could be inferred within the time allowed ({runs})", help=WAYS_OUT)
    said = " ".join(str(best.error).split())[:200] or type(best.error).__name__
    where = f"{type(best.error).__name__}: {said}"
    tried = f"the best, {best.proposal or 'no arguments'}, ended in {where}"
    values = " (it needs values, and is too large or has none to compute with)" if best.needs_values else ""
    error = InputError(
        f"no inputs could be inferred in {runs}; {tried}{values}",
        help=WAYS_OUT + ("" if best.needs_values else "; or, if forward raises that on its own data too, correct it"),
        location=user_line(best.error),
    )
    error.is_fault = is_fault(best.error)
    if error.is_fault or (is_of_the_model(best) and not search.probe.values_matter):
        make = maker(best)
        error.best = example(best, "", make, drawn(best, make))
    return error
