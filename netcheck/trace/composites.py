"""Several operations that are one by behaviour.

    find(graph)
      +-- activation      one operation, or several with one origin, that map each element by itself: x * sigmoid(x)
      +-- normalization   f(a x) = f(x) for a > 0: a hand-written RMSNorm or LayerNorm
      +-- softmax         exp(z) / exp(z).sum(dim), log(softmax(z)): see netcheck.trace.softmaxes
      +-- crelu           cat([relu(x), relu(-x)]): twice the channels, one sign each
      +-- maxout          the largest of several linear pieces

The last node of a composite gets the kind; the others become `Kind.PART`. Whether it is what it looks like is measured
on small random tensors (netcheck.trace.behaviour), once for every distinct composite.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from netcheck.trace.behaviour import Activation
from netcheck.trace.kinds import Kind
from netcheck.trace.regions import (
    ELEMENTWISE,
    FARTHEST,
    LOCAL,
    as_function,
    common_origin,
    constant_value,
    elementwise,
    hide,
)
from netcheck.trace.softmaxes import find_log_softmax, find_softmax
from netcheck.trace.values import TooCostly

if TYPE_CHECKING:
    from netcheck.trace.node import Node, Nodes

_LARGEST = 200_000  # elements of the origin on which a normalization is tried
_STEEPEST = 30.0  # an activation is no exp: its slope stays moderate on [-6, 6]


def find(graph: Nodes) -> None:
    """Mark the composites of a graph, and measure the behaviour of every activation in it."""
    measured: dict[Any, Activation | None] = {}
    for node in graph.nodes:
        if not node.depends:
            continue
        if node.kind is Kind.CAT:
            find_crelu(node, measured)
        elif node.function == "log" and node.inputs[0].kind is Kind.SOFTMAX:
            find_log_softmax(node)
        elif node.kind in (Kind.ADD, Kind.GATE, Kind.SCALE, Kind.POINTWISE):
            _find_joined(node, measured)
        elif node.kind is Kind.SHIFT:
            find_recentred(node, measured)
        elif node.kind is Kind.REDUCE and node.detail == "max":
            find_maxout(node)
        elif node.kind is Kind.UNKNOWN:
            find_unknown(node, measured)
        if node.kind is Kind.ACTIVATION and node.detail == "":
            node.activation = node.activation or measure(node, [node], node.inputs[0], measured)
            if node.inputs[0].kind is Kind.CAT:
                find_crelu_after(node)


def _find_joined(node: Node, measured: dict[Any, Activation | None]) -> None:
    """Where several branches of one origin meet, or one pointwise function stands alone."""
    varying = [source for source in node.inputs if source.depends]
    if len(varying) >= 2:
        origin, region = common_origin(varying)
        if origin is not None:
            region = [*region, node]
            if any(part.kind is Kind.REDUCE for part in region):
                find_softmax(node, region, origin)
                if node.kind is not Kind.SOFTMAX:
                    find_norm(node, region, origin)
            else:
                adopt(node, region, measure(node, region, origin, measured))
        if node.kind is Kind.POINTWISE and node.function in ("max", "maximum") and all(map(is_piece, varying)):
            node.kind, node.detail = Kind.ACTIVATION, "maxout"
            node.pieces = len(varying)
    elif node.kind is Kind.POINTWISE and varying:
        _find_chain(node, measured)


def _find_chain(end: Node, measured: dict[Any, Activation | None]) -> None:
    """A function written out in one line: 1 / (1 + exp(-x)), relu(x) ** 2. The longest chain that is one counts."""
    region, origin = [end], next(source for source in end.inputs if source.depends)
    chains = [(region, origin)]
    while in_chain(origin, region) and len(region) < FARTHEST:
        region = [origin, *region]
        origin = next(source for source in origin.inputs if source.depends)
        chains.append((region, origin))
    alone = measure(end, *chains[0], measured)
    if alone is not None and alone.steepest <= _STEEPEST and (alone.rectifies or alone.saturates):
        # Behind another activation it is a second one, not a part of it.
        chains = [(chain, start) for chain, start in chains if all(p is end or p.kind is not Kind.ACTIVATION for p in chain)]
    for chain, start in reversed(chains):
        adopt(end, chain, measure(end, chain, start, measured))
        if end.kind is Kind.ACTIVATION:
            return


def find_recentred(end: Node, measured: dict[Any, Activation | None]) -> None:
    """A sigmoid stretched and shifted until it is centred on zero, 2 * sigmoid(2 * x) - 1, is a tanh."""
    region, inner = [end], None
    origin = end.inputs[0]
    while len(region) < FARTHEST and len(origin.inputs) > 0 and all(user is region[0] for user in origin.users):
        if origin.kind is Kind.ACTIVATION and origin.detail == "" and inner is None:
            inner = origin
        elif not (is_hidden(origin, region) or is_by_numbers(origin)):
            break
        varying = [source for source in origin.inputs if source.depends]
        if len(varying) != 1:
            return
        region, origin = [origin, *region], varying[0]
    if inner is None or inner.activation is None or not inner.activation.saturates or inner.activation.zero_centred:
        return
    activation = measure(end, region, origin, measured)
    if activation is not None and activation.saturates and activation.zero_centred:
        adopt(end, region, activation)


def is_by_numbers(node: Node) -> bool:
    """Whether a node scales or shifts its input by numbers, and not by parameters."""
    return node.kind in (Kind.SCALE, Kind.SHIFT) and len(node.inputs) == 1


def in_chain(node: Node, rest: list[Node]) -> bool:
    """Whether a function of one value may begin at `node` and go on with `rest`: nothing else uses its value."""
    local = node.kind in (Kind.POINTWISE, Kind.SHIFT, Kind.SCALE, Kind.CAST, Kind.ACTIVATION) or is_hidden(node, rest)
    alone = sum(source.depends for source in node.inputs) == 1
    return local and alone and node.detail in ("", "of " + rest[0].name) and all(user is rest[0] for user in node.users)


def is_hidden(part: Node, region: list[Node]) -> bool:
    """Whether `part` is the inside of an activation in `region`."""
    return part.kind is Kind.PART and any(part.detail == "of " + end.name and end.kind is Kind.ACTIVATION for end in region)


def adopt(node: Node, region: list[Node], activation: Activation | None) -> None:
    """Make `node` the activation that its region computes, if it is one."""
    if activation is None or activation.linear or activation.steepest > _STEEPEST:
        return
    node.kind, node.detail, node.activation = Kind.ACTIVATION, "", activation
    hide(region, node)


def measure(node: Node, region: list[Node], origin: Node, measured: dict[Any, Activation | None]) -> Activation | None:
    """The behaviour of the elementwise function that leads from `origin` to `node`; None if there is no such function."""
    if not all(part.kind in ELEMENTWISE or part.kind is Kind.UNKNOWN or is_hidden(part, region) for part in region):
        return None
    if node.shape is None or node.shape != origin.shape:
        return None
    key = tuple(_signature(part, origin) for part in region)
    if key not in measured:
        measured[key] = _measure(region, origin)
    return measured[key]


def _signature(part: Node, origin: Node) -> Any:
    """Two nodes of one signature compute one function, as far as the settings that can be compared tell."""
    if part.module is not None:
        settings = tuple((k, v) for k, v in vars(part.module).items() if type(v) in (int, float, bool, str))
        parameters = tuple(id(p) for p in part.module.parameters())
        return type(part.module), settings, parameters
    constants = fx.map_arg((part.fx.args, dict(part.fx.kwargs)), lambda source: f"%{_place(part, source, origin)}")
    return part.function, repr(constants)


def _place(part: Node, source: fx.Node, origin: Node) -> str:
    node = part.graph.by_fx[source]
    if node is origin:
        return "origin"
    return f"-{part.index - node.index}" if node.depends else node.name


def _measure(region: list[Node], origin: Node) -> Activation | None:
    function = elementwise(region, origin)
    if function is None:
        return None
    try:
        values = function(torch.linspace(-6, 6, 25, dtype=torch.float64))
        if values.shape != (25,) or not values.is_floating_point() or not bool(values.isfinite().all()):
            return None
        return Activation(function)
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError):
        return None  # it is not a function of one tensor after all


# ---- normalization --------------------------------------------------------------------------------------------------


def find_norm(node: Node, region: list[Node], origin: Node) -> None:
    """Mark `node` as a normalization if scaling the region's origin by any a > 0 does not change it."""
    if any(part.kind not in LOCAL for part in region) or origin.shape is None or node.shape != origin.shape:
        return
    if math.prod(origin.shape) > _LARGEST:
        _trust_structure(node, region)
        return
    try:
        sort = normalization(region, origin)
    except (TooCostly, RuntimeError, TypeError, ValueError, IndexError, AttributeError):
        return
    if sort:
        node.kind, node.detail = Kind.NORM, sort
        hide(region, node)


def _trust_structure(node: Node, region: list[Node]) -> None:
    """Too large to try: a quotient by the root of a mean of squares is taken for what it looks like."""
    functions = {part.function for part in region}
    if functions & {"rsqrt", "sqrt", "std", "norm", "vector_norm", "var"} and functions & {"mean", "var", "std", "norm"}:
        node.kind, node.detail = Kind.NORM, "layer" if functions & {"sub", "var", "std"} else "rms"
        hide(region, node)


def normalization(region: list[Node], origin: Node) -> str:
    """What kind of norm a region is: "batch", "layer" or "rms"; "" if it does not normalize."""
    assert origin.shape is not None
    generator = torch.Generator().manual_seed(0)
    fixed = {s.fx: constant_value(s) for part in region for s in part.inputs if not s.depends}

    function = as_function(region, origin, fixed)
    x = torch.randn(origin.shape, generator=generator) * 3  # an epsilon of 1e-5 must not matter
    with torch.no_grad():
        y = function(x)
        if not torch.allclose(function(7 * x), y, rtol=1e-2, atol=1e-2) or float(y.std()) < 1e-3:
            return ""
        if x.shape[0] > 1:
            other = x.clone()
            other[1:] = other[1:] * 5 + 1
            if not torch.allclose(function(other)[0], y[0], rtol=1e-2, atol=1e-2):
                return "batch"
        return "layer" if torch.allclose(function(x + 5), y, rtol=5e-2, atol=5e-2) else "rms"


# ---- CReLU, Maxout, unknown operations ------------------------------------------------------------------------------


def find_crelu(node: Node, measured: dict[Any, Activation | None]) -> None:
    """cat([f(x), f(-x)]) for a rectifier f: concatenated ReLU (Shang et al. 2016)."""
    branches = [source for source in node.inputs if source.depends]
    if len(branches) != 2:
        return
    origin, region = common_origin(branches)
    if origin is None or origin.shape is None or any(b.shape != origin.shape for b in branches):
        return
    functions = [elementwise([p for p in region if reaches(p, branch)], origin) for branch in branches]
    if None in functions:
        return
    x = torch.linspace(-6, 6, 49, dtype=torch.float64)
    try:
        positive, negative = (function(x) for function in functions if function)
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError):
        return
    if positive.shape == x.shape == negative.shape and torch.allclose(positive, negative.flip(0)):
        slopes = measure(branches[0], [p for p in region if reaches(p, branches[0])], origin, measured)
        if slopes is not None and slopes.rectifies:
            node.kind, node.detail, node.activation = Kind.ACTIVATION, "crelu", slopes
            hide([*region, node], node)


def find_crelu_after(node: Node) -> None:
    """f(cat([x, -x])) for a rectifier f: the same, written the other way round."""
    cat = node.inputs[0]
    branches = [source for source in cat.inputs if source.depends]
    if len(branches) != 2 or node.activation is None or not node.activation.rectifies:
        return
    origin, region = common_origin(branches)
    if origin is None or not all(part.function in ("neg", "negative", "mul") for part in region):
        return
    signs = [sign(region, origin, branch) for branch in branches]
    if None not in signs and sum(signs) == 0:  # type: ignore[arg-type]
        node.detail = "crelu"
        hide([*region, cat, node], node)


def sign(region: list[Node], origin: Node, branch: Node) -> float | None:
    """The factor of a branch that is its origin times a number; None if it is something else."""
    if branch is origin:
        return 1.0
    function = elementwise([part for part in region if reaches(part, branch)], origin)
    x = torch.tensor([-2.0, 1.0, 3.0], dtype=torch.float64)
    try:
        y = function(x) if function else None
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError):
        return None
    return float(y[1]) if y is not None and y.shape == x.shape and torch.equal(y, x * y[1]) else None


def reaches(part: Node, end: Node) -> bool:
    """Whether `end` is computed from `part`."""
    pending, seen = [part], {part}
    while pending:
        node = pending.pop()
        if node is end:
            return True
        following = {user for user in node.users if user.index <= end.index} - seen
        seen |= following
        pending += following
    return False


def find_maxout(node: Node) -> None:
    """The maximum over a dimension that a reshape or stack made from pieces of a weight layer (Goodfellow et al. 2013)."""
    source = node.inputs[0]
    shape, before = node.shape, source.shape
    if shape is None or before is None or source.kind not in (Kind.RESHAPE, Kind.CAT) or not is_piece(source):
        return
    node.kind, node.detail = Kind.ACTIVATION, "maxout"
    node.pieces = max(2, round(math.prod(before) / max(1, math.prod(shape))))


def is_piece(node: Node) -> bool:
    """Whether a value is the output of a weight layer, reshaped, split, stacked or normalized at most."""
    passing = (Kind.RESHAPE, Kind.INDEX, Kind.PART, Kind.CAT, Kind.NORM, Kind.SHIFT, Kind.SCALE, Kind.IDENTITY)
    while node.kind in passing and node.inputs:
        node = next((source for source in node.inputs if source.depends), node.inputs[0])
    return node.kind in (Kind.LINEAR, Kind.CONV)


def find_unknown(node: Node, measured: dict[Any, Activation | None]) -> None:
    """An operation that no table knows (a custom autograd function, an extension): an activation, if it acts like one."""
    varying = [source for source in node.inputs if source.depends]
    if len(varying) == 1:
        activation = measure(node, [node], varying[0], measured)
        if activation is not None:
            node.activation = activation
            node.kind = Kind.IDENTITY if activation.linear else Kind.ACTIVATION
