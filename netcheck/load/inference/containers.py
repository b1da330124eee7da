"""Arguments that hold several tensors: which parts they have, only what forward does with them tells.

text, lengths, mels = inputs     a tuple of three, each as its name says
data.x, data.edge_index          an object with these attributes
batch["input_ids"]               the same
kwargs["labels"]                 one more argument by name
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from netcheck.load.inference.bundle import Bundle, MissingAttribute, MissingItem
from netcheck.load.inference.demands import Demand
from netcheck.load.inference.probe import Outcome, Tries
from netcheck.load.inference.proposals import BATCH, Argument, Proposal, Slot
from netcheck.load.inference.signature import by_name, parameters_of, part_of


def missing_parts(error: BaseException) -> Iterator[Demand]:
    """What an error says is missing: in an object that was given, or among the arguments by name."""
    if isinstance(error, (MissingAttribute, MissingItem)):
        yield Demand("entry", None, None, error.key, by=error.path)
    elif isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
        yield Demand("keyword", None, None, error.args[0], by="a subscript")


def meet_parts(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """A sequence of tensors instead of one: each as its name says, the others as they were."""
    for slot in containers_of(demand, outcome.proposal):
        usual = tuple(part(slot, index) for index in range(demand.want))
        if len(demand.names) == demand.want:
            named = tuple(
                named_part(slot, index, name, search) or other
                for index, (name, other) in enumerate(zip(demand.names, usual, strict=True))
            )
            yield outcome.proposal.replaced(slot.name, named)
        yield outcome.proposal.replaced(slot.name, usual)


def named_part(slot: Slot, index: int, name: str, search: Tries) -> Slot | None:
    """What an entry of a sequence is, by the name that forward gives it; None if that says nothing of the first."""
    guess = by_name(name, search.model, search.float_dtype, first=False) if name else None
    if guess is None and name and index > 0:
        guess = Slot(name, (BATCH, f"{name}.features"), search.float_dtype)
    return None if guess is None else renamed(guess, f"{slot.name}.{index}")


def renamed(slot: Slot, name: str) -> Slot:
    """The same slot under another name, with its own symbols."""
    dims = tuple(name + dim.removeprefix(slot.name) if dim.startswith(f"{slot.name}.") else dim for dim in slot.dims or ())
    return replace(slot, name=name, dims=dims if slot.dims is not None else None)


def part(slot: Slot, index: int) -> Slot:
    """One entry of what was a single slot."""
    return renamed(slot, f"{slot.name}.{index}")


def sequences(outcome: Outcome) -> Iterator[Proposal]:
    """Inputs that were indexed or iterated along their batch axis may be lists."""
    for name, count in outcome.recorder.parts.items():
        slot = outcome.proposal.slots()[name]
        yield outcome.proposal.replaced(name, tuple(part(slot, index) for index in range(count)))


def containers_of(demand: Demand, proposal: Proposal) -> list[Slot]:
    """The slots that should hold several tensors."""
    return [slot for slot in proposal.slots().values() if demand.origin is not None and slot.name in demand.origin.sources]


def meet_key(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """An object with a part of that name instead of a tensor."""
    for slot in containers_of(demand, outcome.proposal):
        held = part_of(slot.name, demand.want, search.model, search.float_dtype)
        yield outcome.proposal.replaced(slot.name, Bundle(slot.name, {demand.want: held}))


def meet_entry(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """One more part of an object."""
    held = part_of(demand.by, demand.want, search.model, search.float_dtype)
    arguments = tuple(
        replace(argument, value=with_entry(argument.value, demand.by, demand.want, held))
        for argument in outcome.proposal.arguments
    )
    yield replace(outcome.proposal, arguments=arguments)


def with_entry(value: Any, path: str, key: str, held: Slot) -> Any:
    """A tree of arguments with one more part in the object that is called `path`."""
    if isinstance(value, Bundle):
        parts = {name: with_entry(child, path, key, held) for name, child in value.items()}
        return Bundle(value.path, {**parts, key: held} if value.path == path else parts)
    if isinstance(value, dict):
        return {name: with_entry(child, path, key, held) for name, child in value.items()}
    if type(value) in (list, tuple):
        return type(value)(with_entry(child, path, key, held) for child in value)
    return value


def meet_keyword(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """One more argument by name, of a forward that takes any; or a key of a dict that was given."""
    proposal = outcome.proposal
    for argument in proposal.arguments:
        if isinstance(argument.value, dict) and demand.want not in argument.value:
            entry = part_of(argument.name, demand.want, search.model, search.float_dtype)
            changed = replace(argument, value={**argument.value, demand.want: entry})
            yield replace(proposal, arguments=tuple(changed if other is argument else other for other in proposal.arguments))
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters_of(search.model))
    if takes_any and demand.want not in {argument.name for argument in proposal.arguments}:
        name = demand.want
        guess = by_name(name, search.model, search.float_dtype, first=False)
        yield proposal.added(
            Argument(name, keyword=True, value=guess or renamed(part_of("", name, search.model, search.float_dtype), name))
        )


def meet_state(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """Tensors of the shapes that a layer's state has, of the batch's size or their own; where two are wanted of one, a pair."""
    proposal = outcome.proposal
    samples = {shape[-2] for shape in demand.want if len(shape) > 1}
    ways = (True,) if samples == {proposal.size(BATCH)} else (False, True) if samples == {1} else (True, False)
    for slot in proposal.slots().values():
        if demand.origin is not None and demand.origin.sources == {slot.name}:
            yield from (state_of(proposal, slot, demand.want, search, batched=batched) for batched in ways)


def state_of(proposal: Proposal, slot: Slot, shapes: tuple[tuple[int, ...], ...], search: Tries, *, batched: bool) -> Proposal:
    """With a slot that is a state; `batched`, its last axis but one is the batch's."""
    names = [slot.name] if len(shapes) == 1 else [f"{slot.name}.{number}" for number in range(len(shapes))]
    parts, sizes = [], {}
    for name, shape in zip(names, shapes, strict=True):
        dims = tuple(BATCH if batched and axis == len(shape) - 2 else f"{name}.axis{axis}" for axis in range(len(shape)))
        sizes.update({dim: size for dim, size in zip(dims, shape, strict=True) if dim != BATCH})
        parts.append(Slot(name, dims, search.float_dtype, settled=True))
    return proposal.replaced(slot.name, parts[0] if len(parts) == 1 else tuple(parts)).resized(sizes)
