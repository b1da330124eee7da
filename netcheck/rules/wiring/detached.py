"""NC905: parameters that the graph cuts off from every output."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.source.builders import dotted
from netcheck.source.syntax import syntax_of
from netcheck.trace.questions.cuts import cut_off, group_by_place, layers_text, trainable

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_OFF = ("no_grad", "inference_mode")


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
    In a network that is frozen on purpose: `requires_grad_(False)` says so, and spares it the optimizer; layers that load weights
    from elsewhere are information, and so are those that a switch freezes (`with (torch.no_grad if freeze else nullcontext)():`).
    In a model whose whole forward runs without gradients (information). Where the gradient takes another way: in a
    straight-through estimator, `x + (hard - x).detach()`, in a target branch that shares its weights.
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
    plain = "Some of its weights ask for a gradient and can get none, so they never learn"
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
                severity=self.severity_of(graph, cut.stops[0], size == total),
                verdict=Verdict.CONFIRMED,
                count=len(cut.stops),
            )

    def severity_of(self, graph: ModelGraph, stop: Node, everything: bool) -> Severity:
        """Only information for weights that a switch freezes, a model that is made for inference alone, or a method that is."""
        from netcheck.load.ways import is_entered

        runs_blind = not any(node.grad_enabled for node in graph if node.op.startswith("call") and node.depends)
        infers = runs_blind or not graph.model.training or is_entered(graph.model)
        return Severity.INFO if is_switched_off(graph, stop) or (everything and infers) else Severity.WARNING


def is_switched_off(graph: ModelGraph, node: Node) -> bool:
    """Whether a module around an operation turns gradients off by a switch that somebody set: weights are frozen on purpose.

    with (torch.no_grad if freeze else nullcontext)(): ...      if self.frozen: with torch.no_grad(): ...
    """
    from netcheck.torch_versions import forward_of

    if node.grad_enabled:
        return False
    parts = node.path.split(".") if node.path else []
    around = {".".join(parts[:length]) for length in range(len(parts) + 1)}
    return any(has_switch(forward_of(type(one.module))) for one in graph.submodules if one.path in around)


def has_switch(forward: Callable[..., Any]) -> bool:
    """Whether forward turns gradients off, and each time only under a condition."""
    tree = syntax_of(forward)
    if tree is None:
        return False
    conditional = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.If | ast.IfExp) for inner in ast.walk(node)}
    mentions = [node for node in ast.walk(tree) if isinstance(node, ast.expr) and dotted(node).rpartition(".")[2] in _OFF]
    return bool(mentions) and all(id(node) in conditional for node in mentions)
