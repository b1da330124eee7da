"""What a model takes to be used: weights, the cache of keys and values, and the activations of one forward.

    inference_of(graph, args, kwargs, samples=8, context=4096) -> Inference

A model that writes one token after the other keeps the keys and values of all earlier ones. How many numbers that is for a
token is told from its attention layers: what their keys and values are before they are repeated for several heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from netcheck.figures.fit import Inference
from netcheck.measure.axes import BatchAxes
from netcheck.measure.blocks import blocks_of
from netcheck.measure.moments import step_moments
from netcheck.measure.sharding import Sizes
from netcheck.trace.kinds import Kind, is_weight_layer

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node


def inference_of(
    graph: ModelGraph,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    samples: int,
    context: int | None = None,
    limit: int | None = None,
) -> Inference:
    """What the traced model takes to be used.

    Args:
        graph: the traced model.
        args: positional arguments of forward that it was traced with.
        kwargs: its keyword arguments.
        samples: at a time.
        context: tokens of each that the cache holds; None means as many as the example has.
        limit: bytes of the device.

    Raises:
        Exception: forward does not run on fake tensors at this batch.
    """
    axes = BatchAxes(graph.model, args, kwargs)
    given, named = axes.resized(samples) if axes.batch else axes.example
    blocks = blocks_of(graph.model)
    moments = step_moments(graph.model, given, named, blocks, trains=False)
    sizes = Sizes.of(graph.model, blocks)
    weights = sizes.held(1) + sizes.buffers
    working = round(max(moment.held for moment in moments.values()))
    token, length = cached(graph)
    tokens = (context or length) if token else 0
    cache = round(samples * tokens * token)
    most = None
    if limit is not None and token:
        most = max(0, int((limit - weights - working) / (samples * token)))
    return Inference(samples, tokens, weights, cache, working, limit, most)


def cached(graph: ModelGraph) -> tuple[float, int]:
    """The bytes of keys and values of one token in all attention layers, and the tokens of a sample in the example."""
    numbers, length = 0.0, 0
    for node in graph:
        for part in keys_and_values(node):
            numbers += part[0]
            length = max(length, part[1])
    return numbers * size_of(graph.model), length


def keys_and_values(node: Node) -> list[tuple[float, int]]:
    """(numbers of one token, tokens) of the keys and the values of an attention; [] of another operation."""
    if node.kind is not Kind.ATTENTION:
        return []
    if isinstance(node.module, nn.MultiheadAttention):
        shape = node.inputs[0].shape if node.inputs else None
        tokens = shape[1 if node.module.batch_first else 0] if shape and len(shape) == 3 else 0
        return [(node.module.embed_dim, int(tokens))] * 2
    sources = [source for source in node.inputs[1:3] if source.shape and len(source.shape) > 2]
    return [(least(source), int(source.shape[-2])) for source in sources if source.shape]


def least(node: Node) -> float:
    """The fewest numbers for one token and sample on the way to this tensor, up to the layer that projects it."""
    shape = node.shape or (1,)
    places = shape[0] * shape[-2]
    fewest: float = prod(shape)
    while not is_weight_layer(node) and node.inputs:
        node = node.inputs[0]
        if node.shape and node.depends:
            whole = prod(node.shape)
            fewest = min(fewest, whole) if whole >= places and whole % places == 0 else fewest
    return fewest / places


def size_of(model: nn.Module) -> int:
    """Bytes of a number of the model: of the type that most of its parameters have."""
    counts: dict[torch.dtype, int] = {}
    for p in model.parameters():
        if p.is_floating_point():
            counts[p.dtype] = counts.get(p.dtype, 0) + p.numel()
    return max(counts, key=lambda dtype: counts[dtype]).itemsize if counts else 4
