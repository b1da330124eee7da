"""NC908: a recurrence or an attention that runs over the batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.trace.kinds import Kind
from netcheck.trace.questions.batch_dimension import previous
from netcheck.trace.questions.readers import Place, readers

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph
    from netcheck.trace.node import Node

_READS = {Kind.INDEX: "picks one entry of", Kind.POOL: "pools over", Kind.CONV: "slides over"}


class BatchAsTime(StaticRule):
    """A recurrent or attention layer takes the batch for time: it runs from sample to sample, not from step to step.

    ## What it does
    nn.RNN, nn.LSTM, nn.GRU, nn.MultiheadAttention and nn.Transformer take sequences as (steps, batch, features) unless they
    were built with `batch_first=True`. Two things show that a model means it the other way round. Convolutions or poolings
    made the sequence, and its first dimension is still their batch. Or, after the layer, the model picks one index of the
    dimension that the layer takes for the batch, or reduces, pools or convolves it, also behind a transposition:
    `out[:, -1]`, meant as the last step, is the last sample.

    ## Why is this bad?
    No shape is wrong, so nothing complains. The state of one sample goes on into the next: predictions depend on who else is
    in the batch and in which order, the layer never sees two steps of one sequence, and with a batch of one, as at test
    time, it has nothing to run over.

    ## When it is fine
    Sequences that stand as the layer takes them, (steps, batch, features). Batches of one, of which `out[:, 0]` is the
    sequence itself. Where the input alone would tell, as in a tagger on (steps, batch) of tokens, nothing is said.

    ## Evidence
    How many samples the layer takes for steps, read off the recorded shapes.

    ## References
    - PyTorch documentation of nn.LSTM and nn.TransformerEncoderLayer: batch_first.
    """

    code = "NC908"
    name = "batch-as-time"
    severity = Severity.WARNING
    plain = "It takes the samples of a batch for the steps of a sequence, so samples change each other's results"
    fixable = Fixable("build the layer with `batch_first=True`", safe=False)
    BAD = (
        Example(
            "an LSTM without batch_first; its last step is taken from dimension 1",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(5, 16, num_layers=2), nn.Linear(16, 1)

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.head(out[:, -1, :])

model = Net()
""",
            "4x7x5",
        ),
    )
    GOOD = (
        Example(
            "batch_first, and the last step from dimension 1",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(5, 16, batch_first=True), nn.Linear(16, 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])

model = Net()
""",
            "4x7x5",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for the layers that the batch reaches as time, one for those whose samples are picked as steps."""
        layers = {node: steps for node in graph if (steps := steps_of(node)) is not None}
        known = readers([(node, 1 - steps) for node, steps in layers.items()])
        found = [mistake for node, steps in layers.items() if (mistake := mistake_of(node, steps, known)) is not None]
        for picked in (False, True):
            alike = [mistake for mistake in found if (mistake.reader is not None) == picked]
            if not alike:
                continue
            first = alike[0]
            name, samples = first.node.target, (first.node.shape or (0,))[first.steps]
            after = dict.fromkeys(mistake.reader for mistake in alike if mistake.reader is not None)
            yield self.finding(
                first.text,
                help=first.cure,
                evidence=Evidence(
                    samples, "samples", f"{name} takes dimension {first.steps} for time; it has {samples} entries", limit=1
                ),
                at=[*(mistake.node for mistake in alike), *after],
                verdict=Verdict.CONFIRMED,
                count=len(alike),
            )


@dataclass(frozen=True)
class Mistake:
    """A layer that runs over the batch.

    Attributes:
        node: the layer.
        steps: the dimension that it takes for time.
        reader: the operation after it that takes the other dimension for time; None where what comes before tells.
    """

    node: Node
    steps: int
    reader: Node | None

    @property
    def text(self) -> str:
        """The fact."""
        name = self.node.target
        if self.reader is None:
            return f"{name} runs over dimension {self.steps} of {self.node.shape}, which is the batch of the layers before it"
        read = _READS.get(self.reader.kind, "reduces")
        return (
            f"{name} runs over dimension {self.steps}, and {self.reader.target} {read} dimension {1 - self.steps} of its "
            "result: one of the two takes the batch for time"
        )

    @property
    def cure(self) -> str:
        """What to write instead."""
        if self.steps == 1:
            return "take the step from dimension 1: `out[:, -1]`; or build the layer without batch_first for (steps, batch, ...)"
        return f"build it with batch_first: `{self.node.target}(..., batch_first=True)`; or transpose to (steps, batch, features)"


def mistake_of(node: Node, steps: int, known: Mapping[Place, Node]) -> Mistake | None:
    """What is wrong with a layer that runs over dimension `steps`, given the readers of the graph."""
    if not node.shape or len(node.shape) != 3 or min(node.shape[:2]) < 2:
        return None
    if steps == 0 and comes_from_images(node):
        return Mistake(node, 0, None)
    reader = known.get((node, 1 - steps))
    return Mistake(node, steps, reader) if reader is not None else None


def steps_of(node: Node) -> int | None:
    """The dimension that a recurrent or attention layer runs over; None if the node is no such layer."""
    if not node.live or not node.depends:
        return None
    if node.module is not None and (node.kind is Kind.RECURRENT or (node.kind is Kind.ATTENTION and node.detail == "module")):
        return int(bool(getattr(node.module, "batch_first", False)))
    return 0 if node.function == "multi_head_attention_forward" else None


def comes_from_images(node: Node) -> bool:
    """Whether the first dimension is still that of a convolution, pooling or batch normalization: the batch."""
    source = node.inputs[0] if node.inputs else None
    while source is not None and not is_in_batches(source):
        source = previous(source)
    return source is not None


def is_in_batches(node: Node) -> bool:
    """Whether an operation's first dimension can be nothing but the batch."""
    if len(node.shape or ()) < 3:
        return False
    return node.kind is Kind.CONV or (node.kind is Kind.NORM and node.detail in ("batch", "instance"))
