"""What code puts into a container, as a regular expression over modules, and which expression made item
number i.

    layers = [nn.Flatten()]                       One(Flatten)
    for width in widths:                          Many(
        layers += [nn.Linear(...), nn.ReLU()]         One(Linear) One(ReLU)
        if dropout:                                   Choice(
            layers.append(nn.Dropout())                   (One(Dropout),) | ()))
    layers.append(nn.Linear(...))                 One(Linear)

The items of the live container (Flatten, Linear, ReLU, Linear, ReLU, Linear) are a word of that language. The
best parse of the word says which expression made each item: the last Linear is the one after the loop.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from netcheck.source.scopes import Scope


@dataclass(frozen=True, eq=False, slots=True)
class One:
    """One item: the expression that makes it, or None for an item of unknown origin.
    `key` matches its name, if given.
    """

    expression: ast.expr | None
    scope: Scope
    key: re.Pattern[str] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Many:
    """A part that is repeated any number of times."""

    body: Recipe


@dataclass(frozen=True, eq=False, slots=True)
class Choice:
    """One of several parts."""

    ways: tuple[Recipe, ...]


Recipe = tuple[One | Many | Choice, ...]
Item = tuple[str, str]  # the name and the class name of a live module in a container
Fit = Callable[[One, Item], float]  # how well an expression explains an item; negative: not at all
Trail = tuple[One, "Trail"] | None
Arc = tuple[One | None, int]  # what it consumes (None: nothing) and the state that it leads to


def anything(scope: Scope) -> Recipe:
    """Any number of items of unknown origin."""
    return (Many((One(None, scope),)),)


def ones(recipe: Recipe) -> Iterator[One]:
    """Every item that a recipe mentions, in order."""
    for part in recipe:
        if isinstance(part, One):
            yield part
        elif isinstance(part, Many):
            yield from ones(part.body)
        else:
            for way in part.ways:
                yield from ones(way)


def parse_items(recipe: Recipe, items: Sequence[Item], fit: Fit, *, whole: bool = True) -> list[One] | None:
    """The part of the recipe that made each item, by the best parse.

    Args:
        recipe: what the code puts in.
        items: what the live container holds.
        fit: how well one part explains one item.
        whole: the recipe must be used up; else `items` may be the beginning of what it makes.

    Returns:
        One for each item, or None if the items cannot come from this recipe.
    """
    arcs: list[list[Arc]] = [[]]  # state 0 is the end
    start = compile_arcs(recipe, 0, arcs)
    frontier: dict[int, tuple[float, Trail]] = {start: (0.0, None)}
    for item in items:
        reached: dict[int, tuple[float, Trail]] = {}
        for state, (score, trail) in closure(frontier, arcs).items():
            for part, target in arcs[state]:
                gain = fit(part, item) if part is not None else -1.0
                if part is not None and gain >= 0 and (target not in reached or score + gain > reached[target][0]):
                    reached[target] = (score + gain, (part, trail))
        frontier = reached
    ends = closure(frontier, arcs)
    if whole:
        ends = {0: ends[0]} if 0 in ends else {}
    if not ends:
        return None
    _, trail = max(ends.values(), key=lambda end: end[0])
    made: list[One] = []
    while trail is not None:
        made.append(trail[0])
        trail = trail[1]
    return made[::-1]


def compile_arcs(recipe: Recipe, end: int, arcs: list[list[Arc]]) -> int:
    """Add the states of a recipe that leads to state `end`;
    return the state where it starts (Thompson's construction).
    """
    for part in reversed(recipe):
        arcs.append([])
        state = len(arcs) - 1
        if isinstance(part, One):
            arcs[state].append((part, end))
        elif isinstance(part, Many):
            arcs[state].append((None, compile_arcs(part.body, state, arcs)))
            arcs[state].append((None, end))
        else:
            arcs[state] += [(None, compile_arcs(way, end, arcs)) for way in part.ways]
        end = state
    return end


def closure(frontier: dict[int, tuple[float, Trail]], arcs: list[list[Arc]]) -> dict[int, tuple[float, Trail]]:
    """The states reachable without consuming an item, each with its best score."""
    found = dict(frontier)
    pending = sorted(frontier, key=lambda state: frontier[state][0])
    while pending:
        state = pending.pop()
        for part, target in arcs[state]:
            if part is None and (target not in found or found[state][0] > found[target][0]):
                found[target] = found[state]
                pending.append(target)
    return found
