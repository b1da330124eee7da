"""What netcheck says: findings, and the report that holds them. Plain data; imports no torch.

Report
  +-- Finding        one fault: what (message), what to write instead (help), what number says so (evidence)
        +-- Evidence       the number, its unit, the limit that it is held against
        +-- Location       where in the user's source it stands
        +-- Severity       how bad: error, warning, info
        +-- Verdict        how sure: suspected (static only), confirmed or cleared (the probe measured it)
  +-- Summary      what was checked: how many operations, how deep, which were not understood
        +-- Layer          one row of the table of layers
  +-- Construction how a model was built that needs arguments
        +-- GivenArgument   one argument, and where the source says so
        +-- Assumption      one that nobody says: netcheck's own
  +-- LeftOut      a line of the user's code that was not let do what it does, or was not run
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from netcheck.figures.batches import Batches
from netcheck.figures.cost import Cost
from netcheck.figures.fixes import Fix
from netcheck.figures.gradients import Gradients
from netcheck.figures.network import Network
from netcheck.figures.sameness import Sameness
from netcheck.figures.step import TrainingStep
from netcheck.figures.unchecked import Unchecked
from netcheck.location import Location

INTERRUPTED = "not checked: the run was ended before"  # why a model was skipped, after Ctrl-C


class Severity(StrEnum):
    """How bad a finding is. Ordered: `Severity.INFO < Severity.WARNING < Severity.ERROR`."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for error."""
        return ("info", "warning", "error").index(self.value)

    def __lt__(self, other: str) -> bool:
        return self.rank < Severity(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= Severity(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > Severity(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= Severity(other).rank


class Verdict(StrEnum):
    """How sure netcheck is of a finding."""

    SUSPECTED = "suspected"  # only the static analysis says so
    CONFIRMED = "confirmed"  # the fact is proven: measured by the probe, or read off the graph or the weights
    CLEARED = "cleared"  # the probe measured that it does no harm here: never fails a run


@dataclass(frozen=True, slots=True)
class Evidence:
    """The number that a finding rests on.

    `text` is a whole phrase that a person can read by itself ("static gain −5.0 decades over 20 weight layers, budget ±3.0").
    """

    value: float
    unit: str
    text: str
    limit: float | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of one model. Message states the fact, help the cure, evidence the number.

    `locations` are ordered by importance: the first is where a person should look first. `count` says how many
    occurrences one finding stands for (twenty tanh layers built in a loop are one finding with a count of 20).
    `belongs_to` is the code of the finding that names the cause, where this one is a further pattern of the same stretch.
    `operations` are the names of the graph's operations that it is about; a module may have others beside them.
    `fix` is the edit of the source that mends it, where one was asked for, tried and proven; `by_hand` says why there is none.
    """

    code: str
    name: str
    severity: Severity
    message: str
    help: str
    evidence: Evidence
    verdict: Verdict = Verdict.SUSPECTED
    modules: tuple[str, ...] = ()
    locations: tuple[Location, ...] = ()
    count: int = 1
    belongs_to: str = ""
    operations: tuple[str, ...] = ()
    fix: Fix | None = None
    by_hand: str = ""

    @property
    def location(self) -> Location | None:
        """The place to look at first, or None where the source is not known."""
        return self.locations[0] if self.locations else None

    @property
    def counts(self) -> bool:
        """Whether this finding may fail a run: a cleared one never does."""
        return self.verdict is not Verdict.CLEARED

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serializable copy."""
        return {
            "code": self.code,
            "name": self.name,
            "severity": self.severity.value,
            "verdict": self.verdict.value,
            "message": self.message,
            "help": self.help,
            "evidence": asdict(self.evidence),
            "modules": list(self.modules),
            "locations": [asdict(place) for place in self.locations],
            "count": self.count,
            "belongs_to": self.belongs_to or None,
            "operations": list(self.operations),
            "fix": None if self.fix is None else asdict(self.fix),
            "by_hand": self.by_hand,
        }


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of the table of layers: an operation that has parameters or changes what a gradient meets."""

    path: str  # module path, "" for the model itself
    operation: str  # "nn.Conv2d", "torch.tanh"
    kind: str
    shape: tuple[int, ...] | None  # of its (first) output, batch first
    parameters: int  # scalars that it holds; shared ones are counted where they first occur
    place: Location | None
    note: str = ""  # one short remark, such as "gain 0.58"


@dataclass(frozen=True, slots=True)
class Summary:
    """What was traced, in numbers.

    `depth` is the most weight layers on any way from input to output, `plain_depth` the fewest.
    """

    operations: int
    weight_layers: int
    parameters: int
    depth: int
    plain_depth: int
    unknown: tuple[str, ...] = ()  # one entry an operation that neither the table nor its behaviour explained
    layers: tuple[Layer, ...] = ()
    tensors: str = "fake"  # "fake": nothing was computed; "real": values were needed, so it ran on the CPU


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A line of the user's code that was not let do what it does, or a statement that was not run.

    Attributes:
        file: the absolute path of its file, "" where no line of the user's is known.
        line: where it stands.
        reason: what it does, or why it was not run: "torch.save writes trained.pt".
        trains: whether it trains while the file is imported.
    """

    file: str
    line: int
    reason: str
    trains: bool = False


@dataclass(frozen=True, slots=True)
class Assumption:
    """What netcheck took for granted since neither the model nor its user says it.

    Attributes:
        kind: what was assumed: "argument" of a constructor.
        name: of the argument, or of the option that is read of one: "num_classes", "args.width".
        value: as Python writes it.
    """

    kind: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class GivenArgument:
    """One argument that a model was built with.

    Attributes:
        name: of the parameter, or of the option that is read of one: "num_classes", "args.width".
        value: as Python writes it.
        origin: where the source says so: "train.py:40"; "" if netcheck assumes it.
    """

    name: str
    value: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Construction:
    """How a model was built whose class needs arguments that nobody gave.

    Attributes:
        call: the call: "Net(in_channels=3, num_classes=10)".
        place: the call of the project that it follows, "train.py:40"; "" if there is none.
        arguments: what was given.
        assumptions: those that the source does not show.
        kwargs: the arguments for `[[tool.netcheck.model]]`; None where a configuration file cannot hold them.
    """

    call: str
    place: str = ""
    arguments: tuple[GivenArgument, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    kwargs: dict[str, Any] | None = None

    def __str__(self) -> str:
        """One line: "Net(in_channels=3, num_classes=10), assumed"."""
        if not self.assumptions:
            origins = dict.fromkeys(one.origin for one in self.arguments if one.origin != "as given")
            how = self._followed() if self.place else f"by {' and '.join(origins)}" if origins else "as given"
            return f"{self.call}, {how}"
        if len(self.assumptions) == len(self.arguments):
            return f"{self.call}, assumed"
        names = [one.name for one in self.assumptions]
        listed = ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]
        return f"{self.call}, {f'{self._followed()}; ' if self.place else ''}{listed} assumed"

    def _followed(self) -> str:
        """What of the project it follows: a call, or a configuration file."""
        is_code = ":" in self.place or ", cell " in self.place
        return f"as {self.place} {'does' if is_code else 'says'}"


@dataclass(frozen=True, slots=True)
class Suppression:
    """What one selector of a `# netcheck: ignore[...]` comment did for one model.

    Attributes:
        file: the absolute path of the comment's file.
        line: the comment's place.
        column: the same.
        selector: what it names; "" where the comment names none and means all rules.
        used: whether it suppressed a finding.
        reached: whether it could have: the model runs through what it is about, and its rules were judged.
        own: whether it stands in the model's own class or in what built the model.
        known: whether there is such a rule.
    """

    file: str
    line: int
    column: int
    selector: str
    used: bool
    reached: bool
    own: bool
    known: bool


class Presentation(Protocol):
    """What shows reports: `netcheck.report.presentation`."""

    def as_text(self, report: Report) -> str: ...
    def as_html(self, report: Report) -> str: ...
    def as_dict(self, report: Report) -> dict[str, Any]: ...
    def as_figure(self, report: Report, axes: Any = None) -> Any: ...


@dataclass
class Report:
    """What one check of one model found.

    Attributes:
        model: the model's name: its class, or the target that the user gave.
        findings: worst first; within a severity in the order of their places in the graph.
        graph: the traced model, or None if it could not be traced (or the report came from a child process).
        summary: the graph in numbers, plain data; None if there is no graph.
        inputs: one line that says which example input was used and how it was found.
        skipped: what was not checked, a sentence each.
        target: how the user named the model (`model.py:Net`), "" for a model that was given as an object.
        suppressed: findings that comments in the source suppress.
        suppressions: what each of these comments did.
        known: findings that the project's baseline knows.
        unshown: why a part of it is missing where it is shown; "" in every report that is whole.
        left_out: lines that were not let write, send, start or train anything, in the order in which they were met.
        construction: how the model was built, where its class needs arguments that nobody gave.
        holds: the user's classes of the modules that its forward runs, and their bases, as `file:Class`.
        wrapped: how the model was checked where something stood around it: "without torch.compile"; "" where nothing did.
        unchecked: why it was not checked; None where it was, and for a file without any model.
        gradients: what the probe measured; None without it.
        network: the graph in plain data, as it is drawn and compared; None if there is no graph.
        step: what one step with a given loss or optimizer showed; None without one.
        sameness: how far it is from the model before an edit; None for what was not edited.
        presentation: gives what shows reports; set by the package itself, as that stands above what it shows.
    """

    presentation: ClassVar[Callable[[], Presentation]]

    model: str
    findings: list[Finding] = field(default_factory=list)
    graph: Any = None  # a netcheck.trace.graph.ModelGraph, which is no plain data
    summary: Summary | None = None
    inputs: str = ""
    skipped: list[str] = field(default_factory=list)
    target: str = ""
    seconds: float = 0.0
    suppressed: list[Finding] = field(default_factory=list)
    suppressions: list[Suppression] = field(default_factory=list)
    known: list[Finding] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    unshown: str = ""
    construction: Construction | None = None
    unchecked: Unchecked | None = None
    holds: tuple[str, ...] = ()
    wrapped: str = ""

    gradients: Gradients | None = None
    network: Network | None = None
    step: TrainingStep | None = None
    sameness: Sameness | None = None
    # Cost and batches are worked out when somebody asks for them: what does so, until then.
    measure_cost: Callable[[], Cost | None] | None = field(default=None, repr=False, compare=False)
    known_cost: Cost | None = None
    measure_batches: Callable[[], Batches | None] | None = field(default=None, repr=False, compare=False)
    known_batches: Batches | None = None

    @property
    def cost(self) -> Cost | None:
        """What a training step costs; None if that could not be told. Worked out when first read."""
        if self.measure_cost is not None:
            measure, self.measure_cost = self.measure_cost, None
            self.known_cost = measure()
        return self.known_cost

    @property
    def batches(self) -> Batches | None:
        """How a batch splits over devices; None if that could not be told. Worked out when first read."""
        if self.measure_batches is not None:
            measure, self.measure_batches = self.measure_batches, None
            self.known_batches = measure()
        return self.known_batches

    def become_plain(self) -> None:
        """Let go of what is alive, the graph and what has not been measured, so that the report can go to another process."""
        self.graph = self.measure_cost = self.measure_batches = None

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """What netcheck took for granted."""
        return () if self.construction is None else self.construction.assumptions

    @property
    def interrupted(self) -> bool:
        """Whether the run was ended before this model was checked."""
        return INTERRUPTED in self.skipped

    @property
    def ok(self) -> bool:
        """No warning and no error."""
        return not self.at_least(Severity.WARNING)

    @property
    def exit_code(self) -> int:
        """0 without warnings or errors, else 1: what the command would exit with by default."""
        return 0 if self.ok else 1

    def at_least(self, severity: Severity | str) -> list[Finding]:
        """The findings that count (are not cleared) and are as bad as `severity` or worse."""
        return [f for f in self.findings if f.counts and f.severity >= severity]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serializable account of the whole report, by the schema that `netcheck.report.json` documents."""
        return type(self).presentation().as_dict(self)

    def plot_gradients(self, axes: Any = None) -> Any:
        """Draw the gradient on its way through the net with matplotlib (extra `plot`); see `netcheck.report.plot`."""
        return type(self).presentation().as_figure(self, axes)

    def __str__(self) -> str:
        return type(self).presentation().as_text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return type(self).presentation().as_html(self)


def by_importance(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first; equals keep their order."""
    return sorted(findings, key=lambda f: (not f.counts, -f.severity.rank))
