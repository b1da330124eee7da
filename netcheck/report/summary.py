"""`netcheck summary`: the table of a model's layers.

    Net (net.py:Net)
      inputs: x float32 (2, 8), inferred from fc's 8 input features

    layer      class      output    parameters    MACs
    ---------  ---------  --------  ----------  ------
    Net        Net        (2, 2)
      fc       nn.Linear  (2, 4)            36      64
      out      nn.Linear  (2, 2)            10      16

    parameters: 46, all trained, 184 B
    ...

A row is a module that forward runs, in the order of its first run, below the module that holds it; a function has one where it
has parameters of its own or costs anything. Numbers stand where they arise, so that a column adds up to its total.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from netcheck.figures.cost import Cost
from netcheck.figures.network import Network, Operation
from netcheck.findings import Report
from netcheck.report import text
from netcheck.report.columns import in_columns
from netcheck.report.cost import NAMES, flops, size
from netcheck.report.isolation import isolated
from netcheck.report.markdown import escape
from netcheck.report.terminal import Painter, printable, shorten

INDENT = "\u00a0\u00a0"  # of a name in a cell, whose blanks at the ends are cut
HEADERS = ("layer", "class", "output", "parameters", "MACs")


@dataclass(frozen=True, slots=True)
class Row:
    """One layer.

    Attributes:
        path: module path, "" for the model itself.
        level: how deep it lies.
        name: its last name, of the model its class.
        operation: its class, or the function.
        shape: of its last output.
        parameters: scalars that it uses itself, and first.
        macs: multiply-adds of the example batch that it does itself; None where the cost is not known.
    """

    path: str
    level: int
    name: str
    operation: str
    shape: tuple[int, ...] | None
    parameters: int
    macs: int | None


@dataclass
class Branch:
    """A module while the rows are gathered."""

    own: list[Operation] = field(default_factory=list)
    last: Operation | None = None


def rows(network: Network, cost: Cost | None) -> Iterator[Row]:
    """The table of a network."""
    branches: dict[str, Branch] = {path: Branch() for path, _ in network.modules}
    branches.setdefault("", Branch())
    for one in network.operations:
        if one.kind in ("input", "output"):
            continue
        branches.setdefault(one.path, Branch()).own.append(one)
        for path in (one.path, *above(one.path)):
            branches.setdefault(path, Branch()).last = one
    spent = dict[str, int]()
    for layer in cost.layers if cost is not None else ():
        spent[layer.path] = spent.get(layer.path, 0) + layer.forward // 2
    for path in in_tree_order(list(branches)):
        yield row(path, branches[path], network, None if cost is None else spent.get(path, 0))


def row(path: str, branch: Branch, network: Network, macs: int | None) -> Row:
    """One row; a layer of torch has its name as a person writes it, one of the user's its class."""
    leaf = branch.own[0].operation if branch.own and branch.own[0].operation.startswith("nn.") else ""
    classes = network.classes
    return Row(
        path=path,
        level=len(path.split(".")) if path else 0,
        name=path.rpartition(".")[2] or classes.get("", ""),
        operation=leaf if leaf.rpartition(".")[2] == classes.get(path) else classes.get(path, leaf),
        shape=branch.last.shape if branch.last else None,
        parameters=sum(one.parameters for one in branch.own),
        macs=macs,
    )


def above(path: str) -> Iterator[str]:
    """The paths of the modules that hold one."""
    while path:
        path = path.rpartition(".")[0]
        yield path


def in_tree_order(paths: Sequence[str]) -> list[str]:
    """Each path behind the one that holds it, in the order of their first occurrences."""
    below: dict[str, list[str]] = {}
    for one in dict.fromkeys(other for path in paths for other in (*reversed([*above(path)]), path)):
        if one:
            below.setdefault(one.rpartition(".")[0], []).append(one)
    found, left = list[str](), [""]
    while left:
        found.append(path := left.pop())
        left += reversed(below.get(path, []))
    return found


@isolated
def render(reports: Sequence[Report], *, format: str = "text", root: Path | None = None) -> str:
    """The tables of several models, those first that could be traced.

    Args:
        reports: one a model.
        format: "text", "markdown" or "json".
        root: directory that paths are shown relative to; None means the current one.
    """
    root = Path.cwd() if root is None else root
    if format == "json":
        return json.dumps([entry(one) for one in reports if one.network is not None], indent=2) + "\n"
    shown = [page(one, root, markdown=format == "markdown") for one in reports if one.network is not None]
    failed = [one for one in reports if one.network is None]
    blocks = [*shown, *(text.section(one, Painter(False), root, verbose=False, quiet=False) for one in failed)]
    if any(one.network is None for one in reports) or not shown:
        blocks.append(text.closing(failed, Painter(False), root, verbose=False))
    return "\n\n".join(filter(None, blocks)) + "\n"


def page(report: Report, root: Path, *, markdown: bool) -> str:
    """The table of one model, under its name and above its totals."""
    assert report.network is not None
    cells = [cells_of(one, escape if markdown else printable) for one in rows(report.network, report.cost)]
    target = text.display_path(report.target, root)
    name = text.name_of(report.model)
    if markdown:
        lines = [f"| {' | '.join(one)} |" for one in (HEADERS, ("---", "---", "---", "---:", "---:"), *cells)]
        facts = [f"- {escape(line)}" for line in (*inputs_of(report), *totals(report))]
        return "\n".join([f"### {escape(name)}", "", *lines, "", *facts])
    title = f"{name} ({target})" if target else name
    table = in_columns(cells, HEADERS, right=HEADERS[3:]).replace(INDENT, "  ")
    return "\n".join([title, *(f"  {line}" for line in inputs_of(report)), "", table, "", *totals(report)])


def cells_of(one: Row, shown: Callable[[str], str]) -> tuple[str, ...]:
    """One row as text; `shown` makes a name such that it may stand there."""
    return (
        INDENT * one.level + shown(shorten(one.name)),
        shown(shorten(one.operation)),
        "" if one.shape is None else f"({', '.join(map(str, one.shape))}{',' if len(one.shape) == 1 else ''})",
        f"{one.parameters:,}" if one.parameters else "",
        f"{one.macs:,}" if one.macs else "",
    )


def inputs_of(report: Report) -> Iterator[str]:
    """What it was run on."""
    if report.inputs:
        yield f"inputs: {printable(report.inputs)}"


def totals(report: Report) -> Iterator[str]:
    """The sums under the table."""
    summary, cost = report.summary, report.cost
    if summary is None:
        return
    if cost is None:
        yield f"parameters: {summary.parameters:,}"
        return
    yield f"parameters: {summary.parameters:,} ({size(cost.parameters)}), {size(cost.trainable)} of them trained"
    batch = f" of {text.counted(cost.batch_size, 'sample')}" if cost.batch_size else ""
    macs = cost.forward // 2
    yield f"forward of a batch{batch}: {macs:,} MACs, {flops(cost.forward)}; with backward {flops(cost.flops)}"
    peaks = " and ".join(f"{size(need.peak)} with {NAMES[name]}" for name, need in cost.memory.items())
    yield f"memory of a training step: {size(cost.saved_bytes)} of saved activations, {peaks} at the peak"


def entry(report: Report) -> dict[str, object]:
    """One model as plain JSON data."""
    assert report.network is not None
    cost = report.cost
    return {
        "model": printable(report.model),
        "target": printable(report.target),
        "inputs": printable(report.inputs),
        "layers": [asdict(one) for one in rows(report.network, cost)],
        "parameters": report.summary.parameters if report.summary else None,
        "batch_size": cost.batch_size if cost else None,
        "macs": cost.forward // 2 if cost else None,
        "flops": cost.forward if cost else None,
        "saved_bytes": cost.saved_bytes if cost else None,
        "peak_bytes": {name: need.peak for name, need in cost.memory.items()} if cost else None,
    }
