"""NC903: inputs that do not reach the output."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.source.spots import spot

if TYPE_CHECKING:
    from netcheck.findings import Location
    from netcheck.trace.graph import ModelGraph, Node


class InputIgnored(StaticRule):
    """An input of forward does not reach the output: the model gives the same answer whatever it is.

    ## What it does
    Follows the values of every tensor that forward is given. One that reaches neither the output, nor a
    value that forward looks at, nor anything that forward leaves behind in the model, is reported; as
    information if forward took its shape, or if what uses it stands on a way that forward did not take (a branch that a
    setting closes).

    ## Why is this bad?
    A mask that is not applied, a condition that is overwritten, a second image that is passed and forgotten:
    the model trains, on less than it was given, and the loss alone does not tell.

    ## When it is fine
    Arguments that stand in the signature for the sake of a common interface: give them a name that begins
    with `_`. Inputs of which only the size counts (the map to which another is resized).

    ## Evidence
    The number of inputs that take no part in the output.

    ## References
    - Adebayo et al. 2018, Sanity Checks for Saliency Maps: models and explanations that ignore what they are
      said to use.
    """

    code = "NC903"
    name = "input-ignored"
    severity = Severity.WARNING
    plain = "An input changes nothing: the answer is the same whatever it is"
    BAD = (
        Example(
            "a mask that is not applied",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(16, 2, batch_first=True), nn.Linear(16, 4)

    def forward(self, x, padding):
        return self.head(self.attention(x, x, x)[0])

model = Net()
""",
            "x=8x6x16 padding=bool:8x6",
        ),
    )
    GOOD = (
        Example(
            "a mask that is applied",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x, mask):
        x = self.body(x).masked_fill(~mask.unsqueeze(-1), 0.0)
        return self.head(x.sum(1))

model = Net()
""",
            "x=8x6x16 mask=bool:8x6",
        ),
    )

    def on_another_way(self, node: Node, name: str, place: Location) -> Finding:
        """The information that only a way that was not taken uses an input."""
        line = spot(place.file, place.line)
        return self.finding(
            f"the input `{name}` does not reach the output: {line}, which uses it, did not run",
            help=f"give inputs or settings that take that way to have it checked; if `{name}` stands there for a common "
            f"interface, nothing need be done",
            evidence=Evidence(0, "ways", f"0 ways from `{name}` to the output on the way that forward took", limit=1),
            at=[node],
            severity=Severity.INFO,
        )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each tensor of the input that changes nothing."""
        if graph.lost:
            return  # a tensor came from where the recorder did not see: perhaps from this input
        if not graph.returned and not graph.kept:
            return  # then nothing reaches the output: NC907 says so, once
        from netcheck.trace.questions.untaken import untaken_use

        counting = {id(node) for node in contributing(graph)}
        for node in graph.inputs:
            if node.shape is None or id(node) in counting or node.name.startswith(("_", "unused")):
                continue
            only_shape = node in graph.sized
            name = str(node.fx.target)
            if (place := untaken_use(node)) is not None:
                yield self.on_another_way(node, name, place)
                continue
            yield self.finding(
                f"the input `{name}` does not reach the output" + (": only its shape is used" if only_shape else ""),
                help=f"use `{name}` in forward, or take it out of the signature; `_{name}` says that it is ignored on purpose",
                evidence=Evidence(0, "ways", f"0 ways from `{name}` to the output", limit=1),
                at=[node],
                severity=Severity.INFO if only_shape else Severity.WARNING,
                verdict=Verdict.CONFIRMED,
            )


def contributing(graph: ModelGraph) -> Iterable[Node]:
    """The nodes whose values the output, a value looked at, or what forward leaves behind depends on."""
    pending = [*(node for node in graph if node.op == "output"), *graph.reads, *graph.kept]
    found = set(pending)
    while pending:
        node = pending.pop()
        if node.depends or node.op == "output":  # zeros_like(x) takes only the shape of x
            new = [source for source in node.inputs if source not in found]
            found.update(new)
            pending += new
    return found
