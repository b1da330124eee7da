"""NC202: dropout that eval does not switch off."""

from __future__ import annotations

import inspect
import re
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING, Any

from netcheck.errors import TraceError
from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.trace.kinds import Kind
from netcheck.trace.questions.dropouts import is_mask, is_on, rate

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_WAYS = {  # how it stays on -> (what is said, what to do)
    "function": (
        "{name} does not look at `self.training`",
        "pass the mode: `{name}(x, p, training=self.training)`, or build an `nn.Dropout` in `__init__`",
    ),
    "turned": (
        "{name} is off in training and on in evaluation, its switch turned round",
        "pass the mode itself: `{name}(x, p, training=self.training)`",
    ),
    "attention": (
        "the attention's `dropout_p` does not look at `self.training`",
        "pass `dropout_p=self.p if self.training else 0.0`",
    ),
    "mask": (
        "forward draws a random mask in every mode",
        "draw the mask `if self.training:` only, or use `nn.Dropout`",
    ),
    "built": (
        "{name} is built in forward, and new modules are in training mode",
        "build it once, in `__init__`: `self.dropout = {name}(p)`",
    ),
    "unregistered": (
        "{name} is held where `eval()` does not find it",
        "keep it in an `nn.ModuleList` or as an attribute of the module",
    ),
    "switched": (
        "{name} is in training mode again",
        "leave its mode to `train()` and `eval()` of the whole model",
    ),
}


class DropoutAlwaysOn(StaticRule):
    """Dropout is still random after `model.eval()`.

    ## What it does
    Where a dropout is not a registered module, records forward once more in evaluation mode,
    and reports what still drops: `F.dropout` without `training=` or with `training=not self.training`, a dropout module
    that forward builds or that a plain list holds, attention with a constant `dropout_p`, a mask drawn without asking for
    the mode.

    ## Why is this bad?
    Predictions change from call to call, and are worse than what was trained; validation
    looks worse than training for no visible reason. Nothing warns.

    ## When it is fine
    Monte Carlo dropout, which samples predictions on purpose: a model whose documentation
    says so gets an info.

    ## Evidence
    The drop probability in evaluation mode, recorded there.

    ## References
    - Srivastava et al. 2014, Dropout, section 1: at test time the whole network is used.
    - Gal and Ghahramani 2016, Dropout as a Bayesian Approximation: Monte Carlo dropout.
    """

    code = "NC202"
    name = "dropout-always-on"
    severity = Severity.WARNING
    plain = "Dropout stays on after `model.eval()`, so its answers are random when it is used"
    fixable = Fixable("let `self.training` decide", safe=False)
    BAD = (
        Example(
            "F.dropout without training",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        return self.fc2(F.dropout(F.relu(self.fc1(x)), p=0.5))

model = Net()
""",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "a registered module",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 4))
""",
            "8x16",
        ),
        Example(
            "the function, told the mode",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = F.dropout(F.relu(self.fc1(x)), 0.5, self.training)
        return self.fc2(F.dropout(x, p=0.2, training=self.training))

model = Net()
""",
            "8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each way in which dropout stays on."""
        from netcheck.trace.attempts import overrides_train

        modules = list(graph.model.modules())
        registered = frozenset(map(id, modules))
        overridden = any(map(overrides_train, modules))
        if not any(is_switched_off(node) or may_stay_on(node, registered, overridden=overridden) for node in graph):
            return  # the common case: forward need not be recorded again
        try:
            evaluated = graph.in_mode(training=False)
            turned = {node.called_at for node in graph.in_mode(training=True) if is_switched_off(node)}
        except TraceError:
            return
        found: dict[str, list[Node]] = {}
        for node in evaluated:
            if node.live and node.depends and is_on(node):
                found.setdefault("turned" if node.called_at in turned else way_of(node, registered), []).append(node)
        severity = Severity.INFO if is_on_purpose(graph.model) else Severity.WARNING
        for way, nodes in found.items():
            fact, cure = (text.format(name=nodes[0].target) for text in _WAYS[way])
            p = max((rate(node) or 0.0 for node in nodes), default=0.0)
            text = f"after eval(): drop probability {p:g}, should be 0" if p else "after eval(): a random mask"
            yield self.finding(
                f"dropout stays on after `eval()`: {fact}",
                help=cure,
                evidence=Evidence(p or 1.0, "drop probability" if p else "random masks", text, limit=0.0),
                at=nodes,
                severity=severity,
                verdict=Verdict.CONFIRMED,
            )


def is_switched_off(node: Node) -> bool:
    """Whether a function was told to drop nothing by a module that is in training mode (and so is not live: it hands on)."""
    plain = node.kind is Kind.DROPOUT and node.module is None and not is_mask(node)
    return plain and node.training and bool(rate(node)) and not is_on(node)


def may_stay_on(node: Node, registered: Container[int], *, overridden: bool) -> bool:
    """Whether the mode of the model may not decide about this dropout."""
    if not node.live or not is_on(node):
        return False
    if node.module is None or id(node.module) not in registered:
        return True
    code = node.call.code if node.call else None
    return overridden or (code is not None and "train" in code.co_names)  # forward calls .train()


def way_of(node: Node, registered: Container[int]) -> str:
    """How a dropout came to stay on: a key of `_WAYS`."""
    if is_mask(node):
        return "mask"
    if node.module is None:
        return "attention" if node.kind is Kind.ATTENTION else "function"
    if id(node.module) in registered:
        return "switched"
    return "built" if "<" in node.path else "unregistered"


def is_on_purpose(model: Any) -> bool:
    """Whether the model's documentation speaks of Monte Carlo dropout."""
    from netcheck.torch_versions import forward_of

    text = f"{inspect.getdoc(type(model)) or ''} {inspect.getdoc(forward_of(type(model))) or ''}"
    own = type(model).__module__.partition(".")[0] != "torch"
    return own and re.search(r"monte[- ]carlo|\bmc[- ]?dropout|bayesian", text, re.IGNORECASE) is not None
