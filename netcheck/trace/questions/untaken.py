"""The ways of forward that it did not take.

untaken_use(input)       the statement that computes with an input, where none that does has run; None otherwise
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from netcheck.source.locate import Definition
from netcheck.source.readings import Reading, readings
from netcheck.torch_versions import forward_of

if TYPE_CHECKING:
    from netcheck.findings import Location
    from netcheck.trace.node import Node, Nodes


def untaken_use(node: Node) -> Location | None:
    """The first statement of forward that computes with an input on a way that was not taken, if no other uses it."""
    code = getattr(inspect.unwrap(forward_of(type(node.graph.model))), "__code__", None)
    if code is None or node.users:
        return None
    found = readings(Definition(code.co_filename, code.co_qualname, code.co_firstlineno), str(node.fx.target))
    if found is None or any(has_run(one, node.graph, code.co_qualname) for one in found):
        return None
    return found[0].place


def has_run(reading: Reading, graph: Nodes, function: str) -> bool:
    """Whether an operation was recorded in a statement, or in a module that it names."""
    first, last = reading.place.line, reading.place.end_line or reading.place.line
    for node in graph:
        place = node.called_at if node.op != "placeholder" else None
        if place is not None and place.file == reading.place.file and place.function == function and first <= place.line <= last:
            return True
        if node.path.partition(".")[0] in reading.members:
            return True
    return False
