"""Say what every operation of a graph is.

classify(graph)
  +-- look_up              the tables of netcheck.trace.kinds
  +-- consider_operands    x + 1 is no residual sum, x * w no gate: what depends on the input decides
  +-- composites.find      several operations that are one by behaviour
  +-- mark_carrier         through which a gradient reaches the input
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import fx

from netcheck.trace import composites
from netcheck.trace.kinds import FUNCTIONS, MODULES, Kind

if TYPE_CHECKING:
    from netcheck.trace.node import Node, Nodes

_DRAWS = frozenset(("bernoulli", "dropout", "feature_dropout", "alpha_dropout", "multinomial"))
_AFFINE = {Kind.ADD: Kind.SHIFT, Kind.GATE: Kind.SCALE}
_NO_GRADIENT = frozenset((Kind.COMPARE, Kind.DETACH, Kind.CONSTANT, Kind.RANDOM, Kind.PARAMETER))


def classify(graph: Nodes) -> None:
    """Give every node its `kind`, `detail`, `depends` (on the input) and `carries` (a gradient from the input)."""
    for node in graph.nodes:
        node.kind, node.detail = look_up(node)
        node.depends = node.op == "placeholder" or any(source.depends for source in node.inputs)
        consider_operands(node)
    composites.find(graph)
    for node in graph.nodes:
        mark_carrier(node)


def look_up(node: Node) -> tuple[Kind, str]:
    """What the tables say, by the operation alone."""
    if node.op == "placeholder":
        return Kind.INPUT, ""
    if node.op == "output":
        return Kind.OUTPUT, ""
    if node.op == "get_attr":
        return (Kind.PARAMETER if node.fx.target in node.graph.recording.names else Kind.CONSTANT), ""
    if node.module is not None:
        if isinstance(node.module, torch.jit.ScriptModule):
            return Kind.SCRIPT, ""
        names = (cls.__name__ for cls in type(node.module).__mro__ if cls.__module__.startswith("torch."))
        return next((MODULES[name] for name in names if name in MODULES), (Kind.UNKNOWN, ""))
    if node.function == "getattr":  # x.T, x.mT, x.data, x.real; or a part of an output object
        attribute = str(node.fx.args[1])
        return (Kind.DETACH, "") if attribute == "data" else FUNCTIONS.get(attribute, (Kind.IDENTITY, ""))
    return FUNCTIONS.get(node.function, (Kind.UNKNOWN, ""))


def consider_operands(node: Node) -> None:
    """Refine the table's answer by which operands depend on the input."""
    if node.op in ("placeholder", "output", "get_attr"):
        return
    node.random = node.kind is Kind.RANDOM or any(source.random for source in node.inputs if not source.depends)
    if not node.depends:
        node.random = node.random or node.kind is Kind.DROPOUT or node.function in _DRAWS
        consider_constant(node)
        return
    varying = sum(source.depends for source in node.inputs)
    if node.kind in _AFFINE and varying < 2 and not repeats_operand(node):
        node.kind = Kind.POINTWISE if divides_by_input(node) else _AFFINE[node.kind]
        if node.kind is Kind.SCALE and node.random:
            node.kind, node.detail = Kind.DROPOUT, dropout_sort(node)
    elif node.kind is Kind.MATMUL and varying < 2 and len(node.inputs) > 1:
        node.kind = Kind.LINEAR
    elif node.kind is Kind.CONSTANT:
        node.kind, node.detail = constant_like(node)
    elif node.kind is Kind.INDEX and node.function == "getitem" and is_part(node):
        node.kind = Kind.PART
    elif node.kind is Kind.REDUCE and node.detail == "max" and varying == 2:
        node.kind = Kind.POINTWISE  # torch.max(a, b)
    elif node.function == "randn_like" or node.kind is Kind.RANDOM:
        node.depends = False  # takes only the shape
    elif node.kind is Kind.UNKNOWN and all(source.kind is Kind.CONSTANT for source in node.inputs):
        node.kind = Kind.CONSTANT


def consider_constant(node: Node) -> None:
    """What does not depend on the input: computed from parameters or not, at random or not."""
    if drops_weights(node):
        node.kind, node.detail = Kind.DROPOUT, "weight"
    elif node.kind is not Kind.RANDOM:
        only_constant = all(source.kind in (Kind.CONSTANT, Kind.RANDOM) for source in node.inputs)
        node.kind = Kind.CONSTANT if only_constant or node.kind is Kind.CONSTANT else Kind.PARAMETER


def drops_weights(node: Node) -> bool:
    """A random mask on parameters (DropConnect, Wan et al. 2013): a dropout of them, or a product with random numbers."""
    if not any(source.kind is Kind.PARAMETER and not source.random for source in node.inputs):
        return False
    masks = node.kind is Kind.GATE or node.function in ("where", "masked_fill")
    return node.kind is Kind.DROPOUT or (masks and any(source.random for source in node.inputs))


def divides_by_input(node: Node) -> bool:
    """1 / x is no scaling of x."""
    return "div" in node.function and bool(node.fx.args) and not getattr(node.argument(0, "input"), "depends", False)


def dropout_sort(node: Node) -> str:
    """What a random mask drops together: whole samples ("path"), whole channels, or single elements."""
    mask = next((source.shape for source in node.inputs if source.random), None) or ()
    shape = node.shape or ()
    if all(size == 1 for size in mask[1:]):
        return "path"
    if len(mask) == len(shape) and len(shape) > 2 and all(size == 1 for size in mask[2:]):
        return "channel"
    return "elementwise"


def repeats_operand(node: Node) -> bool:
    """x * x, x + x: one node, twice an operand."""
    return sum(isinstance(arg, fx.Node) for arg in (*node.fx.args, *node.fx.kwargs.values())) > len(node.inputs)


def constant_like(node: Node) -> tuple[Kind, str]:
    """zeros_like(x) takes only a shape; fft(x) is a linear map of x."""
    if "fft" in node.function:
        return Kind.RESHAPE, "fourier"
    if node.function in ("tensor", "as_tensor", "cross", "vander", "combinations"):
        return Kind.INDEX, ""
    node.depends = False
    return Kind.CONSTANT, ""


def is_part(node: Node) -> bool:
    """Whether `getitem` takes one of several results (not an element of a tensor)."""
    source = node.inputs[0]
    return isinstance(source.call.result, list) if source.call else False


def mark_carrier(node: Node) -> None:
    """A node carries a gradient from the input if its value is a float that depends on one differentiably."""
    floating = holds_floats(node)
    if node.op == "placeholder" or node.kind is Kind.EMBEDDING:
        node.carries = floating and node.depends
    elif node.op == "output":
        node.carries = any(source.carries for source in node.inputs)
    else:
        blocked = node.kind in _NO_GRADIENT or not node.grad_enabled
        node.carries = floating and not blocked and any(source.carries for source in node.inputs)


def holds_floats(node: Node) -> bool:
    """Whether a gradient could flow into the node's value, or into one of the tensors in it."""
    if node.call is None:  # a step into a container, whose tensors are seen where they are taken out
        return True
    described = node.call.result or []
    tensors = described if isinstance(described, list) else [described]
    return any(dtype.is_floating_point or dtype.is_complex for _, dtype in tensors)
