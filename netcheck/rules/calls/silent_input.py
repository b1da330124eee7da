"""NC915: a part of an input that has no influence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import CallRule, Example

if TYPE_CHECKING:
    from netcheck.figures.calls import Calls, Part
    from netcheck.trace.graph import ModelGraph

_NAMED = 3  # entries that a finding names


def towers(product: str) -> str:
    """Two towers over the halves of `x`, `u` and `i`, joined like this."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.user, self.item = nn.Linear(6, 8), nn.Linear(6, 8)

    def forward(self, x):
        u, i = x[:, :6], x[:, 6:]
        return ({product}).sum(-1)

model = Net()
"""


class SilentInput(CallRule):
    """A part of an input has no influence on the result: a field, some channels, or some steps.

    ## What it does
    Where the passes of the probe leave a doubt, takes the gradient of the result of a call in eval mode at each tensor of
    numbers that forward is given. Where it is exactly zero for one tensor of a container, or for whole channels or steps, other
    numbers are put there: if no bit of the result changes, they have no influence. What netcheck made up itself may be larger
    than what people give: then it is information.

    ## Why is this bad?
    The data has it, the model does not see it: a slice that ends one step early, a half that is cut out and forgotten, a field
    of a batch that forward does not open. The loss alone does not tell.

    ## When it is fine
    Where the data has more than the model is made for.

    ## Evidence
    How many entries have no influence, of how many.

    ## References
    - Adebayo et al. 2018, Sanity Checks for Saliency Maps: models that ignore what they are said to use.
    """

    code = "NC915"
    name = "silent-input"
    severity = Severity.WARNING
    plain = "A part of the input has no influence on the result"
    BAD = (Example("one half is cut out and forgotten", towers("self.user(u) * self.item(u)"), "8x12"),)
    GOOD = (Example("both halves are used", towers("self.user(u) * self.item(i)"), "8x12"),)

    def check(self, calls: Calls, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each part."""
        nodes = {str(node.fx.target): node for node in graph.inputs}
        for part in calls.silent:
            owner = next((node for name, node in nodes.items() if part.name.startswith(name)), None)
            count = len(part.entries)
            evidence = f"{count} of {part.size} entries change no bit of the result" if count else "no bit of the result changes"
            yield self.finding(
                f"{described(part)} of the input has no influence on the result",
                help="look for the slice, the field or the channel that forward leaves out; if it is not needed, do not give it",
                evidence=Evidence(count or 1, "entries", evidence, limit=0),
                at=[owner] if owner is not None else [],
                severity=Severity.INFO if calls.chosen else None,
                verdict=Verdict.CONFIRMED,
            )


def described(part: Part) -> str:
    """A part as a person finds it: "`x`[:, 16:32]"."""
    if part.axis is None:
        return f"`{part.name}`"
    first, last = part.entries[0], part.entries[-1]
    together = last - first + 1 == len(part.entries)
    which = f"{first}:{last + 1}" if together else f"[{', '.join(map(str, part.entries[:_NAMED]))}, ...]"
    return f"`{part.name}[{':, ' * part.axis}{which if len(part.entries) > 1 else first}]`"
