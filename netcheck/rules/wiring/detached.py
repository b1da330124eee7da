"""NC905: parameters that the graph cuts off from every output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import FUNCTIONS, Kind

if TYPE_CHECKING:
    from torch import nn

    from netcheck.trace.graph import ModelGraph, Node

# Functions whose gradient is zero almost everywhere.
_STEPS = frozenset(("round", "floor", "ceil", "trunc", "fix", "sign", "sgn", "heaviside", "bernoulli"))
_COPIES = frozenset(("detach", "tensor", "new_tensor", "numpy", "from_numpy"))  # without history


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


@dataclass(frozen=True, slots=True)
class Cut:
    """What stops the gradient, and the layers behind it."""

    stops: tuple[Node, ...]
    layers: tuple[Node, ...]

    @property
    def text(self) -> str:
        """For people: "`Tensor.detach`"."""
        stop = self.stops[0]
        if not stop.grad_enabled:
            return "torch.no_grad()"
        if stop in stop.graph.reads:
            return "taking a Python number from a tensor"
        if stop.function == "getattr":
            return "`.data`"
        return f"`{stop.target}`"


def cut_off(graph: ModelGraph) -> Iterator[Cut]:
    """For each layer whose parameters no gradient reaches, what stops it first on the way to the output."""
    reached = reached_by_gradients(graph)
    doubtful = [node for node in graph if node not in reached and node in graph.used and trainable(node)]
    if not doubtful:
        return
    alive = {id(p) for node in reached for p in trainable(node)}
    updated = updated_in_forward(graph)
    for node in doubtful:
        if any(id(p) not in alive and id(p) not in updated for p in trainable(node)):
            stop = first_stop(node)
            if stop is not None:
                yield Cut((stop,), (node,))


def trainable(node: Node) -> list[nn.Parameter]:
    """The parameters of an operation that ask for a gradient: its module's, or the one that it reads."""
    from torch import nn

    if node.op == "get_attr":
        value = node.graph.recording.attributes.get(str(node.fx.target))
        return [value] if isinstance(value, nn.Parameter) and value.requires_grad else []
    return [p for p in node.module.parameters() if p.requires_grad] if node.module is not None else []


def reached_by_gradients(graph: ModelGraph) -> set[Node]:
    """The nodes that a gradient reaches from an output, or from what forward leaves in the model."""
    pending = [
        *(node for node in graph if node.op == "output"),
        *(node for node in graph.kept if passes(node)),
    ]
    found = set(pending)
    while pending:
        for source in pending.pop().inputs:
            if source not in found and passes(source):
                found.add(source)
                pending.append(source)
    return found


def passes(node: Node) -> bool:
    """Whether a gradient that arrives at a node's result reaches its arguments."""
    floating = node.dtype is None or node.dtype.is_floating_point or node.dtype.is_complex
    if not node.grad_enabled and node.op != "get_attr":
        return False
    blocked = node.kind is Kind.DETACH or node.function in _STEPS or node.function in _COPIES
    blocked = blocked or FUNCTIONS.get(node.function, (None,))[0] is Kind.COMPARE
    blocked = blocked or (node.function == "getattr" and node.fx.args[1] == "data")
    return floating and not blocked


def first_stop(layer: Node) -> Node | None:
    """The nearest node after a layer (or the layer itself) that passes no gradient."""
    if layer.op != "get_attr" and not passes(layer):
        return layer
    pending, seen = [layer], {layer}
    while pending:
        node = pending.pop(0)
        if node in node.graph.reads:
            return node
        for user in consumers(node):
            if user not in seen:
                if not passes(user) and user.op != "output":
                    return user
                seen.add(user)
                pending.append(user)
    return None


def consumers(node: Node) -> list[Node]:
    """The nodes that take a node's value and count for anything."""
    return [node.graph.by_fx[user] for user in node.fx.users if node.graph.by_fx[user] in node.graph.used]


def updated_in_forward(graph: ModelGraph) -> set[int]:
    """The parameters that forward itself writes to."""
    found: set[int] = set()
    for node in graph.kept:
        while node.inputs:
            node = node.inputs[0]
        found |= {id(p) for p in trainable(node)}
    return found


def group_by_place(cuts: Iterable[Cut]) -> list[Cut]:
    """Cuts of one line (a loop), and the layers of one no_grad block, together."""
    groups: dict[object, list[Cut]] = {}
    for cut in cuts:
        stop = cut.stops[0]
        key = stop.target, str(stop.called_at)
        groups.setdefault(key if stop.grad_enabled else "no_grad", []).append(cut)
    return [
        Cut(
            tuple(dict.fromkeys(stop for cut in group for stop in cut.stops)),
            tuple(dict.fromkeys(layer for cut in group for layer in cut.layers)),
        )
        for group in groups.values()
    ]


def layers_text(layers: tuple[Node, ...]) -> str:
    """For people: "the weights of `encoder.0` and 3 more"."""
    names = list(
        dict.fromkeys(str(node.fx.target) if node.op == "get_attr" else node.path for node in layers)
    )
    return f"`{names[0]}`" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
