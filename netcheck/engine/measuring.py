"""What is measured: gradients, what would mend them, what a step costs, how a batch splits. What fails stops nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from netcheck import progress
from netcheck.engine.faults import failure
from netcheck.engine.subjects import in_training
from netcheck.errors import ProbeError
from netcheck.findings import Finding, Report
from netcheck.launch import launched
from netcheck.load.raised import describe, place_text
from netcheck.rules import verdicts
from netcheck.settings import Settings

if TYPE_CHECKING:
    from torch import nn

    from netcheck.figures.batches import Batches
    from netcheck.figures.cost import Cost
    from netcheck.figures.gradients import Gradients
    from netcheck.load.inputs import ExampleInputs
    from netcheck.trace.graph import ModelGraph

INFERRED = ", inferred"  # in the description of inputs that netcheck made up: their batch size means nothing
SHARE = 8  # samples on each device of a batch whose size nobody said


def probed(
    graph: ModelGraph,
    example: ExampleInputs,
    settings: Settings,
    factory: Callable[[int], nn.Module] | None = None,
) -> tuple[Gradients | None, list[Finding]]:
    """What a real pass measures; or nothing, and a finding that says why."""
    from netcheck.measure.gradients import probe

    progress.phase("probe")
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
        )
    except ProbeError as error:
        return None, [failure(error)]
    except Exception as error:  # of the user's model, or of netcheck: what the static rules found stands
        failed = ProbeError(
            f"the real pass raised {describe(error)} at {place_text(error)}",
            help="run the model forward and backward by itself to see why",
        )
        return None, [failure(failed)]
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

    try:
        with untouched(), in_training(graph.model):
            return cost_on_device(
                graph,
                example.args,
                example.kwargs,
                samples=settings.batch_size,
                device_memory=settings.device_memory,
            )
    except Exception as error:  # of the user's model, or of netcheck: what the rules find stands
        report.skipped.append(f"the cost of training could not be told: {describe(error)}")
        return None


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
                ranks=Ranks(launch, report.target or report.model, patience(settings)),
            )
            return with_memory(found, graph, example.args, example.kwargs) if settings.tells_cost else found
    except Exception as error:  # of the user's model, or of netcheck: what the rules find stands
        report.skipped.append(f"how a batch splits could not be told: {describe(error)}")
        return None
