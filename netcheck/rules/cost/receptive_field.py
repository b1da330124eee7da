"""NC804: outputs that see only part of the input."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.thresholds import Threshold
from netcheck.trace.kinds import is_weight_layer
from netcheck.trace.windows import Window, spatial_sizes, windows_of

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

# What computes each position from the same position of its inputs.
_IN_PLACE = frozenset((
    "activation", "norm", "dropout", "add", "gate", "shift", "scale", "cat", "identity", "cast", "pointwise", "pad",
    "softmax",
))  # fmt: skip
_GLOBAL_NORMS = ("group", "instance", "layer")  # their statistics come from the whole map


@dataclass(frozen=True, slots=True)
class Field:
    """One dimension of a receptive field: how many inputs a position sees, and how far apart neighbours look."""

    size: float = 1.0
    jump: float = 1.0


class ReceptiveField(StaticRule):
    """Each output sees only a part of the input, and nothing brings the parts together.

    ## What it does
    Follows the receptive field through convolutions, poolings and resizings to the output. If what an output position
    sees is smaller than the input, and no global operation (a fully connected layer, a global pooling, attention, a norm
    over the map) lies between, it is information.

    ## Why is this bad?
    What lies outside the receptive field cannot matter to the answer. Where the task needs context, as segmentation does,
    the net guesses. The *effective* field is smaller still: it grows only with the square root of depth.

    ## When it is fine
    Where the task is local: denoising, super-resolution, texture, edges.

    ## Evidence
    The field of each layer, exact from kernels, strides and dilations: field + (extent - 1) * jump, jump * stride. Three 3x3
    convolutions see 7x7, of 32x32 that is 22 % of a side.

    ## References
    - Luo et al. 2016, Understanding the Effective Receptive Field in Deep Convolutional Neural Networks.
    - Araujo et al. 2019, Computing Receptive Fields of Convolutional Neural Networks.
    """

    code = "NC804"
    name = "receptive-field"
    severity = Severity.INFO
    plain = "Each output sees a part of the input only"
    depends_on_size = True
    THRESHOLDS = (Threshold("share", 1.0, "share of the input's side that an output must see"),)
    BAD = (
        Example(
            "three 3x3 convolutions that label each pixel",
            """
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 5, 3, padding=1)
)
""",
            "2x3x64x64",
        ),
        Example(
            "a shallow encoder and decoder",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 16, 4, stride=2, padding=1)
        self.middle = nn.Conv2d(16, 16, 3, padding=1)
        self.up = nn.ConvTranspose2d(16, 5, 4, stride=2, padding=1)

    def forward(self, x):
        return self.up(F.relu(self.middle(F.relu(self.down(x)))))

model = Net()
""",
            "2x3x64x64",
        ),
    )
    GOOD = (
        Example(
            "the same convolutions before a global average",
            """
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5),
)
""",
            "2x3x64x64",
        ),
        Example(
            "dilations that double until everything is seen",
            """
layers = []
for dilation in (1, 2, 4, 8, 16, 32, 64, 128):
    layers += [nn.Conv1d(8, 8, 3, padding=dilation, dilation=dilation), nn.ReLU()]
model = nn.Sequential(nn.Conv1d(1, 8, 1), *layers, nn.Conv1d(8, 1, 1))
""",
            "2x1x256",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """The receptive field at each output against the size of the input."""
        fields, least = receptive_fields(graph), self.limit("share")
        made = behind_weights(graph)
        for output in graph.outputs:
            seen = fields.get(output) if output in made else None
            start = next((node for node in graph.inputs if len(node.shape or ()) > 2 and node in fields), None)
            if seen is None or start is None:
                continue
            sizes = spatial_sizes(start)
            small = [(field.size, size) for field, size in zip(seen, sizes, strict=True) if field.size < least * size]
            if not small:
                continue
            share = min(size / whole for size, whole in small)
            field = "x".join(f"{each.size:.0f}" for each in seen)
            yield self.finding(
                f"an output sees {field} of an input of {'x'.join(map(str, sizes))}, and nothing global follows",
                help="if the task needs context: add strided stages, dilated convolutions, attention or a global pooling "
                "whose result is added to each position",
                evidence=Evidence(share, "share of the input's side", f"{share:.0%} of a side is seen", limit=least),
                at=[node for node in graph if node.kind == "conv" and node in fields][-1:],
            )
            return


def behind_weights(graph: ModelGraph) -> set[Node]:
    """What a weight layer had a part in: an input that is handed out again sees itself, and need not see more."""
    found: set[Node] = set()
    for node in graph:
        if is_weight_layer(node) or any(source in found for source in node.inputs):
            found.add(node)
    return found


def receptive_fields(graph: ModelGraph) -> dict[Node, tuple[Field, ...]]:
    """The field of each node whose value is a map over the input's positions; the others may see everything."""
    fields: dict[Node, tuple[Field, ...]] = {}
    for node in graph:
        rank = len(node.shape or ()) - 2
        if node.kind == "input" and rank >= 1:
            fields[node] = (Field(),) * rank
            continue
        sources = [source for source in node.inputs if source.depends]
        known = [fields[source] for source in sources if source in fields]
        if not known or len(known) < len(sources) or any(len(each) != rank for each in known):
            continue
        widest = tuple(
            Field(max(each.size for each in dimension), max(each.jump for each in dimension))
            for dimension in zip(*known, strict=True)
        )
        grown = after(node, widest, sources[0])
        if grown is not None:
            fields[node] = grown
    return fields


def after(node: Node, fields: tuple[Field, ...], source: Node) -> tuple[Field, ...] | None:
    """The fields behind `node` given those in front; None if it may look at the whole map."""
    windows = windows_of(node)
    if windows is not None:
        return tuple(map(slid, fields, windows))
    if node.kind == "resize" or (node.kind == "conv" and node.detail == "transpose"):
        weight = node.member("weight") if node.kind == "conv" else None
        kernel = None if weight is None else tuple(weight.shape[2:])
        return enlarged(fields, spatial_sizes(source), spatial_sizes(node), kernel)
    if node.kind not in _IN_PLACE or (node.kind == "norm" and node.detail in _GLOBAL_NORMS):
        return None
    return fields


def slid(field: Field, window: Window) -> Field:
    """The field behind a sliding window."""
    return Field(field.size + (window.extent - 1) * field.jump, field.jump * window.stride)


def enlarged(
    fields: tuple[Field, ...],
    before: tuple[int, ...],
    behind: tuple[int, ...],
    kernel: tuple[int, ...] | None,
) -> tuple[Field, ...] | None:
    """The fields behind a map that was made larger: neighbours look closer together, and up to one position further."""
    if len(before) != len(behind) or not all(before) or not all(behind):
        return None
    grown = []
    for dimension, field in enumerate(fields):
        factor = behind[dimension] / before[dimension]
        reach = 1.0 if kernel is None else max(0, -(-kernel[dimension] // max(1, round(factor))) - 1)
        grown.append(Field(field.size + reach * field.jump, field.jump / factor))
    return tuple(grown)
