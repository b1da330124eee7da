"""The pipeline: a model and its inputs go in, a report comes out.

    plan(names)          +-- source.targets.expand     files and folders -> targets
    check_target(target) +-- load.target.load          target -> live model
    check(model)         +-- instance                  class or factory -> live model
                         +-- examine
                               +-- inputs, traced      (subjects)   given or inferred; forward, recorded as a graph
                               +-- judge               (judging)    what the static rules suspect
                               +-- probed              (measuring)  forward and backward for real: gradients
                               +-- given_verdicts      (judging)    what of the suspicions is true, and what else there is
                               +-- mended              (measuring)  what was tried and helps, where a gradient is bad
                               +-- judge_cost, judge_batches        what a step costs, how a batch splits, if anyone asks

What goes wrong with the user's model on the way is a finding (NC0xx), not an exception: a run over many
models reports on every one. Only a request that makes no sense raises (UsageError).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from netcheck import progress
from netcheck.engine.exits import exit_code, too_few
from netcheck.engine.faults import (
    contained,
    doubted,
    doubting,
    failure,
    on_the_cpu_instead,
    stage,
    unchecked,
    unseen,
    value_dependent,
    wants_gpu,
)
from netcheck.engine.judging import (
    batch_rules,
    finish,
    given_verdicts,
    judge,
    judge_batches,
    judge_calls,
    judge_cost,
    judge_samples,
    judge_step,
    splits_batches,
)
from netcheck.engine.measuring import costed, measured, mended, split_up
from netcheck.engine.proving import check_edited
from netcheck.engine.second_size import at_another_size
from netcheck.engine.subjects import (
    Asked,
    Built,
    Source,
    alike,
    built_from,
    classes_of,
    example_inputs,
    from_seed,
    in_training,
    instance,
    loaded_by,
    plan,
    planned,
    saying_what_fits,
    specified_inputs,
    traced,
)
from netcheck.engine.training import joined, step_of_file, training_reports
from netcheck.errors import Defect, InputError, LoadError, NeedsArguments, NetcheckError, TraceError, UsageError
from netcheck.figures.unchecked import Reason
from netcheck.findings import Finding, Report, Severity, Summary
from netcheck.rules import base, suppressions, thresholds, verdicts
from netcheck.settings import Settings, memory_of_device
from netcheck.source.overlay import laid_over

if TYPE_CHECKING:
    from types import ModuleType

    from torch import nn

    from netcheck.load.inputs import ExampleInputs
    from netcheck.source.targets import Target
    from netcheck.trace.graph import ModelGraph

__all__ = [
    "Built",
    "Source",
    "check",
    "check_target",
    "examine",
    "example_inputs",
    "exit_code",
    "instance",
    "joined",
    "plan",
    "planned",
    "preload",
    "too_few",
    "traced",
    "training_reports",
]  # fmt: skip

MODEL_FAULTS = (LoadError, InputError, TraceError, Defect)  # what becomes a finding


def check(
    model: Any,
    inputs: Any = None,
    *,
    probe: bool = True,
    device: str = "auto",
    dtype: str = "auto",
    seeds: int = 3,
    remedies: bool = True,
    targets: Any = None,
    loss: Any = None,
    optimizer: Any = "sgd",
    batch_size: int | None = None,
    devices: int | None = None,
    strategy: str = "ddp",
    device_memory: int | str | None = None,
    inference: bool = False,
    context: int | None = None,
    select: Iterable[str] | None = None,
    ignore: Iterable[str] | None = None,
    seed: int = 0,
    allow_writes: bool = False,
) -> Report:
    """Check one model and report what will train badly, where, and what to write instead.

    Args:
        model: an nn.Module, its class, or a function without arguments that builds one.
        inputs: example inputs: a tensor, a tuple (*args), a dict (**kwargs), or None to infer them; a DataLoader gives real
            data, on which the gradients are then measured.
        probe: whether to run the model forward and backward for real, and measure its gradients; the model, its gradients
            and all random number generators are afterwards as before.
        device: where to: "auto" (cuda, then mps, then cpu) or the name of a device.
        dtype: in which precision: "auto" (float64 where that is affordable, else float32), "float64", "float32", "bfloat16" or
            "float16".
        seeds: how many passes to make, each with fresh inputs, and fresh weights where `model` builds one.
        remedies: whether to try what would help where a measured gradient is bad, on a run of the model; it stays as it is.
        targets: what the loss is given behind the output, for the samples of `inputs`.
        loss: a module or function of (output, targets), or of the output alone where there are no targets; None where forward
            returns the loss. With it, or an optimizer, one step is taken on copies, and the rules TS7 and TS8 judge it.
        optimizer: what the model will be trained with: "sgd" or "adam", which forgives a gradient's scale in part; or the
            optimizer itself, which stays as it is.
        batch_size: samples of the batch that is split and whose cost is told; None means those of the inputs.
        devices: over how many devices a batch is to be split: what each would see, and whether that gives the same.
        strategy: under what the shards run: "dp" (nn.DataParallel), "ddp" (DistributedDataParallel) or "fsdp" (FSDP2).
        device_memory: of the device that will train, as bytes, "24GiB" or its name ("A100-80GB"); None means what the
            accelerator has. With it `report.cost.fit` says what would make a step fit.
        inference: whether to tell what the model takes to be used and not trained (`report.cost.inference`).
        context: tokens of each sample that its cache of keys and values holds; None means the example's.
        select: codes, beginnings of codes or names of the rules to run; None means all.
        ignore: rules to leave out; the longer selector wins over a shorter one.
        seed: what the random number generators start from where a class or function builds the model and where
            it is probed, so that every check judges the same weights and measures the same.
        allow_writes: whether the model's code may write files, start processes, use the network and train; else it is not
            let, and `report.left_out` says which of its lines would have.

    Raises:
        UsageError: a selector matches no rule, the seed is no seed, or an option has no such value.
    """
    built = None if isinstance(optimizer, str) else optimizer
    if built is not None:
        optimizer = kind_of_optimizer(built)
    settings = Settings(
        select=selectors(select),
        ignore=selectors(ignore),
        probe=probe,
        device=device,
        dtype=dtype,
        seeds=seeds,
        remedies=remedies,
        optimizer=optimizer,
        batch_size=batch_size,
        devices=devices,
        strategy=strategy,
        device_memory=memory_of_device(device_memory),
        inference=inference,
        context=context,
        seed=seed,
        allow_writes=allow_writes,
    )
    base.require_known((*settings.chosen, *settings.ignore))
    from netcheck.load.untouched import untouched
    from netcheck.trace.places import origin_of

    report = Report(model=getattr(model, "__name__", type(model).__name__))
    source = Source(
        lambda: built_from(model, origin_of(model), seed),
        lambda module: example_inputs(module, inputs, seeds),
        given=inputs is not None,
        asked=lambda model: Asked(targets, loss, built),
    )
    with untouched():
        examine(report, source, settings)
    suppressions.unused([report], (), settings)
    return report


def kind_of_optimizer(optimizer: Any) -> str:
    """Which of the two kinds that are told apart an optimizer is: "adam" where each number has a scale of its own.

    Raises:
        UsageError: it is none.
    """
    if not hasattr(optimizer, "param_groups"):
        raise UsageError(f'optimizer: expected "sgd", "adam" or a torch.optim.Optimizer, not a {type(optimizer).__name__}')
    return "sgd" if "SGD" in type(optimizer).__name__ else "adam"


def check_target(target: Target, settings: Settings) -> Report:
    """Load the model that `target` names and check it; after an edit, on the inputs of the model before it."""
    if target.before is None:
        return check_named(target, settings)
    return check_edited(target, settings, check_named)


def check_named(target: Target, settings: Settings, example: ExampleInputs | None = None) -> Report:
    """Load the model that `target` names and check it, on these inputs if any are given."""
    from netcheck.load import target as loading
    from netcheck.load.ways import NoForward

    settings, entry = settings.of_model(target.file, target.symbol, target.module)
    # A class that netcheck came upon by itself may need arguments, or be no model: nobody asked for it.
    harmless = (NeedsArguments, loading.NotAModel, NoForward) if target.discovered and not entry else ()
    beside: list[ModuleType] = []

    def build(*, as_project: bool = False) -> Built:
        loaded = loaded_by(target, settings, entry, as_project=as_project)
        beside.append(loaded.namespace)
        return Built(loaded.model, loaded.defined, from_seed(loaded.factory), loaded.construction)

    def inputs_for(module: nn.Module) -> ExampleInputs:
        return specified_inputs(module, settings, beside) if example is None else example

    given = bool(settings.inputs or settings.input_from)
    step = partial(step_of_file, target.file, target.symbol, settings)
    source = Source(build, inputs_for, given=given, is_part=target.part, asked=step)

    def examined_as(source: Source) -> Report:
        return examine(Report(model=target.symbol, target=target.name), source, settings, harmless=harmless)

    with laid_over(target.texts), thresholds.chosen(base.thresholds_in(settings)):
        report = examined_as(source)
        if entry is None and not given and stuck_with_defaults(report):
            other = examined_as(replace(source, build=partial(build, as_project=True)))
            report = report if other.summary is None else other
        return report


def stuck_with_defaults(report: Report) -> bool:
    """Whether a model for which nobody chose any arguments is not built, or its forward does not run."""
    reasons = (Reason.BUILD, Reason.INPUTS, Reason.TRACE)
    return report.construction is None and report.unchecked is not None and report.unchecked.reason in reasons


def examine(
    report: Report,
    source: Source,
    settings: Settings,
    *,
    harmless: tuple[type[NetcheckError], ...] = (),
) -> Report:
    """Fill `report` in: build, find inputs, trace, judge, measure. A `harmless` fault is only information."""
    from netcheck.load import fence
    from netcheck.measure.accelerators import drivers_at_rest

    with fence.closed(writes=settings.allow_writes), drivers_at_rest():
        try:
            found = examined(report, source, settings, harmless)
            return on_the_cpu_instead(found, lambda: examined(report, source, settings, harmless)) if wants_gpu(found) else found
        finally:
            report.left_out = fence.notes()


def examined(report: Report, source: Source, settings: Settings, harmless: tuple[type[NetcheckError], ...]) -> Report:
    """`report`, filled in."""
    from netcheck.load.arrays import tensors_for_arrays
    from netcheck.load.guard import NotAModel
    from netcheck.load.untouched import untouched
    from netcheck.load.ways import entered
    from netcheck.measure.gathered import whole

    start = time.perf_counter()
    findings: list[Finding] = []
    try:
        with stage(LoadError, f"building {report.model}"):
            built = source.build()
        with stage(LoadError, f"taking the wrappers off {report.model}"):
            model, report.wrapped = whole(built.model, report.target or report.model)
        built = replace(built, model=model)
        report.model = type(built.model).__name__
        report.construction = built.construction
        arrays = tensors_for_arrays(allowed=not source.given)
        with untouched(), arrays, in_training(built.model), entered(built.model) as ways:
            built = alike(built)
            example, graph = prepared(report, source, built, settings, ways)
            findings += contained(report, "telling what forward read", lambda: list(readings(graph)), [])
            so_far(report, findings, settings, start)
            if splits_batches(settings) or batch_rules(settings):
                # Before the rules and the probe run backward: beside an accelerator no process can do so that is forked later.
                _ = report.batches
            findings = judged(report, example, built, findings, settings, start)
            nothing: tuple[list[Finding], bool] = [], False
            alone = partial(judge_samples, graph, example, settings, findings)
            told, pure = contained(report, "judging samples", alone, nothing)
            calls = partial(judge_calls, graph, example, settings, report.gradients, pure=pure)
            findings += [*told, *contained(report, "judging calls", calls, nothing[0])]
            step = partial(judge_step, report, graph, example, source.asked, findings, settings)
            findings += contained(report, "judging the step", step, nothing[0])
        findings += contained(report, "judging the cost", lambda: list(judge_cost(report, graph, settings)), [])
        doubt = partial(at_another_size, report, findings, example, settings, built.factory)
        findings = contained(report, "trying another size of the inputs", doubt, findings)
        findings += contained(report, "judging the batches", lambda: list(judge_batches(report, graph, settings)), [])
        findings = contained(report, "finding causes", partial(verdicts.unexplained, findings), findings)
    except MODEL_FAULTS as raised:
        error = doubted(raised, report)
        found = failure(error)
        if report.summary is None and not (isinstance(error, NotAModel) and isinstance(error, harmless)):
            report.unchecked = unchecked(error, report)
        # What netcheck came upon and has no weights, such as a loss or the decoding of boxes, is not what is trained.
        mild = isinstance(error, harmless) or (bool(harmless) and isinstance(error, InputError) and not has_weights(built.model))
        findings.append(replace(found, severity=Severity.INFO) if mild else found)
    report.seconds = time.perf_counter() - start
    return finish(report, findings, settings)


def has_weights(model: nn.Module) -> bool:
    """Whether a model has any parameters."""
    return next(model.parameters(), None) is not None


def prepared(
    report: Report, source: Source, built: Built, settings: Settings, ways: list[str]
) -> tuple[ExampleInputs, ModelGraph]:
    """Inputs and the graph of a model; fills in what the report says of them. `ways` are the methods that stand for forward.

    Raises:
        InputError: there are no inputs.
        TraceError: forward does not run.
    """
    from netcheck.load.arrays import tensors_for_arrays
    from netcheck.load.omit import past_refusals
    from netcheck.load.ways import inputs_by, later

    progress.phase("inputs")
    with stage(InputError, f"finding inputs for {report.model}"):
        if ways and not source.given:
            example, said = past_refusals(partial(inputs_by, built.model, ways, source.inputs_for))
            report.skipped += said
        else:
            example = past_refusals(partial(source.inputs_for, built.model))
        report.inputs = example.description.removeprefix("inputs: ")
    progress.phase("trace")
    with stage(TraceError, f"tracing {report.model}"), doubting(example), saying_what_fits(source, built.model):
        graph = report.graph = past_refusals(partial(traced, built.model, example.args, example.kwargs))
    arrays = tensors_for_arrays(allowed=not source.given)
    report.measure_batches = arrays(later(built.model, partial(split_up, report, graph, example, settings)))
    report.measure_cost = arrays(later(built.model, partial(costed, report, graph, example, settings)))
    graph.origin, graph.is_part = built.origin, source.is_part
    report.summary = contained(report, "telling the layers", graph.summary, Summary(len(getattr(graph, "nodes", ())), 0, 0, 0, 0))
    report.network = contained(report, "writing the graph down", graph.network, None)
    report.holds = contained(report, "naming what it is made of", partial(classes_of, graph), ())
    report.skipped += unseen(graph)
    return example, graph


def readings(graph: ModelGraph) -> Iterator[Finding]:
    """The finding that forward looked at values, if it did."""
    if graph.reads:
        yield value_dependent(graph.reads)


def judged(
    report: Report, example: ExampleInputs, built: Built, findings: Sequence[Finding], settings: Settings, start: float
) -> list[Finding]:
    """`findings`, and what the rules say of the graph and of what is measured: each stage leaves what was known before it."""
    graph = report.graph
    assert graph is not None
    progress.phase("judge")
    suspicions = verdicts.grouped(list(judge(graph, settings)))
    verdict = given_verdicts(suspicions, graph, None, settings)
    so_far(report, [*findings, *verdict], settings, start)
    if not settings.probe:
        return [*findings, *verdict]
    subject, report.gradients, failed = measured(report, graph, example, settings, built.factory)
    verdict = given_verdicts(suspicions, graph, report.gradients, settings)
    so_far(report, [*findings, *failed, *verdict], settings, start)
    if settings.remedies and report.gradients is not None:
        gradients = report.gradients
        report.gradients, verdict = contained(
            report,
            "trying what would help",
            lambda: mended(subject.graph, subject.example, gradients, verdict),
            (gradients, verdict),
        )
        so_far(report, [*findings, *failed, *verdict], settings, start)
    return [*findings, *failed, *verdict]


def so_far(report: Report, findings: Sequence[Finding], settings: Settings, start: float) -> None:
    """Hand on what would be reported if the check ended now."""
    from netcheck.load import fence

    def plain() -> Report:
        twin = replace(report, findings=[], skipped=list(report.skipped), seconds=time.perf_counter() - start)
        finish(twin, list(findings), settings)
        twin.left_out = fence.notes()
        twin.become_plain()
        return twin

    progress.known(plain)


def preload() -> None:
    """Import all that a check of any model imports, so that processes forked from this one need not.

    All but torch's compiler, which the first fake tensors would bring (over a second of CPU time): see `keep_up`.

    Raises:
        UsageError: the installed torch lacks something that netcheck needs.
    """
    import importlib
    import pkgutil

    from netcheck import compiler  # before the others: a torch that lacks something is told of here

    for package in ("netcheck.load", "netcheck.trace", "netcheck.measure"):
        path = importlib.import_module(package).__path__
        for info in pkgutil.walk_packages(path, f"{package}."):
            importlib.import_module(info.name)
    from netcheck.trace.selftest import require_hearing

    compiler.put_off()
    require_hearing()
    base.registry()


def keep_up() -> None:
    """Import what a process forked from this one had to import for its model: the next ones will, too."""
    from netcheck import compiler

    compiler.follow()


def selectors(chosen: Iterable[str] | None) -> tuple[str, ...]:
    """Selectors as a tuple; one string is one selector, not its letters."""
    return (chosen,) if isinstance(chosen, str) else tuple(chosen or ())
