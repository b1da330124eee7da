"""Sizes by root finding: which height makes a flattened map 400 long? Which length gives 197 patches?

What an operand's axis is long is a monotone function of one size of the input, unknown but cheap to ask: run forward up to
the operation that fails. `solve` brackets the size that is wanted, preferring sizes that people use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from netcheck.load.inference.demands import Demand
from netcheck.load.inference.probe import Outcome
from netcheck.load.inference.proposals import BATCH, HEIGHT, LENGTH, NATURAL, SAMPLES, WIDTH, Proposal

if TYPE_CHECKING:
    from netcheck.load.inference.search import Search

MOST_STEPS = 12
FEWEST_SECONDS_LEFT = 0.3


def groups(demand: Demand, proposal: Proposal) -> list[tuple[str, ...]]:
    """The symbols that may decide what was measured, the likeliest first; height and width together."""
    names = demand.origin.sources if demand.origin is not None else proposal.slots().keys()
    used = dict.fromkeys(dim for name in names for dim in (proposal.slots()[name].dims or ()))
    free = [symbol for symbol in used if symbol not in proposal.pinned and symbol not in (BATCH, "one", "pair")]
    pinned = [symbol for symbol in used if symbol in proposal.pinned and symbol in (HEIGHT, WIDTH, LENGTH, SAMPLES)]
    found: list[tuple[str, ...]] = [(symbol,) for symbol in free if proposal.size(symbol) == demand.have]
    for symbols in (free, pinned):
        if HEIGHT in symbols and WIDTH in symbols and proposal.size(HEIGHT) == proposal.size(WIDTH):
            found.append((HEIGHT, WIDTH))
        found += [(symbol,) for symbol in symbols if symbol not in (HEIGHT, WIDTH)]
        found += [(symbol,) for symbol in (WIDTH, HEIGHT) if symbol in symbols]
    return list(dict.fromkeys(found))


def solve(demand: Demand, outcome: Outcome, search: Search) -> Iterator[Proposal]:
    """The proposals that meet a demand by another size for one group of symbols."""
    if not isinstance(demand.have, int) or not isinstance(demand.want, int) or demand.want <= 0:
        return
    for group in groups(demand, outcome.proposal):
        found = Bracket(demand, outcome, group, search).root()
        if found is not None:
            yield found


class Bracket:
    """Searches one size between one that gives too little and one that gives too much."""

    def __init__(self, demand: Demand, outcome: Outcome, group: tuple[str, ...], search: Search) -> None:
        self.demand, self.outcome, self.group, self.search = demand, outcome, group, search
        self.power = 2.0 if len(group) == 2 else 1.0
        self.points: dict[int, int] = {outcome.proposal.size(group[0]): demand.have}
        self.too_small = 0

    def root(self) -> Proposal | None:
        """The proposal with which forward gets past the demand; None if no size does."""
        start = next(iter(self.points))
        guess = self.first_guess(start)
        for _ in range(MOST_STEPS):
            if guess is None or guess in self.points or guess <= self.too_small or self.search.is_over:
                return None
            proposal = self.outcome.proposal.resized(dict.fromkeys(self.group, guess))
            outcome = self.search.run(proposal)
            if outcome.ok or outcome.progress > self.outcome.progress:
                return proposal
            have = self.measured(outcome)
            if have is None:
                if outcome.progress == self.outcome.progress or not any(d.kind == "larger" for d in outcome.demands):
                    return None
                self.too_small = max(self.too_small, guess)
            elif have == self.demand.have and len(self.points) == 1 and far(guess, start):
                return None  # this size does not matter
            else:
                self.points[guess] = have
            guess = self.next_guess()
        return None

    def measured(self, outcome: Outcome) -> int | None:
        """What the demanding place measured in another run."""
        for demand in outcome.demands:
            if (demand.kind, demand.axis, demand.by, demand.want) == (
                self.demand.kind,
                self.demand.axis,
                self.demand.by,
                self.demand.want,
            ) and isinstance(demand.have, int):
                return demand.have
        return None

    def first_guess(self, start: int) -> int | None:
        """By proportion: the side of a map goes with the root of its area."""
        have, want = self.demand.have, self.demand.want
        if have == start:
            return int(want)
        if have <= 0:
            return start * 2
        estimate = start * (want / have) ** (1 / self.power)
        if self.power == 1 and estimate == int(estimate):
            return int(estimate)
        below, above = (0, start) if have > want else (start, 10**7)
        return natural(estimate, below, above)

    def next_guess(self) -> int | None:
        """Between the nearest sizes on both sides, by interpolation."""
        want = self.demand.want
        low = max((size for size, have in self.points.items() if have < want), default=0)
        high = min((size for size, have in self.points.items() if have > want), default=0)
        low = max(low, self.too_small)
        if low and high:
            if high - low <= 1:
                return None
            if low not in self.points:
                return natural((low + high) / 2, low, high)
            a, b, y = (max(value, 0) ** (1 / self.power) for value in (self.points[low], self.points[high], want))
            return natural(low + (high - low) * (y - a) / max(b - a, 1e-9), low, high)
        if high:
            return natural(high * max(0.05, (want / self.points[high]) ** (1 / self.power)), 0, high)
        if low in self.points and self.points[low] > 0:
            return natural(low * (want / self.points[low]) ** (1 / self.power), low, 10**7)
        return natural(low * 2, low, 10**7)


def natural(estimate: float, low: int, high: int) -> int | None:
    """The size that people use nearest to `estimate`, strictly between two; any integer if there is none near."""
    near = [size for size in NATURAL if low < size < high and abs(size - estimate) <= 0.2 * estimate + 1]
    if near:
        return min(near, key=lambda size: abs(size - estimate))
    rounded = min(max(round(estimate), low + 1), high - 1)
    return rounded if low < rounded < high else None


def far(a: int, b: int) -> bool:
    """Whether two sizes differ so much that a result which depends on them would differ."""
    return max(a, b) >= 1.5 * min(a, b)
