"""The search: repair the proposal that got furthest, until forward runs through.

Best first, and fair: a proposal's first repairs come before another's tenth, however far that one got.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from torch import nn

from netcheck.load.deadline import OutOfTime
from netcheck.load.inference import checks, operations, shown
from netcheck.load.inference.containers import missing_parts
from netcheck.load.inference.demands import Demand
from netcheck.load.inference.faults import is_accident, is_hopeless, is_natural_failure
from netcheck.load.inference.probe import Outcome, Probe
from netcheck.load.inference.proposals import BATCH, Proposal, side_symbol
from netcheck.load.inference.recorder import Refused
from netcheck.load.inference.repairs import repairs
from netcheck.load.inference.signature import propose
from netcheck.load.inference.sizes import with_usual_size
from netcheck.load.inference.states import with_own_states

MOST_RUNS = 120
MOST_RUNS_AFTER_DOUBT = 14
MOST_CALLS_AFTER_DOUBT = 4000  # of torch functions, in these runs together
MOST_RUNS_ALONE = 30  # then, for code that is written for one sample
STALLED = 25  # runs without progress
PATIENCE = 6  # repairs of one proposal before the next best one has its turn


@dataclass(order=True)
class Entry:
    """A proposal whose repairs are not all tried."""

    key: tuple[int, bool, int, tuple[int, ...], int]  # turns taken, then with a batch, then the furthest, then the newest
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
        self.natural: Outcome | None = None  # the first failure that tells of the model, on vectors
        self.shown_at = ""  # the call of the project that was followed
        self.most_runs = MOST_RUNS
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
        if self.furthest is not None and is_hopeless(self.furthest.error):
            return True  # no other inputs mend that
        return after_doubt or self.probe.runs >= self.most_runs or self.probe.deadline.is_over

    def search(self, first: Proposal | None = None) -> Outcome | None:
        """The outcome of a proposal that runs; None if none does: `furthest` is how far the best one got."""
        try:
            starts = [first] if first else self._guesses()
            found = (None if first else self._shown()) or self._search(starts) or self._alone(starts)
            if found is not None and self.natural is not None and is_accident(found):
                self.furthest, found = self.natural, None  # more axes only hide it
            return found if found is None or first else self._unbatched(found)
        except OutOfTime:
            return self.accepted

    def run(self, proposal: Proposal) -> Outcome:
        """Run a proposal, once."""
        if proposal not in self.outcomes:
            outcome = self.probe.run(proposal)
            self.probe.values_matter |= outcome.needs_values
            if outcome.needs_values and not outcome.recorder.scalars and self.probe.use_values():
                self.outcomes.clear()
                outcome = self.probe.run(proposal)
            outcome.demands = read(outcome)
            outcome.let_go()
            self.outcomes[proposal] = outcome
            if self.natural is None and outcome.error is not None and is_natural_failure(outcome):
                self.natural = outcome
            if self.furthest is None or outcome.progress > self.furthest.progress:
                self.furthest, self._furthest_at = outcome, self.probe.runs
        return self.outcomes[proposal]

    def _shown(self) -> Outcome | None:
        """What the project calls the model with, if that runs."""
        for proposal, where in shown.calls(self.model, self.float_dtype):
            outcome = self.run(proposal)
            if outcome.ok:
                self.shown_at = where
                return outcome
        return None

    def _unbatched(self, found: Outcome) -> Outcome:
        """One sample, where the project never gives more and forward takes it."""
        alone = shown.without_batch(found.proposal, self.model)
        outcome = self.run(alone[0]) if alone else found
        if alone and outcome.ok:
            self.shown_at = alone[1]
        return outcome if outcome.ok else found

    def _alone(self, starts: list[Proposal]) -> Outcome | None:
        """With a single sample, where no more were seen to pass: `scores.view(1, 1, -1)`."""
        told = self.furthest
        if told is None or (told.error is not None and is_hopeless(told.error)):
            return None
        self._frontier.clear()
        self.most_runs = self.probe.runs + MOST_RUNS_ALONE
        found = self._search([start.resized({BATCH: 1}) for start in starts if BATCH not in start.pinned])
        self.furthest = told if found is None else found
        return found

    def _guesses(self) -> list[Proposal]:
        """The proposals to begin with: as the text names the axes, then as guessed."""
        plain = propose(self.model, self.float_dtype)
        sized = shown.with_project_sides(plain, self.model)
        for slot in sized.slots().values():
            if slot.features in (slot.dims or ()) and side_symbol(sized.size(slot.features)) in sized.sizes:
                sized = with_usual_size(sized, slot)
        stated = with_own_states(sized, self.model, self.float_dtype)
        described = shown.as_described(stated, self.model)
        return list(dict.fromkeys([described, stated]))

    def _search(self, starts: list[Proposal]) -> Outcome | None:
        if not starts:
            return None
        seen = set(starts)
        self._required = len(starts[0].arguments)
        done = None
        for start in starts:
            done = done or self._consider(self.run(start))
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
        key = (0, not has_batch(outcome.proposal), -calls, tuple(-line for line in lines), -len(self.outcomes))
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
        return list(dict.fromkeys([*outcome.recorder.doubts, error.demand]))
    found: list[Demand] = []
    found += missing_parts(error)
    if outcome.call is not None:
        found += operations.of_call(outcome.call, error)
    checked = checks.of_error(error, outcome.recorder)
    if outcome.call is not None:
        checked = [replace(demand, operation=outcome.call.name) for demand in checked]
    if not found and not checked:
        checked = list(checks.by_numbers(str(error), outcome.recorder))
    return list(dict.fromkeys([*outcome.recorder.doubts, *found, *checked]))  # what was odd came before what failed
