"""What the file around an operation does with a model, by the names that it uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netcheck.source.vocabulary import names_used

if TYPE_CHECKING:
    from netcheck.trace.graph import Node


def used_around(node: Node, names: frozenset[str]) -> bool:
    """Whether the file that calls an operation, or the one that builds its module, uses one of these names."""
    files = {place.file for place in (node.called_at, node.built_at) if place is not None}
    return any(not names.isdisjoint(names_used(file)) for file in files)
