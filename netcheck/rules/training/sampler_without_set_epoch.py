"""TS601: a DistributedSampler shuffles once and for all."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, TrainingRule
from netcheck.source.training.events import Act, Course, Event, TrainingFile
from netcheck.source.training.steps import holds, names_of, whole_courses
from netcheck.source.training.values import Role, Value, expressions, role_of

_FRAMEWORKS = frozenset("Accelerator LightningModule LightningDataModule Fabric Trainer set_epoch deepspeed".split())


class SamplerWithoutSetEpoch(TrainingRule):
    """A DistributedSampler shuffles for training, and nobody calls `set_epoch`: every epoch has the same order.

    ## What it does
    Looks for a `DistributedSampler` that shuffles, in a loader that a loop trains on, in another loop, in a file that names
    `set_epoch` nowhere.

    ## Why is this bad?
    The sampler seeds its permutation with the epoch that it is told. Untold, it is epoch 0 for ever: all processes see the same
    batches in the same order in every epoch.

    ## When it is fine
    With a framework that calls it (Lightning, Accelerate): nothing is said there.

    ## Evidence
    How often `set_epoch` is called in the file: 0 times.

    ## References
    - PyTorch documentation of DistributedSampler: "the same ordering will be always used".
    """

    code = "TS601"
    name = "sampler-without-set-epoch"
    severity = Severity.WARNING
    plain = "Each round of the training sees the data in the same order"
    BAD = (
        Example(
            "no set_epoch",
            """
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

sampler = DistributedSampler(dataset)
loader = DataLoader(dataset, batch_size=32, sampler=sampler)
for epoch in range(30):
    for x, y in loader:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
""",
        ),
    )
    GOOD = (
        Example(
            "set_epoch in each epoch",
            """
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

sampler = DistributedSampler(dataset)
loader = DataLoader(dataset, batch_size=32, sampler=sampler)
for epoch in range(30):
    sampler.set_epoch(epoch)
    for x, y in loader:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each such sampler."""
        if training.names & _FRAMEWORKS:
            return
        seen: set[int] = set()
        for course in whole_courses(training):
            for loader in course.all(Act.MAKE):
                made = sampler_in(loader)
                if made is None or id(made.node) in seen or not trains_on(course, loader.subject):
                    continue
                seen.add(id(made.node))
                yield self.finding(
                    "the DistributedSampler is never told the epoch: every epoch has the batches of the first",
                    help="call `sampler.set_epoch(epoch)` at the beginning of each epoch",
                    evidence=Evidence(0, "calls", "set_epoch is called 0 times in the file", limit=1),
                    places=[loader.place],
                    verdict=Verdict.CONFIRMED,
                )


def sampler_in(loader: Event) -> Value | None:
    """The shuffling DistributedSampler in what makes a loader."""
    if loader.value is None or role_of(loader.value)[0] is not Role.LOADER:
        return None
    for one in expressions(loader.value):
        if isinstance(one.node, ast.Call) and role_of(one)[0] is Role.SAMPLER:
            shuffle = one.keyword("shuffle")
            return one if shuffle is None or (isinstance(shuffle, ast.Constant) and shuffle.value is True) else None
    return None


def trains_on(course: Course, key: str) -> bool:
    """Whether a loop over a loader calls backward, in another loop; nothing unseen is given the loader."""
    if any(event.touches(key) for event in course.all(Act.CALL)):
        return False
    for event in course.all(Act.BACKWARD):
        for loop in event.loops[1:]:
            if loop.over is not None and (key in names_of(loop.over) or holds(loop.over, key)):
                return True
    return False
