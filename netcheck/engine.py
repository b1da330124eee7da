"""The pipeline: a model and its inputs go in, a report comes out.

    plan(names)          +-- source.targets.expand     files and folders -> targets
    check_target(target) +-- load.target.load          target -> live model
    check(model)         +-- instance                  class or factory -> live model
                         +-- examine
                               +-- example_inputs      given, else inferred
                               +-- traced              forward, recorded as a graph
                               +-- judge               what the static rules suspect
                               +-- probed              forward and backward for real: gradients, measured
                               +-- verdicts            what of the suspicions is true, and what else there is
                               +-- mended              what was tried and helps, where a gradient is bad
                               +-- costed              FLOPs and memory of a training step, if anyone asks

What goes wrong with the user's model on the way is a finding (NC0xx), not an exception: a run over many
models reports on every one. Only a request that makes no sense raises (UsageError).
"""

from __future__ import annotations

import contextlib
import inspect
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netcheck import progress
from netcheck.errors import (
    InputError,
    LoadError,
    NeedsArguments,
    NetcheckError,
    ProbeError,
    TraceError,
    UsageError,
)
from netcheck.findings import Evidence, Finding, Location, Report, Severity, Verdict, by_importance
from netcheck.launch import launched
from netcheck.rules import base, suppressions, thresholds, verdicts
from netcheck.rules.ignores import is_ignored
from netcheck.settings import Settings, models, parse_bytes
from netcheck.settings.patterns import matches_file

if TYPE_CHECKING:
    from torch import nn

    from netcheck.load.inputs import ExampleInputs
    from netcheck.measure.batch_figures import Batches
    from netcheck.measure.cost_figures import Cost
    from netcheck.measure.measurement import Gradients
    from netcheck.source.locate import Definition
    from netcheck.source.targets import Target
    from netcheck.trace.graph import ModelGraph, Node

MODEL_FAULTS = (LoadError, InputError, TraceError)  # what becomes a finding
# A search for inputs takes a second at most; this is for a machine that is busy with other things.
INFERENCE_SECONDS = 20.0
INFERRED = ", inferred"  # in the description of inputs that netcheck made up: their batch size means nothing
SHARE = 8  # samples on each device of a batch whose size nobody said
NOTHING_LOADED = ("NC001", "NC002", "NC007")  # with one of these there was no model to check


def check(
    model: Any,
    inputs: Any = None,
    *,
    probe: bool = True,
    device: str = "auto",
    seeds: int = 3,
    remedies: bool = True,
    optimizer: str = "sgd",
    batch_size: int | None = None,
    devices: int | None = None,
    device_memory: int | str | None = None,
    select: Iterable[str] | None = None,
    ignore: Iterable[str] | None = None,
    seed: int = 0,
) -> Report:
    """Check one model and report what will train badly, where, and what to write instead.

    Args:
        model: an nn.Module, its class, or a function without arguments that builds one.
        inputs: example inputs: a tensor, a tuple (*args), a dict (**kwargs), or None to infer them; a DataLoader gives real
            data, on which the gradients are then measured.
        probe: whether to run the model forward and backward for real, and measure its gradients; the model, its gradients
            and all random number generators are afterwards as before.
        device: where to: "auto" (cuda, then mps, then cpu) or the name of a device.
        seeds: how many passes to make, each with fresh inputs, and fresh weights where `model` builds one.
        remedies: whether to try what would help where a measured gradient is bad, on a run of the model; it stays as it is.
        optimizer: what the model will be trained with, "sgd" or "adam", which forgives a gradient's scale in part.
        batch_size: samples of the batch that is split and whose cost is told; None means those of the inputs.
        devices: over how many devices a batch is to be split: what each would see, and whether that gives the same.
        device_memory: of the device that will train, as bytes or "24GiB"; None means what the accelerator has.
        select: codes, beginnings of codes or names of the rules to run; None means all.
        ignore: rules to leave out; the longer selector wins over a shorter one.
        seed: what the random number generators start from where a class or function builds the model and where
            it is probed, so that every check judges the same weights and measures the same.

    Raises:
        UsageError: a selector matches no rule, the seed is no seed, or an option has no such value.
    """
    settings = Settings(
        select=selectors(select),
        ignore=selectors(ignore),
        probe=probe,
        device=device,
        seeds=seeds,
        remedies=remedies,
        optimizer=optimizer,
        batch_size=batch_size,
        devices=devices,
        device_memory=parse_bytes(device_memory),
        seed=seed,
    )
    base.require_known((*settings.chosen, *settings.ignore))
    from netcheck.trace.places import origin_of

    report = Report(model=getattr(model, "__name__", type(model).__name__))
    source = Source(lambda: built_from(model, origin_of(model), seed), lambda module: example_inputs(module, inputs, seeds))
    examine(report, source, settings)
    suppressions.unused([report], (), settings)
    return report


def plan(names: Sequence[str], settings: Settings | None = None) -> tuple[list[Target], list[Report]]:
    """The models that files, folders and modules hold, and a report on each file without any; without torch.

    Raises:
        UsageError: a name stands for nothing.
    """
    from netcheck.source.targets import expand

    settings = Settings() if settings is None else settings

    def left_out(file: str) -> bool:
        return any(matches_file(file, pattern, settings.root) for pattern in settings.exclude)

    for entry in settings.models:
        if entry.head.endswith(models.ENDINGS) and not os.path.isfile(entry.file(settings.root)):
            raise UsageError(f"the settings name the model {entry.target}: there is no such file")
    files = [(entry.file(settings.root), entry.symbol) for entry in settings.models]
    found = expand(names, [(file, symbol) for file, symbol in files if file and not left_out(file)], left_out)
    unchecked = []
    for skipped in found.skipped:
        if not os.path.lexists(skipped.file):
            raise UsageError(f"{skipped.file} {skipped.reason}")
        report = Report(model=skipped.file, target=skipped.file)
        if skipped.line is None and not (skipped.unreadable and skipped.file in names):
            report.skipped.append(skipped.reason)
        else:  # a line to blame, so it is meant to be Python; or somebody named it
            place = Location(skipped.file, skipped.line or 1)
            help = "correct the line" if skipped.line else "name a file of Python that can be read"
            error = LoadError(f"{skipped.file} {skipped.reason}", help=help, location=place)
            report.findings.append(failure(error))
        unchecked.append(report)
    return list(found.targets), unchecked


def check_target(target: Target, settings: Settings) -> Report:
    """Load the model that `target` names and check it."""
    from netcheck.load import target as loading
    from netcheck.load.randomness import seeded

    settings, entry = settings.of_model(target.file, target.symbol, target.module)
    # A class that netcheck came upon by itself may need arguments, or be no model: nobody asked for it.
    harmless = (NeedsArguments, loading.NotAModel) if target.discovered and not entry else ()

    def build() -> Built:
        weights = None if settings.weights is None else str(settings.weights)
        args, kwargs = (entry.args, dict(entry.kwargs)) if entry else ((), {})
        try:
            with seeded(settings.seed):
                loaded = loading.load(target, args=args, kwargs=kwargs, weights=weights)
        except NeedsArguments as error:
            error.help = how_to_give(error, target, settings)
            raise
        return Built(loaded.model, loaded.defined, from_seed(None if weights else loaded.factory))

    source = Source(build, lambda module: specified_inputs(module, settings))
    report = Report(model=target.symbol, target=target.name)
    with thresholds.chosen(base.thresholds_in(settings)):
        return examine(report, source, settings, harmless=harmless)


def how_to_give(error: NeedsArguments, target: Target, settings: Settings) -> str:
    """The lines of pyproject.toml that would give a class its arguments; a function, where they are no plain data."""
    if not error.args_wanted and not error.kwargs_wanted:
        return error.help
    _, entry = settings.of_model(target.file, target.symbol, target.module)
    args = (*(entry.args if entry else ()), *error.args_wanted)
    kwargs = {**dict(entry.kwargs if entry else ()), **error.kwargs_wanted}
    name = os.path.relpath(target.file, settings.root or None).replace(os.sep, "/") if target.file else target.module
    lines = models.lines(f"{name}:{target.symbol}", args, kwargs).replace("\n", "\n    ")
    return f"give them in pyproject.toml, with your own values:\n\n    {lines}\n"


@dataclass(frozen=True)
class Built:
    """A live model, where it is defined if its class does not tell, and what builds another one from a seed."""

    model: nn.Module
    origin: Definition | None = None
    factory: Callable[[int], nn.Module] | None = None


def preload() -> None:
    """Import all that a check of any model imports, so that processes forked from this one need not.

    torch imports its compiler when the first fake tensors are made: over a second of CPU time.
    """
    import importlib
    import pkgutil

    for package in ("netcheck.load", "netcheck.trace", "netcheck.measure"):
        path = importlib.import_module(package).__path__
        for info in pkgutil.walk_packages(path, f"{package}."):
            importlib.import_module(info.name)
    with contextlib.suppress(ImportError):  # a torch built without it
        importlib.import_module("torch._dynamo")
    base.registry()


@dataclass(frozen=True)
class Source:
    """How to get a model and inputs for it."""

    build: Callable[[], Built]
    inputs_for: Callable[[nn.Module], ExampleInputs]


def examine(
    report: Report,
    source: Source,
    settings: Settings,
    *,
    harmless: tuple[type[NetcheckError], ...] = (),
) -> Report:
    """Fill `report` in: build, find inputs, trace, judge, measure. A `harmless` fault is only information."""
    start = time.perf_counter()
    findings: list[Finding] = []
    try:
        built = source.build()
        report.model = type(built.model).__name__
        with in_training(built.model):
            progress.phase("inputs")
            example = source.inputs_for(built.model)
            report.inputs = example.description.removeprefix("inputs: ")
            progress.phase("trace")
            report.graph = traced(built.model, example.args, example.kwargs)
            report.measure_batches = partial(split_up, report, report.graph, example, settings)
            report.measure_cost = partial(costed, report, report.graph, example, settings)
            report.graph.origin = built.origin
            report.summary = report.graph.summary()
            report.skipped += unseen(report.graph)
            if report.graph.reads:
                findings.append(value_dependent(report.graph.reads))
            progress.phase("judge")
            suspicions = list(judge(report.graph, settings))
            if settings.probe:
                report.gradients, failed = probed(report.graph, example, settings, built.factory)
                findings += failed
            verdict = given_verdicts(suspicions, report.graph, report.gradients, settings)
            if settings.remedies and report.gradients is not None:
                report.gradients, verdict = mended(report.graph, example, report.gradients, verdict)
            findings += verdict
        findings += judge_cost(report, report.graph, settings)
        findings += judge_batches(report, report.graph, settings)
    except MODEL_FAULTS as error:
        found = failure(error)
        findings.append(replace(found, severity=Severity.INFO) if isinstance(error, harmless) else found)
    report.seconds = time.perf_counter() - start
    return finish(report, findings, settings)


def built_from(model: Any, origin: Definition | None, seed: int) -> Built:
    """`model`, or what its class or the function builds, which can then be built again."""
    module = instance(model, seed)
    return Built(module, origin, None if module is model else lambda other: instance(model, other))


def from_seed(factory: Callable[[], nn.Module] | None) -> Callable[[int], nn.Module] | None:
    """A function that builds with the random number generators started from the seed that it is given."""
    from netcheck.load.randomness import seeded

    if factory is None:
        return None

    def build(seed: int) -> nn.Module:
        with seeded(seed):
            return factory()

    return build


def instance(model: Any, seed: int = 0) -> nn.Module:
    """`model`, or what its class or the function builds, with the random number generators started from `seed`.

    Raises:
        NeedsArguments: it cannot be called without arguments.
        LoadError: it raises, or builds something else than an nn.Module.
    """
    from torch import nn

    from netcheck.load.randomness import seeded

    if isinstance(model, nn.Module):
        return model
    name = getattr(model, "__qualname__", repr(model))
    if not callable(model):
        raise LoadError(
            f"cannot check a {type(model).__name__}",
            help="give an nn.Module, its class, or a function without arguments that builds one",
        )
    if missing := required_arguments(model):
        raise NeedsArguments(
            f"{name} cannot be built without {', '.join(missing)}",
            help=f"give the model itself, or a function that builds it: lambda: {name}(...)",
        )
    try:
        with seeded(seed):
            module = model()
    except (Exception, SystemExit) as error:
        raise LoadError(f"{name}() raised {exception_text(error)}", help="make it build its model") from error
    if not isinstance(module, nn.Module):
        raise LoadError(f"{name}() built a {type(module).__name__}", help="return an nn.Module from it")
    return module


def required_arguments(function: Callable[..., Any]) -> list[str]:
    """The names of the arguments without which `function` cannot be called."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # builtins without a signature: calling it will tell
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]


def farthest(module: nn.Module, error: InputError) -> NetcheckError:
    """What to say where no inputs were found: if forward got past its first weights, how it failed beyond them."""
    if error.best is None:
        return error
    try:
        traced(module, error.best.args, error.best.kwargs)
    except TraceError as beyond:
        beyond.help = (
            "make the shapes agree; or, if forward expects another input than "
            f"{error.best.description.removeprefix('inputs: ')}, "
            "give that: `--input 2x3x224x224`, or a function netcheck_inputs() beside the model that returns it"
        )
        return beyond
    return error


def example_inputs(module: nn.Module, inputs: Any, batches: int = 1) -> ExampleInputs:
    """The inputs that were given as values, else inferred ones; of a loader, its first batches."""
    from netcheck.load import inputs as finding_inputs

    return inferred(module) if inputs is None else finding_inputs.given(inputs, module, batches)


def inferred(module: nn.Module) -> ExampleInputs:
    """Inputs that netcheck found by itself.

    Raises:
        InputError: it found none.
        TraceError: it found some that forward takes in, and forward raised later.
    """
    from netcheck.load.inputs import infer_inputs

    try:
        return infer_inputs(module, seconds=INFERENCE_SECONDS)
    except InputError as error:
        fault = farthest(module, error)
        raise fault from fault.__cause__  # of the two errors only this one's cause says something


def specified_inputs(module: nn.Module, settings: Settings) -> ExampleInputs:
    """The inputs that were given as text on the command line, or the data that it names, else inferred ones."""
    from netcheck.load import data
    from netcheck.load import inputs as finding_inputs

    if settings.input_from:
        return finding_inputs.given(data.named(settings.input_from), module, settings.seeds)
    return finding_inputs.parse_specs(settings.inputs) if settings.inputs else inferred(module)


@contextmanager
def in_training(module: nn.Module) -> Iterator[None]:
    """Judge a model that stands in eval mode as it will be trained.

    One in training mode may have parts that are frozen on purpose, and is left as it is.
    """
    flags = {part: part.training for part in module.modules()}
    if not module.training:
        module.train()
    try:
        yield
    finally:
        for part, training in flags.items():
            part.training = training


def traced(module: nn.Module, args: Sequence[Any], kwargs: dict[str, Any]) -> ModelGraph:
    """The graph of what `module` does on these inputs."""
    from netcheck.trace import trace

    return trace(module, tuple(args), dict(kwargs))


def judge(graph: ModelGraph, settings: Settings) -> Iterator[Finding]:
    """What the selected static rules see in `graph`; a rule that raises is a finding itself."""
    for rule in base.select(settings.chosen, settings.ignore):
        if isinstance(rule, base.StaticRule):
            yield from guarded(rule, rule.check, graph)


def given_verdicts(
    suspicions: Sequence[Finding], graph: ModelGraph, gradients: Gradients | None, settings: Settings
) -> list[Finding]:
    """The suspicions as the measurements leave them, and what the measured rules see that no suspicion explains."""
    found = list(suspicions)
    if gradients is not None:
        found = [verdicts.judged(suspicion, gradients) for suspicion in suspicions]
        measured = [
            finding
            for rule in base.select(settings.chosen, settings.ignore)
            if isinstance(rule, base.MeasuredRule)
            for finding in guarded(rule, rule.check, gradients, graph)
        ]
        found += verdicts.unexplained(measured, found)
    return [verdicts.forgiven(finding) for finding in found] if settings.optimizer == "adam" else found


def mended(
    graph: ModelGraph, example: ExampleInputs, gradients: Gradients, found: list[Finding]
) -> tuple[Gradients, list[Finding]]:
    """The measurements and findings, with what was tried and helps where a gradient is measured to be bad."""
    if not any(map(verdicts.wants_remedy, found)):
        return gradients, found
    from netcheck.measure.remedies import tried

    progress.phase("remedies")
    gradients = replace(gradients, remedies=tried(graph, example.args, example.kwargs, gradients))
    return gradients, verdicts.with_remedies(found, gradients)


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
            passes=settings.seeds,
            seed=settings.seed,
            rebuild=factory,
            batches=example.batches,
        )
    except ProbeError as error:
        return None, [failure(error)]
    except Exception as error:  # of the user's model, or of netcheck: what the static rules found stands
        failed = ProbeError(
            f"the real pass raised {exception_text(error)} at {place_text(error)}",
            help="run the model forward and backward by itself to see why",
        )
        return None, [failure(failed)]
    return found, []


def costed(report: Report, graph: ModelGraph, example: ExampleInputs, settings: Settings) -> Cost | None:
    """What a training step costs; None, and a sentence in the report, where that cannot be told."""
    from netcheck.measure.fit import cost_on_device

    try:
        with in_training(graph.model):
            return cost_on_device(
                graph,
                example.args,
                example.kwargs,
                samples=settings.batch_size,
                device_memory=settings.device_memory,
            )
    except Exception as error:  # of the user's model, or of netcheck: what the rules find stands
        report.skipped.append(f"the cost of training could not be told: {exception_text(error)}")
        return None


def judge_cost(report: Report, graph: ModelGraph, settings: Settings) -> Iterator[Finding]:
    """What the selected rules see in the cost, which is measured only where it may concern one or was asked for."""
    from netcheck.measure.fit import accelerator_memory

    rules = [r for r in base.select(settings.chosen, settings.ignore) if isinstance(r, base.CostRule)]
    memory = settings.device_memory or accelerator_memory()
    concerned = [rule for rule in rules if may_concern(rule, graph, memory)]
    cost = report.cost if concerned or settings.tells_cost else None
    if cost is None:
        return
    for rule in concerned:
        yield from guarded(rule, rule.check, cost, graph)


def may_concern(rule: base.CostRule, graph: ModelGraph, memory: int | None) -> bool:
    """Whether a rule wants the cost measured; a rule that fails to tell is asked again, with the cost."""
    try:
        return rule.concerned(graph, memory)
    except Exception:
        return True


def split_up(report: Report, graph: ModelGraph, example: ExampleInputs, settings: Settings) -> Batches | None:
    """How a batch splits over the devices; None, and a sentence in the report, where that cannot be told."""
    from netcheck.measure.distributed import Ranks
    from netcheck.measure.split import DEFAULT_DEVICES, accelerators, split

    launch = launched()
    devices = settings.devices or (launch.ranks if launch else max(accelerators(), DEFAULT_DEVICES))
    progress.phase("split")
    try:
        with in_training(graph.model):
            return split(
                graph,
                example.args,
                example.kwargs,
                devices=devices,
                samples=settings.batch_size or (SHARE * devices if INFERRED in example.description else None),
                run=settings.probe,
                seed=settings.seed,
                ranks=Ranks(launch, report.target or report.model),
            )
    except Exception as error:  # of the user's model, or of netcheck: what the rules find stands
        report.skipped.append(f"how a batch splits could not be told: {exception_text(error)}")
        return None


def judge_batches(report: Report, graph: ModelGraph, settings: Settings) -> Iterator[Finding]:
    """What the selected rules see in the way a batch splits, where somebody asks about devices or names such a rule."""
    from netcheck.measure.split import accelerators

    selected = list(base.select(settings.chosen, settings.ignore))
    rules = [rule for rule in selected if isinstance(rule, base.BatchRule)]
    named = [r for r in rules if any(base.match_length(r, selector) > 0 for selector in settings.chosen)]
    several = settings.batch_size is not None and accelerators() > 1
    asked = settings.devices is not None or several or launched() is not None
    rules = rules if asked else named
    batches = report.batches if rules or asked else None
    if batches is None:
        return
    if batches.unjudged:
        report.skipped.append(f"whether samples mix was not judged: {batches.unjudged}")
    found = [finding for rule in rules for finding in guarded(rule, rule.check, batches, graph)]
    for rule in selected:
        if isinstance(rule, base.StaticRule):
            found += guarded(rule, rule.check_split, batches, graph)
    codes = {finding.code for finding in found}
    yield from (finding for finding in found if not codes.intersection(verdicts.causes_of(finding)))


def finish(report: Report, findings: list[Finding], settings: Settings) -> Report:
    """Put the findings into `report`, without the notices that were ignored."""
    # `--select NC1` must not hide that a model could not be checked: only `--ignore` does.
    kept = {rule.code for rule in base.select(("ALL", *settings.chosen), settings.ignore)}
    file, _, symbol = report.target.rpartition(":")
    for found in suppressions.suppressed(report, findings, settings):
        if found.code in kept and not is_ignored(found, (report.model, symbol), file, settings):
            report.findings.append(found)
        elif report.summary is None:
            report.skipped.append(f"{found.message} ({found.code}, ignored)")
    report.findings = by_importance(report.findings)
    return report


def failure(error: NetcheckError) -> Finding:
    """The finding for a model that could not be checked."""
    cause = error.__cause__
    return notice(
        error.code,
        str(error),
        help=error.help,
        evidence=exception_text(cause) if cause and str(cause) not in str(error) else "",
        locations=(error.location,) if error.location else (),
        modules=(error.module,) if error.module else (),
    )


def unseen(graph: ModelGraph) -> list[str]:
    """What of the model the graph does not show, a sentence each."""
    if not graph.lost:
        return []
    return [f"{len(graph.lost)} tensors that no recorded operation made: what leads to them was not checked"]


def value_dependent(reads: Sequence[Node]) -> Finding:
    """The finding for a model whose forward looked at the values of these nodes."""
    found = notice(
        "NC005",
        "forward looks at the values of its tensors: only the way that it took on these inputs was checked",
        help="give inputs that take the way that you want checked",
        locations=tuple(dict.fromkeys(node.called_at for node in reads if node.called_at)),
        modules=tuple(dict.fromkeys(node.path for node in reads)),
    )
    return replace(found, count=len(reads), verdict=Verdict.CONFIRMED)


def guarded(rule: base.Rule, look: Callable[..., Iterable[Finding]], *material: Any) -> list[Finding]:
    """What a rule finds; if it raises, a finding that says so, and what the other rules found stands."""
    try:
        return list(look(*material))
    except Exception as error:
        return [
            notice(
                "NC008",
                f"the rule {rule.name} ({rule.code}) failed on this model; what the other rules found stands",
                help=f"report this together with the model; --ignore {rule.code} checks without the rule",
                evidence=f"{exception_text(error)} at {place_text(error)}",
            )
        ]


def notice(
    code: str,
    message: str,
    *,
    help: str,
    evidence: str = "",
    locations: tuple[Location, ...] = (),
    modules: tuple[str, ...] = (),
) -> Finding:
    """A finding that the engine itself makes."""
    rule = base.find(code)
    number = Evidence(value=1.0, unit="failures", text=evidence)
    return Finding(
        rule.code, rule.name, rule.severity, message, help, number, modules=modules, locations=locations
    )


def exception_text(error: BaseException) -> str:
    """The class of an exception and the first line of its text."""
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def place_text(error: BaseException) -> str:
    """The innermost place that an exception passed: "poor_init.py:57"."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"


def exit_code(reports: Sequence[Report], settings: Settings) -> int:
    """0: nothing as bad as `fail_on`; 1: findings; 2: there were models, and none could be loaded."""
    tried = [report for report in reports if report.summary or report.at_least(Severity.WARNING)]
    if tried and all(any(f.code in NOTHING_LOADED for f in report) for report in tried):
        return 2
    failed = any(report.at_least(settings.fail_on) for report in reports)
    return int(failed and not settings.exit_zero)


def selectors(chosen: Iterable[str] | None) -> tuple[str, ...]:
    """Selectors as a tuple; one string is one selector, not its letters."""
    return (chosen,) if isinstance(chosen, str) else tuple(chosen or ())
