"""What the rules of the depth budget share: one estimate, one cause, one finding (see `netcheck.trace.budget`)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netcheck.figures.decades import Decades
from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.thresholds import Threshold

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients, Remedy
    from netcheck.trace.budget import Diagnosis
    from netcheck.trace.graph import Node

BUDGET = 3.0  # decades of measured gain, of either sign
HOPELESS = 5.0  # decades: beyond, none of 560 small nets trained with any optimizer tried
HARMLESS = 2.0  # decades within which a suspicion was wrong: of 560 small nets, those there trained as often as any

ERROR = Threshold("error", HOPELESS, "decades of gain beyond which the finding is an error, not a warning")

REMEDIES = {
    "init": "the recommended initialization",
    "saturation": "rectifiers and their initialization",
    "no norm": "a BatchNorm after each weight layer",
    "no skip": "identity skips around the layers",
}

ADVICE = {
    "init": "initialize each layer for its activation",
    "saturation": "replace saturating activations by nn.ReLU(), with its initialization",
    "no norm": "put a normalization after each weight layer",
    "no skip": "lead identity skips around the layers",
}
MENDS = {  # what the first sentence of a rule's help asks for
    "NC501": "init",
    "NC502": "init",
    "NC503": "init",
    "NC101": "saturation",
    "NC102": "saturation",
    "NC301": "no norm",
    "NC401": "no skip",
}


def first(remedies: Sequence[Remedy], code: str) -> Remedy:
    """What to do first about a finding: what its own rule mends, if that works; else the best of what was tried."""
    return next((one for one in remedies if one.change == MENDS.get(code)), remedies[0])


def advised(change: str, code: str, advice: str) -> str:
    """A change that was tried and works, in words; with the advice of a finding where that is a part of it."""
    parts = change.split(" + ")
    rest = [ADVICE[part] for part in parts if part != MENDS.get(code)]
    return "; ".join([advice, *rest] if len(rest) < len(parts) else rest)


def in_words(change: str) -> str:
    """What a remedy is: "a BatchNorm after each weight layer and identity skips around the layers" for "no norm + no skip"."""
    *most, last = [REMEDIES[one] for one in change.split(" + ")]
    return f"{', '.join(most)} and {last}" if most else last


def severity(diagnosis: Diagnosis) -> Severity:
    """That of a suspicion: an estimate alone is no error, and information where it passed what it does not model."""
    return Severity.INFO if diagnosis.beyond else Severity.WARNING


def verdict(found: Finding, gradients: Gradients, highest: Severity, error: float = HOPELESS) -> Finding:
    """A suspicion of the budget, beside the measured gain.

    Confirmed with the measured severity if the gain is outside 3 decades in the direction that was estimated; cleared if
    it is inside 2; between the two it stays suspected, as a warning.
    """
    if found.evidence.unit != "decades" or math.isnan(gradients.gain):
        return found
    gain = gradients.held_gain
    text = f"{found.evidence.text}; measured gain {Decades(gain)}"
    measured = replace(found, evidence=replace(found.evidence, text=text))
    same_direction = (gain < 0) == (found.evidence.value < 0)
    if abs(gain) > BUDGET and same_direction:
        return replace(measured, verdict=Verdict.CONFIRMED, severity=min(highest, severity_of(gain, error)))
    if abs(gain) <= HARMLESS or not same_direction:
        return replace(measured, verdict=Verdict.CLEARED)
    return replace(measured, severity=min(found.severity, Severity.WARNING))


def severity_of(gain: float, error: float = HOPELESS) -> Severity:
    """How bad a measured gain is, in decades: beyond 5 no net trained with any optimizer, beyond 3 none with SGD."""
    return Severity.ERROR if abs(gain) > error else Severity.WARNING


def evidence(diagnosis: Diagnosis, change: str = "", remedy: float = 0.0) -> Evidence:
    """The static gain as built and with the cause removed, or with another change, which gives the gain `remedy`."""
    text = (
        f"static gain {Decades(diagnosis.gain)} decades over {len(diagnosis.layers)} weight layers, "
        f"budget ±{diagnosis.budget:.0f}"
    )
    if diagnosis.beyond:
        text += f", past {diagnosis.beyond[0].target}, which the estimate does not model"
    if change:
        text += f"; with {change} {Decades(remedy)}"
    elif diagnosis.cause is not None:
        text += f"; with {REMEDIES[diagnosis.cause]} {Decades(diagnosis.remedy)}"
    return Evidence(round(diagnosis.gain, 2), "decades", text, limit=diagnosis.budget)


def fate(diagnosis: Diagnosis) -> str:
    """What happens to the gradient, in words."""
    factor = 10 ** min(round(abs(diagnosis.gain), 1), 300)  # of the decades that the evidence shows
    size = f"{float(f'{factor:.1g}'):,.0f}" if factor < 9.5e4 else f"10^{abs(diagnosis.gain):.0f}"
    verb = "shrinks" if diagnosis.gain < 0 else "grows"
    return f"the gradient {verb} {size}-fold over {len(diagnosis.layers)} weight layers"


def others(diagnosis: Diagnosis) -> str:
    """The other single changes that would do, with their gains."""
    good = [
        f"{REMEDIES[cause]} ({Decades(gain)})"
        for cause, gain in diagnosis.remedies.items()
        if cause != diagnosis.cause and abs(gain) <= 3
    ]
    return f"\nor: {', or '.join(good)}" if good else ""


def name_of(activations: Iterable[Node]) -> str:
    """The commonest activation, as a person calls it: "tanh", "ReLU"; several are joined."""
    names = [activation_name(node) for node in activations]
    return max(set(names), key=names.count) if names else "nothing"


def activation_name(node: Node) -> str:
    """A module's class without "nn.", a function's bare name; composites by their behaviour."""
    if node.detail in ("crelu", "maxout"):
        return {"crelu": "CReLU", "maxout": "Maxout"}[node.detail]
    if node.module is not None:
        return type(node.module).__name__
    if node.function in ("mul", "add", "sub", "div", "where", "truediv", "cat"):
        return node.owner or "an activation"
    return str(node.function)


def initializer(gain: float, saturates: bool) -> str:
    """The call of torch.nn.init that gives weights a gain: std * sqrt(fan_in) = gain."""
    if saturates:
        return "nn.init.xavier_uniform_(layer.weight" + (", gain=5/3)" if abs(gain - 5 / 3) < 0.1 else ")")
    if abs(gain - math.sqrt(2)) < 0.12:
        return 'nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")'
    if abs(gain - 1) < 0.1:
        return 'nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")'
    return f"nn.init.normal_(layer.weight, std={gain:.2f} / fan_in ** 0.5)"
