"""NC802: one layer that holds most of the cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import CostRule, Example
from netcheck.rules.thresholds import Threshold

if TYPE_CHECKING:
    from netcheck.figures.cost import Cost
    from netcheck.trace.graph import ModelGraph

_SHARE = 0.5
_LEAST_LAYERS = 4  # in a net of three layers one of them holds half of everything as a rule
_LEAST_BYTES = 2**20  # below, there is nothing to save
_LEAST_FLOPS = 10**7
_CLOSE = 0.8  # of that share by the estimate from shapes, from which the exact one is worked out


class CostHotSpot(CostRule):
    """One layer holds most of the model's parameters or of its FLOPs.

    ## What it does
    Looks for a layer with more than half of all parameters (from 1 MiB), or of the forward FLOPs (from 10 million), in a
    net of at least four layers with parameters. It is information: the layer may be worth it.

    ## Why is this bad?
    It is where a smaller model begins. The first fully connected layer of VGG-16 holds 103 of 138 million parameters; nets
    that average over the map instead do without it, and are no worse. What holds most of the parameters also overfits first.

    ## When it is fine
    Embeddings of large vocabularies, and a stem on large images.

    ## References
    - Simonyan & Zisserman 2014, Very Deep Convolutional Networks.
    - Lin et al. 2013, Network in Network, section 3.2: global average pooling in the place of fully connected layers.
    """

    code = "NC802"
    name = "cost-hot-spot"
    severity = Severity.INFO
    plain = "One layer holds most of its weights or takes most of its work"
    depends_on_size = True
    THRESHOLDS = (
        Threshold("share", _SHARE, "share of all that one layer may hold"),
        Threshold("layers", _LEAST_LAYERS, "layers with parameters below which one of them may hold what it will"),
        Threshold("bytes", _LEAST_BYTES, "bytes of parameters below which there is nothing to save"),
        Threshold("flops", _LEAST_FLOPS, "FLOPs of a forward pass below which there is nothing to save"),
    )
    BAD = (
        Example(
            "a fully connected layer on a large map",
            """
model = nn.Sequential(
    nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(32 * 16 * 16, 512), nn.ReLU(), nn.Linear(512, 10),
)
""",
            "2x3x32x32",
        ),
        Example(
            "a convolution at full resolution with many channels",
            """
model = nn.Sequential(
    nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4),
    nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
)
""",
            "1x3x64x64",
        ),
    )
    GOOD = (
        Example(
            "average over the map instead",
            """
model = nn.Sequential(
    nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(),
    nn.Conv2d(48, 48, 3, padding=1), nn.ReLU(), nn.Conv2d(48, 48, 3, padding=1), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10),
)
""",
            "2x3x32x32",
        ),
        Example(
            "layers of equal width",
            """
model = nn.Sequential(*[layer for _ in range(5) for layer in (nn.Linear(512, 512), nn.ReLU())], nn.Linear(512, 10))
""",
            "2x512",
        ),
    )

    def concerned(self, graph: ModelGraph, device_memory: int | None) -> bool:
        """Whether shapes alone leave it open that one layer holds half: exact FLOPs take longer than all other rules."""
        from netcheck.trace.work import work_of_layers

        parameters = parameters_of_layers(graph)
        if len(parameters) < self.limit("layers"):
            return False
        work = list(work_of_layers(graph).values())
        share, most, hardest = _CLOSE * self.limit("share"), max(parameters.values(), default=0), max(work, default=0)
        return (most >= self.limit("bytes") and most > share * sum(parameters.values())) or (
            hardest >= self.limit("flops") and hardest > share * sum(work)
        )

    def check(self, cost: Cost, graph: ModelGraph) -> Iterable[Finding]:
        """The share of each layer in parameters and in FLOPs."""
        if sum(bool(row.parameters) for row in cost.layers) < self.limit("layers"):
            return
        places = {node.path: node for node in reversed(graph.nodes) if node.op.startswith("call")}
        for path, what, number, share in self.hot_spots(cost):
            unit = "FLOPs" if what == "FLOPs" else "bytes"
            yield self.finding(
                f"one layer holds {share:.0%} of the {what}",
                help="see whether it can do with less: average over the map in front of a fully connected layer, reduce "
                "channels or resolution in front of a convolution",
                evidence=Evidence(
                    share, f"share of {what}", f"{number:,} {unit}, {share:.0%} of all {what}", limit=self.limit("share")
                ),
                at=[places[path]] if path in places else [],
                verdict=Verdict.CONFIRMED,
            )

    def hot_spots(self, cost: Cost) -> Iterator[tuple[str, str, int, float]]:
        """Layers with too large a share: module path, of what, how much, and the share."""
        kinds = (("parameters", "parameters", self.limit("bytes")), ("FLOPs", "forward", self.limit("flops")))
        for what, field, least in kinds:
            total = sum(getattr(row, field) for row in cost.layers)
            for row in cost.layers:
                number = getattr(row, field)
                if number >= least and number > self.limit("share") * total:
                    yield row.path, what, number, number / total


def parameters_of_layers(graph: ModelGraph) -> dict[str, int]:
    """Bytes of parameters by the module that holds them: a leaf's all together, else the module's own."""
    leaves = {node.path for node in graph if node.module is not None}
    held: dict[str, int] = {}
    for name, parameter in graph.model.named_parameters():
        names = name.split(".")[:-1]
        above = (".".join(names[: end + 1]) for end in range(len(names)))
        layer = next((path for path in above if path in leaves), ".".join(names))
        held[layer] = held.get(layer, 0) + parameter.numel() * parameter.element_size()
    return held
