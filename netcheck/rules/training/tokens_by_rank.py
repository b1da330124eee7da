"""TS709: shares of a batch with different numbers of targets that count."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.figures.batches import mean_of_means
from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StepRule

if TYPE_CHECKING:
    from netcheck.figures.step import TrainingStep
    from netcheck.trace.graph import ModelGraph

LENGTHS = """
model = nn.Sequential(nn.Linear(16, 10))
targets = torch.zeros(8, dtype=torch.long)
targets[{padding}] = -100
loss = nn.CrossEntropyLoss()
"""


class TokensByRank(StepRule):
    """The devices count different numbers of targets, and each takes the mean over its own.

    ## What it does
    With targets, a loss that takes a mean over those that are not its `ignore_index`, and `--devices`: counts them in each
    device's share.

    ## Why is this bad?
    The mean over ranks that DistributedDataParallel and FSDP take is a mean of means: a token of a rank that has few counts
    more than one of a rank that has many, and the step is not the one of a single device. A rank without any divides 0 by 0, and
    its NaN goes to all. The same holds for the batches of an accumulated step.

    ## When it is fine
    Where all sequences are about equally long it changes little: the evidence says how much.

    ## Evidence
    How far the mean of means is off, relative to the gradient of the whole batch, for independent gradients of the targets:
    sqrt(mean((w_n N − 1)²)).

    ## References
    - Hugging Face 2024, Fixing Gradient Accumulation: losses over tokens are divided by the tokens of all batches.
    """

    code = "TS709"
    name = "tokens-by-rank"
    severity = Severity.ERROR
    plain = "The devices average over different numbers of answers"
    BAD = (
        Example("one share with little that counts", LENGTHS.format(padding="4:7"), "8x16", devices=2),
        Example("one share with nothing", LENGTHS.format(padding="4:"), "8x16", devices=2),
    )
    GOOD = (
        Example("equally many", LENGTHS.format(padding="[0, 4]"), "8x16", devices=2),
        Example(
            "a sum, which is divided outside",
            LENGTHS.format(padding="4:7").replace("Loss()", "Loss(reduction='sum')"),
            "8x16",
            devices=2,
        ),
    )

    def check(self, step: TrainingStep, graph: ModelGraph) -> Iterable[Finding]:
        """The counts of the shares, where they differ."""
        counts = step.targets.by_device if step.targets is not None else ()
        if len(set(counts)) < 2:
            return
        none = 0 in counts
        off = mean_of_means([count for count in counts if count])
        yield self.finding(
            f"{len(counts)} devices average over {', '.join(map(str, counts))} targets"
            + (": a mean over none is NaN, on all devices" if none else ""),
            help='sum the loss on each device (reduction="sum"), divide by the targets of all devices (all_reduce), and multiply '
            "by the number of devices",
            evidence=Evidence(
                off, "relative L2", f"mean of the devices' means off by {off:.2g} (relative L2, expected)", limit=0.0
            ),
            places=[step.place or graph.built_at("")],
            severity=Severity.ERROR if none else Severity.INFO,
            verdict=Verdict.CONFIRMED,
        )
