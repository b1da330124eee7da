"""What goes wrong on the way, as findings (NC0xx)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from netcheck.errors import REPORT_IT, BackwardError, Defect, InputError, LoadError, NeedsArguments, NetcheckError, TraceError
from netcheck.figures.unchecked import Reason, Unchecked
from netcheck.findings import Evidence, Finding, Location, Report, Severity, Verdict
from netcheck.load.raised import describe, place_text
from netcheck.rules import base

if TYPE_CHECKING:
    from netcheck.load.examples import ExampleInputs
    from netcheck.trace.graph import ModelGraph, Node

T = TypeVar("T")


def failure(error: NetcheckError) -> Finding:
    """The finding for a model that could not be checked."""
    cause = "" if error.__cause__ is None else describe(error.__cause__)
    told = cause.partition(": ")[2] in str(error)
    found = notice(
        error.code,
        str(error),
        help=error.help,
        evidence="" if told else cause,
        locations=(error.location,) if error.location else (),
        modules=(error.module,) if error.module else (),
    )
    untrainable = isinstance(error, BackwardError) and error.untrainable
    return replace(found, severity=Severity.ERROR, verdict=Verdict.CONFIRMED) if untrainable else found


def unchecked(error: NetcheckError, report: Report) -> Unchecked:
    """Why a model was not checked of which this was raised."""
    return Unchecked(error.reason, error.package, assumed=error.reason is Reason.ARGUMENTS and bool(report.assumptions))


def lacking(error: NetcheckError) -> LoadError | None:
    """What to say of a model whose forward needs a package that is not there; None if that is not it."""
    from netcheck.load.absent import lack

    missing = lack(error) if isinstance(error, TraceError | InputError) else None
    if missing is None:
        return None
    text = str(error).replace(" raised NotInstalled", "")
    told = LoadError(text, help=missing.advice, location=error.location, module=error.module)
    told.reason, told.package = Reason.PACKAGE, missing.name or ""
    told.__cause__ = error.__cause__
    return told


def doubted(error: NetcheckError, report: Report) -> NetcheckError:
    """A fault of a model as it is told: where a package is missing or arguments were assumed, that may be what is wrong."""
    if (told := lacking(error)) is not None:
        return told
    return if_assumed(error, report)


def if_assumed(error: NetcheckError, report: Report) -> NetcheckError:
    """A fault of a model that was built from assumptions: unless a name or forward is missing, they may be what is wrong."""
    own = isinstance(error.__cause__, NameError | ImportError) or error.reason is Reason.FORWARD
    if not report.assumptions or own or not isinstance(error, TraceError):
        return error
    told = NeedsArguments(
        f"{report.model} was built as {report.construction}, and {error}",
        help="give its arguments in [[tool.netcheck.model]]: `netcheck init` writes those that were assumed, to be corrected",
        location=error.location,
    )
    told.__cause__ = error.__cause__
    return told


@contextmanager
def doubting(example: ExampleInputs) -> Iterator[None]:
    """Doubt the inputs first where forward ran on them once, by values that it computes, and then did not.

    Raises:
        InputError: so it was.
    """
    try:
        yield
    except TraceError as error:
        if not example.by_chance or isinstance(error.__cause__, NameError | ImportError):
            raise
        help = "give inputs on which forward always runs, with --input or by a function netcheck_inputs() beside the model"
        told = InputError(f"no inputs could be inferred on which forward runs again: {error}", help=help, location=error.location)
        raise told from error.__cause__


@contextmanager
def stage(kind: type[NetcheckError], doing: str) -> Iterator[None]:
    """Turn what nobody expects into a fault that ends the check of one model, and nothing else.

    Args:
        kind: of a fault that is the model's: it nests deeper than Python does, or needs more memory than there is.
        doing: the beginning of the sentence: "finding inputs for Net".

    Raises:
        NetcheckError: of that kind; or one that is raised on purpose.
        Defect: netcheck's own failure.
    """
    try:
        yield
    except NetcheckError:
        raise
    except (RecursionError, MemoryError) as error:
        help = "run the model by itself first: `model(*inputs)` must not raise this"
        raise kind(f"{doing} raised {describe(error)}", help=help) from error
    except Exception as error:
        text = f"{doing} failed, which is no fault of the model: {describe(error)} at {place_text(error)}"
        raise Defect(text, help=REPORT_IT) from error


def contained(report: Report, doing: str, run: Callable[[], T], otherwise: T) -> T:
    """What `run` gives; if it raises, `otherwise`, and a sentence in the report: what is known before stands."""
    try:
        return run()
    except Exception as error:
        report.skipped.append(f"{doing} raised {describe(error)} at {place_text(error)}")
        return otherwise


def unseen(graph: ModelGraph) -> list[str]:
    """What of the model the graph does not show, a sentence each."""
    said = []
    if graph.lost:
        count = "1 tensor" if len(graph.lost) == 1 else f"{len(graph.lost)} tensors"
        said.append(f"{count} that no recorded operation made: what leads to them was not checked")
    names = dict.fromkeys(node.target for node in graph if node.fx in graph.recording.transforms)
    said += [f"{name} is one operation to the rules: what the function in it does was not checked" for name in names]
    return said


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
    return Finding(rule.code, rule.name, rule.severity, message, help, number, modules=modules, locations=locations)


def wants_gpu(report: Report) -> bool:
    """Whether a model could not be checked because it asks for a GPU, and there is none."""
    from netcheck.load.without_gpu import lacks_gpu

    return report.summary is None and any(lacks_gpu(found.message) for found in report.findings)


def on_the_cpu_instead(report: Report, again: Callable[[], Report]) -> Report:
    """`report`, filled in once more by `again`: what the model would move to a GPU stays on the CPU."""
    from netcheck.load import fence
    from netcheck.load.without_gpu import SAID, lacks_gpu, on_the_cpu

    seconds = report.seconds
    report.findings.clear()
    report.skipped.clear()
    report.unchecked = None
    fence.forget(lambda note: lacks_gpu(note.reason))
    with on_the_cpu():
        found = again()
    found.findings = [one for one in found.findings if one.code != "NC708"]  # what lies on the CPU here would lie on the GPU
    found.skipped.append(SAID)
    found.seconds += seconds
    return found
