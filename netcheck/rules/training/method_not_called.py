"""TS107: a method is named and not called."""

from __future__ import annotations

from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, TrainingRule
from netcheck.source.training.events import Act, TrainingFile


class MethodNotCalled(TrainingRule):
    """`optimizer.zero_grad` without parentheses stands as a statement: it names the method and does nothing.

    ## What it does
    Looks for statements that consist of `x.zero_grad`, `x.step`, `x.backward`, `x.train` or `x.eval` and no call.

    ## Why is this bad?
    Python evaluates the name and goes on. The gradients are not cleared, the step is not taken, the model stays in its mode.

    ## When it is fine
    Never.

    ## Evidence
    How often the statement calls the method: 0 times.

    ## References
    - The Python language reference, "Calls".
    """

    code = "TS107"
    name = "method-not-called"
    severity = Severity.ERROR
    plain = "A line of the training does nothing, because its parentheses are missing"
    fixable = Fixable("call the method", safe=False)
    BAD = (
        Example(
            "zero_grad without parentheses",
            """
for x, y in loader:
    optimizer.zero_grad
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
""",
        ),
    )
    GOOD = (
        Example(
            "a call",
            """
for x, y in loader:
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each such statement."""
        for event in {id(event.node): event for event in training.all(Act.NAMED)}.values():
            yield self.finding(
                f"`{event.text}` names the method and does not call it: this line does nothing",
                help=f"write `{event.text}()`",
                evidence=Evidence(0, "calls", "the statement calls the method 0 times", limit=1),
                places=[event.place],
                verdict=Verdict.CONFIRMED,
            )
