"""From operations to the boxes of a drawing.

    ResNet                          conv1  bn1  relu  maxpool  layer1  layer2  layer3  layer4  avgpool  flatten  fc
      layer1                        Bottleneck  2 × Bottleneck
        0                           conv1  bn1  relu  conv2 ...  downsample  add  relu

A box is a stretch of the operations in execution order, so that whatever is folded, no way leads back: neighbouring operations of
one module are one box, neighbouring boxes that look alike are one with a count, and where many are left, some dozen are one part.
Lists of modules have no forward and no box.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from netcheck.figures.network import Network, Operation

TRANSPARENT = ("ModuleList", "ModuleDict")
FEWEST = 3  # times that operations repeat before they are drawn once
FEWEST_MODULES = 2  # the same of modules that can be opened
LONGEST = 24  # boxes of a pattern that repeats
MOST = 48  # boxes of one picture


@dataclass(frozen=True, slots=True)
class Unit:
    """One box.

    Attributes:
        kind: "operation", "module", "repeat" (of what is inside, `count` times) or "part".
        title: the class or the operation, as in the source: "Bottleneck", "nn.Conv2d", "relu".
        path: module path; "" for operations of the model itself.
        start, end: which operations it stands for, in execution order.
        inside: the boxes in it; none if it cannot be opened.
        count: how often it repeats.
    """

    kind: str
    title: str
    path: str
    start: int
    end: int
    inside: tuple[Unit, ...] = ()
    count: int = 1

    @property
    def name(self) -> str:
        """Its last name."""
        return self.path.rpartition(".")[2] if self.kind != "operation" or self.title.startswith("nn.") else ""


def units(network: Network) -> tuple[Unit, ...]:
    """The boxes of the whole model."""
    return inside_of("", 0, len(network.operations), network)


def inside_of(path: str, start: int, end: int, network: Network) -> tuple[Unit, ...]:
    """The boxes of a module, of the operations from `start` to `end`."""
    classes = network.classes
    found = []
    places = range(start, end)
    for child, members in groupby(places, key=lambda place: child_of(path, network.operations[place].path, classes)):
        stretch = list(members)
        if child is None:
            found += [single(network.operations[place], place) for place in stretch]
        else:
            found.append(module(child, stretch[0], stretch[-1] + 1, network))
    return in_parts(tuple(repeats(found, network)))


def child_of(path: str, below: str, classes: dict[str, str]) -> str | None:
    """The module inside `path` that an operation at the path `below` runs in; None for one of the module's own."""
    if below == path:
        return None
    prefix = f"{path}." if path else ""
    if not below.startswith(prefix):
        return below  # a module that is run inside one that does not hold it
    names = below[len(prefix) :].split(".")
    for length in range(1, len(names) + 1):
        child = prefix + ".".join(names[:length])
        if classes.get(child) not in TRANSPARENT:
            return child
    return below


def module(path: str, start: int, end: int, network: Network) -> Unit:
    """The box of a module; one with a single operation is that."""
    if end - start == 1:
        one = single(network.operations[start], start)
        return one if one.path == path else replace(one, path=path)
    inside = inside_of(path, start, end, network)
    return Unit("module", network.classes.get(path, path.rpartition(".")[2]), path, start, end, inside)


def single(one: Operation, place: int) -> Unit:
    """The box of an operation; of a function its bare name."""
    title = one.operation if one.operation.startswith("nn.") else one.operation.rpartition(".")[2]
    return Unit("operation", title, one.path, place, place + 1)


def signature(unit: Unit, network: Network) -> tuple[object, ...]:
    """What two boxes share that look alike: what they are, shapes and parameters, but for names."""
    parts = network.operations[unit.start : unit.end]
    return unit.kind, unit.title, unit.count, tuple((one.operation, one.shape, one.is_weight_layer) for one in parts)


def repeats(found: Sequence[Unit], network: Network) -> Iterator[Unit]:
    """The boxes with each pattern that repeats as one."""
    keys = [signature(unit, network) for unit in found]
    place = 0
    while place < len(found):
        length, times = longest(keys, place)
        can_open = all(unit.inside for unit in found[place : place + length])
        if times < (FEWEST_MODULES if can_open else FEWEST):
            yield found[place]
            place += 1
            continue
        yield repeated(found[place : place + length * times], length, times)
        place += length * times


def longest(keys: Sequence[object], place: int) -> tuple[int, int]:
    """The pattern from `place` on that covers most by repeating: its length, and how often it comes."""
    best = (1, 1)
    for length in range(1, min(LONGEST, (len(keys) - place) // FEWEST_MODULES) + 1):
        times = 1
        pattern = keys[place : place + length]
        while keys[place + times * length : place + (times + 1) * length] == pattern:
            times += 1
        if times >= FEWEST_MODULES and times * length > best[0] * best[1]:
            best = (length, times)
    return best


def repeated(found: Sequence[Unit], length: int, times: int) -> Unit:
    """One box for a pattern: what is inside is that of its first occurrence."""
    first, last = found[0], found[-1]
    if length == 1:
        return replace(first, end=last.end, count=times)
    title = f"({' + '.join(dict.fromkeys(unit.title for unit in found[:length]))})"
    return Unit("repeat", title, first.path, first.start, last.end, tuple(found[:length]), times)


def in_parts(found: tuple[Unit, ...]) -> tuple[Unit, ...]:
    """The boxes, some dozen in one where there are more than a picture shows."""
    while len(found) > MOST:
        size = max(8, min(MOST, -(-len(found) // MOST)))
        found = tuple(part(found[place : place + size]) for place in range(0, len(found), size))
    return found


def part(members: tuple[Unit, ...]) -> Unit:
    """Neighbouring boxes as one."""
    if len(members) == 1:
        return members[0]
    title = f"{members[0].title} ... {members[-1].title}"
    return Unit("part", title, members[0].path, members[0].start, members[-1].end, members)
