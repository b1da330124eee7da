"""NC504: blocks that start with the very same random weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import is_weight_layer

if TYPE_CHECKING:
    import torch

    from netcheck.trace.graph import ModelGraph, Node

_FIRST = 4  # elements of a weight that are compared before more are read
_SAMPLES = 16  # elements that are compared before the rest
_DISTINCT = 12  # of them, from which the weights were drawn at random: identity and blur filters repeat a few values


class ClonedBlocks(StaticRule):
    """Sibling blocks start with bit-identical random weights: one was drawn, and the others are copies of
    it.

    ## What it does
    Compares the weights of all layers that train. Layers that hold different tensors with the same random
    numbers are reported, by the container that holds them.

    ## Why is this bad?
    The author of a stack of blocks means each to be drawn by itself: that is what the theory of
    initialization assumes, and what every published result used. Clones make the product of the layers a
    power of one matrix, whose singular values spread faster with depth. Training separates them soon where
    they stand in sequence, since each gets another gradient; clones side by side, which see the same input
    and whose outputs are summed or averaged, get the same gradient and never separate.

    ## When it is fine
    Where the weights are meant to be shared (use one module, so that they stay shared); in a target network
    or a frozen teacher; where the weights are loaded afterwards. `nn.TransformerEncoder` and
    `nn.TransformerDecoder` clone the layer that they are given, so most users of them have cloned blocks,
    and those train.

    ## Evidence
    Two independent draws of n float32 numbers agree in all of them with probability 0 for all practical n.
    How much a stack of clones loses has not been measured: this is information.

    ## References
    - PyTorch documentation of nn.TransformerEncoder: all layers start with the same parameters.
    - Saxe et al. 2014, Exact Solutions to the Nonlinear Dynamics of Learning: products of independent random
      matrices.
    """

    code = "NC504"
    name = "cloned-blocks"
    severity = Severity.INFO
    plain = "Blocks start as exact copies of each other"
    BAD = (
        Example(
            "nn.TransformerEncoder, which copies the layer that it is given",
            """
layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
model = nn.Sequential(nn.TransformerEncoder(layer, 3), nn.Linear(32, 4))
""",
            "8x12x32",
        ),
        Example(
            "a list of deep copies",
            """
import copy

block = nn.Sequential(nn.Linear(32, 32), nn.ReLU())
model = nn.Sequential(*[copy.deepcopy(block) for _ in range(4)], nn.Linear(32, 4))
""",
            "8x32",
        ),
    )
    GOOD = (
        Example(
            "blocks drawn one by one",
            """
model = nn.Sequential(*[nn.Sequential(nn.Linear(32, 32), nn.ReLU()) for _ in range(4)], nn.Linear(32, 4))
""",
            "8x32",
        ),
        Example(
            "one module, shared on purpose",
            """
block = nn.Sequential(nn.Linear(32, 32), nn.ReLU())
model = nn.Sequential(block, block, block, nn.Linear(32, 4))
""",
            "8x32",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each container that holds clones."""
        containers: dict[str, list[tuple[Node, ...]]] = {}
        for group in clones(graph):
            containers.setdefault(common_path([name for name, _ in group]), []).append(tuple(n for _, n in group))
        for container, groups in containers.items():
            nodes = list(dict.fromkeys(node for group in groups for node in group))
            copies = max(map(len, groups))
            where = f"in {container}" if container else "of the model"
            yield self.finding(
                f"{copies} layers {where} start with the very same random weights",
                help="build each block anew (`nn.ModuleList(Block() for _ in range(n))`), or draw the weights again: "
                "`for p in model.parameters(): nn.init.xavier_uniform_(p) if p.dim() > 1 else None`",
                evidence=Evidence(
                    copies,
                    "copies",
                    f"{copies} copies of {len(groups)} weight matrices, equal bit for bit",
                    limit=1,
                ),
                at=nodes,
                verdict=Verdict.CONFIRMED,
                count=copies,
            )


def clones(graph: ModelGraph) -> Iterator[list[tuple[str, Node]]]:
    """Groups of layers (with their weights' names) that hold copies of the same random numbers."""
    import torch

    similar: dict[object, list[tuple[str, torch.Tensor, Node]]] = {}
    for name, matrix, node in matrices(graph):
        similar.setdefault((*matrix.shape, *matrix[0, :_FIRST].tolist()), []).append((name, matrix, node))
    alike: dict[object, list[tuple[str, torch.Tensor, Node]]] = {}
    for group in similar.values():
        for name, matrix, node in group if len(group) > 1 else ():
            if (key := fingerprint(matrix)) is not None:
                alike.setdefault(key, []).append((name, matrix, node))
    for (name, first, node), *others in alike.values():
        same = [(other, its_node) for other, matrix, its_node in others if torch.equal(matrix, first)]
        if same:
            yield [(name, node), *same]


def matrices(graph: ModelGraph) -> Iterator[tuple[str, torch.Tensor, Node]]:
    """Every trained weight matrix once, with the path of its layer (or, of a bare parameter, its name)."""
    from netcheck.trace.weights import trained_matrices, weight_of

    seen: set[int] = set()
    for node in graph:
        if not is_weight_layer(node):
            continue
        for matrix in trained_matrices(node):
            if matrix.data_ptr() not in seen:
                seen.add(matrix.data_ptr())
                weight = weight_of(node) if node.module is None else None
                yield (weight.name if weight is not None else node.path), matrix, node


def fingerprint(matrix: torch.Tensor) -> object:
    """A key that clones share; None for weights that were not drawn at random (constant, identity, few)."""
    flat = matrix.reshape(-1) if matrix.is_contiguous() else matrix.T.reshape(-1)
    if flat.numel() < _SAMPLES:
        return None
    values = tuple(flat[:: math.ceil(flat.numel() / _SAMPLES)].tolist())
    return (tuple(matrix.shape), values) if len(set(values)) >= min(_DISTINCT, len(values)) else None


def common_path(paths: list[str]) -> str:
    """The container that holds all of several paths: "layers" for layers.0.fc and layers.1.fc."""
    parts = [path.split(".") for path in paths]
    common = []
    for names in zip(*parts, strict=False):
        if len(set(names)) > 1:
            break
        common.append(names[0])
    return ".".join(common)
