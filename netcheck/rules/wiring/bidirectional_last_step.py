"""NC911: the last step of a bidirectional layer, of which one direction has read one step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_IN_PLACE = frozenset((Kind.DROPOUT, Kind.NORM, Kind.IDENTITY, Kind.CAST, Kind.ACTIVATION))


def classifier(summary: str) -> str:
    """A bidirectional LSTM whose sequence is summed up by this expression of its `out` and last states `h`."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(5, 8, batch_first=True, bidirectional=True), nn.Linear(16, 3)

    def forward(self, x):  # (N, T, 5)
        out, (h, _) = self.lstm(x)
        return self.head({summary})

model = Net()
"""


class BidirectionalLastStep(StaticRule):
    """The last step of a bidirectional recurrent layer stands for the sequence: its backward half has read one step alone.

    ## What it does
    Looks for a bidirectional nn.RNN, nn.LSTM or nn.GRU of whose outputs forward takes the last step (or the first) and
    nothing else, with both halves of the features.

    ## Why is this bad?
    The backward direction begins at the last step. `out[:, -1]` holds its state after that one step, and what it has read when
    it comes to the beginning is thrown away: half of the layer, and of its FLOPs, sees one step of the sequence.

    ## When it is fine
    Where the last step is what the prediction is about, and the steps before it are context for the forward half alone.

    ## Evidence
    How many steps the halves have read.

    ## References
    - Schuster & Paliwal 1997, Bidirectional Recurrent Neural Networks.
    - PyTorch documentation of nn.LSTM: for bidirectional layers h_n is not the last element of output.
    """

    code = "NC911"
    name = "bidirectional-last-step"
    severity = Severity.WARNING
    plain = "The last step stands for the sequence, but the half of the layer that reads backwards has seen only that step"
    BAD = (Example("the last step of both directions", classifier("out[:, -1]"), "4x7x5"),)
    GOOD = (
        Example("the last states of both directions", classifier("torch.cat([h[-2], h[-1]], 1)"), "4x7x5"),
        Example("the mean over the steps", classifier("out.mean(1)"), "4x7x5"),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such layers."""
        found = [(node, pick) for node in graph for pick in lone_picks(node)]
        if not found:
            return
        layer, pick = found[0]
        steps, first = (layer.shape or (0, 0, 0))[time_of(layer)], picked_step(pick, time_of(layer)) == 0
        yield self.finding(
            f"the {'first' if first else 'last'} step of a bidirectional {layer.target} stands for the sequence: "
            f"its {'forward' if first else 'backward'} half has read 1 of {steps} steps",
            help="take the last state of each direction: _, (h, _) = lstm(x); torch.cat([h[-2], h[-1]], dim=1) (of a GRU: _, h); "
            "or a mean over the steps",
            evidence=Evidence(
                1, "steps", f"1 of {steps} steps read by half of {(layer.shape or (0,))[-1]} features", limit=steps
            ),
            at=[pick for _, pick in found],
            verdict=Verdict.CONFIRMED,
        )


def time_of(layer: Node) -> int:
    """The dimension of the steps."""
    return int(bool(getattr(layer.module, "batch_first", False)))


def lone_picks(layer: Node) -> list[Node]:
    """The operations that take the first or the last step of a bidirectional layer, if they all take the same, whole one."""
    if layer.kind is not Kind.RECURRENT or not getattr(layer.module, "bidirectional", False) or not layer.live:
        return []
    shape, time = layer.shape or (), time_of(layer)
    if len(shape) != 3 or shape[time] < 2:
        return []
    outputs = [user for user in layer.users if user.function == "getitem" and user.argument(1, "index") == 0]
    readers = [reader for output in outputs for reader in readers_of(output)]
    steps = {picked_step(reader, time) for reader in readers}
    whole = all(reader.shape is not None and reader.shape[-1:] == shape[-1:] for reader in readers)
    halved = any(user.kind in (Kind.INDEX, Kind.RESHAPE) for reader in readers for user in reader.users)
    return readers if len(steps) == 1 and steps <= {0, -1} and whole and not halved else []


def readers_of(node: Node) -> Iterator[Node]:
    """What uses a value, through what leaves its elements where they are."""
    for user in node.users:
        if user.kind in _IN_PLACE and user.shape == node.shape:
            yield from readers_of(user)
        else:
            yield user


def picked_step(node: Node, time: int) -> int | None:
    """Which step an operation takes: 0, -1; None if it does something else."""
    source = node.inputs[0].shape if node.inputs else None
    step: Any = None
    if node.function == "getitem":
        index = node.argument(1, "index")
        parts = index if isinstance(index, tuple) else (index,)
        if len(parts) > time and all(part == slice(None) for i, part in enumerate(parts) if i != time):
            step = parts[time]
    elif node.function == "select" and node.argument(1, "dim") == time:
        step = node.argument(2, "index")
    if not isinstance(step, int) or not source:
        return None
    return -1 if step == source[time] - 1 else step
