"""NC913: a forward that is no function of its arguments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import CallRule, Example

if TYPE_CHECKING:
    from netcheck.figures.calls import Calls
    from netcheck.trace.graph import ModelGraph

_NAMED = 3  # tensors that a finding names


def net(lines: str) -> str:
    """A model with a buffer `mean`, and these lines between its layer and its head."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(8, 8), nn.Linear(8, 4)
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x):
        h = self.layer(x)
        {lines}
        return self.head(h - self.mean)

model = Net()
"""


class ImpureForward(CallRule):
    """In eval mode, forward changes the model or the tensors that it is given, or gives something else when it is called again.

    ## What it does
    Where the comparison of samples (NC705) has not shown it already, calls a copy of the model twice in eval mode on the same
    arguments, and compares arguments, weights and buffers before and after, and the two results. Dropout is off and random
    numbers are at their means.

    ## Why is this bad?
    A prediction then depends on what was predicted before it: on the order of a validation set, on how many requests a server
    has had. Statistics that forward updates without asking `self.training` take in the validation set. What is written into
    the caller's tensor (`x -= self.mean`, a first `ReLU(inplace=True)`) is gone for whoever uses it next: the loss, a second
    model, the next epoch of a data set that is held in memory; and a leaf that requires a gradient raises.

    ## When it is fine
    Streams, whose state is meant to go on: then there should be a way to reset it. Buffers that change no result, such as
    counters, are information.

    ## Evidence
    The relative difference of the two results, or the tensors that changed.

    ## References
    - PyTorch documentation of torch.nn.Module.eval.
    """

    code = "NC913"
    name = "impure-forward"
    severity = Severity.WARNING
    plain = "Calling it changes it or its inputs, or gives something else each time"
    BAD = (
        Example("statistics that are kept in eval mode too", net("self.mean.lerp_(h.detach().mean(0), 0.1)"), "4x8"),
        Example("the caller's tensor is normalized in place", net("x -= x.mean(1, keepdim=True); h = self.layer(x)"), "4x8"),
    )
    GOOD = (
        Example(
            "statistics that are kept in training",
            net("if self.training:\n            self.mean.lerp_(h.detach().mean(0), 0.1)"),
            "4x8",
        ),
        Example("a tensor of its own", net("x = x - x.mean(1, keepdim=True); h = self.layer(x)"), "4x8"),
    )

    def check(self, calls: Calls, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for what a call changes in the model, one for what it changes in its arguments."""
        if calls.off or calls.changed:
            yield self._model_changed(calls)
        if calls.written:
            names = listed(calls.written)
            yield self.finding(
                f"forward writes into {names}, which the caller goes on using",
                help="work on a tensor of its own: x = x - mean instead of x -= mean, and no inplace=True on an argument",
                evidence=Evidence(len(calls.written), "arguments", f"the values of {names} are others after the call", limit=0),
                at=[node for node in graph.inputs if str(node.fx.target) in calls.written],
                verdict=Verdict.CONFIRMED,
            )

    def _model_changed(self, calls: Calls) -> Finding:
        changed = f"changes {listed(calls.changed)}" if calls.changed else "leaves something behind"
        same = "the same result" if not calls.off else f"another result, by {calls.off:.2g}"
        return self.finding(
            f"in eval mode forward {changed}, and gives {same} when it is called again",
            help="ask for the mode before anything is kept (if self.training); hand a state that goes on in and out of forward",
            evidence=Evidence(calls.off or 0.0, "relative", f"a second call in eval mode gives {same}", limit=0),
            severity=None if calls.off else Severity.INFO,
            verdict=Verdict.CONFIRMED,
        )


def listed(names: tuple[str, ...]) -> str:
    """A few names, and how many more there are."""
    unique = tuple(dict.fromkeys(names))
    more = f" and {len(unique) - _NAMED} more" if len(unique) > _NAMED else ""
    return ", ".join(f"`{name}`" for name in unique[:_NAMED]) + more
