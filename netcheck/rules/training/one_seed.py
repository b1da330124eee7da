"""TS602: one seed on all ranks."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.location import Location
from netcheck.rules.base import Example, TrainingRule
from netcheck.source.parse import Unreadable, parse
from netcheck.source.training.events import TrainingFile

_GROUP = "init_process_group"
_DROPOUTS = frozenset("Dropout Dropout1d Dropout2d Dropout3d AlphaDropout dropout DropPath StochasticDepth".split())
_USUAL = 0.1  # the rate for which the evidence says how often masks agree

TRAINED = """
dist.init_process_group("nccl")
torch.manual_seed({seed})
model = DistributedDataParallel(nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.1), nn.Linear(8, 2)))
for x, y in loader:
    optimizer.zero_grad()
    criterion(model(x), y).backward()
    optimizer.step()
"""


class OneSeed(TrainingRule):
    """Every rank seeds with the same number: dropout drops the same units on all of them.

    ## What it does
    Looks for `torch.manual_seed` of a number in a file that starts a process group and has dropout, where no seed depends on
    anything.

    ## Why is this bad?
    Ranks are to average over masks as over samples. With one seed the masks are the same on all ranks, so that their noise is not
    averaged out: the batch is larger, the masks are as many as on one device. Augmentations repeat in the same way.

    ## When it is fine
    To start from equal weights, before the model is built; DistributedDataParallel and FSDP send rank 0's weights anyway. A seed
    with the rank in it, after the model is built, does both.

    ## Evidence
    The share of places where the masks of two ranks agree, at a rate p of 0.1: all of them, and not p² + (1 − p)² = 0.82.

    ## References
    - PyTorch documentation of torch.manual_seed; Megatron-LM seeds data-parallel ranks apart.
    """

    code = "TS602"
    name = "one-seed"
    severity = Severity.INFO
    plain = "All devices make the same random choices"
    BAD = (Example("a seed that is a number", TRAINED.format(seed="42")),)
    GOOD = (
        Example("the rank is in it", TRAINED.format(seed="42 + dist.get_rank()")),
        Example("one process", TRAINED.format(seed="42").replace('dist.init_process_group("nccl")', "")),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """The seed, if all of them are numbers."""
        if _GROUP not in training.names or not training.names & _DROPOUTS:
            return
        try:
            calls = seeds(parse(training.path).tree)
        except Unreadable:
            return
        if calls and all(isinstance(call.args[0], ast.Constant) for call in calls):
            agree = _USUAL**2 + (1 - _USUAL) ** 2
            yield self.finding(
                "every rank seeds with the same number: dropout drops the same units on all of them",
                help="seed with the rank in it when the model is built: torch.manual_seed(seed + dist.get_rank())",
                evidence=Evidence(1.0, "share", f"masks agree in 100 % of places, and not in {agree:.0%}", limit=agree),
                places=[Location(training.path, calls[-1].lineno)],
                verdict=Verdict.CONFIRMED,
            )


def seeds(tree: ast.AST) -> list[ast.Call]:
    """The calls of `torch.manual_seed` that are given something."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    return [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "manual_seed"]
