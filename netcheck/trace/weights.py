"""The weights behind an operation, whether a module holds them or a function is given them.

    gain_of(node)    std * sqrt(fan_in): what a random W multiplies the norm of a gradient by, ||W||_F / sqrt(n_out)

For Gaussian v, E||W^T v||^2 = ||W||_F^2 ||v||^2 / n_out. PyTorch's default gives 1/sqrt(3) = 0.58 for every Linear and Conv.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from torch import nn

from netcheck.torch_versions import FakeTensor, TransposedConvolution
from netcheck.trace.kinds import Kind
from netcheck.trace.question import question
from netcheck.trace.regions import constant_value
from netcheck.trace.values import TooCostly

if TYPE_CHECKING:
    from netcheck.trace.node import Node

_SMALL = 65_536  # elements of a tensor that is read together with others
_READ = (32, 256)  # pieces of a weight, and elements in each, that are read for its statistics


@dataclass(frozen=True, eq=False)
class Weight:
    """The weights of one layer; read once for all that ask.

    Attributes:
        matrix: (n_out, fan_in): every filter as a row. A view of the user's own tensor, where that is possible.
        fan_in: inputs that one output sums over.
        stride: how many times fewer outputs than that share an input (a transposed convolution's stride, squared in 2d).
        bias: (n_out,) or None.
        name: the parameter's qualified name.
    """

    matrix: torch.Tensor
    fan_in: float
    bias: torch.Tensor | None
    name: str

    @cached_property
    def gain(self) -> float:
        """std * sqrt(fan_in), from the mean square of the weights (so that a constant weight has one too)."""
        part = sample(self.matrix)
        norm = float(torch.linalg.vector_norm(part, dtype=torch.float64))
        return norm * math.sqrt(self.fan_in / part.numel())

    @cached_property
    def is_constant(self) -> bool:
        """Whether all weights have one value."""
        return is_constant(self.matrix)

    @cached_property
    def bias_square(self) -> float:
        """The mean square of the bias."""
        return mean_square(self.bias) if self.bias is not None and self.bias.numel() else 0.0

    @property
    def bias_mean(self) -> float:
        """The mean of the bias: that of a gate is often set, to open or to close it."""
        return float(self.bias.double().mean()) if self.bias is not None and self.bias.numel() else 0.0


def mean_square(tensor: torch.Tensor) -> float:
    """The mean square of all elements, summed in double precision."""
    return float(torch.linalg.vector_norm(tensor, dtype=torch.float64)) ** 2 / tensor.numel()


def statistics(tensors: Iterable[object]) -> dict[int, tuple[float, float]]:
    """(mean square, mean) of every tensor that has values, by its id; small ones of one shape are read in one pass."""
    found: dict[int, tuple[float, float]] = {}
    alike: dict[object, dict[int, torch.Tensor]] = {}
    for tensor in tensors:
        if has_values(tensor) and tensor.numel() <= _SMALL:
            alike.setdefault((tensor.shape, tensor.dtype, tensor.device), {})[id(tensor)] = tensor.detach()
        elif has_values(tensor):
            found[id(tensor)] = mean_square(tensor.detach()), float(tensor.detach().mean())
    for group in alike.values():
        numbers = torch.stack(list(group.values())).reshape(len(group), -1).double()  # (n, elements)
        squares, means = numbers.square().mean(1).tolist(), numbers.mean(1).tolist()
        found.update(zip(group, zip(squares, means, strict=True), strict=True))
    return found


def sample(matrix: torch.Tensor) -> torch.Tensor:
    """Evenly spread pieces of a matrix (n_out, fan_in): 8,000 elements tell a mean square to 1.6 percent.

    Pieces that lie together in memory cost a third of single elements. Their distance is no multiple of a row's length in
    general, so that they drift over the columns.
    """
    pieces, length = _READ
    if matrix.numel() <= pieces * length:
        return matrix
    matrix = matrix if matrix.is_contiguous() else matrix.T
    if matrix.is_contiguous():
        step = (matrix.numel() - length) // (pieces - 1)
        return matrix.as_strided((pieces, length), (step, 1), matrix.storage_offset())
    rows, columns = (max(1, size // most) for size, most in zip(matrix.shape, _READ, strict=True))
    return matrix[::rows, ::columns]


def is_constant(matrix: torch.Tensor) -> bool:
    """Whether all weights have one value (zero, or any other)."""
    corner = matrix[:2, :2].tolist()
    first = corner[0][0]
    if any(value != first for row in corner for value in row):  # random weights, that is to say nearly all, end here
        return False
    if not bool((sample(matrix) == first).all()):
        return False
    least, most = torch.aminmax(matrix)
    return bool(least == most)


_MOST_ROWS = 256  # of a matrix whose orthogonality is tested
_NEARLY = 0.05  # relative: orthogonal_ gives 1e-6, a random square matrix about 1


def is_isometric(weight: Weight) -> bool:
    """Whether a layer's rows (or columns) are orthogonal and of one length, or mirrored halves [W, -W] of such a matrix.

    Saxe et al. 2014 (orthogonal), Balduzzi et al. 2017 (looks-linear). Convolutions that are zero but for one tap count as
    the matrix of that tap.
    """
    matrix = weight.matrix.double()
    matrix = matrix[:, matrix.abs().amax(0) > 0]
    half = matrix.shape[1] // 2
    if matrix.shape[1] % 2 == 0 and half and torch.equal(matrix[:, :half], -matrix[:, half:]):
        matrix = matrix[:, :half]
    if min(matrix.shape) < 2:
        return False
    rows = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    rows = rows[:_MOST_ROWS]
    gram = rows @ rows.T  # (r, r)
    size = gram.diagonal().mean()
    return bool((gram - size * torch.eye(len(gram), dtype=gram.dtype)).abs().max() <= _NEARLY * size)


@question
def weight_of(node: Node) -> Weight | None:
    """The weights that a weight layer multiplies by; None where they have no values (meta device) or no single matrix."""
    try:
        if node.module is not None:
            return _of_module(node)
        return _of_function(node)
    except TooCostly:
        return None


def has_values(tensor: object) -> TypeGuard[torch.Tensor]:
    """Whether a tensor's numbers can be read."""
    if not isinstance(tensor, torch.Tensor) or isinstance(tensor, FakeTensor) or tensor.is_meta:
        return False
    return tensor.is_floating_point() and tensor.layout is torch.strided and tensor.numel() > 0


def _of_module(node: Node) -> Weight | None:
    module = node.module
    if isinstance(module, nn.MultiheadAttention):
        return None
    weight, bias = node.member("weight"), node.member("bias")
    if not has_values(weight):
        return None
    name = f"{node.path}.weight" if node.path else "weight"
    transposed = isinstance(module, TransposedConvolution)
    stride = math.prod(getattr(module, "stride", ())) if transposed else 1
    groups = int(getattr(module, "groups", 1))
    return _weight(weight.detach(), bias, name, transposed=transposed, stride=stride, groups=groups)


def _of_function(node: Node) -> Weight | None:
    operand = next((s for s in node.inputs if not s.depends and s.shape is not None and len(s.shape) >= 2), None)
    if operand is None:
        return None
    value = operand_value(operand)
    if not has_values(value):
        return None
    bias_node = node.argument(2, "bias") if node.function.startswith(("linear", "conv")) else None
    bias = operand_value(bias_node) if bias_node is not None and not getattr(bias_node, "depends", True) else None
    name = str(operand.fx.target) if operand.op == "get_attr" else operand.name
    if node.function.startswith("conv"):
        transposed = node.kind is Kind.CONV and node.detail == "transpose"
        return _weight(value.detach(), bias, name, transposed=transposed, stride=1, groups=1)
    if node.function == "linear":
        return _weight(value.detach(), bias, name)
    first = node.inputs[0] is operand  # W @ x, or x @ W
    matrix = value.detach() if first else value.detach().transpose(-2, -1)
    return Weight(matrix.reshape(-1, matrix.shape[-1]), matrix.shape[-1], bias, name)


def operand_value(node: Node) -> Any:
    """The value of an operand: a parameter as it is, anything made of parameters computed.

    Raises:
        TooCostly: it takes more than a few operations to compute.
    """
    return node.graph.recording.attributes[str(node.fx.target)] if node.op == "get_attr" else constant_value(node)


def _weight(
    weight: torch.Tensor, bias: object, name: str, *, transposed: bool = False, stride: int = 1, groups: int = 1
) -> Weight | None:
    if weight.dim() < 2:
        return None
    known_bias = bias.detach() if isinstance(bias, torch.Tensor) and has_values(bias) else None
    if not transposed:  # (n_out, n_in / groups, *kernel)
        matrix = weight.flatten(1)
        return Weight(matrix, matrix.shape[1], known_bias, name)
    kernel = math.prod(weight.shape[2:])  # (n_in, n_out / groups, *kernel): an output sums over kernel / stride places
    return Weight(weight.transpose(0, 1).flatten(1), weight.shape[0] / groups * kernel / stride, known_bias, name)


@question
def trained_matrices(node: Node) -> list[torch.Tensor]:
    """Every weight matrix (n_out, fan_in) of a layer that trains and has values: one, or those of an RNN or attention."""
    if node.module is not None and node.kind in (Kind.RECURRENT, Kind.ATTENTION):
        members = [p for name, p in node.module.named_parameters() if "weight" in name and p.dim() > 1]
        return [p.detach().flatten(1) for p in members if has_values(p) and p.requires_grad]
    weight = weight_of(node)
    return [weight.matrix] if weight is not None and is_trained(node) else []


def is_trained(node: Node) -> bool:
    """Whether any parameter of two or more dimensions behind a layer asks for a gradient."""
    if node.module is not None:
        return any(p.requires_grad for name, p in node.module.named_parameters() if not name.endswith("bias"))
    pending = [source for source in node.inputs if not source.depends]
    while pending:
        source = pending.pop()
        if source.op == "get_attr":
            value = node.graph.recording.attributes[str(source.fx.target)]
            if isinstance(value, torch.Tensor) and value.dim() > 1 and value.requires_grad:
                return True
        pending += source.inputs
    return False
