"""The pipeline, with a loader, inputs, a trace and rules made for the test."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import netcheck.load.conventions  # noqa: F401 - before a test puts another module in the place of `netcheck.load.inputs`
from netcheck import engine, progress
from netcheck.errors import (
    InputError,
    LoadError,
    NeedsArguments,
    NetcheckError,
    ProbeError,
    TraceError,
    UsageError,
)
from netcheck.findings import Evidence, Finding, Location, Report, Severity, Summary
from netcheck.load.examples import ExampleInputs
from netcheck.rules import base
from netcheck.settings import Settings
from netcheck.source.discover import Skipped
from netcheck.source.targets import Target


@dataclass
class Graph:
    """A traced model of one operation."""

    lost: list[Any] = field(default_factory=list)
    reads: list[Any] = field(default_factory=list)
    calls: list[Any] = field(default_factory=list)
    origin: Any = None
    model: Any = field(default_factory=nn.Identity)

    def __iter__(self) -> Any:
        return iter(())

    def summary(self) -> Summary:
        return Summary(1, 1, 1, 1, 1)

    def network(self) -> None:
        return None


class Finds(base.StaticRule):
    """Finds something in every graph."""

    code = "NC997"
    name = "finds"
    severity = Severity.WARNING

    def check(self, graph: Any) -> Iterator[Finding]:
        yield self.finding("found", help="", evidence=Evidence(1.0, "times", "once"))


class Raises(base.StaticRule):
    """Raises after its first finding."""

    code = "NC998"
    name = "raises"
    severity = Severity.ERROR

    def check(self, graph: Any) -> Iterator[Finding]:
        yield self.finding("half", help="", evidence=Evidence(1.0, "times", "once"))
        raise ZeroDivisionError("by zero")


@pytest.fixture(autouse=True)
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    notices = [rule for rule in base.registry() if isinstance(rule, base.Notice)]
    monkeypatch.setattr(base, "registry", lambda: (*notices, Finds()))


@pytest.fixture(autouse=True)
def graph(monkeypatch: pytest.MonkeyPatch) -> Graph:
    """Put fakes in the places of the trace, the inputs and the loader."""
    made = Graph()

    def trace(model: nn.Module, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Graph:
        made.calls.append((model, args, kwargs))
        return made

    def example(description: str) -> Any:
        return lambda given=None, *rest, **options: ExampleInputs(("x",), {"k": given}, description)

    inputs = SimpleNamespace(infer_inputs=example("inferred"), given=example("inputs: given"), parse_specs=example("specified"))
    monkeypatch.setattr(importlib.import_module("netcheck.trace"), "trace", trace, raising=False)
    for name, fake in (("inputs", inputs), ("target", SimpleNamespace(load=None))):
        importlib.import_module("netcheck.load.conventions")  # which needs what is replaced, whichever test runs first
        monkeypatch.setitem(sys.modules, f"netcheck.load.{name}", fake)
        monkeypatch.setattr(importlib.import_module("netcheck.load"), name, fake, raising=False)
    return made


@pytest.fixture(autouse=True)
def probe(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Put a fake in the place of the probe; gives what it was asked."""
    from netcheck.measure import gradients

    asked: list[Any] = []
    monkeypatch.setattr(gradients, "probe", lambda *args, **options: asked.append((args, options)))
    return asked


def codes(report: Any) -> list[str]:
    return [finding.code for finding in report]


def raiser(error: BaseException) -> Any:
    def function(*args: Any, **kwargs: Any) -> Any:
        raise error

    return function


class Net(nn.Linear):
    """A module class that needs no arguments."""

    def __init__(self) -> None:
        super().__init__(1, 1)


@pytest.mark.parametrize("model", [Net(), Net, lambda: Net()], ids=["module", "class", "factory"])
def test_a_model_a_class_or_a_factory_is_checked(model: Any, graph: Graph) -> None:
    report = engine.check(model)
    assert report.model == "Net"
    assert codes(report) == ["NC997"]
    assert report.graph is graph
    assert report.summary == graph.summary()
    assert report.inputs == "inferred"
    assert report.seconds > 0


def test_given_inputs_reach_the_trace(graph: Graph) -> None:
    value = torch.ones(2)
    assert engine.check(Net(), value).inputs == "given"
    ((_, args, kwargs),) = graph.calls
    assert args == ("x",)
    assert kwargs["k"] is value


def factory_that_raises() -> nn.Module:
    raise RuntimeError("no data\nsecond line")


@pytest.mark.parametrize(
    ("model", "code", "message"),
    [
        (nn.Linear, "NC002", "Linear cannot be built without in_features and out_features"),
        (factory_that_raises, "NC001", r"factory_that_raises\(\) raised RuntimeError: no data$"),
        (lambda: 3, "NC001", "built a int"),
        (3, "NC001", "cannot check a int"),
    ],
)
def test_what_builds_no_model_is_a_finding(model: Any, code: str, message: str) -> None:
    report = engine.check(model)
    assert codes(report) == [code]
    assert re.search(message, report.findings[0].message)
    assert report.findings[0].help
    assert report.summary is None


@pytest.mark.parametrize(
    ("error", "code"),
    [(TraceError("forward raised"), "NC003"), (InputError("none could be inferred"), "NC004")],
)
def test_what_cannot_run_is_a_finding_with_its_place(error: NetcheckError, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error.help, error.location, error.module = "do this", Location("model.py", 3), "layers.0"
    error.__cause__ = RuntimeError("shapes\nsecond line")
    monkeypatch.setattr(engine, "traced", raiser(error))
    (finding,) = engine.check(Net()).findings
    assert finding.code == code
    assert finding.message == str(error)
    assert finding.help == "do this"
    assert finding.evidence.text == "RuntimeError: shapes"
    assert finding.location == Location("model.py", 3)
    assert finding.modules == ("layers.0",)


def test_a_defect_is_not_taken_for_a_fault_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "traced", raiser(ZeroDivisionError()))
    report = engine.check(Net())
    assert codes(report) == ["NC008"]
    assert report.findings[0].message.startswith("tracing Net failed, which is no fault of the model: ZeroDivisionError at ")
    assert report.exit_code == 1


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("mended", "trying what would help raised"),
        ("judge_cost", "judging the cost raised"),
        ("judge_batches", "judging the batches raised"),
    ],
)
def test_a_stage_that_fails_leaves_what_was_known_before(part: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "measured", lambda *_: (SimpleNamespace(graph=None, example=None), SimpleNamespace(), []))
    monkeypatch.setattr(engine, "given_verdicts", lambda suspicions, *_: list(suspicions))
    monkeypatch.setattr(engine, part, raiser(ZeroDivisionError("by zero")))
    report = engine.check(Net())
    assert codes(report) == ["NC997"]
    assert [sentence for sentence in report.skipped if sentence.startswith(f"{told} ZeroDivisionError: by zero at ")]


def test_a_summary_that_fails_leaves_the_findings(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Graph, "summary", raiser(KeyError("layer")))
    report = engine.check(Net())
    assert codes(report) == ["NC997"]
    assert report.summary is not None
    assert report.skipped[0].startswith("telling the layers raised KeyError: 'layer' at ")


def test_what_is_known_so_far_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[tuple[list[str], Any]] = []
    monkeypatch.setattr(progress, "keepers", [lambda report: known.append((codes(report), report.graph))])
    monkeypatch.setattr(engine, "measured", lambda *_: (None, None, []))
    assert codes(engine.check(Net())) == ["NC997"]
    assert known == [([], None), (["NC997"], None), (["NC997"], None)]


def test_a_model_that_needs_values_is_told_so(graph: Graph) -> None:
    line = Location("model.py", 3)
    graph.reads = [SimpleNamespace(built_at=None, called_at=line, path="gate")] * 2
    report = engine.check(Net())
    assert codes(report) == ["NC997", "NC005"]
    finding = report.findings[1]
    assert (finding.location, finding.modules, finding.count) == (line, ("gate",), 2)
    assert codes(engine.check(Net(), ignore=["NC005"])) == ["NC997"]


def test_a_rule_that_raises_leaves_the_others_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    found = (*base.registry(), Raises())
    monkeypatch.setattr(base, "registry", lambda: found)
    report = engine.check(Net())
    assert codes(report) == ["NC997", "NC008"]
    failed = report.findings[1]
    assert "raises (NC998) failed" in failed.message
    assert failed.evidence.text.startswith("ZeroDivisionError: by zero at test_engine.py:")
    assert "NC008" not in codes(engine.check(Net(), ignore=["NC998"]))


def test_selection() -> None:
    assert codes(engine.check(Net(), select=["NC0"])) == []
    assert codes(engine.check(Net(), select="finds")) == ["NC997"]
    assert codes(engine.check(Net(), select=["NC9"], ignore=["NC99"])) == []
    assert codes(engine.check(Net(), select=["NC997"], ignore=["NC99"])) == ["NC997"]
    with pytest.raises(UsageError, match=r"unknown rule 'fimds': did you mean finds\?"):
        engine.check(Net(), ignore=["fimds"])


def test_selecting_rules_does_not_hide_that_a_model_could_not_be_checked() -> None:
    assert codes(engine.check(nn.Linear, select=["NC997"])) == ["NC002"]
    ignored = engine.check(nn.Linear, ignore=["NC002"])
    assert codes(ignored) == []
    assert "(NC002, ignored)" in ignored.skipped[0]


class NotAModel(LoadError):
    """What the loader raises for a class that turns out to be no model."""


def checked(monkeypatch: pytest.MonkeyPatch, load: Any, *, discovered: bool = False, **options: Any) -> Report:
    """The report on a target that `load` loads."""
    monkeypatch.setitem(sys.modules, "netcheck.load.target", SimpleNamespace(load=load, NotAModel=NotAModel))
    monkeypatch.setattr(sys.modules["netcheck.load"], "target", sys.modules["netcheck.load.target"])
    target = Target("m.py", "make", discovered=discovered)
    return engine.check_target(target, Settings(**options))


def test_a_target_is_loaded_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = SimpleNamespace(model=Net(), defined=None, factory=Net, construction=None, namespace=ModuleType("m"))
    report = checked(monkeypatch, lambda target, **_: loaded)
    assert (report.model, report.target, codes(report), report.inputs) == (
        "Net",
        "m.py:make",
        ["NC997"],
        "inferred",
    )
    report = checked(monkeypatch, lambda target, **_: loaded, inputs=("2x3",))
    assert report.inputs == "specified"


@pytest.mark.parametrize(
    ("error", "discovered", "severity"),
    [
        (LoadError("importing m.py raised"), False, Severity.ERROR),
        (LoadError("importing m.py raised"), True, Severity.ERROR),
        (NeedsArguments("make needs n"), False, Severity.WARNING),
        (NeedsArguments("make needs n"), True, Severity.INFO),
        (NotAModel("make is no model"), False, Severity.ERROR),
        (NotAModel("make is no model"), True, Severity.INFO),
    ],
)
def test_what_netcheck_came_upon_by_itself_may_be_unbuildable(
    error: LoadError, discovered: bool, severity: Severity, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = checked(monkeypatch, raiser(error), discovered=discovered)
    assert (report.model, codes(report)) == ("make", [error.code])
    assert report.findings[0].severity is severity


def plan(monkeypatch: pytest.MonkeyPatch, *skipped: Any) -> tuple[list[Any], list[Report]]:
    found = SimpleNamespace(targets=("one", "two"), skipped=skipped, parts={}, files=())
    fake = SimpleNamespace(expand=lambda *_: found)
    monkeypatch.setitem(sys.modules, "netcheck.source.targets", fake)
    return engine.plan(["x"])


def test_files_without_models_are_reported_as_skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    file = str(tmp_path / "a.py")
    targets, (report,) = plan(monkeypatch, Skipped(file=file, reason="defines no model", line=None))
    assert targets == ["one", "two"]
    assert (report.model, report.skipped, report.findings) == (file, ["defines no model"], [])
    assert engine.exit_code([report], Settings()) == 0
    _, (report,) = plan(monkeypatch, Skipped(file=file, reason="is no Python", line=3))
    assert codes(report) == ["NC001"]
    assert report.findings[0].location == Location(file, 3)
    assert engine.exit_code([report], Settings()) == 2


def test_a_target_that_does_not_exist_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"^nowhere\.py does not exist$"):
        plan(monkeypatch, Skipped(file="nowhere.py", reason="does not exist", line=None))


def test_exit_codes() -> None:
    clean, warned = engine.check(Net(), select=["NC0"]), engine.check(Net())
    unloaded = engine.check(nn.Linear)
    table = [
        ([], Settings(), 0),
        ([clean], Settings(), 0),
        ([clean, warned], Settings(), 1),
        ([warned], Settings(fail_on=Severity.ERROR), 0),
        ([warned], Settings(fail_on=Severity.INFO), 1),
        ([warned], Settings(exit_zero=True), 0),
        ([unloaded], Settings(), 2),
        ([unloaded], Settings(exit_zero=True), 2),
        ([unloaded, Report("x.py", skipped=["defines no model"])], Settings(), 2),
        ([unloaded, clean], Settings(), 1),
        ([unloaded, clean], Settings(fail_on=Severity.ERROR), 0),
    ]
    for reports, settings, code in table:
        assert engine.exit_code(reports, settings) == code


def test_the_probe_runs_unless_told_not_to(probe: list[Any], graph: Graph) -> None:
    engine.check(Net(), torch.ones(2), probe=False)
    assert probe == []
    engine.check(Net(), torch.ones(2), device="cpu", seed=3)
    (((traced, args, _), options),) = probe
    assert traced is graph
    assert args == ("x",)
    assert (options["device"], options["seed"], options["rebuild"]) == ("cpu", 3, None)


def test_a_class_is_built_anew_for_each_pass(probe: list[Any]) -> None:
    engine.check(Net)
    ((_, options),) = probe
    assert isinstance(options["rebuild"](1), Net)


@pytest.mark.parametrize(
    ("error", "code", "severity"),
    [(ProbeError("no memory", help="buy some"), "NC006", "info"), (ZeroDivisionError("by zero"), "NC008", "warning")],
)
def test_a_probe_that_fails_leaves_the_static_findings(
    error: Exception, code: str, severity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from netcheck.measure import gradients

    monkeypatch.setattr(gradients, "probe", raiser(error))
    report = engine.check(Net())
    assert set(codes(report)) == {"NC997", code}
    assert report.gradients is None
    (found,) = [found for found in report if found.code == code]
    assert str(error) in found.message
    assert found.severity == severity


def test_an_interrupt_of_the_probe_ends_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    from netcheck.measure import gradients

    monkeypatch.setattr(gradients, "probe", raiser(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        engine.check(Net())


@pytest.mark.parametrize("options", [{"device": "toaster"}, {"optimizer": "lbfgs"}, {"seed": -1}])
def test_an_option_without_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        engine.check(Net(), **options)


def test_a_train_of_the_models_own_is_called_and_undone() -> None:
    class Net(nn.Sequential):
        merged = True

        def train(self, mode: bool = True) -> Net:
            self.merged = not mode
            return super().train(mode)

    model = Net(nn.Linear(4, 4)).eval()
    model.merged = True
    with engine.in_training(model):
        assert not model.merged
    assert model.merged
    assert not model.training
