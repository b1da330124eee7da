"""NC503: deep CReLU nets that do not start linear."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from netcheck.figures.decades import Decades
from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.helpers import depth_budget
from netcheck.rules.thresholds import Threshold
from netcheck.trace.kinds import Kind, is_weight_layer

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph, Node

_DEEP = 11  # weight layers fed by a CReLU


class NotLooksLinear(StaticRule):
    """A deep net of concatenated ReLUs without the mirrored weights that would let it start as a linear map.

    ## What it does
    Finds weight layers whose input is a CReLU, cat([relu(x), relu(-x)]), on the way that a gradient cannot avoid, and tests
    whether their weights are mirrored: W[:, :h] = -W[:, h:], in the order of the concatenation. Reported from 11 such layers.

    ## Why is this bad?
    With mirrored weights a CReLU layer computes W relu(x) - W relu(-x) = W x: the net starts as a product of matrices, whose
    gradient is the same everywhere, and becomes nonlinear as it trains. With independent weights the gradients of deep
    nets without skips decorrelate: they are shattered, and the net does not train although nothing vanishes.

    ## When it is fine
    In nets up to ten layers; with skip connections or a normalization before each CReLU.

    ## Evidence
    Plain CReLU MLPs of width 64 on 8x8 digits, three seeds, best of three SGD rates after 200 steps, train accuracy: at 10
    weight layers 0.92 to 0.97 (Kaiming, orthogonal), at 12 0.71 to 0.87, at 15 0.30 to 0.51, at 22 0.12 to 0.14 (chance);
    with looks-linear weights 0.99 to 1.00 at every depth. Measured non-linearity at initialization: 2e-6 with, 0.38 without.

    ## References
    - Balduzzi et al. 2017, The Shattered Gradients Problem, section 4: looks-linear initialization.
    - Shang et al. 2016, Understanding and Improving Convolutional Neural Networks via Concatenated ReLU.
    """

    code = "NC503"
    name = "not-looks-linear"
    severity = Severity.WARNING
    plain = "{gradient}: the concatenated ReLUs do not start as the linear map that they could be"
    THRESHOLDS = (Threshold("layers", _DEEP, "layers behind a CReLU without mirrored weights from which they are too many"),)
    BAD = (
        Example(
            "thirty CReLU layers with independent weights",
            """
class CReLU(nn.Module):
    def forward(self, x):
        return torch.cat([F.relu(x), F.relu(-x)], dim=1)

def layer(n):
    linear = nn.Linear(2 * n, n)
    nn.init.orthogonal_(linear.weight)
    return nn.Sequential(linear, CReLU())

model = nn.Sequential(nn.Linear(64, 32), CReLU(), *[layer(32) for _ in range(28)], nn.Linear(64, 10))
""",
            "8x64",
        ),
    )
    GOOD = (
        Example(
            "mirrored weights: [W, -W]",
            """
class CReLU(nn.Module):
    def forward(self, x):
        return torch.cat([F.relu(x), F.relu(-x)], dim=1)

def layer(n_in, n_out):
    linear = nn.Linear(2 * n_in, n_out)
    half = nn.init.orthogonal_(torch.empty(n_out, n_in))
    linear.weight.data = torch.cat([half, -half], dim=1)
    return linear

blocks = [nn.Sequential(layer(32, 32), CReLU()) for _ in range(28)]
model = nn.Sequential(nn.Linear(64, 32), CReLU(), *blocks, layer(32, 10))
""",
            "8x64",
        ),
    )

    def verdict(self, found: Finding, gradients: Gradients) -> Finding:
        """By the measured gain: mirrored weights keep it within a decade at any depth."""
        gain = gradients.gain
        text = f"{found.evidence.text}; measured gain {Decades(gain)}"
        verdict = found.verdict
        if abs(gain) > depth_budget.BUDGET:
            verdict = Verdict.CONFIRMED
        elif abs(gain) <= depth_budget.HARMLESS:
            verdict = Verdict.CLEARED
        return replace(found, verdict=verdict, evidence=replace(found.evidence, text=text))

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all layers of the net that a CReLU feeds and that are not mirrored."""
        from netcheck.trace import paths

        fed = paths.unavoidable(graph, is_fed_by_crelu)
        plain = [node for node in fed if not is_mirrored(node)]
        deep = self.limit("layers")
        if len(plain) < deep:
            return
        yield self.finding(
            f"{len(plain)} weight layers take a CReLU whose halves their weights do not mirror: deep gradients are shattered",
            help="mirror the weights of each: `half = nn.init.orthogonal_(torch.empty(n_out, n_in // 2)); "
            "layer.weight.data = torch.cat([half, -half], dim=1)`",
            evidence=Evidence(
                len(plain),
                "layers",
                f"{len(fed) - len(plain)} of {len(fed)} layers behind a CReLU have mirrored weights; "
                f"plain nets of {deep:g} and more such layers did not train",
                limit=deep,
            ),
            at=plain,
        )


def is_fed_by_crelu(node: Node) -> bool:
    """Whether a weight layer's input is a CReLU of a signal that nothing normalized."""
    source = crelu_before(node) if is_weight_layer(node) else None
    if source is None:
        return False
    return not any(before.kind is Kind.NORM for part in source.inputs for before in (part, *part.inputs))


def crelu_before(node: Node) -> Node | None:
    """The CReLU that a layer's input comes from; None if it comes from anything else."""
    passing = (Kind.RESHAPE, Kind.POOL, Kind.REDUCE, Kind.DROPOUT, Kind.IDENTITY, Kind.CAST)
    source = next((source for source in node.inputs if source.carries), None)
    while source is not None and source.kind in passing:
        source = next((before for before in source.inputs if before.carries), None)
    return source if source is not None and source.kind is Kind.ACTIVATION and source.detail == "crelu" else None


def is_mirrored(node: Node) -> bool:
    """Whether the second half of a layer's inputs has the negative of the first half's weights.

    Behind `stack([relu(x), relu(-x)], -1).flatten(1)` every second input is of the second half.
    """
    import torch

    from netcheck.trace.weights import weight_of

    weight = weight_of(node)
    if weight is None:
        return True  # no values to judge by
    matrix, half, crelu = weight.matrix, weight.matrix.shape[1] // 2, crelu_before(node)
    halves = [(matrix[:, :half], matrix[:, half:])]
    if crelu is not None and "stack" in (crelu.function, *(part.function for part in crelu.inputs)):
        halves.append((matrix[:, ::2], matrix[:, 1::2]))
    return any(first.shape == second.shape and torch.allclose(first, -second, rtol=1e-3, atol=1e-7) for first, second in halves)
