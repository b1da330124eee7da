"""From a live model to a graph: `trace(model, args, kwargs) -> ModelGraph`. Imports torch only when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node
    from netcheck.trace.run import trace

__all__ = ["ModelGraph", "Node", "trace"]


def __getattr__(name: str) -> Any:
    if name == "trace":
        from netcheck.trace import run

        return run.trace
    if name in ("ModelGraph", "Node"):
        from netcheck.trace import graph

        return getattr(graph, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
