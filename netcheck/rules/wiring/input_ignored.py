"""NC903: inputs that do not reach the output."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node


class InputIgnored(StaticRule):
    """An input of forward does not reach the output: the model gives the same answer whatever it is.

    ## What it does
    Follows the values of every tensor that forward is given. One that reaches neither the output, nor a
    value that forward looks at, nor anything that forward leaves behind in the model, is reported; as
    information if forward took its shape.

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
        Example(
            "overwritten before it is used",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right, self.head = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(32, 4)

    def forward(self, x, y):
        y = self.left(x)
        return self.head(torch.cat([self.right(x), y], 1))

model = Net()
""",
            "x=8x16 y=8x16",
        ),
        Example(
            "used, and the result dropped",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.condition, self.head = nn.Linear(16, 16), nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x, label):
        h = self.body(x)
        torch.add(h, self.condition(label))
        return self.head(F.relu(h))

model = Net()
""",
            "x=8x16 label=8x8",
        ),
        Example(
            "only its likeness is taken",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 4)

    def forward(self, x, noise):
        noise = torch.zeros_like(noise)
        return self.head(x + noise)

model = Net()
""",
            "x=8x16 noise=8x16",
        ),
        Example(
            "a key of a dictionary of inputs, given by name",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(50, 16), nn.Linear(16, 4)

    def forward(self, ids, **options):
        return self.head(self.embedding(ids).mean(1))

model = Net()
""",
            "ids=long:4x6 attention_mask=long:4x6",
        ),
        Example(
            "the image does not reach the head",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.table, self.head = nn.Conv2d(3, 8, 3), nn.Embedding(5, 8), nn.Linear(8, 4)

    def forward(self, image, label):
        features = F.relu(self.conv(image)).mean((2, 3))
        features = self.table(label)
        return self.head(features)

model = Net()
""",
            "image=4x3x8x8 label=long:4",
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
        Example(
            "lengths that decide how much is read",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 4)

    def forward(self, x, lengths):
        return self.head(x[:, : int(lengths.max()) + 1].mean(1))

model = Net()
""",
            "x=8x6x16 lengths=long:8",
        ),
        Example(
            "a name that says so",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 4)

    def forward(self, x, _context):
        return self.head(x)

model = Net()
""",
            "x=8x16 _context=8x16",
        ),
        Example(
            "keys that go into a queue of the model",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 16)
        self.register_buffer("queue", torch.randn(32, 16))

    def forward(self, x, keys):
        logits = self.head(x) @ self.queue.T
        self.queue[:8] = keys
        return logits

model = Net()
""",
            "x=8x16 keys=8x16",
        ),
        Example(
            "targets of a loss that is kept for later",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 4)

    def forward(self, x, target):
        logits = self.head(x)
        self.loss = F.mse_loss(logits, target)
        return logits

model = Net()
""",
            "x=8x16 target=8x4",
        ),
        Example(
            "written into the other input",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 4)

    def forward(self, x, y):
        x = x.clone()
        x[:, :8] = y
        return self.head(x)

model = Net()
""",
            "x=8x16 y=8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each tensor of the input that changes nothing."""
        if graph.lost:
            return  # a tensor came from where the recorder did not see: perhaps from this input
        if not graph.returned and not graph.kept:
            return  # then nothing reaches the output: NC907 says so, once
        counting = {id(node) for node in contributing(graph)}
        for node in graph.inputs:
            if node.shape is None or id(node) in counting or node.name.startswith(("_", "unused")):
                continue
            only_shape = node in graph.sized
            name = str(node.fx.target)
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
