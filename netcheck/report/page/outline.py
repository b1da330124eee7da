"""The modules of a model as a tree, with siblings that look alike in one row.

    layers                  nn.Linear (2, 64)           66,820 parameters
      0 ... 15 (16)         nn.Linear (2, 64)  NC501
    torch.tanh (16)
    head                    nn.Linear (2, 4)

Plain data in, plain data out: the rows come from the table of layers in a report's summary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from netcheck.findings import Finding, Layer
from netcheck.report.terminal import shorten

NUMBER = re.compile(r"\d+")
DEEPEST = 30  # levels: what lies deeper is one row, its name the rest of the path


@dataclass(slots=True)
class Branch:
    """A module while the tree grows: its own operations and the modules inside, in the order in which they first ran."""

    operations: list[Layer] = field(default_factory=list)
    inside: dict[str, Branch] = field(default_factory=dict)

    def signature(self) -> tuple[object, ...]:
        """What two branches share that look alike: operations, shapes and what is inside, but for the names."""
        own = tuple((one.operation, one.shape, one.parameters) for one in self.operations)
        return own, tuple((name, branch.signature()) for name, branch in self.inside.items())


@dataclass(frozen=True, slots=True)
class Row:
    """A module, or several siblings that look alike, as shown.

    Attributes:
        name: its last name, or the first and the last of them.
        count: how many they are.
        operations: what forward runs in it, "nn.Linear" or "torch.tanh (16)".
        shape: of its last output, as text.
        parameters: scalars in it and below; of all siblings together.
        codes: the findings about it or them, worst first, as (code, severity).
        below: the codes of findings further inside, for a row that is folded.
        rows: the modules inside (of the first sibling, with the findings of all).
    """

    name: str
    count: int
    operations: tuple[str, ...]
    shape: str
    parameters: int
    codes: tuple[tuple[str, str], ...]
    below: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]


def outline(layers: Iterable[Layer], findings: Sequence[Finding]) -> tuple[Row, ...]:
    """The tree below the model itself: one row for each of its modules, and one for its own operations.

    Args:
        layers: rows of the table of layers, in execution order.
        findings: those that are to be seen in the tree.
    """
    root = Branch()
    for layer in layers:
        branch = root
        for name in filter(None, layer.path.split(".", DEEPEST)):
            branch = branch.inside.setdefault(name, Branch())
        branch.operations.append(layer)
    marks = codes_by_path(findings)
    rows = tuple(rows_of(root, (), marks))
    own = tuple(operations(root.operations))
    if not own:
        return rows
    return (
        *rows,
        Row("", 1, own, shape(root.operations), parameters(root.operations), marks.get("", ()), (), ()),
    )


def rows_of(branch: Branch, path: tuple[str, ...], marks: dict[str, tuple[tuple[str, str], ...]]) -> Iterator[Row]:
    """The rows of what is inside a branch; neighbours that look alike and whose names count up make one."""
    for _, group in groupby(branch.inside.items(), key=lambda item: (NUMBER.split(item[0]), item[1].signature())):
        members = list(group)
        paths = [(*path, name) for name, _ in members]
        first = members[0][1]
        insides = [list(rows_of(inner, one, marks)) for one, (_, inner) in zip(paths, members, strict=True)]
        shown, below = insides[0], [row for rows in insides for row in rows]
        inner_codes = merged(code for row in below for code in (*row.codes, *row.below))
        yield Row(
            name=shorten(members[0][0]) if len(members) == 1 else f"{members[0][0]} ... {members[-1][0]}",
            count=len(members),
            operations=tuple(operations(first.operations)),
            shape=shape(first.operations) or next((row.shape for row in reversed(shown) if row.shape), ""),
            parameters=sum(total(inner) for _, inner in members),
            codes=merged(code for one in paths for code in marks.get(".".join(one), ())),
            below=inner_codes,
            rows=tuple(shown if len(members) == 1 else with_codes_of_all(shown, below)),
        )


def with_codes_of_all(shown: Sequence[Row], all_rows: Sequence[Row]) -> Iterator[Row]:
    """The rows inside the first of several siblings, with the findings inside any of them."""
    for index, row in enumerate(shown):
        alike = all_rows[index :: len(shown)]
        codes = merged(code for one in alike for code in one.codes)
        below = merged(code for one in alike for code in one.below)
        inner = [one for other in alike for one in other.rows]
        rows = tuple(with_codes_of_all(row.rows, inner)) if row.rows else ()
        yield Row(row.name, row.count, row.operations, row.shape, row.parameters, codes, below, rows)


def codes_by_path(findings: Sequence[Finding]) -> dict[str, tuple[tuple[str, str], ...]]:
    """For each module path the findings about it; a path such as "layers[0]" stands in the tree as "layers"."""
    found: dict[str, list[tuple[str, str]]] = {}
    for one in findings:
        for path in one.modules:
            found.setdefault(path, []).append((one.code, one.severity.value))
    return {path: merged(codes) for path, codes in found.items()}


def merged(codes: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Each of the codes once."""
    return tuple(dict.fromkeys(codes))


def operations(layers: Sequence[Layer]) -> Iterator[str]:
    """The operations of one module, each once with how often it runs."""
    counts: dict[str, int] = {}
    for layer in layers:
        counts[layer.operation] = counts.get(layer.operation, 0) + 1
    for name, count in counts.items():
        yield f"{shorten(name)} ({count} times)" if count > 1 else shorten(name)


def shape(layers: Sequence[Layer]) -> str:
    """The shape of the last output that is known."""
    known = [layer.shape for layer in layers if layer.shape is not None]
    return "×".join(map(str, known[-1])) if known else ""


def parameters(layers: Sequence[Layer]) -> int:
    """The scalars of these layers."""
    return sum(layer.parameters for layer in layers)


def total(branch: Branch) -> int:
    """The scalars of a branch and of all that is inside."""
    return parameters(branch.operations) + sum(map(total, branch.inside.values()))
