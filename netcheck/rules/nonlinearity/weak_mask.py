"""NC113: a mask that leaves hidden entries their weight."""

from __future__ import annotations

from collections.abc import Iterable
from math import exp
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.thresholds import Threshold

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph

_LARGEST = 700.0  # whose exponential is a number


def attention(scores: str, after: str = "weights") -> str:
    """A self-attention over tokens whose padding is hidden by this."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.query, self.key = nn.Embedding(50, 16, padding_idx=0), nn.Linear(16, 16), nn.Linear(16, 16)
        self.head = nn.Linear(16, 4)

    def forward(self, tokens):
        h, keep = self.embed(tokens), (tokens != 0)[:, None, :]
        scores = self.query(h) @ self.key(h).transpose(1, 2) / 4  # (N, queries, keys)
        weights = ({scores}).softmax(-1)
        return self.head(({after} @ h).mean(1))

model = Net()
"""


class WeakMask(StaticRule):
    """What a mask leaves in the place of hidden scores is no small number for a softmax: hidden entries keep their weight.

    ## What it does
    Looks at what is filled in, added, or left by a multiplication, right before a softmax where a mask says so: a mask is made
    of truth values, whole numbers or constants of 0 and 1; one that is added still holds 0 and 1. A number whose exponential is
    more than `remaining` does not hide anything from the softmax. Not where the weights are masked again behind it, nor where
    another mask of the same scores hides.

    ## Why is this bad?
    softmax gives an entry the weight exp(score) / sum: a score of 0 counts as an average one, exp(0) = 1, and so do 1e-9 and
    -1e-9, which were meant as -1e9. Padding is attended to, and under a causal mask each step sees what it is to predict.

    ## When it is fine
    Where the softmax is written for it, and the weights are masked and divided by their sum again.

    ## Evidence
    The number that is left, and its exponential.

    ## References
    - Vaswani et al. 2017, Attention Is All You Need, section 3.2.3: masking sets illegal connections to minus infinity.
    """

    code = "NC113"
    name = "weak-mask"
    severity = Severity.WARNING
    plain = "Its attention mask hides nothing: hidden entries weigh as much as others"
    THRESHOLDS = (Threshold("remaining", 1e-3, "how much a hidden entry may weigh beside one whose score is 0"),)
    BAD = (
        Example("a small number instead of a very negative one", attention("scores.masked_fill(~keep, 1e-9)"), "tokens=long:4x7"),
        Example("scores times the mask", attention("scores * keep"), "tokens=long:4x7"),
    )
    GOOD = (
        Example("minus infinity", attention("scores.masked_fill(~keep, float('-inf'))"), "tokens=long:4x7"),
        Example(
            "masked again behind the softmax",
            attention("scores * keep", "(weights * keep / (weights * keep).sum(-1, keepdim=True))"),
            "tokens=long:4x7",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such masks."""
        from netcheck.trace.questions.masks import ADDING, MULTIPLYING, weak_mask

        limit = self.limit("remaining")
        found = [weak for node in graph if (weak := weak_mask(node)) is not None and weight_of(weak[1]) > limit]
        if not found:
            return
        step, value = found[0]
        weight = weight_of(value)
        how = f"fills in {value:g} for hidden scores"
        if step.function in MULTIPLYING:
            how = "multiplies hidden scores to 0"
        elif step.kind in ADDING:
            how = "adds 0 to hidden scores and 1 to the others"
        yield self.finding(
            f"{step.target} {how}: a softmax still gives hidden ones the weight of e^{value:g} = {weight:.3g}",
            help="hide them with scores.masked_fill(hidden, float('-inf')) before the softmax, or with a boolean `attn_mask` for "
            "F.scaled_dot_product_attention",
            evidence=Evidence(weight, "of the weight of an average score", f"{weight:.3g} for a score of {value:g}", limit=limit),
            at=[step for step, _ in found],
            verdict=Verdict.CONFIRMED,
        )


def weight_of(score: float) -> float:
    """What a score weighs beside one of 0."""
    return exp(min(score, _LARGEST))
