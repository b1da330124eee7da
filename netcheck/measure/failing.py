"""Why backward raises: which operation's gradient, and which other one has overwritten what that needs.

    out = torch.relu(self.b(x))
    out += x                        explained(...): "Tensor.add_ overwrites what torch.relu keeps for its gradient"

Forward is recorded once more while autograd says what it saves; a saved tensor that has another version after an operation
was written to by it.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from netcheck.errors import BackwardError
from netcheck.measure.inputs import is_ordinary
from netcheck.measure.watch import same_operation
from netcheck.trace import structure
from netcheck.trace.calls import memory

if TYPE_CHECKING:
    from netcheck.measure.passes import Stage
    from netcheck.trace.graph import Node
    from netcheck.trace.recording import Call

OVERWRITTEN = "modified by an inplace operation"  # what torch says of a saved tensor with another version


class SavedWatch:
    """Hears a recorded run, and what autograd saves in it.

    Attributes:
        reached: in the order of the backward pass, the last node at whose value a gradient arrived.
        overwritten: by a node that had something saved: the node that wrote to it.
    """

    def __init__(self, known: dict[str, Node]) -> None:
        self.known = known
        self.reached: Node | None = None
        self.overwritten: dict[Node, Node] = {}
        self._pending: list[torch.Tensor] = []  # saved by the operation that runs now
        self._saved: dict[int, list[tuple[Node, torch.Tensor, int]]] = {}  # by their memory; with the version that they had

    def saved(self, tensor: torch.Tensor) -> torch.Tensor:
        """Note a tensor that autograd saves."""
        self._pending.append(tensor)
        return tensor

    def __call__(self, call: Call, result: Any) -> Any:
        """Look at what an operation saved, and at what it wrote to."""
        node = self.known.get(call.node.name)
        if node is None or not same_operation(node, call):
            return result
        for _, tensor in structure.tensors(result):
            self._compare(tensor, node)
            if tensor.requires_grad and is_ordinary(tensor):
                tensor.register_hook(partial(self.arrived, node))
        for tensor in self._pending:
            self._saved.setdefault(memory(tensor), []).append((node, tensor, tensor._version))
        self._pending.clear()
        return result

    def _compare(self, result: torch.Tensor, node: Node) -> None:
        """Note what this node has written to, if its result lies where something was saved."""
        kept = []
        for owner, tensor, version in self._saved.pop(memory(result), []):
            if tensor._version == version:
                kept.append((owner, tensor, version))
            else:
                self.overwritten.setdefault(owner, node)
        if kept:
            self._saved[memory(result)] = kept

    def arrived(self, node: Node, gradient: torch.Tensor | None) -> None:
        """A gradient has come as far as this node's value."""
        self.reached = node


def explained(stage: Stage, error: BackwardError) -> BackwardError:
    """The error of a model that cannot be trained, with the line that is to blame as far as that can be found."""
    watch = SavedWatch(stage.by_name)
    model = stage.graph.model
    listening = torch.autograd.graph.saved_tensors_hooks(watch.saved, unchanged)
    with suppress(Exception), stage.set_up(model) as twins, listening:  # it raises again, or does not like to be listened to
        stage.run(model, twins, watch, 0)
    failing = watch.reached
    writer = watch.overwritten.get(failing) if failing is not None else None
    if OVERWRITTEN in str(error) and writer is None:
        failing, writer = next(iter(watch.overwritten.items()), (failing, None))
    why, help = str(error), "run the model forward and backward by itself; change the operation that has no gradient"
    if writer is not None and failing is not None:
        why = f"{writer.target} overwrites what {failing.target} keeps for its gradient"
        help = "make a new tensor (`out = out + x` for `out += x`, `inplace=False`, `.clone()` before writing to it)"
    at = writer or failing
    found = BackwardError(
        f"{type(model).__name__} cannot be trained: {why}",
        help=help,
        location=at.called_at if at is not None else None,
        module=at.path if at is not None else "",
    )
    found.untrainable = True
    return found


def unchanged(tensor: torch.Tensor) -> torch.Tensor:
    """What was saved."""
    return tensor
