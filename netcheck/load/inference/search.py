"""The search: repair the proposal that got furthest, until forward runs through.

Best first, and fair: a proposal's first repairs come before another's tenth, however far that one got.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from torch import nn

from netcheck.load.deadline import OutOfTime
from netcheck.load.inference import checks, operations
from netcheck.load.inference.demands import Demand
from netcheck.load.inference.probe import Outcome, Probe
from netcheck.load.inference.proposals import BATCH, Proposal
from netcheck.load.inference.recorder import Refused
from netcheck.load.inference.repairs import repairs
from netcheck.load.inference.signature import propose

MOST_RUNS = 120
MOST_RUNS_AFTER_DOUBT = 14
MOST_CALLS_AFTER_DOUBT = 4000  # of torch functions, in these runs together
STALLED = 25  # runs without progress
PATIENCE = 6  # repairs of one proposal before the next best one has its turn


@dataclass(order=True)
class Entry:
    """A proposal whose repairs are not all tried."""

    key: tuple[int, int, tuple[int, ...], int]  # turns taken, then the furthest, then the newest
    outcome: Outcome = field(compare=False)
    rest: Iterator[Proposal] = field(compare=False)
    tried: int = field(default=0, compare=False)


class Search:
    """Finds a proposal with which forward runs."""

    def __init__(self, model: nn.Module, *, seconds: float) -> None:
        self.model = model
        self.probe = Probe(model, seconds=seconds)
        self.float_dtype = self.probe.float_dtype
        self.outcomes: dict[Proposal, Outcome] = {}
        self.accepted: Outcome | None = None  # runs, with doubts
        self.accepted_after = (0, 0)  # runs, and calls in them
        self.furthest: Outcome | None = None
        self._required = 0  # how many arguments the first proposal had
        self._furthest_at = 0  # after how many runs
        self._frontier: list[Entry] = []

    @property
    def is_over(self) -> bool:
        """Whether tries or time are used up."""
        runs, calls = self.accepted_after
        after_doubt = self.accepted is not None and (
            self.probe.runs - runs >= MOST_RUNS_AFTER_DOUBT or self.probe.calls - calls >= MOST_CALLS_AFTER_DOUBT
        )
        return after_doubt or self.probe.runs >= MOST_RUNS or self.probe.deadline.is_over

    def search(self, first: Proposal | None = None) -> Outcome | None:
        """The outcome of a proposal that runs; None if none does: `furthest` is how far the best one got."""
        try:
            return self._search(first or propose(self.model, self.float_dtype))
        except OutOfTime:
            return self.accepted

    def run(self, proposal: Proposal) -> Outcome:
        """Run a proposal, once."""
        if proposal not in self.outcomes:
            outcome = self.probe.run(proposal)
            if outcome.needs_values and not outcome.recorder.scalars and self.probe.use_values():
                self.outcomes.clear()
                outcome = self.probe.run(proposal)
            outcome.demands = read(outcome)
            self.outcomes[proposal] = outcome
            if self.furthest is None or outcome.progress > self.furthest.progress:
                self.furthest, self._furthest_at = outcome, self.probe.runs
        return self.outcomes[proposal]

    def _search(self, first: Proposal) -> Outcome | None:
        seen = {first}
        self._required = len(first.arguments)
        done = self._consider(self.run(first))
        while done is None and self._frontier and not self.is_over:
            if self._has_stalled() and self.probe.use_values():
                done = self._start_again()
                continue
            entry = heapq.heappop(self._frontier)
            proposal = next(entry.rest, None)
            if proposal is None:
                continue
            entry.tried += 1
            entry.key = (entry.tried // PATIENCE, *entry.key[1:])
            heapq.heappush(self._frontier, entry)
            if proposal not in seen:
                seen.add(proposal)
                done = self._consider(self.run(proposal))
        done = done or self.accepted
        self.accepted = done  # simplifying may run out of time
        return self._simplified(done) if done is not None else None

    def _simplified(self, outcome: Outcome) -> Outcome:
        """Without the optional arguments that were tried on the way, and the columns that nothing reads."""
        for argument in outcome.proposal.arguments[self._required :]:
            rest = tuple(other for other in outcome.proposal.arguments if other is not argument)
            without = self.run(replace(outcome.proposal, arguments=rest))
            if without.ok and len(without.demands) <= len(outcome.demands):
                outcome = without
        for name, count in outcome.recorder.columns.items():
            slot = outcome.proposal.slots()[name]
            if name not in outcome.recorder.used and slot.dims is not None and slot.dims[1] not in outcome.proposal.pinned:
                dims = (slot.dims[0], f"{name}.axis1", *slot.dims[2:])
                narrow = self.run(outcome.proposal.replaced(name, replace(slot, dims=dims)).resized({f"{name}.axis1": count}))
                outcome = narrow if narrow.ok and len(narrow.demands) <= len(outcome.demands) else outcome
        return outcome

    def _has_stalled(self) -> bool:
        """Whether many repairs got no further: fake tensors may refuse what real ones allow."""
        return self.accepted is None and self.probe.runs - self._furthest_at >= STALLED

    def _start_again(self) -> Outcome | None:
        """Go on with real tensors from the proposal that got furthest."""
        assert self.furthest is not None
        best, self.furthest = self.furthest.proposal, None
        self.outcomes.clear()
        self._frontier.clear()
        return self._consider(self.run(best))

    def _consider(self, outcome: Outcome) -> Outcome | None:
        """Take a proposal that runs; queue any other for repair."""
        if outcome.ok and not outcome.demands and has_batch(outcome.proposal):
            return outcome
        if outcome.ok and (self.accepted is None or len(outcome.demands) < len(self.accepted.demands)):
            if self.accepted is None:
                self.accepted_after = self.probe.runs, self.probe.calls
            self.accepted = outcome
        calls, lines = outcome.progress
        key = (0, -calls, tuple(-line for line in lines), -len(self.outcomes))
        heapq.heappush(self._frontier, Entry(key, outcome, repairs(outcome, self)))
        return None


def has_batch(proposal: Proposal) -> bool:
    """Whether the inputs have samples; only a model that takes none is run without."""
    slots = [slot for slot in proposal.slots().values() if slot.dims is not None]
    return not slots or (any(BATCH in (slot.dims or ()) for slot in slots) and all(slot.dims for slot in slots))


def read(outcome: Outcome) -> list[Demand]:
    """What a run asks for: of its doubts if it ran, else of what failed."""
    error = outcome.error
    if error is None:
        return list(dict.fromkeys(outcome.recorder.doubts))
    if isinstance(error, Refused):
        return [error.demand]
    found: list[Demand] = []
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
        found.append(Demand("entry", None, None, error.args[0], by="a subscript"))
    if outcome.call is not None:
        found += operations.of_call(outcome.call, error)
    checked = checks.of_error(error, outcome.recorder)
    if outcome.call is not None:
        checked = [replace(demand, operation=outcome.call.name) for demand in checked]
    if not found and not checked:
        checked = list(checks.by_numbers(str(error), outcome.recorder))
    return list(dict.fromkeys([*outcome.recorder.doubts, *found, *checked]))  # what was odd came before what failed
