"""What a rule is, and the registry that finds them.

A rule is one file under `netcheck/rules/<subject>/`: its documentation (the class docstring), one or two models on each side
that it must and must not flag (`BAD`, `GOOD`), and `check`. Adding the file adds the rule; nothing else changes. Examples that
test more than they teach are in the file of the same name under `tests/rules/<subject>/`.

    class TanhStack(StaticRule):
        '''Saturating activations stacked so deep that the gradient dies.

        ## Why is this bad?
        ...
        '''

        code = "NC101"
        name = "tanh-stack"
        severity = Severity.ERROR          # the highest that it may give
        plain = "{gradient}: too many tanh-like activations follow each other"
        BAD = (Example("twenty layers at the default init", "model = ..."),)
        GOOD = (Example("three layers", "model = ..."),)

        def check(self, graph):
            yield self.finding(...)
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from netcheck.errors import UsageError
from netcheck.findings import Evidence, Finding, Location, Severity, Verdict
from netcheck.rules.thresholds import Threshold, limit
from netcheck.settings.options import did_you_mean

if TYPE_CHECKING:
    from netcheck.figures.batches import Batches, Operation
    from netcheck.figures.calls import Calls
    from netcheck.figures.cost import Cost
    from netcheck.figures.gradients import Gradients
    from netcheck.figures.step import TrainingStep
    from netcheck.settings import Settings
    from netcheck.source.training.events import TrainingFile
    from netcheck.trace.graph import Member, ModelGraph, Node, Submodule


@dataclass(frozen=True, slots=True)
class Example:
    """A model that a rule must flag (in `BAD`) or must leave alone (in `GOOD`).

    `source` is Python that defines `model`; `torch`, `nn` (torch.nn) and `F` (torch.nn.functional) are imported for it.
    It is text so that it can be printed as documentation, and so that a rule needs no torch to be listed.
    `inputs` is written as on the command line ("2x3x32x32", "ids=long:2x16"); "" means that netcheck infers them.
    `device_memory` is that of the device that the model is to train on ("24GiB"), where it matters; `devices` and
    `batch_size` say over how many of them how large a batch is split, `strategy` under what.
    """

    title: str
    source: str
    inputs: str = ""
    device_memory: str | None = None
    devices: int | None = None
    batch_size: int | None = None
    strategy: str = "ddp"


@dataclass(frozen=True, slots=True)
class Fixable:
    """What `--fix` may write where a rule finds something; the edit itself is in `netcheck.fix.edits`.

    Attributes:
        title: what it does, as an order: "build the layer with `bias=False`".
        safe: whether outputs and gradients stay the same, so that it is applied without `--unsafe-fixes`.
        note: what else it changes, such as the names in checkpoints; "" for nothing.
        structural: whether it makes another network of it: then it is shown as a diff, and never applied.
    """

    title: str
    safe: bool
    note: str = ""
    structural: bool = False


class Rule:
    """One thing that netcheck looks for.

    The docstring is the documentation: a summary line, then Markdown sections (`## Why is this bad?`,
    `## When it is fine`, `## Evidence`, `## References`); the examples are added from `BAD` and `GOOD`.

    `plain` says what is wrong to somebody who knows none of the terms, in one sentence about the model ("it") without a full
    stop; `{gradient}` in it stands for what becomes of the gradient. Reports begin with it.

    `fixable` says what `--fix` may write, where there is an edit for what the rule finds.

    `explained_by` names the rules whose confirmed findings are the cause of what this one sees: beside one of those,
    its own finding would say the same thing twice, and is dropped.

    `said_by` names the rules beside whose findings it does not look, where nobody asked (gave devices, or a loss).
    """

    code: ClassVar[str]
    name: ClassVar[str]
    severity: ClassVar[Severity]
    plain: ClassVar[str] = ""
    fixable: ClassVar[Fixable | None] = None
    explained_by: ClassVar[tuple[str, ...]] = ()
    said_by: ClassVar[tuple[str, ...]] = ()
    scale_only: ClassVar[bool] = False  # what it finds is wrong in scale alone, which Adam forgives in part
    depends_on_size: ClassVar[bool] = False  # whether what it says may change with the size of images, signals and sequences
    THRESHOLDS: ClassVar[tuple[Threshold, ...]] = ()
    BAD: ClassVar[tuple[Example, ...]] = ()
    GOOD: ClassVar[tuple[Example, ...]] = ()

    @property
    def summary(self) -> str:
        """The first paragraph of the documentation, on one line."""
        return " ".join(self.documentation.split("\n\n", 1)[0].split())

    @property
    def documentation(self) -> str:
        """The documentation as Markdown, without the examples."""
        return inspect.getdoc(type(self)) or ""

    def limit(self, name: str) -> float:
        """One of the numbers that this rule judges by, as the project has set it, or its own."""
        return limit(self.code, next(each for each in self.THRESHOLDS if each.name == name))

    def finding(
        self,
        message: str,
        *,
        help: str,
        evidence: Evidence,
        at: Iterable[Node | Submodule | Member | Operation] = (),
        places: Iterable[Location | None] = (),
        severity: Severity | None = None,
        verdict: Verdict = Verdict.SUSPECTED,
        count: int | None = None,
        belongs_to: str = "",
    ) -> Finding:
        """Build a finding of this rule at the nodes (submodules, tensors) `at`: first the lines that built them, then where
        forward runs them, then `places`.

        Several nodes that one line built (a loop) share one location; `count` defaults to the number of nodes.
        """
        nodes = list(at)
        found = [node.built_at if node.module is not None else node.called_at for node in nodes]
        found += [node.called_at for node in nodes]
        found += places
        return Finding(
            code=self.code,
            name=self.name,
            severity=self.severity if severity is None else severity,
            message=message,
            help=help,
            evidence=evidence,
            verdict=verdict,
            modules=tuple(dict.fromkeys(node.path for node in nodes)),
            locations=tuple(dict.fromkeys(place for place in found if place is not None)),
            count=max(1, len(nodes)) if count is None else count,
            belongs_to=belongs_to,
            operations=tuple(dict.fromkeys(name for node in nodes for name in names_of(node))),
        )


def names_of(thing: Node | Submodule | Member | Operation) -> Iterator[str]:
    """The operations of the graph that a thing is, or that run it or read it."""
    nodes: Iterable[Node | Operation] = thing.nodes if hasattr(thing, "nodes") else (thing,)
    return (node.name for node in nodes)


class Notice(Rule):
    """What the engine itself says about a check: documented like a rule, with nothing to run."""


class StaticRule(Rule):
    """A rule that reads the graph alone."""

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """Yield what is wrong with `graph`."""
        raise NotImplementedError

    def check_split(self, batches: Batches, graph: ModelGraph) -> Iterable[Finding]:
        """Yield what is wrong with what one device sees of a batch, where somebody asks about devices."""
        return ()

    def verdict(self, found: Finding, gradients: Gradients) -> Finding:
        """A finding of this rule, now that the gradients are measured: confirmed, cleared, or as it was."""
        return found


class MeasuredRule(Rule):
    """A rule that reads what the probe measured."""

    def check(self, gradients: Gradients, graph: ModelGraph) -> Iterable[Finding]:
        """Yield what is wrong with the gradients of `graph`."""
        raise NotImplementedError


class CostRule(Rule):
    """A rule that reads what a training step costs."""

    def concerned(self, graph: ModelGraph, device_memory: int | None) -> bool:
        """Whether the cost may show something to this rule: if none is concerned, nobody works it out.

        Args:
            graph: the traced model.
            device_memory: bytes of the device that will train, None if not known.
        """
        return True

    def check(self, cost: Cost, graph: ModelGraph) -> Iterable[Finding]:
        """Yield what is wrong with the cost of `graph`."""
        raise NotImplementedError


class BatchRule(Rule):
    """A rule that reads how a batch splits over devices; it runs where somebody asks about devices.

    One `without_devices` also reads what a second batch size tells where nobody asks; one not `with_devices` reads that alone.
    """

    without_devices: ClassVar[bool] = False
    with_devices: ClassVar[bool] = True

    def check(self, batches: Batches, graph: ModelGraph) -> Iterable[Finding]:
        """Yield what is wrong with the way in which a batch of `graph` splits."""
        raise NotImplementedError


class CallRule(Rule):
    """A rule that reads what calls of the model do beside giving a result."""

    def check(self, calls: Calls, graph: ModelGraph) -> Iterable[Finding]:
        """Yield what is wrong with what calls of `graph`'s model do."""
        raise NotImplementedError


class TrainingRule(Rule):
    """A rule that reads how a file trains; its examples are files, which are read and not run."""

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """Yield what is wrong with the training steps of a file."""
        raise NotImplementedError


class StepRule(Rule):
    """A rule that reads what one training step showed, where a loss or an optimizer was given, or its file has them.

    Attributes:
        of_numbers: whether what it says depends on the numbers of inputs and targets: information where targets were drawn.
    """

    of_numbers: ClassVar[bool] = False

    def check(self, step: TrainingStep, graph: ModelGraph) -> Iterable[Finding]:
        """Yield what is wrong with the loss or the optimizer of `graph`'s model."""
        raise NotImplementedError


@cache
def registry() -> tuple[Rule, ...]:
    """Every rule, by code. Reads the rule files under `netcheck.rules`; imports no torch.

    Raises:
        TypeError: a rule class lacks a part; the sentence names its file and line.
    """
    import netcheck.rules as package

    rules: dict[str, Rule] = {}
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        module = importlib.import_module(info.name)
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Rule) and value.__module__ == module.__name__:
                if "code" not in vars(value):
                    continue  # a base class that rules share
                require_complete(value, known=rules)
                rules[value.code] = value()
    return tuple(rules[code] for code in sorted(rules))


def require_complete(rule: type[Rule], *, known: dict[str, Rule]) -> None:
    """Say at load time, with file and line, what a rule class lacks."""
    missing = [part for part in ("code", "name", "severity", "__doc__") if not getattr(rule, part, None)]
    if not issubclass(rule, Notice):
        missing += [part for part in ("BAD", "GOOD") if not getattr(rule, part)]
    problem = f"lacks {', '.join(missing)}" if missing else ""
    if not problem and rule.code in known:
        problem = f"reuses code {rule.code} of {type(known[rule.code]).__name__}"
    if problem:
        raise TypeError(f"{inspect.getsourcefile(rule)}:{inspect.getsourcelines(rule)[1]}: rule {rule.__name__} {problem}")


def select(chosen: Iterable[str] = (), ignored: Iterable[str] = ()) -> Iterator[Rule]:
    """The rules that a selection leaves, by code.

    A selector is a code, the beginning of one ("NC1"), a rule's name, or "ALL". Nothing chosen means all. Where a rule
    is both chosen and ignored, the longer selector wins; of equals, the one that ignores.
    """
    chosen, ignored = list(chosen) or ["ALL"], list(ignored)
    for rule in registry():
        wanted = max(match_length(rule, selector) for selector in chosen)
        refused = max((match_length(rule, selector) for selector in ignored), default=-1)
        if wanted >= 0 and wanted > refused:
            yield rule


def match_length(rule: Rule, selector: str) -> int:
    """How specifically `selector` names `rule`: the number of characters that match, -1 for not at all."""
    if selector.upper() == "ALL":
        return 0
    if selector.lower() == rule.name:
        return len(rule.code)
    return len(selector) if selector and rule.code.startswith(selector.upper()) else -1


def require_known(selectors: Iterable[str]) -> None:
    """Raise a UsageError for the first selector that matches no rule."""
    for selector in selectors:
        if all(match_length(rule, selector) < 0 for rule in registry()):
            raise UsageError(f"unknown rule {selector!r}{suggestion(selector)}")


def require_settings(settings: Settings, origins: Mapping[str, str] | None = None) -> None:
    """Raise a UsageError for the first rule or threshold in the settings that there is not.

    Args:
        settings: the run's settings.
        origins: which file or variable set a field of them, to begin the sentence with.
    """
    tables = {
        "select": settings.select,
        "extend_select": settings.extend_select,
        "ignore": settings.ignore,
        "per_file_ignores": [one for _, selectors in settings.per_file_ignores for one in selectors],
        "per_model_ignores": [one for _, selectors in settings.per_model_ignores for one in selectors],
    }
    origins = origins or {}
    for field, selectors in tables.items():
        with blaming(origins.get(field, "")):
            require_known(selectors)
    with blaming(origins.get("rules", "")):
        for code, numbers in settings.rules:
            require_thresholds(find(code), [name for name, _ in numbers])


@contextmanager
def blaming(origin: str) -> Iterator[None]:
    """Begin the sentence of a UsageError with the file or variable that is to blame; the command line is in sight."""
    try:
        yield
    except UsageError as error:
        if origin in ("", "command line"):
            raise
        raise UsageError(f"{origin}: {error}") from error


def require_thresholds(rule: Rule, names: Iterable[str]) -> None:
    """Raise a UsageError for the first of these thresholds that a rule does not have."""
    known = [each.name for each in rule.THRESHOLDS]
    for name in names:
        if name not in known:
            listed = f"choose one of {', '.join(known)}" if known else "it has none"
            close = did_you_mean(name, known) or f": {listed}"
            raise UsageError(f"unknown threshold {name!r} of {rule.code} ({rule.name}){close}")


def thresholds_in(settings: Settings) -> dict[str, dict[str, float]]:
    """The thresholds that the settings set: {code: {name: number}}."""
    return {find(code).code: dict(numbers) for code, numbers in settings.rules}


def find(code_or_name: str) -> Rule:
    """The rule with this code or name.

    Raises:
        UsageError: there is none.
    """
    for rule in registry():
        if code_or_name.upper() == rule.code or code_or_name.lower() == rule.name:
            return rule
    raise UsageError(f"unknown rule {code_or_name!r}{suggestion(code_or_name)}")


def suggestion(selector: str) -> str:
    """The end of a sentence about an unknown selector: the closest known one, else where all are listed."""
    known = [text for rule in registry() for text in (rule.code, rule.name)]
    cased = selector.upper() if selector[:2].upper() in {rule.code[:2] for rule in registry()} else selector.lower()
    return did_you_mean(cased, known) or ": `netcheck rules` lists all codes and names"
