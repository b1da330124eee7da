"""What is measured: gradients, what would mend them, what a step costs, how a batch splits. What fails stops nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from netcheck import progress
from netcheck.engine.faults import contained, failure
from netcheck.engine.subjects import in_training
from netcheck.errors import REPORT_IT, Defect, NetcheckError
from netcheck.findings import Finding, Report
from netcheck.launch import launched
from netcheck.load.raised import describe, place_text
from netcheck.rules import verdicts
from netcheck.settings import Settings

if TYPE_CHECKING:
    from torch import nn

    from netcheck.figures.batches import Batches
    from netcheck.figures.calls import Calls
    from netcheck.figures.cost import Cost
    from netcheck.figures.gradients import Gradients
    from netcheck.load.inputs import ExampleInputs
    from netcheck.measure.samples import Seen
    from netcheck.measure.small_images import Subject
    from netcheck.trace.graph import ModelGraph

INFERRED = ", inferred"  # in the description of inputs that netcheck made up: their batch size means nothing
SHARE = 8  # samples on each device of a batch whose size nobody said


def measured(
    report: Report,
    graph: ModelGraph,
    example: ExampleInputs,
    settings: Settings,
    factory: Callable[[int], nn.Module] | None,
) -> tuple[Subject, Gradients | None, list[Finding]]:
    """What was measured on, what a real pass measures there, and the finding that says why if it measures nothing."""
    from netcheck.measure.small_images import Subject, measurable

    progress.phase("probe")
    whole = Subject(graph, example)
    find = partial(measurable, whole, device=settings.device, passes=settings.seeds)
    subject = contained(report, "finding a size to measure on", find, whole)
    gradients, failed = probed(subject.graph, subject.example, settings, factory)
    if gradients is None and subject is not whole:
        subject = whole
        gradients, failed = probed(graph, example, settings, factory)
    if gradients is not None and subject.remark:
        gradients = replace(gradients, remarks=(subject.remark, *gradients.remarks))
    return subject, gradients, failed


def probed(
    graph: ModelGraph,
    example: ExampleInputs,
    settings: Settings,
    factory: Callable[[int], nn.Module] | None = None,
) -> tuple[Gradients | None, list[Finding]]:
    """What a real pass measures; or nothing, and a finding that says why."""
    from netcheck.measure.gradients import probe

    try:
        found = probe(
            graph,
            example.args,
            example.kwargs,
            device=settings.device,
            dtype=settings.dtype,
            passes=settings.seeds,
            seed=settings.seed,
            rebuild=factory,
            batches=example.batches,
            guessed=INFERRED in example.description,
        )
    except NetcheckError as error:
        return None, [failure(error)]
    except Exception as error:  # outside of any pass: what the static rules found stands
        text = f"measuring raised {describe(error)} at {place_text(error)}, which is no fault of the model"
        return None, [failure(Defect(text, help=REPORT_IT))]
    return found, []


def mended(
    graph: ModelGraph, example: ExampleInputs, gradients: Gradients, found: list[Finding]
) -> tuple[Gradients, list[Finding]]:
    """The measurements and findings, with what was tried and helps where a gradient is measured to be bad."""
    if not any(map(verdicts.wants_remedy, found)):
        return gradients, found
    from netcheck.measure.remedies import tried

    progress.phase("remedies")
    remedies = tried(graph, example.args, example.kwargs, gradients, redraw=verdicts.redraw(found))
    gradients = replace(gradients, remedies=remedies)
    return gradients, verdicts.with_remedies(found, gradients)


def costed(report: Report, graph: ModelGraph, example: ExampleInputs, settings: Settings) -> Cost | None:
    """What a training step costs; None, and a sentence in the report, where that cannot be told."""
    from netcheck.load.untouched import untouched
    from netcheck.measure.fit import cost_on_device
    from netcheck.measure.inference import inference_of

    try:
        with untouched(), in_training(graph.model):
            found = cost_on_device(
                graph,
                example.args,
                example.kwargs,
                samples=settings.batch_size,
                device_memory=settings.device_memory,
                ways=not settings.inference,
            )
            if not settings.inference:
                return found
            samples, limit = found.batch_size or 1, found.device_memory
            used = inference_of(graph, example.args, example.kwargs, samples=samples, context=settings.context, limit=limit)
            return replace(found, inference=used)
    except Exception as error:  # of the user's model, or of netcheck: what the rules find stands
        report.skipped.append(f"the cost of training could not be told: {describe(error)}")
        return None


def looked_at(graph: ModelGraph, example: ExampleInputs) -> Seen | None:
    """What a second batch size tells; None where nobody says that the inputs hold a batch.

    Of inputs that were given, and of a single table of rows or stack of images, something is said also if nothing tells what
    their first dimension is. (T, N, C) and (N, T, C) look alike.
    """
    from netcheck.measure.said import says_batch
    from netcheck.measure.samples import look
    from netcheck.trace import structure

    certain = bool(example.batches) or bool(says_batch(graph))
    ranks = [tensor.dim() for _, tensor in structure.tensors((example.args, example.kwargs))]
    if not certain and INFERRED in example.description and ranks not in ([2], [4], [5]):
        return None
    progress.phase("samples")
    seen = look(graph, example.args, example.kwargs)
    return seen if seen.batches is None else replace(seen, batches=replace(seen.batches, doubtful=not certain))


def calls_of(graph: ModelGraph, example: ExampleInputs, gradients: Gradients | None, *, pure: bool) -> Calls:
    """What calls of the model do beside giving a result; `pure`: they are known to do nothing."""
    from netcheck.measure.calls import called

    progress.phase("calls")
    learns = gradients is not None and gradients.all_learn
    return replace(
        called(graph, example.args, example.kwargs, pure=pure, all_learn=learns), chosen=INFERRED in example.description
    )


def patience(settings: Settings) -> float:
    """How many times as long as usual processes may take that work together: more where the whole check may take longer."""
    return max(1.0, settings.timeout / Settings().timeout)


def split_up(report: Report, graph: ModelGraph, example: ExampleInputs, settings: Settings) -> Batches | None:
    """How a batch splits over the devices; None, and a sentence in the report, where that cannot be told."""
    from netcheck.load.untouched import untouched
    from netcheck.measure.accelerators import count_accelerators
    from netcheck.measure.distributed import Ranks, given_ranks
    from netcheck.measure.share_memory import with_memory
    from netcheck.measure.split import DEFAULT_DEVICES, split

    launch = launched()
    ranks = given_ranks() or (launch.ranks if launch else 0)
    devices = settings.devices or ranks or max(count_accelerators(), DEFAULT_DEVICES)
    progress.phase("split")
    try:
        with untouched(), in_training(graph.model):
            found = split(
                graph,
                example.args,
                example.kwargs,
                devices=devices,
                samples=settings.batch_size or (SHARE * devices if INFERRED in example.description else None),
                run=settings.probe,
                seed=settings.seed,
                ranks=Ranks(launch, report.target or report.model, patience(settings), settings.strategy),
            )
            return with_memory(found, graph, example.args, example.kwargs) if settings.tells_cost else found
    except Exception as error:  # of the user's model, or of netcheck: what the rules find stands
        report.skipped.append(f"how a batch splits could not be told: {describe(error)}")
        return None
