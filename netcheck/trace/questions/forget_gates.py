"""The forget gates of a model: of nn.LSTM and nn.LSTMCell, and of cells that are written out.

forget_gates(graph)
  +-- gates_of_module      every layer and direction
  +-- written_out          sigmoid(f) * c + sigmoid(i) * tanh(g): f's layer, and its share of the biases
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    from netcheck.trace.weights import weight_of

    source = next((s for s in node.inputs if s.depends), None)
    if source is None:
        return None, None
    if is_weight_layer(source):
        weight = weight_of(source)
        if weight is None:
            return None, None
        return source, weight.matrix.new_zeros(len(weight.matrix)) if weight.bias is None else weight.bias
    if source.kind in (Kind.PART, Kind.INDEX):
        return sliced(source)
    if source.kind is Kind.ADD:
        return added(source)
    return None, None


def added(node: Node) -> tuple[Node | None, torch.Tensor | None]:
    """The biases of W x + U h."""
    from netcheck.trace.weights import weight_of

    total, layer = None, None
    for source in node.inputs:
        weight = weight_of(source) if is_weight_layer(source) else None
        if weight is None:
            return None, None
        bias = weight.matrix.new_zeros(len(weight.matrix)) if weight.bias is None else weight.bias
        total, layer = (bias if total is None else total + bias), layer or source
    return layer, total


def sliced(node: Node) -> tuple[Node | None, torch.Tensor | None]:
    """The biases behind one of several chunks, or behind a slice, of a layer's output."""
    chunks = node.inputs[0]
    if node.function != "getitem":
        return None, None
    index = node.fx.args[1]
    if chunks.function in ("chunk", "split", "tensor_split") and isinstance(index, int):
        layer, bias = bias_before(chunks)
        sizes = [shape[0] for shape in chunks.call.result] if chunks.call is not None else []
        if bias is None or not sizes or len(bias) % len(sizes):
            return None, None
        width = len(bias) // len(sizes)
        return layer, bias[index * width : (index + 1) * width]
    layer, bias = bias_before(node)
    last = index[-1] if isinstance(index, tuple) else None
    if bias is None or not isinstance(last, slice):
        return None, None
    return layer, bias[last]
