"""From what was named to what is checked: targets, a live model, its inputs, its graph."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from netcheck.engine.faults import failure
from netcheck.errors import (
    InputError,
    LoadError,
    NeedsArguments,
    NetcheckError,
    TraceError,
    UsageError,
)
from netcheck.figures.unchecked import Reason, Unchecked
from netcheck.findings import Construction, Location, Report
from netcheck.load.arguments import named, required
from netcheck.load.raised import describe, instead, is_installed
from netcheck.settings import Settings, models
from netcheck.settings.patterns import matches_file

if TYPE_CHECKING:
    from types import ModuleType

    from torch import nn

    from netcheck.load.inputs import ExampleInputs
    from netcheck.load.target import Loaded
    from netcheck.source.locate import Definition
    from netcheck.source.targets import Target
    from netcheck.trace.graph import ModelGraph

# A search for inputs takes a second at most; this is for a machine that is busy with other things.
INFERENCE_SECONDS = 20.0
CHECKPOINTS = (".pt", ".pth", ".ckpt", ".safetensors", ".pt2", ".onnx")
FITTING_SECONDS = 5.0  # for inputs that would fit, where those that were given do not


class Plan(NamedTuple):
    """What is to be done: models to check, reports on files without any, the models that each builds, if it fails; and the files
    that were looked at, to be read for how they train.
    """

    targets: list[Target]
    unchecked: list[Report]
    parts: Mapping[Target, Sequence[Target]]
    files: Sequence[str]


def plan(names: Sequence[str], settings: Settings | None = None) -> tuple[list[Target], list[Report]]:
    """The models that files, folders and modules hold, and a report on each file without any; without torch.

    Raises:
        UsageError: a name stands for nothing.
    """
    return planned(names, settings)[:2]


def planned(names: Sequence[str], settings: Settings | None = None) -> Plan:
    """The same, and what to check in the place of a model that cannot be.

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
    for name in names:
        if name.lower().endswith(CHECKPOINTS) and not os.path.isdir(name):
            raise UsageError(f"{name} holds weights and no code", help=f"netcheck model.py:Net --weights {name}")
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
            error = LoadError(f"{os.path.basename(skipped.file)} {skipped.reason}", help=help, location=place)
            report.findings.append(failure(error))
            report.unchecked = Unchecked(Reason.IMPORT)
        unchecked.append(report)
    return Plan(list(found.targets), unchecked, found.parts, found.files)


@dataclass(frozen=True)
class Built:
    """A live model, where it is defined if its class does not tell, what builds another one from a seed, and from what."""

    model: nn.Module
    origin: Definition | None = None
    factory: Callable[[int], nn.Module] | None = None
    construction: Construction | None = None


class Asked(NamedTuple):
    """What there is beside a model to be judged with it: targets, a loss and an optimizer. False where there is nothing.

    Where the file has them, `draw` makes up targets for an output, and `places` are where it makes the loss and the optimizer.
    """

    targets: Any = None
    loss: Any = None
    optimizer: Any = None
    draw: Callable[[Any], Any] | None = None
    places: tuple[Location | None, Location | None] = (None, None)

    def __bool__(self) -> bool:
        return self.loss is not None or self.optimizer is not None


NOTHING_ASKED = Asked()


@dataclass(frozen=True)
class Source:
    """How to get a model and inputs for it; whether another model holds it; what else is to be judged with it."""

    build: Callable[[], Built]
    inputs_for: Callable[[nn.Module], ExampleInputs]
    given: bool = False  # whether these are the user's
    is_part: bool = False
    asked: Callable[[nn.Module], Asked] = lambda model: NOTHING_ASKED


def alike(built: Built) -> Built:
    """`built`, with a factory whose models have the class that the model has got since."""
    from netcheck.load.ways import become, has_forward

    factory, model = built.factory, built.model

    def build(seed: int) -> nn.Module:
        assert factory is not None
        other = factory(seed)
        if not has_forward(other):
            become(other, type(model))
        return other

    return built if factory is None else replace(built, factory=build)


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

    from netcheck.load import fence
    from netcheck.load.randomness import seeded
    from netcheck.load.unwritten import unwritten_is_nan

    if isinstance(model, nn.Module):
        return model
    name = getattr(model, "__qualname__", repr(model))
    if not callable(model):
        raise LoadError(
            f"cannot check a {type(model).__name__}",
            help="give an nn.Module, its class, or a function without arguments that builds one",
        )
    if missing := required(model):
        raise NeedsArguments(
            f"{name} cannot be built without {named(missing)}",
            help=f"give the model itself, or a function that builds it: lambda: {name}(...)",
        )
    try:
        with seeded(seed), fence.building(), unwritten_is_nan():
            module = model()
    except (Exception, SystemExit, fence.Halted) as error:
        raise LoadError(f"{name}() raised {describe(error)}", help="make it build its model") from error
    if not isinstance(module, nn.Module):
        raise LoadError(f"{name}() built a {type(module).__name__}", help="return an nn.Module from it")
    return module


def loaded_by(target: Target, settings: Settings, entry: models.ModelEntry | None, *, as_project: bool = False) -> Loaded:
    """The live model that a target names, built from the seed as its entry in the settings says, if it has one.

    Raises:
        LoadError: it cannot be imported or built.
    """
    from netcheck.load import target as loading
    from netcheck.load.randomness import seeded

    weights = None if settings.weights is None else str(settings.weights)
    args, kwargs = (entry.args, dict(entry.kwargs)) if entry else ((), {})
    try:
        with seeded(settings.seed):
            loaded = loading.load(target, args=args, kwargs=kwargs, weights=weights, as_project=as_project)
    except NeedsArguments as error:
        error.help = how_to_give(error, target, settings)
        raise
    return loaded if weights is None else replace(loaded, factory=None)


def how_to_give(error: NeedsArguments, target: Target, settings: Settings) -> str:
    """The lines of pyproject.toml that would give a class its arguments; a function, where they are no plain data."""
    if not error.args_wanted and not error.kwargs_wanted:
        return error.help
    _, entry = settings.of_model(target.file, target.symbol, target.module)
    args = (*(entry.args if entry else ()), *error.args_wanted)
    kwargs = {**dict(entry.kwargs if entry else ()), **error.kwargs_wanted}
    name = os.path.relpath(target.file, settings.root or None).replace(os.sep, "/") if target.file else target.module
    lines = models.lines(f"{name}:{target.symbol}", args, kwargs).replace("\n", "\n    ")
    return f"give them in pyproject.toml, with your own values where these are guesses:\n\n    {lines}\n"


def example_inputs(module: nn.Module, inputs: Any, batches: int = 1) -> ExampleInputs:
    """The inputs that were given as values, else inferred ones; of a loader, its first batches."""
    from netcheck.load import inputs as finding_inputs

    return inferred(module) if inputs is None else finding_inputs.given(inputs, module, batches)


def specified_inputs(module: nn.Module, settings: Settings, beside: Sequence[ModuleType] = ()) -> ExampleInputs:
    """The inputs that were given as text on the command line, or the data that it names, else inferred ones.

    `beside` are the modules of what was named: a factory may stand in another than the class.
    """
    from netcheck.load import data
    from netcheck.load import inputs as finding_inputs
    from netcheck.load.conventions import floating

    if settings.input_from:
        return finding_inputs.given(data.named(settings.input_from), module, settings.seeds)
    if settings.inputs:
        return finding_inputs.parse_specs(settings.inputs, floating(module))
    return inferred(module, beside)


@contextmanager
def saying_what_fits(source: Source, module: nn.Module) -> Iterator[None]:
    """Where forward does not take the inputs that somebody gave, say which it takes, if netcheck finds any.

    Raises:
        TraceError: what was raised, with that as its help.
    """
    try:
        yield
    except TraceError as error:
        if source.given and (fits := fitting(module)):
            error.help = f"give inputs that fit: {fits}"
        raise


def fitting(module: nn.Module) -> str:
    """Inputs that forward takes, as options of the command line, and how they were found; "" if none are."""
    from netcheck.load.inputs import as_specs, infer_inputs

    try:
        example = infer_inputs(module, seconds=FITTING_SECONDS)
    except NetcheckError:
        return ""
    options = " ".join(f"--input {spec}" for spec in as_specs(example))
    how = example.description.rpartition(", ")[2]
    return f"`{options}`, {how}" if options else ""


def inferred(module: nn.Module, beside: Sequence[ModuleType] = ()) -> ExampleInputs:
    """Inputs that netcheck found by itself.

    Raises:
        InputError: it found none.
        TraceError: it found some that forward takes in, and forward raised later.
    """
    from netcheck.load.inputs import infer_inputs

    try:
        return infer_inputs(module, seconds=INFERENCE_SECONDS, beside=beside)
    except InputError as error:
        fault = farthest(module, error)
        raise fault from fault.__cause__  # of the two errors only this one's cause says something


def farthest(module: nn.Module, error: InputError) -> NetcheckError:
    """What to say where no inputs were found: if forward got past its first weights, how it failed beyond them."""
    if error.best is None:
        return error
    try:
        traced(module, error.best.args, error.best.kwargs)
    except TraceError as beyond:
        if error.is_fault:
            beyond.help = instead(beyond.__cause__) or "install or correct what forward imports"
            return beyond
        beyond.help = instead(beyond.__cause__) or (
            "make the shapes agree; or, if forward expects another input than "
            f"{error.best.description.removeprefix('inputs: ')}, "
            "give that: `--input 2x3x224x224`, or a function netcheck_inputs() beside the model that returns it"
        )
        return beyond
    return error


@contextmanager
def in_training(module: nn.Module) -> Iterator[None]:
    """Judge a model that stands in eval mode as it will be trained, and what has a `train()` of its own as after a call of that:
    detectors keep the statistics of their body so.

    Parts of a model in training mode that were frozen by `eval()` are left as they are.
    """
    from netcheck.load.modes import set_training
    from netcheck.trace.attempts import overrides_train

    flags = {part: part.training for part in module.modules()}
    own = {part: dict(vars(part)) for part in flags if overrides_train(part)}
    if module.training:
        with suppress(Exception):  # the user's own code, which may expect more than is there
            for part in own:
                if part.training:
                    set_training(part, True)
    else:
        set_training(module, True)
    try:
        yield
    finally:
        for part, training in flags.items():
            part.training = training
        for part, attributes in own.items():
            vars(part).clear()
            vars(part).update(attributes)


def traced(module: nn.Module, args: Sequence[Any], kwargs: dict[str, Any]) -> ModelGraph:
    """The graph of what `module` does on these inputs."""
    from netcheck.trace import trace

    return trace(module, tuple(args), dict(kwargs))


def classes_of(graph: ModelGraph) -> tuple[str, ...]:
    """The classes of the modules that forward runs and their bases, as `file:Class`; without those of installed packages."""
    kinds = {kind for one in graph.submodules if one.called for kind in type(one.module).__mro__}
    files = {kind: getattr(sys.modules.get(kind.__module__), "__file__", None) or "" for kind in kinds}
    return tuple(sorted(f"{os.path.realpath(file)}:{kind.__qualname__}" for kind, file in files.items() if is_own(file)))


def is_own(file: str) -> bool:
    """Whether a file is the user's."""
    return bool(file) and not is_installed(file)
