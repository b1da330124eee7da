"""Two weight layers that together are one linear map.

linear_pairs(graph)
  +-- linear_ends          what a layer's value meets behind linear operations alone
  +-- shares_weights       one of the two weights serves something else as well
  +-- is_by_design         separable, grouped, upsampling, around attention
  +-- saves                a factorization that is no larger than one layer
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netcheck.trace.kinds import Kind
from netcheck.trace.questions.channels import kernel_size, mixes_all_channels, widths
from netcheck.trace.questions.neighbours import UNCHANGED, before, ends, results

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

# Linear in the signal, at least after training. A LayerNorm is not: it divides by the signal's own size.
_LINEAR = UNCHANGED | {
    Kind.SHIFT,
    Kind.SCALE,
    Kind.DROPOUT,
    Kind.POOL,
    Kind.REDUCE,
    Kind.RESIZE,
    Kind.PAD,
    Kind.INDEX,
    Kind.NORM,
}


@dataclass(frozen=True)
class LinearPair:
    """A layer whose value only `followers` take, all linearly. `widths`: channels in, between, and out of all
    followers.
    """

    first: Node
    followers: tuple[Node, ...]
    widths: tuple[int, int, int]


def linear_pairs(graph: ModelGraph) -> Iterator[LinearPair]:
    """Every layer that makes one linear map with those that follow it, for no good reason."""
    layers = [node for node in graph if is_plain_layer(node)]
    uses: dict[Any, list[Node]] = {}
    for layer in layers:
        uses.setdefault(weights_key(layer), []).append(layer)
    for layer in layers:
        followers = [follower for follower in linear_ends(layer) if follower is not layer]
        if not followers or not all(is_plain_layer(follower) for follower in followers):
            continue
        if any(shares_weights(layer, follower, uses) or is_by_design(layer, follower) for follower in followers):
            continue
        channels = joint_widths(layer, followers)
        if channels is None or saves(*channels):
            continue
        if all(mixes_all_channels(layer, follower) for follower in followers):
            yield LinearPair(layer, tuple(followers), channels)


def is_plain_layer(node: Node) -> bool:
    """A linear or convolutional layer that trains, on the way from input to output."""
    from netcheck.trace.weights import is_trained

    return node.kind in (Kind.LINEAR, Kind.CONV) and node.live and node.carries and is_trained(node)


def linear_ends(layer: Node) -> list[Node]:
    """What a layer's value meets after linear operations alone: a nonlinear pool or norm ends the way."""
    found, pending = [], [layer]
    while pending:
        for node in ends(pending.pop(), _LINEAR - {Kind.NORM, Kind.POOL, Kind.REDUCE, Kind.RESHAPE}):
            if is_linear(node):
                pending.append(node)
            else:
                found.append(node)
    return sorted(set(found), key=lambda node: node.index)


def is_linear(node: Node) -> bool:
    """Whether an operation is linear by its sort."""
    if node.kind in (Kind.POOL, Kind.REDUCE):
        return node.detail in ("average", "mean", "sum")
    if node.kind is Kind.NORM:
        return node.detail == "batch"
    if node.kind is Kind.ACTIVATION:
        return node.activation is not None and node.activation.linear
    return node.kind is Kind.RESHAPE and node.detail != "fourier"


def weights_key(layer: Node) -> Any:
    """What two layers have in common that have one weight."""
    if layer.module is not None:
        return id(layer.module)
    return tuple(source.fx.target for source in layer.inputs if source.op == "get_attr") or layer


def shares_weights(first: Node, second: Node, uses: dict[Any, list[Node]]) -> bool:
    """Whether a weight is used in more places than the pair: a loop, or a head on several maps. Twins are
    pairs, too.
    """
    one, two = weights_key(first), weights_key(second)
    return one == two or len(uses[one]) != len(uses[two])


def is_by_design(first: Node, second: Node) -> bool:
    """Whether a published pattern puts these two in a row."""
    return (
        groups(first) > 1
        or groups(second) > 1
        or are_separable(first, second)
        or smooths(first)
        or smooths(second)
        or upsamples(first)
        or interpolates(second)
        or enters_inverted_block(second)
        or projects_features(first, second)
        or is_attention(before(first, _LINEAR))
        or weighs_by_softmax(first)
        or any(is_attention(node) for node in ends(second, _LINEAR))
    )


def groups(layer: Node) -> int:
    """Of a convolution; 1 for a linear layer."""
    value = layer.option("groups", 6, 1) if layer.kind is Kind.CONV else 1
    return value if isinstance(value, int) else 1


def are_separable(first: Node, second: Node) -> bool:
    """Whether two kernels extend along different dimensions: k×1 and 1×k."""
    if first.kind is not Kind.CONV or second.kind is not Kind.CONV:
        return False
    one, two = kernel_size(first) or (), kernel_size(second) or ()
    return (
        max(one, default=1) > 1
        and max(two, default=1) > 1
        and len(one) == len(two)
        and all(min(a, b) == 1 for a, b in zip(one, two, strict=True))
    )


def smooths(layer: Node) -> bool:
    """Whether a convolution makes one channel of one: a filter, as between the stretches of a learned upsampling."""
    return layer.kind is Kind.CONV and widths(layer) == (1, 1) and max(kernel_size(layer) or (1,)) > 1


def enters_inverted_block(layer: Node) -> bool:
    """An expansion by 1×1 convolution before a depthwise one: what comes in is a linear bottleneck on
    purpose.
    """
    channels = widths(layer)
    if layer.kind is not Kind.CONV or channels is None or channels[1] <= channels[0] or max(kernel_size(layer) or (3,)) > 1:
        return False
    return any(groups(node) > 1 for node in ends(layer, _LINEAR | {Kind.ACTIVATION}))


def projects_features(first: Node, second: Node) -> bool:
    """Whether the features of normalized positions are projected, averaged and read by the head, as in MobileViTv2."""
    source = before(first, UNCHANGED)
    if source is None or source.kind is not Kind.NORM or source.detail == "batch" or max(kernel_size(first) or (1,)) > 1:
        return False
    pooling = before(second, _LINEAR - {Kind.POOL, Kind.REDUCE})
    averaged = pooling is not None and pooling.kind in (Kind.POOL, Kind.REDUCE)
    return averaged and any(last is second for _, last in results(second.graph, UNCHANGED))


def upsamples(layer: Node) -> bool:
    """A transposed convolution that makes of each position a patch of its own, or as many channels between the positions."""
    return layer.detail == "transpose" and (kernel_size(layer) == steps(layer) or interpolates(layer))


def interpolates(layer: Node) -> bool:
    """A transposed convolution that makes as many channels between the positions as there were."""
    if layer.detail != "transpose" or max(steps(layer), default=1) == 1:
        return False
    channels = widths(layer)
    return channels is not None and channels[0] == channels[1]


def steps(layer: Node) -> tuple[int, ...]:
    """The stride of a convolution along each dimension."""
    stride = layer.option("stride", 3, 1)
    return tuple(stride) if isinstance(stride, tuple | list) else (stride,) * len(kernel_size(layer) or ())


def is_attention(node: Node | None) -> bool:
    """Attention, or the product of two activations that it is made of."""
    return node is not None and node.kind in (Kind.ATTENTION, Kind.MATMUL)


def weighs_by_softmax(layer: Node) -> bool:
    """Whether a layer's input is the result of a softmax: its weights are then the values of an attention."""
    source = before(layer, _LINEAR)
    return source is not None and source.kind is Kind.SOFTMAX


def joint_widths(first: Node, followers: list[Node]) -> tuple[int, int, int] | None:
    """Channels into `first`, between, and out of all followers; an output that reads p positions counts p
    times.
    """
    into = widths(first)
    out = [widths(follower) for follower in followers]
    if into is None or None in out:
        return None
    n_in, n_mid = into
    n_out = sum(max(1, pair[0] // max(n_mid, 1)) * pair[1] for pair in out if pair is not None)
    return n_in, n_mid, n_out


def saves(n_in: int, n_mid: int, n_out: int) -> bool:
    """Whether the two matrices are no larger than the one that they make: a bottleneck of half the width, or less."""
    return n_mid * (n_in + n_out) <= n_in * n_out


def name_of(node: Node) -> str:
    """A layer as a person finds it: its path, or the function that was called."""
    return f"'{node.path}'" if node.module is not None and node.path else f"{node.target}"
