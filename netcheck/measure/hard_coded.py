"""Which operation of forward has a batch size written into it.

    h = h.view(8, -1)          at a batch of 8: (8, 12), and at 16: (8, 24)      the 8 stays where the batch was
    torch.zeros(1, 8, 16)      at a batch of 16 still (1, 8, 16)                 ... and the recurrent layer behind it raises

Forward is recorded at another batch size, as far as it comes. What forward itself takes from `x.size(0)` changes with the
batch; a number that is the example's batch size at both was written into the source.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import fx

from netcheck.errors import TraceError
from netcheck.trace.attempts import attempt_fake

if TYPE_CHECKING:
    from netcheck.measure.axes import BatchAxes
    from netcheck.trace.graph import ModelGraph, Node
    from netcheck.trace.record import Recorder
    from netcheck.trace.recording import Recording

# Operations whose arguments are sizes.
_FACTORIES = frozenset((
    "zeros", "ones", "full", "empty", "rand", "randn", "arange", "eye", "new_zeros", "new_ones", "new_full", "new_empty",
))  # fmt: skip
_SIZED = _FACTORIES | {"view", "reshape", "expand", "repeat", "unflatten", "broadcast_to", "tile", "resize", "split", "chunk",
                       "narrow", "getitem"}  # fmt: skip


def recorded_until(axes: BatchAxes, samples: int) -> Recording | None:
    """What forward does at a batch size at which it may fail, as far as it comes."""
    recorders: list[Recorder] = []
    with contextlib.suppress(TraceError):
        attempt_fake(axes.model, *axes.resized(samples), started=recorders.append)
    return recorders[-1].recording if recorders else None


def find_hard_coded(graph: ModelGraph, recording: Recording, batch: int, *, failed: bool) -> Node | None:
    """The operation of `graph` in which the example's batch size stands as a number; None if there is none.

    Args:
        graph: the model traced at the example's batch size.
        recording: what it does at another one.
        batch: the example's batch size; of 1 nothing can be told, since ones stand everywhere.
        failed: whether forward raised there. If not, what forward makes in the same size each time is no fault.
    """
    if batch == 1:
        return None
    suspects = []
    others = list(recording.graph.nodes)
    for node, other in zip(graph.nodes, others, strict=False):
        if node.op != other.op or (node.op == "call_function" and node.fx.target is not other.target):
            break
        call = recording.calls.get(other)
        if not failed and (node.function in _FACTORIES or not node.depends):
            continue
        if node.function in _SIZED and call is not None and keeps_batch(node, other, batch, shape_of(call.result)):
            suspects.append(node)
    else:  # it came to an operation that raised, which is not recorded
        raised = graph.nodes[len(others)] if len(others) < len(graph) else None
        if raised is not None and raised.function in _SIZED and batch in numbers(raised.fx.args, raised.fx.kwargs):
            suspects.append(raised)
    return suspects[0] if suspects else None


def keeps_batch(node: Node, other: fx.Node, batch: int, shape: tuple[int, ...] | None) -> bool:
    """Whether an operation has the example's batch size as a number both times, and where the batch should be."""
    here, there = list(numbers(node.fx.args, node.fx.kwargs)), list(numbers(other.args, other.kwargs))
    stays = any(a == b == batch for a, b in zip(here, there, strict=False))
    if not stays or node.shape is None or shape is None or len(shape) != len(node.shape):
        return False
    before = next((source.shape for source in node.inputs if source.depends and source.shape), None)
    if before is None or node.function in _FACTORIES:  # made anew: its size must be the batch's somewhere
        return batch in node.shape and shape == node.shape
    # A view that folds what the batch gains into another dimension, or a copy for so many samples.
    held = [dim for dim, size in enumerate(node.shape) if size == batch]
    at = next((dim for dim, size in enumerate(before) if size == batch), None)
    return at is not None and at in held and shape[at] == batch


def shape_of(described: Any) -> tuple[int, ...] | None:
    """The shape of the first tensor in a recorded result."""
    first = described[0] if isinstance(described, list) and described else described
    return tuple(first[0]) if isinstance(first, tuple) else None


def numbers(*arguments: Any) -> Iterator[int]:
    """The whole numbers among arguments, in order."""
    for argument in arguments:
        if isinstance(argument, bool):
            continue
        if isinstance(argument, int):
            yield argument
        elif isinstance(argument, tuple | list):
            yield from numbers(*argument)
        elif isinstance(argument, dict):
            yield from numbers(*argument.values())
