"""What tells that the first dimension of a model's input is a batch: samples that have nothing to do with each other.

    nn.Conv2d on (N, C, H, W)                    torch takes dimension 0 for the batch
    nn.LSTM(batch_first=True) on (N, T, C)       as well
    batch = x.size(0)                            forward's own code calls it so

Of a Linear on (N, C) nothing can be told: N may be the nodes of one graph, the points of one cloud, the steps of one series. A
BatchNorm1d on them says no more: graph networks have it over their nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netcheck.source.dimensions import batch_dimension
from netcheck.torch_versions import forward_of
from netcheck.trace.kinds import Kind
from netcheck.trace.questions.batch_dimension import follow

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph
    from netcheck.trace.node import Node

_SPATIAL = (Kind.CONV, Kind.POOL)
_MODULES = "torch.nn.modules."


def says_batch(graph: ModelGraph) -> str:
    """What tells that the first dimension of the first input is the batch, as a sentence; "" if nothing does, or the contrary."""
    first = next((node for node in graph.inputs if node.shape), None)
    if first is None or not first.shape:
        return ""
    named = batch_dimension(forward_of(type(graph.model)), str(first.fx.target))
    if named is not None:
        return f"forward calls the first dimension of `{first.fx.target}` its batch" if named == 0 else ""
    said = [(node, where) for node in graph if (where := batch_position(node)) is not None and comes_from(node, first)]
    if not said or any(where != 0 for _, where in said):
        return ""
    return f"{said[0][0].target} takes the first dimension for the batch"


def comes_from(node: Node, first: Node) -> bool:
    """Whether the first dimension of what an operation is given is that of an input, never moved."""
    source = next((each for each in node.inputs if each.depends and each.shape), None)
    if source is None or not source.shape or not first.shape or source.shape[0] != first.shape[0]:
        return False
    return source is first or follow(source) is first


def batch_position(node: Node) -> int | None:
    """Which dimension of its first input an operation takes for the batch by definition; None if that is open."""
    source = next((each for each in node.inputs if each.depends and each.shape), None)
    if source is None or source.shape is None or not node.depends:
        return None
    rank = len(source.shape)
    if node.kind in _SPATIAL:
        return 0 if rank == spatial_rank(node) else None
    if node.kind is Kind.RECURRENT or (node.kind is Kind.ATTENTION and node.detail == "module"):
        if rank != 3 or node.module is None:
            return None
        return 0 if getattr(node.module, "batch_first", False) else 1
    if node.function == "multi_head_attention_forward":
        return 1 if rank == 3 else None
    return 0 if node.function == "scaled_dot_product_attention" and rank == 4 else None


def spatial_rank(node: Node) -> int:
    """Of a convolution or pooling: the dimensions of a batch of its maps; 0 where its name does not tell."""
    name = type(node.module).__name__ if node.module is not None else node.function
    digits = [int(letter) for letter, after in zip(name, name[1:] + " ", strict=True) if letter.isdigit() and after in "dD"]
    return digits[0] + 2 if len(digits) == 1 else 0
