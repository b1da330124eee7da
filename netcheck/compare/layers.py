"""Which operations of two networks belong together, and what became of the others.

    conv1   nn.Conv2d (B, 64, 112, 112)        conv1   nn.Conv2d (B, 64, 112, 112)      the same
    relu    nn.ReLU                            act     nn.GELU                          removed and added
    fc      nn.Linear (B, 10)                  fc      nn.Linear (B, 100)               changed

The two sequences are aligned by path and operation; where hardly anything has the same path, as of two classes that have
nothing in common but their plan, by the operation alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from netcheck.figures.network import Network, Operation

FEW = 0.2  # share of operations with equal paths below which paths tell nothing
NEITHER = ("input", "output")

Key = Callable[[Operation], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Change:
    """One operation, or several alike ones, that are not as they were.

    Attributes:
        kind: "added", "removed" or "changed".
        paths: the module paths, of the new network where it has them.
        old, new: what it was and is: "nn.Linear (B, 10), 650 parameters"; "" where it was not or is not.
    """

    kind: str
    paths: tuple[str, ...]
    old: str
    new: str


def changes(old: Network, new: Network) -> tuple[Change, ...]:
    """What became of the operations, alike ones together, in the order of the networks."""
    return tuple(folded(list(single_changes(operations(old), operations(new)))))


def operations(network: Network) -> list[Operation]:
    """Those that forward makes."""
    return [one for one in network.operations if one.kind not in NEITHER]


def single_changes(old: Sequence[Operation], new: Sequence[Operation]) -> Iterator[Change]:
    """Each change by itself."""
    for before, after in aligned(old, new):
        if before is None and after is not None:
            yield Change("added", (after.path,), "", described(after))
        elif after is None and before is not None:
            yield Change("removed", (before.path,), described(before), "")
        elif before is not None and after is not None and described(before) != described(after):
            yield Change("changed", (after.path,), described(before), described(after))


def aligned(old: Sequence[Operation], new: Sequence[Operation]) -> Iterator[tuple[Operation | None, Operation | None]]:
    """Pairs of operations that belong together, and those without a partner."""
    key = key_for(old, new)
    matcher = SequenceMatcher(None, [key(one) for one in old], [key(one) for one in new], autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            yield from zip(old[i1:i2], new[j1:j2], strict=True)
        else:
            yield from replaced(old[i1:i2], new[j1:j2])


def key_for(old: Sequence[Operation], new: Sequence[Operation]) -> Key:
    """What operations are aligned by."""
    shared = {by_path(one) for one in old} & {by_path(one) for one in new}
    alike = sum(by_path(one) in shared for one in new)
    return by_path if alike >= FEW * max(1, min(len(old), len(new))) else by_operation


def by_path(one: Operation) -> tuple[str, ...]:
    """Path and operation."""
    return one.path, one.operation


def by_operation(one: Operation) -> tuple[str, ...]:
    """The operation alone."""
    return (one.operation,)


def replaced(old: Sequence[Operation], new: Sequence[Operation]) -> Iterator[tuple[Operation | None, Operation | None]]:
    """Of a stretch that differs: modules at the same path belong together, the rest has no partner."""
    at = {one.path: one for one in new if one.path and one.operation.startswith("nn.")}
    partners = {id(after): before for before in old if before.operation.startswith("nn.") and (after := at.get(before.path))}
    taken = {id(before) for before in partners.values()}
    yield from ((before, None) for before in old if id(before) not in taken)
    yield from ((partners.get(id(after)), after) for after in new)


def described(one: Operation) -> str:
    """An operation in words; the batch, its first size, is left open."""
    sizes = ", ".join(("B", *map(str, one.shape[1:]))) if one.shape else ""
    shape = f" ({sizes})" if sizes else ""
    return f"{one.operation}{shape}" + (f", {one.parameters:,} parameters" if one.parameters else "")


def folded(found: Sequence[Change]) -> Iterator[Change]:
    """Alike changes as one, at the place of the first."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for one in found:
        groups.setdefault((one.kind, one.old, one.new), []).extend(one.paths)
    return (Change(kind, tuple(paths), old, new) for (kind, old, new), paths in groups.items())
