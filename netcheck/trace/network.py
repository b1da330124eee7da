"""The traced graph as plain data, for who draws it, counts it or compares it: see `netcheck.figures.network`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from netcheck.figures.network import Network, Operation
from netcheck.trace.kinds import is_weight_layer

if TYPE_CHECKING:
    import torch

    from netcheck.trace.node import Node, Nodes


def network(graph: Nodes, classes: Mapping[str, str]) -> Network:
    """What forward does with its inputs; what it makes of constants alone is left out. `classes` are those of modules by path."""
    nodes = [node for node in graph if node.depends or node.op == "output"]
    places = {id(node): place for place, node in enumerate(nodes)}
    counted: set[int] = set()
    operations = tuple(operation(node, places, new_parameters(graph, node, counted)) for node in nodes)
    paths = ("", *dict.fromkeys(path for one in operations for path in above(one.path)))
    return Network(operations, tuple((path, classes[path]) for path in paths if path in classes))


def operation(node: Node, places: dict[int, int], parameters: int) -> Operation:
    """One operation."""
    return Operation(
        name=node.name,
        path=node.path,
        operation="output" if node.op == "output" else str(node.fx.target) if node.op == "placeholder" else node.target,
        kind=str(node.kind),
        shape=node.shape,
        parameters=parameters,
        inputs=tuple(places[id(source)] for source in node.inputs if id(source) in places),
        is_weight_layer=is_weight_layer(node),
    )


def new_parameters(graph: Nodes, node: Node, counted: set[int]) -> int:
    """The scalars of the parameters that no operation used before; `counted` are these."""
    new = {id(p): p for p in parameters_of(graph, node) if id(p) not in counted}
    counted.update(new)
    return sum(p.numel() for p in new.values())


def parameters_of(graph: Nodes, node: Node) -> list[torch.Tensor]:
    """The parameters of a leaf module, or those that a function is given directly."""
    if node.module is not None:
        return list(node.module.parameters())
    return [graph.recording.attributes[str(s.fx.target)] for s in node.inputs if s.fx.target in graph.recording.names]


def above(path: str) -> Iterator[str]:
    """The paths of the modules that hold one, from the outermost, and its own."""
    parts = path.split(".") if path else []
    return (".".join(parts[: end + 1]) for end in range(len(parts)))
