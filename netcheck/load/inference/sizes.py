"""Sizes by root finding: which height makes a flattened map 400 long? Which length gives 197 patches?

How long an operand's axis is, is a monotone function of one size of the input, unknown but cheap to ask:
run forward up to the operation that fails. `solve` brackets the size that is wanted, preferring sizes that
people use.
"""

from __future__ import annotations

from collections.abc import Iterator

from netcheck.load.inference.demands import Demand
from netcheck.load.inference.probe import Outcome, Tries
from netcheck.load.inference.proposals import BATCH, HEIGHT, LENGTH, NATURAL, SAMPLES, WIDTH, Proposal, Slot, side_symbol
from netcheck.load.inference.signature import usual_side

MOST_STEPS = 12
USUAL = (
    224,
    32,
    28,
    64,
    256,
    128,
    84,
    96,
    105,
    299,
    227,
    48,
    112,
    512,
    384,
)  # for images, the most usual first
HEIGHTS = (64, 66, 48, 80, 60, 32, 120, 96, 128, 40, 240, 16)  # of images that are not square
SIDES = (HEIGHT, WIDTH)
TOO_LARGE = 10**6

Group = tuple[str, ...]


def groups(demand: Demand, proposal: Proposal, fixed: set[str]) -> list[Group]:
    """The symbols that may decide what was measured, the likeliest first; some together."""
    slots = proposal.slots()
    names = [name for name in slots if demand.origin is None or name in demand.origin.sources]
    used = dict.fromkeys(dim for name in names for dim in (slots[name].dims or ()))
    free = [symbol for symbol in used if symbol not in (*proposal.pinned, *fixed, BATCH, "one", "pair")]
    pinned = [symbol for symbol in used if symbol in proposal.pinned and symbol in (*SIDES, LENGTH, SAMPLES)]
    found: list[Group] = [(symbol,) for symbol in free if proposal.size(symbol) == demand.have]
    own = tuple(slots[name].features for name in names if slots[name].features in free)
    if len(own) > 1 and len({proposal.size(symbol) for symbol in own}) == 1:
        found.append(own)
    for symbols in (free, pinned):
        if HEIGHT in symbols and WIDTH in symbols and proposal.size(HEIGHT) == proposal.size(WIDTH):
            found.append(SIDES)
        found += [(symbol,) for symbol in symbols if symbol not in SIDES]
        found += [(symbol,) for symbol in (WIDTH, HEIGHT) if symbol in symbols]
    return list(dict.fromkeys(found))


def sources(demand: Demand, proposal: Proposal) -> list[Slot]:
    """The tensor slots that a demand is about; all of them if it does not say."""
    slots = [slot for slot in proposal.slots().values() if slot.dims is not None]
    return [slot for slot in slots if demand.origin is None or slot.name in demand.origin.sources]


def solve(demand: Demand, outcome: Outcome, search: Tries) -> Iterator[Proposal]:
    """The proposals that meet a demand by another size for one group of symbols."""
    if not isinstance(demand.have, int) or not isinstance(demand.want, int) or demand.want <= 0 or demand.have == demand.want:
        return
    slots = outcome.proposal.slots().values()
    for group in groups(demand, outcome.proposal, outcome.recorder.fixed):
        bracket = Bracket(demand, outcome, group, search)
        found = bracket.root()
        if found is not None and group == SIDES:
            found = bracket.most_usual(found)
        if found is None and group == SIDES and bracket.matters:
            found = bracket.with_rest() or oblong(demand, outcome, search)
        if found is not None:
            for slot in slots:
                found = with_usual_size(found, slot) if slot.features in group else found
            yield found


def with_usual_size(proposal: Proposal, slot: Slot) -> Proposal:
    """Images of so many channels have a usual size, unless something fixed it."""
    if not set(SIDES) <= set(proposal.slots()[slot.name].dims or ()) or set(SIDES) & proposal.pinned:
        return proposal
    channels = proposal.size(slot.features)
    side = proposal.sizes.get(side_symbol(channels)) or usual_side(channels)
    return proposal.resized({HEIGHT: side, WIDTH: side}, pin=False)


def oblong(demand: Demand, outcome: Outcome, search: Tries) -> Proposal | None:
    """An image that is wider than high."""
    for height in HEIGHTS:
        if search.is_over:
            return None
        flat = search.run(outcome.proposal.resized({HEIGHT: height}))
        if flat.ok or flat.progress > outcome.progress:
            return flat.proposal
        same = next((other for other in flat.demands if asks_same(other, demand)), None)
        found = Bracket(same, flat, (WIDTH,), search).root() if same is not None else None
        if found is not None:
            return found
    return None


def asks_same(one: Demand, other: Demand) -> bool:
    """Whether two demands, of two runs, come from the same place."""
    return (one.kind, one.axis, one.by, one.want) == (other.kind, other.axis, other.by, other.want)


class Bracket:
    """Searches one size between one that gives too little and one that gives too much."""

    def __init__(self, demand: Demand, outcome: Outcome, group: Group, search: Tries) -> None:
        self.demand, self.outcome, self.group, self.search = demand, outcome, group, search
        self.start = outcome.proposal.size(group[0])
        is_side = demand.kind == "value" and self.start % max(1, demand.have) == 0  # a side of a map, not its area
        self.power = 2.0 if group == SIDES and not is_side else 1.0
        self.points: dict[int, int] = {self.start: demand.have}  # size -> what was measured with it
        self.too_small = 0
        self.matters = False  # whether another size measured anything else

    def root(self) -> Proposal | None:
        """The proposal with which forward gets past the demand; None if no size does."""
        guess = self.first_guess()
        for _ in range(MOST_STEPS):
            if guess is None or guess in self.points or guess > TOO_LARGE or guess <= self.too_small or self.search.is_over:
                return None
            outcome = self.try_size(guess)
            if outcome.ok or outcome.progress > self.outcome.progress:
                return outcome.proposal
            have = next(
                (d.have for d in outcome.demands if asks_same(d, self.demand) and isinstance(d.have, int)),
                None,
            )
            if have is None:
                if outcome.progress == self.outcome.progress or not any(d.kind == "larger" for d in outcome.demands):
                    return None
                self.too_small = max(self.too_small, guess)
            elif have == self.demand.have and len(self.points) == 1 and far(guess, self.start):
                return None  # this size does not matter
            else:
                self.points[guess] = have
            self.matters = True
            guess = self.next_guess()
        return None

    def with_rest(self) -> Proposal | None:
        """The largest image that leaves something to the one vector beside it: `cat((maps.flatten(1), question), 1)`."""
        proposal = self.outcome.proposal
        vectors = [slot.features for slot in sources(self.demand, proposal) if slot.dims == (BATCH, slot.features)]
        size = max((size for size, have in self.points.items() if have < self.demand.want), default=0)
        if len(vectors) != 1 or vectors[0] in proposal.pinned or not size:
            return None
        width = proposal.size(vectors[0]) + self.demand.want - self.points[size]
        return proposal.resized({**dict.fromkeys(self.group, size), vectors[0]: width})

    def try_size(self, size: int) -> Outcome:
        """Run with `size` for the group."""
        return self.search.run(self.outcome.proposal.resized(dict.fromkeys(self.group, size)))

    def most_usual(self, found: Proposal) -> Proposal:
        """Of all sizes that do, the one that people use most."""
        size = found.size(self.group[0])
        low = max([self.too_small, *(s for s, have in self.points.items() if have < self.demand.want)])
        high = min([TOO_LARGE, *(s for s, have in self.points.items() if have > self.demand.want)])
        wanted = [usual for usual in USUAL if low < usual < high and abs(usual - size) <= 0.2 * size]
        for usual in wanted[:3]:
            if usual == size:
                return found
            outcome = self.try_size(usual)
            if outcome.ok or outcome.progress > self.outcome.progress:
                return outcome.proposal
        return found

    def first_guess(self) -> int | None:
        """By proportion: the side of a map goes with the root of its area."""
        have, want = self.demand.have, self.demand.want
        if have == self.start:
            return int(want)
        if have <= 0:
            return self.start * 2
        estimate = self.start * (want / have) ** (1 / self.power)
        if self.power == 1 and estimate == int(estimate):
            return int(estimate)
        below, above = (0, self.start) if have > want else (self.start, TOO_LARGE)
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
        if len(self.points) > 1 and bool(high) != (low in self.points):
            return self.extrapolated()
        if high:
            return natural(high * max(0.05, (want / self.points[high]) ** (1 / self.power)), 0, high)
        if low in self.points and self.points[low] > 0:
            return natural(low * (want / self.points[low]) ** (1 / self.power), low, TOO_LARGE)
        return natural(low * 2, low, TOO_LARGE)

    def extrapolated(self) -> int | None:
        """Along the line through the two points nearest to what is wanted."""
        want = self.demand.want
        (x1, y1), (x2, y2) = sorted(self.points.items(), key=lambda point: abs(point[1] - want))[:2]
        u1, u2, u = (max(value, 0) ** (1 / self.power) for value in (y1, y2, want))
        if u1 == u2:
            return None
        estimate = x1 + (u - u1) * (x2 - x1) / (u2 - u1)
        if self.power == 1 and estimate == int(estimate):
            return int(estimate) if estimate > 0 else None
        return natural(estimate, 0, x1) if y1 > want else natural(estimate, x1, TOO_LARGE)


def natural(estimate: float, low: int, high: int) -> int | None:
    """The size that people use nearest to `estimate`, strictly between two; else any integer."""
    near = [size for size in NATURAL if low < size < high and abs(size - estimate) <= 0.2 * estimate + 1]
    if near:
        return min(near, key=lambda size: abs(size - estimate))
    rounded = min(max(round(estimate), low + 1), high - 1)
    return rounded if low < rounded < high else None


def far(a: int, b: int) -> bool:
    """Whether two sizes differ so much that a result which depends on them would differ."""
    return max(a, b) >= 1.5 * min(a, b)
