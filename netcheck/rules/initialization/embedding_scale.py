"""NC506: a tied embedding that is too large for an output layer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.thresholds import Threshold
from netcheck.trace.kinds import Kind, is_weight_layer

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_LARGEST = 3.0  # standard deviation of the first logits, for a hidden state of unit variance


class EmbeddingScale(StaticRule):
    """An embedding with a standard deviation of 1 is also the output layer, so the first logits are far too
    large.

    ## What it does
    Finds embeddings whose weights are those of an output layer too, and computes the standard deviation of
    the logits at the start: std · sqrt(width), for a hidden state of unit variance (such as a LayerNorm
    gives). Above 3 it is reported.

    ## Why is this bad?
    `nn.Embedding` draws from N(0, 1), which suits an input. As an output layer it has a gain of sqrt(width):
    of width 512, logits of standard deviation 23 and a first loss of some hundred nats, where a uniform
    guess over 50,000 tokens costs 11. The softmax starts saturated on random tokens, and the first hundreds
    of steps go into shrinking it.

    ## When it is fine
    If the hidden state is scaled by 1/sqrt(width) before the output layer, as in T5, or the logits are.

    ## Evidence
    The standard deviation of the weights as they are, times the square root of their width. For Gaussian
    logits of standard deviation s the expected first loss is about s²/2 above the uniform guess, as long as
    that is small.

    ## References
    - Press and Wolf 2017, Using the Output Embedding to Improve Language Models.
    - Vaswani et al. 2017, Attention Is All You Need, section 3.4: tied embeddings, scaled by sqrt(width) at
      the input.
    - Radford et al. 2019 (GPT-2): a standard deviation of 0.02. Raffel et al. 2020 (T5): 1, and a scaled
      output.
    """

    code = "NC506"
    name = "embedding-scale"
    severity = Severity.INFO
    plain = "An embedding that is also the output layer starts far too large, so the first losses are huge"
    THRESHOLDS = (Threshold("std", _LARGEST, "standard deviation of the first logits above which they are too large"),)
    BAD = (
        Example(
            "a tied language model at PyTorch's own initialization",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(100, 64)
        self.body, self.norm = nn.Linear(64, 64), nn.LayerNorm(64)
        self.head = nn.Linear(64, 100, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids):
        x = self.embedding(ids)
        return self.head(self.norm(x + F.gelu(self.body(x))))

model = Net()
""",
            "long:4x12",
        ),
    )
    GOOD = (
        Example(
            "drawn small",
            """
model = nn.Sequential(nn.Embedding(100, 64), nn.LayerNorm(64), nn.Linear(64, 100, bias=False))
model[2].weight = model[0].weight
nn.init.normal_(model[0].weight, std=0.02)
""",
            "long:4x12",
        ),
        Example(
            "not tied",
            """
model = nn.Sequential(nn.Embedding(100, 64), nn.LayerNorm(64), nn.Linear(64, 100))
""",
            "long:4x12",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each output layer whose weights are an embedding's."""
        from netcheck.trace.weights import weight_of

        tables = {id(table): node for node in graph if node.kind is Kind.EMBEDDING for table in [table_of(node)]}
        tables.pop(id(None), None)
        reported: set[int] = set()
        for node in graph:
            if not tables or not node.live or not is_weight_layer(node):
                continue
            table, weight = id(table_of(node)), weight_of(node)
            if table not in tables or table in reported or weight is None or is_scaled(node):
                continue
            logits = weight.gain
            if logits > self.limit("std"):
                reported.add(table)
                width = round(weight.fan_in)
                yield self.finding(
                    "the embedding is the output layer too, "
                    f"and its standard deviation is {logits / math.sqrt(width):.2g}: "
                    f"the first logits have one of about {logits:.0f}",
                    help=f"`nn.init.normal_(embedding.weight, std={width}**-0.5)`, and multiply what the embedding "
                    f"gives by {width}**0.5 if the input needs it; or scale the hidden state by {width}**-0.5 "
                    "before the output layer",
                    evidence=Evidence(
                        logits, "standard deviation",
                        f"std {logits / math.sqrt(width):.2g} · sqrt({width}) = {logits:.1f}", limit=self.limit("std"),
                    ),
                    at=[node, tables[table]],
                    verdict=Verdict.CONFIRMED,
                    count=1,
                )  # fmt: skip


def table_of(node: Node) -> object:
    """The model's own tensor behind the weights of an embedding or a linear layer; None if not one."""
    if node.module is not None:
        return node.member("weight")
    source = next((s for s in node.inputs if not s.depends and s.shape is not None and len(s.shape) == 2), None)
    while source is not None and source.op != "get_attr":  # transposed, cast
        source = source.inputs[0] if len(source.inputs) == 1 else None
    return None if source is None else node.graph.recording.attributes[str(source.fx.target)]


def is_scaled(node: Node) -> bool:
    """Whether the input or the output of a layer is multiplied by a number."""
    passing = (Kind.DROPOUT, Kind.RESHAPE, Kind.CAST, Kind.IDENTITY, Kind.SHIFT, Kind.INDEX)
    before = next((source for source in node.inputs if source.depends), None)
    while before is not None and before.kind in passing:
        before = next((source for source in before.inputs if source.depends), None)
    after = node.users
    while len(after) == 1 and after[0].kind in passing:
        after = after[0].users
    return any(near is not None and near.kind is Kind.SCALE for near in (before, *after))
