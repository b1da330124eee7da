"""TS202: gradients that a GradScaler has scaled are clipped or used as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, TrainingRule
from netcheck.source.training.events import Act, Event, TrainingFile
from netcheck.source.training.steps import TrainingLoop, training_loops

_FIRST_SCALE = 65536  # of torch.amp.GradScaler


class ScaledGradients(TrainingRule):
    """Gradients of a scaled loss are clipped, or the optimizer steps with them, before they are unscaled.

    ## What it does
    Looks at the loops in which `scaler.scale(loss).backward()` is called: whether `scaler.unscale_(optimizer)` stands in front of
    what clips, whether the optimizer steps by `scaler.step(optimizer)`, and whether `scaler.update()` is called.

    ## Why is this bad?
    The scaler multiplies the loss by 65,536 to begin with. Gradients that are clipped to norm 1 then have a norm of at most
    1 / 65,536 once they are unscaled: the net hardly moves. A step with them is 65,536 times too long. Without `update` the scale
    stays what it is, and the second step raises.

    ## When it is fine
    With `unscale_` in front of the clipping.

    ## Evidence
    The first scale of a GradScaler.

    ## References
    - PyTorch documentation, "Automatic Mixed Precision examples": working with unscaled gradients.
    """

    code = "TS202"
    name = "scaled-gradients"
    severity = Severity.ERROR
    plain = "The training takes steps of the wrong length: numbers that were scaled up are used as they are"
    BAD = (
        Example(
            "clipped as scaled",
            """
scaler = torch.amp.GradScaler()
for x, y in loader:
    optimizer.zero_grad()
    with torch.autocast("cuda"):
        loss = criterion(model(x), y)
    scaler.scale(loss).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
""",
        ),
    )
    GOOD = (
        Example(
            "unscaled first",
            """
scaler = torch.amp.GradScaler()
for x, y in loader:
    optimizer.zero_grad()
    with torch.autocast("cuda"):
        loss = criterion(model(x), y)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each loop and each thing that is missing."""
        for loop in training_loops(training):
            backward = loop.all(Act.BACKWARD)
            scalers = {event.scaler for event in backward}
            if len(scalers) != 1 or "" in scalers or loop.all(Act.GRADIENT) or loop.hides(*scalers, *loop.optimizers):
                continue
            for event, message, help in wrong(loop):
                yield self.finding(
                    message,
                    help=help,
                    evidence=Evidence(
                        _FIRST_SCALE, "times", f"the scale that a GradScaler begins with: {_FIRST_SCALE:,}", limit=1
                    ),
                    places=[event.place, backward[0].place],
                    verdict=Verdict.CONFIRMED,
                )


def wrong(loop: TrainingLoop) -> Iterator[tuple[Event, str, str]]:
    """What is done to scaled gradients: the event, what is wrong with it, what to write."""
    backward, unscaled = loop.all(Act.BACKWARD), loop.all(Act.UNSCALE)
    for step in loop.all(Act.STEP):
        if not backward[0].happens_with(step):
            continue  # of another branch, which may have a backward of its own that is not seen
        name, scaler = step.subject_name, backward[0].scaler.rpartition(".")[2].rpartition(":")[2]
        if not step.scaler and not unscaled:
            yield (
                step,
                f"`{step.text}` uses gradients that are scaled",
                f"write `{scaler}.step({name})`, then `{scaler}.update()`",
            )
        elif step.scaler and not any(event.act is Act.UPDATE for event in loop.course.events):
            help = f"call `{scaler}.update()` after `{step.text}`"
            yield step, f"`{step.text}` without `{scaler}.update()`: the next step raises, and the scale stays what it is", help
        clip = next((event for event in loop.all(Act.CLIP)), None)
        if clip is not None and step.scaler and not unscaled and loop.events.index(clip) < loop.events.index(step):
            yield clip, f"`{clip.text}` clips gradients that are scaled", f"call `{scaler}.unscale_({name})` before it"
