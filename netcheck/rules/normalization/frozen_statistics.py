"""NC307: batch normalization that is half frozen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from torch import nn

    from netcheck.trace.graph import ModelGraph, Node


def frozen(lines: str) -> str:
    """A convolutional body and a head, after which these lines run."""
    return f"""
body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
model = nn.Sequential(body, nn.Linear(8, 4))
{lines}
"""


class FrozenStatistics(StaticRule):
    """Batch normalization whose weights are frozen goes on taking statistics: `requires_grad = False` does not stop them.

    ## What it does
    Looks for batch normalizations in training mode that keep running statistics, whose own scale and shift ask for no gradient,
    in a model in which something else is trained. The other half is information: batch normalizations in eval mode while the
    model trains, with a trained scale, and the mean of 0 and variance of 1 that they were built with.

    ## Why is this bad?
    A body that was frozen to keep what it has learnt is changed all the same: each batch moves its running statistics towards
    those of the new data, and in training it normalizes by the batch, in eval mode by the moved statistics. What is frozen by
    `requires_grad_(False)` is the scale and the shift alone. Statistics that are frozen before they were ever taken normalize
    nothing, in training and afterwards.

    ## When it is fine
    Where statistics are to be taken anew, without training (adapting to another domain); where those of a checkpoint are loaded
    later.

    ## Evidence
    How many normalizations are frozen, and keep statistics.

    ## References
    - PyTorch, Transfer Learning for Computer Vision Tutorial; Keras, Transfer learning guide: run frozen batch normalization in
      inference mode.
    """

    code = "NC307"
    name = "frozen-statistics"
    severity = Severity.WARNING
    plain = "A BatchNorm that should stay as it is goes on changing in training"
    BAD = (Example("a frozen body", frozen("body.requires_grad_(False)"), "4x3x8x8"),)
    GOOD = (
        Example("frozen, and in eval mode", frozen("body.requires_grad_(False).eval()"), "4x3x8x8"),
        Example("nothing is frozen", frozen(""), "4x3x8x8"),
        Example("statistics of a checkpoint", frozen("body[1].running_mean.normal_()\nbody[1].eval()"), "4x3x8x8"),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all that go on taking statistics, one for all that never took any."""
        if not any(parameter.requires_grad for parameter in graph.model.parameters()):
            return
        if found := [node for node in graph if is_half_frozen(node)]:
            several = len(found) > 1
            yield self.finding(
                f"{subject(found)} frozen by requires_grad, and {'go' if several else 'goes'} on taking statistics of each batch",
                help="call eval() on what is frozen, each time after model.train(): override train() of the model, and in it "
                "self.body.eval()",
                evidence=Evidence(
                    len(found), "layers", f"{len(found)} frozen layer{'s' * several} with running statistics", limit=0
                ),
                at=found,
                verdict=Verdict.CONFIRMED,
            )
        if found := [node for node in graph if graph.model.training and never_took(node)]:
            yield self.finding(
                f"{subject(found)} in eval mode while the model trains, with the mean 0 and variance 1 of a new layer: "
                "nothing is normalized",
                help="leave it in training mode, or load the statistics that it is to keep",
                evidence=Evidence(len(found), "layers", "no statistics were ever taken", limit=0),
                at=found,
                severity=Severity.INFO,
                verdict=Verdict.CONFIRMED,
            )


def subject(nodes: list[Node]) -> str:
    """Batch normalizations, and a verb: "nn.BatchNorm2d is"."""
    return f"{len(nodes)} batch normalizations are" if len(nodes) > 1 else f"{nodes[0].target} is"


def never_took(node: Node) -> bool:
    """Whether a batch normalization with a trained scale uses the statistics that it was built with."""
    if node.kind is not Kind.NORM or node.detail != "batch" or node.module is None or not node.live or node.training:
        return False
    mean, variance = (getattr(node.module, name, None) for name in ("running_mean", "running_var"))
    if mean is None or variance is None or mean.is_meta or not any(p.requires_grad for p in node.module.parameters()):
        return False
    return not bool(mean.any()) and bool((variance == 1).all())


def is_half_frozen(node: Node) -> bool:
    """Whether a batch normalization asks for no gradient, and takes statistics."""
    if node.kind is not Kind.NORM or node.detail != "batch" or node.module is None or not node.live or not node.training:
        return False
    own = list(node.module.parameters())
    frozen = bool(own) and not any(p.requires_grad for p in own) and getattr(node.module, "running_mean", None) is not None
    return frozen and not is_copy(node)


def is_copy(node: Node) -> bool:
    """Whether a layer stands in a frozen copy of what is trained beside it: a target that follows it (BYOL, mean teacher), which
    takes statistics of its own.
    """
    model, parts = node.graph.model, node.path.split(".")
    holders = [model.get_submodule(".".join(parts[:count])) for count in range(1, len(parts) + 1)]
    frozen = next(holder for holder in holders if not any(p.requires_grad for p in holder.parameters()))
    if all(p.dim() < 2 for p in frozen.parameters()):  # a normalization alone: its siblings are no originals of it
        return False
    return any(
        other is not frozen and shapes(other) == shapes(frozen) and any(p.requires_grad for p in other.parameters())
        for other in model.modules()
        if isinstance(other, type(frozen))
    )


def shapes(module: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    """The names and shapes of a module's parameters."""
    return [(name, tuple(parameter.shape)) for name, parameter in module.named_parameters()]
