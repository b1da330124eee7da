"""The answer of a search: live tensors and how they were found, or an error that says what was tried."""

from __future__ import annotations

import torch
from torch import nn

from netcheck.errors import InputError
from netcheck.load.examples import ExampleInputs
from netcheck.load.inference.probe import Outcome
from netcheck.load.inference.proposals import LENGTH, SAMPLES, Proposal
from netcheck.load.inference.recorder import Consumer
from netcheck.load.inference.search import Search
from netcheck.load.inference.values import fill
from netcheck.load.raised import user_line

WAYS_OUT = (
    "give inputs: --input 2x3x224x224 on the command line, or a function netcheck_inputs() beside the model that returns them"
)
NOUNS = {"embedding": "entries", "embedding_bag": "entries", "linear": "input features"}


def inferred(model: nn.Module, *, seconds: float, first: Proposal | None = None, how: str = "") -> ExampleInputs:
    """Inputs with which forward runs.

    Raises:
        InputError: none were found.
    """
    if type(model).forward is nn.Module.forward:
        raise InputError(
            f"{type(model).__name__} has no forward, so there is nothing to give inputs to",
            help="check the model that contains it",
        )
    search = Search(model, seconds=seconds)
    outcome = search.search(first)
    if outcome is None:
        raise not_found(search)
    return example(outcome, how)


def example(outcome: Outcome, how: str = "") -> ExampleInputs:
    """Live tensors for a proposal that ran."""
    proposal, bounds = outcome.proposal, outcome.recorder.bounds
    generator = torch.Generator().manual_seed(0)

    def make(slot, shape):  # type: ignore[no-untyped-def]
        if slot.dims is None:
            return slot.value
        high = bounds.get(slot.name, 2)
        if slot.fill == "length":
            high = proposal.size(LENGTH if any(LENGTH in (other.dims or ()) for other in proposal.slots().values()) else SAMPLES)
        return fill(slot, shape, high=high, generator=generator)

    args, kwargs = proposal.build(make)
    return ExampleInputs(args, kwargs, f"inputs: {proposal}, {how or reasons(outcome)}")


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
    if best.consumers and not best.needs_values:
        error.best = example(best)
    return error
