"""Where the boxes of one picture stand, from top to bottom, and the ways between them.

networkx, which comes with torch and is well kept, says which rows there are and puts the bends of long ways into them; the order
within a row, by the middle of the neighbours, is a few lines here. The layout engines that were looked at: grandalf has had no
release since 2023, fast-sugiyama has no wheels for many systems, elkjs would put 1.5 MB into each page. A picture is folded to
some dozen boxes, mostly in a row.

A way that passes rows has a bend in each, which takes room like a box: so no way leads through a box, and skips lead around.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

GAP, LANE, BETWEEN = 26.0, 18.0, 34.0  # between boxes of a row; room of a bend; between rows
SWEEPS = 8

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a box stands: its upper left corner."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A picture's size, the places of its boxes, and the points of the way for each pair of boxes."""

    width: float
    height: float
    places: tuple[Place, ...]
    ways: dict[tuple[int, int], tuple[Point, ...]]


def arranged(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> Arrangement:
    """Arrange boxes.

    Args:
        sizes: width and height of each box.
        edges: pairs of boxes, the second after the first.
    """
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(sizes)))
    graph.add_edges_from(edges)
    row = {node: index for index, nodes in enumerate(nx.topological_generations(graph)) for node in nodes}
    sinkable = [node for node in row if graph.out_degree(node) and not graph.in_degree(node)]
    for node in sinkable:  # what starts by itself stands just above who takes it
        row[node] = min(row[other] for other in graph.successors(node)) - 1
    bends: dict[tuple[int, int], list[int]] = {}
    dummies = len(sizes)
    for start, end in edges:
        bends[start, end] = list(range(dummies, dummies + row[end] - row[start] - 1))
        for offset, bend in enumerate(bends[start, end], 1):
            row[bend] = row[start] + offset
        dummies += len(bends[start, end])
        if bends[start, end]:
            graph.remove_edge(start, end)
            nx.add_path(graph, [start, *bends[start, end], end])
    rows = in_order(graph, row)
    widths = [*(width for width, _ in sizes), *[LANE] * (dummies - len(sizes))]
    centres = spread(rows, widths, len(sizes), bends.values())
    return placed(rows, centres, sizes, bends, widths)


def in_order(graph: object, row: dict[int, int]) -> list[list[int]]:
    """The nodes of each row, ordered by the middle of their neighbours above and below, by turns."""
    rows: list[list[int]] = [[] for _ in range(max(row.values(), default=-1) + 1)]
    for node in sorted(row, key=lambda node: (row[node], node)):
        rows[row[node]].append(node)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        neighbours = graph.predecessors if down else graph.successors  # type: ignore[attr-defined]
        for nodes in rows if down else reversed(rows):
            place = {node: index / len(other) for other in rows for index, node in enumerate(other)}
            means = {node: mean([place[other] for other in neighbours(node)], place[node]) for node in nodes}
            nodes.sort(key=lambda node: means[node])
    return rows


def mean(values: Sequence[float], otherwise: float) -> float:
    """The mean, or another number where there are no values."""
    return sum(values) / len(values) if values else otherwise


def spread(
    rows: Sequence[Sequence[int]], widths: Sequence[float], boxes: int, bends: Iterable[Sequence[int]]
) -> dict[int, float]:
    """The centre of each node: the boxes of a row around the middle, each long way straight beside them."""
    centres = {node: 0.0 for nodes in rows for node in nodes}
    lanes = {bend: tuple(way) for way in bends for bend in way}
    for _ in range(SWEEPS):
        for nodes in rows:
            apart(nodes, centres, widths, boxes)
        for way in dict.fromkeys(lanes.values()):
            xs = [centres[bend] for bend in way]
            outermost = max(xs) if sum(xs) >= 0 else min(xs)
            centres.update(dict.fromkeys(way, outermost))
    for nodes in rows:
        apart(nodes, centres, widths, boxes)
    return centres


def apart(nodes: Sequence[int], centres: dict[int, float], widths: Sequence[float], boxes: int) -> None:
    """Put the boxes of a row beside each other around the middle, and push bends outwards, as little as the widths ask for."""
    inner = [index for index, node in enumerate(nodes) if node < boxes]
    first, last = (inner[0], inner[-1]) if inner else (0, -1)
    middle = nodes[first : last + 1]
    x = -(sum(widths[node] for node in middle) + GAP * (len(middle) - 1)) / 2
    for node in middle:
        centres[node] = x + widths[node] / 2
        x += widths[node] + GAP
    for left, right in pairwise(nodes[last:] if inner else nodes):
        centres[right] = max(centres[right], centres[left] + (widths[left] + widths[right]) / 2 + GAP / 2)
    for right, left in pairwise(reversed(nodes[: first + 1])):
        centres[left] = min(centres[left], centres[right] - (widths[left] + widths[right]) / 2 - GAP / 2)


def placed(
    rows: Sequence[Sequence[int]],
    centres: dict[int, float],
    sizes: Sequence[tuple[float, float]],
    bends: dict[tuple[int, int], list[int]],
    widths: Sequence[float],
) -> Arrangement:
    """Coordinates from the upper left corner of the picture."""
    left = min((centres[node] - widths[node] / 2 for node in centres), default=0.0)
    right = max((centres[node] + widths[node] / 2 for node in centres), default=0.0)
    tops, y = [], 0.0
    heights = [max((sizes[node][1] for node in nodes if node < len(sizes)), default=0.0) for nodes in rows]
    for height in heights:
        tops.append(y)
        y += height + BETWEEN
    level = {node: index for index, nodes in enumerate(rows) for node in nodes}
    places = tuple(
        Place(round(centres[node] - left - sizes[node][0] / 2, 1), round(tops[level[node]], 1)) for node in range(len(sizes))
    )
    ways = {}
    for (start, end), through in bends.items():
        points = [(centres[start] - left, places[start].y + sizes[start][1])]
        for bend in through:
            top = tops[level[bend]]
            points += [(centres[bend] - left, top), (centres[bend] - left, top + heights[level[bend]])]
        points.append((centres[end] - left, places[end].y))
        ways[start, end] = tuple((round(x, 1), round(y, 1)) for x, y in points)
    return Arrangement(round(right - left, 1), round(max(0.0, y - BETWEEN), 1), places, ways)
