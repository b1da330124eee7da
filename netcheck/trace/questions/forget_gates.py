"""The forget gates of a model: of nn.LSTM and nn.LSTMCell, and of cells that are written out.

forget_gates(graph)
  +-- gates_of_module      every layer and direction
  +-- written_out          sigmoid(f) * c + sigmoid(i) * tanh(g): f's layer, and its share of the biases
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netcheck.trace.kinds import Kind, is_weight_layer

if TYPE_CHECKING:
    import torch

    from netcheck.trace.graph import ModelGraph, Node


@dataclass(frozen=True, slots=True)
class ForgetGate:
    """One forget gate and its mean bias."""

    name: str
    node: Node
    bias: float


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x))."""
    import math

    return 1 / (1 + math.exp(-x))


def forget_gates(graph: ModelGraph) -> Iterator[ForgetGate]:
    """Every forget gate whose weights have values and train."""
    from torch import nn

    for node in graph:
        if isinstance(node.module, nn.LSTM | nn.LSTMCell):
            yield from gates_of_module(node)
        elif node.kind is Kind.ADD and (forget := written_out(node)) is not None:
            layer, bias = bias_before(forget)
            if layer is not None and bias is not None:
                yield ForgetGate(layer.path or layer.name, layer, float(bias.double().mean()))


def gates_of_module(node: Node) -> Iterator[ForgetGate]:
    """The forget gate of every layer and direction of an nn.LSTM."""
    from netcheck.trace.weights import has_values

    module, hidden = node.module, getattr(node.module, "hidden_size", 0)
    assert module is not None
    for name, weight in module.named_parameters():
        if name.startswith("weight_hh") and has_values(weight) and weight.requires_grad:
            ending = name.removeprefix("weight_hh")
            biases = [getattr(module, f"bias_{which}{ending}", None) for which in ("ih", "hh")]
            parts = [b.detach()[hidden : 2 * hidden].double() for b in biases if b is not None and has_values(b)]
            yield ForgetGate(f"{node.path}{ending}", node, float(sum(part.mean() for part in parts)))


def written_out(node: Node) -> Node | None:
    """The forget gate of sigmoid(f) * c + sigmoid(i) * tanh(g); None if the sum is something else."""
    if len(node.inputs) != 2 or any(source.kind is not Kind.GATE for source in node.inputs):
        return None
    for keep, write in (node.inputs, node.inputs[::-1]):
        written = sorted(range_of(source) for source in write.inputs)
        forget = [source for source in keep.inputs if range_of(source) == "(0, 1)"]
        if written == ["(-1, 1)", "(0, 1)"] and len(forget) == 1 and len(keep.inputs) == 2:
            return forget[0]
    return None


def range_of(node: Node) -> str:
    """For people: "(0, 1)" of a sigmoid, "(-1, 1)" of a tanh, "" of anything else."""
    if node.kind is not Kind.ACTIVATION or node.activation is None or not node.activation.saturates:
        return ""
    return "(-1, 1)" if node.activation.zero_centred else "(0, 1)"


def bias_before(node: Node) -> tuple[Node | None, torch.Tensor | None]:
    """The weight layer before a gate and the biases (n,) that it adds; None where they cannot be told."""
    slices: list[Node] = []  # the outermost first
    source = next((s for s in node.inputs if s.depends), None)
    while source is not None and source.kind in (Kind.PART, Kind.INDEX):
        if source.function != "getitem":
            return None, None
        slices.append(source)
        node = source.inputs[0] if in_chunks(source) else source
        source = next((s for s in node.inputs if s.depends), None)
    if source is None or not (is_weight_layer(source) or source.kind is Kind.ADD):
        return None, None
    layer, bias = added([source] if is_weight_layer(source) else source.inputs)
    for taken in reversed(slices):
        bias = sliced(taken, bias) if bias is not None else None
    return (layer, bias) if bias is not None else (None, None)


def added(layers: Sequence[Node]) -> tuple[Node | None, torch.Tensor | None]:
    """The biases of W x, or of W x + U h."""
    from netcheck.trace.weights import weight_of

    total, layer = None, None
    for source in layers:
        weight = weight_of(source) if is_weight_layer(source) else None
        if weight is None:
            return None, None
        bias = weight.matrix.new_zeros(len(weight.matrix)) if weight.bias is None else weight.bias
        total, layer = (bias if total is None else total + bias), layer or source
    return layer, total


def in_chunks(node: Node) -> bool:
    """Whether an index takes one of several chunks, and not a slice of one tensor."""
    return node.inputs[0].function in ("chunk", "split", "tensor_split") and isinstance(node.fx.args[1], int)


def sliced(node: Node, bias: torch.Tensor) -> torch.Tensor | None:
    """Of the biases of a layer's output, those of one of its chunks, or of a slice of it."""
    index: Any = node.fx.args[1]
    if in_chunks(node):
        call = node.inputs[0].call
        sizes = [shape[0] for shape in call.result] if call is not None else []
        if not sizes or len(bias) % len(sizes):
            return None
        width = len(bias) // len(sizes)
        return bias[index * width : (index + 1) * width]
    last = index[-1] if isinstance(index, tuple) else None
    return bias[last] if isinstance(last, slice) else None
