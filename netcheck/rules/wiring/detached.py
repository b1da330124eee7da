"""NC905: parameters that the graph cuts off from every output."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.cuts import cut_off, group_by_place, layers_text, trainable

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph


class Detached(StaticRule):
    """Parameters that ask for a gradient influence the output only through operations that pass none.

    ## What it does
    Goes back from every output (and from whatever forward leaves in the model's attributes) along the
    operations that pass gradients. Parameters that take part in forward and are not reached this way are
    reported, with what stops the gradient: `detach()`, `.data`, `torch.no_grad()`, a comparison or argmax,
    rounding, `torch.tensor(x)`, `.item()`.

    ## Why is this bad?
    The parameters keep the values that they were drawn with: part of the model is a random function, and
    nothing says so. With the outermost operation detached, `loss.backward()` raises; further in, the model
    trains without that part. DistributedDataParallel stops with an error on parameters without gradients.

    ## When it is fine
    In a network that is frozen on purpose: `requires_grad_(False)` says so, and spares it the optimizer. In
    a model whose whole forward runs without gradients (information). Where the gradient takes another way:
    in a straight-through estimator, `x + (hard - x).detach()`, in a target branch that shares its weights.
    Where forward itself updates the weights (a moving average).

    ## Evidence
    The trainable parameters that take part in forward, and how many of them no output's gradient reaches.

    ## References
    - Bengio, Léonard and Courville 2013, Estimating or Propagating Gradients Through Stochastic Neurons:
      straight-through.
    - PyTorch documentation, Autograd mechanics: locally disabling gradient computation.
    """

    code = "NC905"
    name = "detached"
    severity = Severity.WARNING
    explained_by = ("NC907",)  # class numbers in the place of logits
    BAD = (
        Example(
            "a branch that is detached",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(16, 32), nn.ReLU())
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        features = self.encoder(x).detach()
        return self.head(features)

model = Net()
""",
            "8x16",
        ),
        Example(
            "torch.no_grad around a layer that is meant to train",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.gate, self.head = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        with torch.no_grad():
            gate = torch.sigmoid(self.gate(x))
        return self.head(self.body(x) * gate)

model = Net()
""",
            "8x16",
        ),
        Example(
            "weights taken by .data",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.head = nn.Parameter(torch.randn(16, 16) / 4), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(F.linear(x, self.weight.data).relu())

model = Net()
""",
            "8x16",
        ),
        Example(
            "a hard decision by argmax",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.router = nn.Linear(16, 3)
        self.experts = nn.Parameter(torch.randn(3, 16, 4) / 4)

    def forward(self, x):
        chosen = self.router(x).argmax(-1)
        return torch.einsum("ni,nio->no", x, self.experts[chosen])

model = Net()
""",
            "8x16",
        ),
        Example(
            "a hard attention mask by a threshold",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.body, self.head = nn.Linear(16, 1), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        mask = (torch.sigmoid(self.score(x)) > 0.5).float()
        return self.head(F.relu(self.body(x)) * mask)

model = Net()
""",
            "8x16",
        ),
        Example(
            "rounded without a straight-through estimator",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(16, 8), nn.Linear(8, 16)

    def forward(self, x):
        code = torch.round(torch.sigmoid(self.encoder(x)) * 15) / 15
        return self.decoder(code)

model = Net()
""",
            "8x16",
        ),
        Example(
            "copied by torch.tensor",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(torch.tensor(self.body(x)))

model = Net()
""",
            "8x16",
        ),
        Example(
            "the classes instead of the logits",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(F.relu(self.body(x))).argmax(dim=1)

model = Net()
""",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "gradients everywhere",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
""",
            "8x16",
        ),
        Example(
            "a frozen encoder that says so",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(16, 32), nn.ReLU()).requires_grad_(False)
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        with torch.no_grad():
            features = self.encoder(x)
        return self.head(features)

model = Net()
""",
            "8x16",
        ),
        Example(
            "a straight-through estimator",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(16, 8), nn.Linear(8, 16)

    def forward(self, x):
        soft = torch.sigmoid(self.encoder(x))
        return self.decoder(soft + (soft.round() - soft).detach())

model = Net()
""",
            "8x16",
        ),
        Example(
            "a target branch with the weights of the other",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.predictor = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x, y):
        return self.predictor(self.encoder(x)), self.encoder(y).detach()

model = Net()
""",
            "x=8x16 y=8x16",
        ),
        Example(
            "a softmax that is kept from overflowing",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        logits = self.head(x)
        shifted = (logits - logits.max(1, keepdim=True).values.detach()).exp()
        return shifted / shifted.sum(1, keepdim=True)

model = Net()
""",
            "8x16",
        ),
        Example(
            "classes besides the logits",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        logits = self.head(F.relu(self.body(x)))
        return {"logits": logits, "classes": logits.argmax(1), "confidence": logits.detach().softmax(1)}

model = Net()
""",
            "8x16",
        ),
        Example(
            "a momentum encoder that forward updates",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key = nn.Linear(16, 8), nn.Linear(16, 8)

    def forward(self, x):
        with torch.no_grad():
            for slow, fast in zip(self.key.parameters(), self.query.parameters()):
                slow.data.mul_(0.99).add_(fast.data, alpha=0.01)
            keys = self.key(x)
        return self.query(x) @ keys.T

model = Net()
""",
            "8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each operation (each line, in a loop) that cuts parameters off."""
        if graph.lost:
            return  # a tensor came from where the recorder did not see, and its gradient with it
        cuts = group_by_place(cut_off(graph))
        if not cuts:
            return
        taking_part = {id(p): p.numel() for node in graph.used for p in trainable(node)}
        total = sum(taking_part.values())
        for cut in cuts:
            size = sum({id(p): p.numel() for node in cut.layers for p in trainable(node)}.values())
            yield self.finding(
                f"{cut.text} keeps every gradient from {layers_text(cut.layers)}",
                help="let the gradient pass (for a hard decision, straight through: `x + (hard - x).detach()`); "
                "or, if these weights are frozen on purpose, `requires_grad_(False)` them",
                evidence=Evidence(
                    size,
                    "parameters",
                    f"{size:,} of {total:,} trainable parameters in forward get no gradient",
                    limit=0,
                ),
                at=[*cut.stops, *(layer for layer in cut.layers if layer not in cut.stops)],
                severity=self.severity_of(graph, size == total),
                verdict=Verdict.CONFIRMED,
                count=len(cut.stops),
            )

    def severity_of(self, graph: ModelGraph, everything: bool) -> Severity:
        """Only information for a model that is made for inference alone."""
        runs_blind = not any(node.grad_enabled for node in graph if node.op.startswith("call") and node.depends)
        return Severity.INFO if everything and (runs_blind or not graph.model.training) else Severity.WARNING
