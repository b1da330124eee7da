"""From what was asked to what is tried next.

    Demand("size", axis 1 of x, have 8, want 3, by conv1)   ->  x.features = 3
    Demand("size", a flat map, have 44944, want 400)      ->  height = width = 32, by `solve`

Each repair yields proposals, the likeliest first; the search goes on with those that get further.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from netcheck.load.inference import checks, containers
from netcheck.load.inference.demands import CONVOLUTION, JOINED, Demand
from netcheck.load.inference.joined import beside_others, joined_channels, one_of_several
from netcheck.load.inference.probe import Outcome, Tries
from netcheck.load.inference.proposals import BATCH, HEIGHT, LENGTH, SAMPLES, SPATIAL, WIDTH, Proposal, Slot
from netcheck.load.inference.signature import first_channels, needs, optional_argument, parameters_of
from netcheck.load.inference.sizes import solve, sources, with_usual_size

SIDES_UPWARDS = (2, 4, 8, 16, 28, 32, 48, 64, 96, 128, 160, 224, 256, 299, 384, 512, 1024)
LONGEST = 2**18  # samples: five seconds of music
MOST_STEPS = 2**12  # of a sequence that only has to be as long as something else is


def repairs(outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """What to try after a run that failed, or that left doubts."""
    if outcome.needs_values:
        yield from plain_values(outcome)
    yield from same_order(outcome)
    for demand in sorted(outcome.demands, key=lambda one: is_coincidence(one, outcome)):
        yield from (each for each in METHODS[demand.kind](demand, outcome, search) if not runs_away(demand, each))
    if outcome.error is not None:
        yield from containers.sequences(outcome)
        yield from plain_values(outcome)
        yield from missing_arguments(outcome, search.model, search.float_dtype)
        yield from handed_on(outcome, search)
        yield from other_forms(outcome, search.float_dtype)
        yield from other_sizes(outcome)


def is_coincidence(demand: Demand, outcome: Outcome) -> bool:
    """Whether an axis that is no batch should be as long as there are samples: what it met lacks that axis, more likely."""
    at = demand.origin.axis(demand.axis) if demand.kind == "size" and demand.origin is not None else None
    symbol = outcome.recorder.symbol(at)
    return not demand.weight and symbol == LENGTH and demand.want == outcome.proposal.size(BATCH)


def runs_away(demand: Demand, proposal: Proposal) -> bool:
    """Whether a sequence has grown too long only to fit another, which may grow with it."""
    steps = (size for symbol, size in proposal.sizes.items() if symbol == LENGTH or ".axis" in symbol)
    return demand.kind == "size" and not demand.weight and max(steps, default=0) > MOST_STEPS


def meet_size(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """One axis of an operand."""
    proposal = outcome.proposal
    at = demand.origin.axis(demand.axis) if demand.origin is not None else None
    slot = proposal.slots().get(at[0]) if at is not None else None
    if at is not None and slot is not None and slot.dims is not None and at[1] < len(slot.dims):
        yield from exact_size(demand, proposal, slot, at[1])
    elif demand.weight:
        yield from joined_channels(demand, proposal)
    elif demand.operation == JOINED:
        yield from beside_others(demand, proposal)
    yield from solve(demand, outcome, search)
    if at is None and demand.weight:
        yield from one_of_several(demand, proposal)
    if at is not None and slot is not None and slot.dims is not None and slot.dims[at[1]] == BATCH:
        yield from own_size(proposal, slot, at[1], demand.want)


def meet_longer(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """One axis at least so long: if a list of layers runs along it, as long as that list."""
    modules = search.model.modules()
    lists = (module for module in modules if isinstance(module, (nn.ModuleList, nn.ParameterList)))
    for length in sorted({len(layers) for layers in lists if len(layers) > demand.want}):
        yield from meet_size(replace(demand, want=length), outcome, search)
    yield from meet_size(demand, outcome, search)


def exact_size(demand: Demand, proposal: Proposal, slot: Slot, axis: int) -> Iterator[Proposal]:
    """One axis of a slot itself."""
    assert slot.dims is not None
    symbol, want = slot.dims[axis], demand.want
    if demand.weight:
        yield from channel_size(demand, proposal, slot, axis)
    if slot.dims == (BATCH,) and want == proposal.size(BATCH) * proposal.size(LENGTH):
        yield proposal.replaced(slot.name, replace(slot, dims=(BATCH, LENGTH)))
    if symbol == BATCH:
        if axis > 0 and want == proposal.size(LENGTH):
            yield from sequence_first(proposal)  # a state has its batch second, and so have the sequences beside it
        if want == proposal.size(LENGTH) and LENGTH not in slot.dims:
            dims = (*slot.dims[: axis + 1], LENGTH, *slot.dims[axis + 1 :])
            yield proposal.replaced(slot.name, replace(slot, dims=dims))
        return
    yield proposal.resized({symbol: want})
    yield from own_size(proposal, slot, axis, want)


def own_size(proposal: Proposal, slot: Slot, axis: int, want: int) -> Iterator[Proposal]:
    """Another size for this slot alone."""
    assert slot.dims is not None
    private = f"{slot.name}.axis{axis}"
    dims = tuple(private if other == axis else dim for other, dim in enumerate(slot.dims))
    if slot.dims[axis] != private:
        yield proposal.replaced(slot.name, replace(slot, dims=dims)).resized({private: want})


def channel_size(demand: Demand, proposal: Proposal, slot: Slot, axis: int) -> Iterator[Proposal]:
    """The axis that a weight sums over holds the channels; before a linear layer, most inputs are vectors."""
    assert slot.dims is not None
    symbol, sizes = slot.dims[axis], {slot.features: demand.want}
    if demand.operation == "linear" and not slot.settled and axis == len(slot.dims) - 1:
        vector, sequence = (BATCH, slot.features), (BATCH, LENGTH, slot.features)
        if slot.dims != vector:
            yield proposal.replaced(slot.name, replace(slot, dims=vector)).resized(sizes)
            yield proposal.replaced(slot.name, replace(slot, dims=sequence)).resized(sizes)
    if symbol == slot.features:
        yield with_usual_size(proposal.resized(sizes), slot)
    elif slot.features not in proposal.pinned:
        yield with_usual_size(proposal.replaced(slot.name, with_channels_at(slot, axis)).resized(sizes), slot)


def with_channels_at(slot: Slot, axis: int) -> Slot:
    """The slot with its channels on another axis: the other axes keep their order."""
    assert slot.dims is not None
    others = [dim for dim in slot.dims if dim != slot.features]
    if slot.features not in slot.dims:
        others = [dim for index, dim in enumerate(slot.dims) if index != axis]
    return replace(slot, dims=(*others[:axis], slot.features, *others[axis:]), settled=True)


def meet_rank(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """The number of axes: of all that were joined, if they have as many, or of one."""
    proposal = outcome.proposal
    joined = sources(demand, proposal)
    if demand.weight and len(joined) > 1 and len({slot.dims and len(slot.dims) for slot in joined}) == 1:
        together = proposal
        for slot in joined:
            dims = slot.usual_dims(len(slot.dims or ()) + demand.want - demand.have)
            together = together.replaced(slot.name, replace(slot, dims=dims, settled=True))
        yield together
    for slot in joined:
        assert slot.dims is not None
        rank = len(slot.dims) + demand.want - demand.have
        if 0 <= rank <= 6:
            for dims in forms(slot, rank, demand, proposal):
                changed = proposal.replaced(slot.name, replace(slot, dims=dims, settled=True))
                yield with_usual_channels(changed, slot, search.model) if slot.features in dims else changed


def with_usual_channels(proposal: Proposal, slot: Slot, model: nn.Module) -> Proposal:
    """The channels of the model's first convolution over so many axes, where nothing else has said how many there are."""
    rank = len(proposal.slots()[slot.name].dims or ())
    channels = first_channels(model, rank - 2)
    if not channels or slot.features in proposal.pinned or rank == len(slot.dims or ()):
        return proposal
    return with_usual_size(proposal.resized({slot.features: channels}, pin=False), slot)


def forms(slot: Slot, rank: int, demand: Demand, proposal: Proposal) -> Iterator[tuple[str, ...]]:
    """What a slot of that rank may look like."""
    assert slot.dims is not None
    features_first = (BATCH, slot.features, SAMPLES)
    if rank == 1 and demand.operation == "embedding_bag":
        yield (LENGTH,)
    if rank == len(slot.dims) - 1 and slot.features in slot.dims and proposal.size(slot.features) == 1:
        yield tuple(dim for dim in slot.dims if dim != slot.features)
    if rank == 3 and (SAMPLES in slot.dims or CONVOLUTION.fullmatch(demand.operation)) and slot.dtype.is_floating_point:
        yield features_first
    yield slot.usual_dims(rank)
    if rank == len(slot.dims) - 1:
        for dropped in range(len(slot.dims) - 1, 0, -1):
            yield tuple(dim for axis, dim in enumerate(slot.dims) if axis != dropped)
    if rank == len(slot.dims) + 1:
        yield (*slot.dims[:1], "one", *slot.dims[1:])
    if rank == 3:
        yield features_first


def meet_dtype(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """Floats, integers or booleans."""
    proposal = outcome.proposal
    want = search.float_dtype if demand.want == "float" else demand.want
    for slot in sources(demand, proposal):
        if slot.dtype == want or slot.dims is None:
            continue
        fill = "random" if slot.fill in ("random", "alternate") and want is not torch.bool else slot.fill
        changed = replace(slot, dtype=want, fill="alternate" if want is torch.bool and slot.fill == "random" else fill)
        if not slot.settled and demand.operation.startswith("embedding"):
            yield proposal.replaced(slot.name, replace(changed, dims=(BATCH, LENGTH)))
            yield proposal.replaced(slot.name, replace(changed, dims=(BATCH,)))
        yield proposal.replaced(slot.name, changed)


def meet_numel(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """The number of elements: an image of so many pixels, a vector, or sizes further up."""
    proposal = outcome.proposal
    slots = sources(demand, proposal)
    if demand.origin is not None and demand.origin.is_whole and demand.want % proposal.size(BATCH) == 0:
        per_sample = demand.want // proposal.size(BATCH)
        for slot in slots:
            for channels in (1, 3):
                side = math.isqrt(per_sample // channels)
                if channels * side * side == per_sample and side >= 8 and slot.features not in proposal.pinned:
                    image = replace(slot, dims=(BATCH, slot.features, HEIGHT, WIDTH), settled=True)
                    yield proposal.replaced(slot.name, image).resized({slot.features: channels, HEIGHT: side, WIDTH: side})
            if slot.features not in proposal.pinned:
                vector = proposal.replaced(slot.name, replace(slot, dims=(BATCH, slot.features)))
                told = per_sample != proposal.size(slot.features)  # else it was asked for what was guessed before
                yield vector.resized({slot.features: per_sample}, pin=told)
    yield from solve(demand, outcome, search)


def meet_value(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """An integer that the check computed from sizes."""
    proposal = outcome.proposal
    used = {dim for slot in proposal.slots().values() for dim in slot.dims or ()} - {BATCH, "one", "pair"}
    equal = {symbol for symbol in used if proposal.size(symbol) == demand.have}
    if equal and demand.want > 0:
        yield proposal.resized(dict.fromkeys(equal, demand.want))
        if len(equal) > 1:
            yield from (proposal.resized({symbol: demand.want}) for symbol in sorted(equal))
    yield from solve(demand, outcome, search)


def meet_larger(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """Room for a kernel: the axis that is too short grows if it is known, else every spatial size."""
    proposal = outcome.proposal
    if demand.origin is not None and demand.axis is not None:
        symbol = outcome.recorder.symbol(demand.origin.axes[demand.axis])
        if symbol in SPATIAL or symbol in proposal.pinned or symbol in (None, BATCH):
            return
        assert symbol is not None
        for bands in (128, 80, 64, 40, 256):
            if bands > proposal.size(symbol):
                yield proposal.resized({symbol: bands}, pin=False)
        return
    symbols = {dim for slot in sources(demand, proposal) for dim in slot.dims or () if dim in SPATIAL} - proposal.pinned
    if symbols == {HEIGHT, WIDTH}:
        larger = [side for side in SIDES_UPWARDS if side > proposal.size(HEIGHT)]
        yield from (proposal.resized({HEIGHT: side, WIDTH: side}, pin=False) for side in larger[:4])
        return
    for factor in (2, 4, 8, 32, 128):
        if symbols and max(map(proposal.size, symbols)) * factor <= LONGEST:
            yield proposal.resized({symbol: proposal.size(symbol) * factor for symbol in symbols}, pin=False)


def meet_shape(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """A whole shape, as a check wrote it down."""
    proposal = outcome.proposal
    if demand.origin is None or not all(isinstance(size, int) and size > 0 for size in demand.want):
        return
    for slot in sources(demand, proposal):
        if slot.dims is None or len(demand.have) != len(slot.dims):
            continue
        dims: list[str] = []
        sizes: dict[str, int] = {}
        for axis, size in enumerate(demand.want):
            same = axis < len(slot.dims) and proposal.size(slot.dims[axis]) == size
            is_batch = size == proposal.size(BATCH) and BATCH not in (*dims, *slot.dims[axis + 1 :])
            dims.append(slot.dims[axis] if same else BATCH if is_batch else f"{slot.name}.axis{axis}")
            if not same and not is_batch:
                sizes[dims[-1]] = int(size)
        if dims:
            yield proposal.replaced(slot.name, replace(slot, dims=tuple(dims), settled=True)).resized(sizes)


def meet_swap(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """Sequence first, batch second: for all slots that want it, then for this one."""
    asked = [other for other in outcome.demands if other.kind == "swap" and other.origin is not None]
    names = {name for other in asked for name in (other.origin.sources if other.origin else ())}
    for chosen in (names, demand.origin.sources if demand.origin else frozenset()):
        proposal = outcome.proposal
        for slot in outcome.proposal.slots().values():
            if slot.name in chosen and slot.dims is not None and slot.dims[0] == BATCH and len(slot.dims) > 1:
                dims = (slot.dims[1], BATCH, *slot.dims[2:])
                proposal = proposal.replaced(slot.name, replace(slot, dims=dims))
        yield proposal


def sequence_first(proposal: Proposal) -> Iterator[Proposal]:
    """All sequences with their batch second, if some have it first."""
    changed = proposal
    for slot in proposal.slots().values():
        if slot.dims is not None and slot.dims[:2] == (BATCH, LENGTH):
            changed = changed.replaced(slot.name, replace(slot, dims=(LENGTH, BATCH, *slot.dims[2:])))
    if changed is not proposal:
        yield changed


def same_order(outcome: Outcome) -> Iterator[Proposal]:
    """Where one input has its sequence first, the others may have too."""
    slots = [slot for slot in outcome.proposal.slots().values() if slot.dims is not None]
    if any(slot.dims[:2] == (LENGTH, BATCH) for slot in slots if slot.dims):
        for slot in slots:
            if slot.dims is not None and slot.dims[:2] == (BATCH, LENGTH):
                dims = (LENGTH, BATCH, *slot.dims[2:])
                yield outcome.proposal.replaced(slot.name, replace(slot, dims=dims))


def meet_lengths(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """How long each sample is, and no other numbers."""
    for slot in sources(demand, outcome.proposal):
        if demand.origin is not None and slot.fill != "length":
            counts = replace(slot, dims=(BATCH,), dtype=torch.int64, fill="length", settled=True)
            yield outcome.proposal.replaced(slot.name, counts)


def meet_range(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """Values between 0 and 1, as images have them."""
    for slot in sources(demand, outcome.proposal):
        if slot.fill == "random" and slot.dtype.is_floating_point:
            yield outcome.proposal.replaced(slot.name, replace(slot, fill="unit"))


def meet_provide(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """An optional argument that a check wants after all."""
    for name in needs(iter([demand.want]), outcome.proposal, search.model):
        argument = optional_argument(name, search.model, search.float_dtype)
        if argument is not None:
            yield outcome.proposal.added(argument)


def meet_batch(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """As many samples as forward has written down."""
    yield outcome.proposal.resized({BATCH: demand.want})


METHODS: dict[str, Any] = {
    "size": meet_size,
    "longer": meet_longer,
    "rank": meet_rank,
    "dtype": meet_dtype,
    "numel": meet_numel,
    "value": meet_value,
    "larger": meet_larger,
    "shape": meet_shape,
    "swap": meet_swap,
    "parts": containers.meet_parts,
    "key": containers.meet_key,
    "bundle": containers.meet_key,
    "entry": containers.meet_entry,
    "keyword": containers.meet_keyword,
    "provide": meet_provide,
    "lengths": meet_lengths,
    "state": containers.meet_state,
    "range": meet_range,
    "batch": meet_batch,
}


def plain_values(outcome: Outcome) -> Iterator[Proposal]:
    """Inputs that were used as numbers may be plain Python values."""
    for name, kind in outcome.recorder.scalars.items():
        slot = outcome.proposal.slots()[name]
        options: dict[str, tuple[object, ...]] = {"bool": (False, True, 1), "int": (1, 2), "float": (1.0,)}
        for value in options[kind]:
            yield outcome.proposal.replaced(name, replace(slot, dims=None, value=value))


def missing_arguments(outcome: Outcome, model: nn.Module, float_dtype: torch.dtype) -> Iterator[Proposal]:
    """Optional arguments that the failing lines or the message name, innermost first."""
    assert outcome.error is not None
    for name in dict.fromkeys(needs(checks.names_on_lines(outcome.error), outcome.proposal, model)):
        argument = optional_argument(name, model, float_dtype)
        if argument is not None:
            yield outcome.proposal.added(argument)


def handed_on(outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """What a check wants of a function that gets forward's `**kwargs`."""
    known = {parameter.name for parameter in parameters_of(search.model)}
    for demand in outcome.demands if outcome.call is None else ():
        if demand.kind == "provide" and demand.want not in known:
            yield from containers.meet_keyword(demand, outcome, search)


def other_forms(outcome: Outcome, float_dtype: torch.dtype) -> Iterator[Proposal]:
    """Slots about which nothing is known may have any form."""
    proposal = outcome.proposal
    for slot in proposal.slots().values():
        if slot.settled or slot.dims is None:
            continue
        floats, integers = replace(slot, dtype=float_dtype), replace(slot, dtype=torch.int64)
        consumer = outcome.consumers.get(slot.name)
        looked_up = consumer is not None and consumer.operation.startswith("embedding")
        for form in (floats.usual_dims(2), floats.usual_dims(3), floats.usual_dims(4), (BATCH,), ()) if not looked_up else ():
            yield proposal.replaced(slot.name, replace(floats, dims=form))
        for form in ((BATCH, LENGTH), (BATCH,), ()):
            yield proposal.replaced(slot.name, replace(integers, dims=form))
        yield proposal.replaced(slot.name, replace(slot, dims=None, value=1))


def other_sizes(outcome: Outcome) -> Iterator[Proposal]:
    """Sizes that models often insist on."""
    proposal = outcome.proposal
    used = {dim for slot in proposal.slots().values() for dim in slot.dims or ()} - proposal.pinned
    if used & {HEIGHT, WIDTH}:
        for side in (256, 32, 64, 128, 28, 384, 512, 299, 96, 336, 448, 16, 8, 1):
            yield proposal.resized(dict.fromkeys((HEIGHT, WIDTH), side), pin=False)
    for symbol in (LENGTH, SAMPLES):
        if symbol in used:
            for length in (64, 128, 32, 256, 8, 512, 1024, 16000, 3000):
                yield proposal.resized({symbol: length}, pin=False)
