"""NC305: a normalization over a single value."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.figures.batches import Batches
    from netcheck.trace.graph import ModelGraph, Node


class NormOverOneValue(StaticRule):
    """A batch, instance or group normalization sees one value at a time: what it gives out is constant.

    ## What it does
    Counts over how many values a norm takes each mean and variance: of a batch normalization in training all of a channel,
    of an instance normalization those of one sample's channel, of a group normalization those of one sample's group. With
    `--devices` also whether the smallest share of a batch leaves a batch normalization with one value, where larger ones
    do not: 5 vectors over 4 devices come as 2, 2 and 1.

    ## Why is this bad?
    A value minus its own mean is zero. The output is the norm's bias, whatever the input; no gradient passes, and what
    stands before it does not train. Where `nn.BatchNorm` and `nn.InstanceNorm` notice it, they raise an error; the rest is
    silent.

    ## When it is fine
    Never. On vectors, `nn.GroupNorm` needs fewer groups than channels, or use `nn.LayerNorm`.

    ## Evidence
    The number of values, from the shapes.

    ## References
    - Wu & He 2018, Group Normalization, section 3.1: the sets of values that each norm averages over.
    """

    code = "NC305"
    name = "norm-over-one-value"
    severity = Severity.ERROR
    plain = "A normalization sees one value at a time, so what it gives out is always the same"
    depends_on_size = True
    BAD = (
        Example(
            "as many groups as channels, on vectors",
            """
model = nn.Sequential(nn.Linear(8, 16), nn.GroupNorm(16, 16), nn.ReLU(), nn.Linear(16, 4))
""",
            "8x8",
        ),
        Example(
            "after global pooling",
            """
class Attention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.reduce, self.norm, self.expand = nn.Conv2d(channels, 4, 1), nn.GroupNorm(4, 4), nn.Conv2d(4, channels, 1)

    def forward(self, x):
        weights = F.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.expand(F.relu(self.norm(self.reduce(weights)))))

model = nn.Sequential(nn.Conv2d(3, 8, 3), Attention(8), nn.Flatten(), nn.Linear(8 * 36, 4))
""",
            "2x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "groups of several channels, on vectors",
            """
model = nn.Sequential(nn.Linear(8, 16), nn.GroupNorm(4, 16), nn.ReLU(), nn.Linear(16, 4))
""",
            "8x8",
        ),
        Example(
            "as many groups as channels, on maps: instance normalization",
            """
model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))
""",
            "2x3x8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such norms of a model."""
        found = [node for node in graph if node.live and node.carries and values_per_mean(node) == 1]
        if not found:
            return
        first, several = found[0], len(found) > 1
        yield self.finding(
            f"{f'{len(found)} norms take' if several else f'{first.target} takes'} each mean over one value of "
            f"{'×'.join(map(str, first.shape or ()))}: the output does not depend on the input",
            help="average over more: fewer groups (`nn.GroupNorm(1, channels)`), `nn.LayerNorm` for vectors, a norm before the "
            "pooling; batch normalization needs batches of two or more",
            evidence=Evidence(
                1,
                "values",
                f"1 value for each mean and variance in {len(found)} norm{'s' if several else ''}",
                limit=2,
            ),
            at=found,
            verdict=Verdict.CONFIRMED,
        )

    def check_split(self, batches: Batches, graph: ModelGraph) -> Iterable[Finding]:
        """Batch normalizations that have one value on the device with the smallest share, and more on others."""
        least, most = min(batches.samples, default=0), max(batches.samples, default=0)
        alone = [norm for norm in batches.norms if norm.values and norm.values * least == 1 < norm.values * most]
        if batches.devices < 2 or not alone:
            return
        yield self.finding(
            f"on the last of {len(batches.shards)} devices {alone[0].target} takes each mean over one value: "
            f"a batch of {batches.batch_size} is cut into {', '.join(map(str, batches.samples))}",
            help=f"use batches that are a multiple of {batches.devices}, with `drop_last=True` in the DataLoader",
            evidence=Evidence(1, "values", "1 value for each mean and variance on the last device", limit=2),
            at=alone,
            verdict=Verdict.CONFIRMED,
        )


def values_per_mean(node: Node) -> int | None:
    """How many values a norm averages over; None for one that averages over features, or uses fixed statistics."""
    shape = node.shape
    if node.kind is not Kind.NORM or shape is None or len(shape) < 2:
        return None
    positions = math.prod(shape[2:])
    if node.detail == "group":
        groups = node.option("num_groups", 1)
        return positions * shape[1] // groups if isinstance(groups, int) else None
    if node.detail == "batch" and normalizes_batch(node):
        return positions * shape[0]
    if node.detail == "instance" and len(shape) > 2 and normalizes_sample(node):
        return positions
    return None


def normalizes_batch(node: Node) -> bool:
    """Whether a batch normalization takes its statistics from the batch."""
    if node.module is not None:
        return node.training
    return node.function in ("batch_norm", "native_batch_norm") and bool(node.argument(5, "training", False))


def normalizes_sample(node: Node) -> bool:
    """Whether an instance normalization takes its statistics from the sample."""
    if node.module is not None:
        return node.training or getattr(node.module, "running_mean", None) is None
    return node.function == "instance_norm" and bool(node.argument(5, "use_input_stats", True))
