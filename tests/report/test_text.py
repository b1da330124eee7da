"""The report that a person reads, from reports made by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from netcheck.figures.unchecked import Reason, Unchecked
from netcheck.findings import Evidence, Finding, Layer, Location, Report, Severity, Summary, Verdict
from netcheck.report import manual
from netcheck.report.text import abbreviate, render

SOURCE = """\
class TanhStack(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(20)])

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x
"""

FIRST = (
    "By an estimate, the first layers get 1/100,000 of the gradient that the last one gets, and will hardly learn: the weights "
    "start at the wrong size. Initialize for tanh: `nn.init.xavier_uniform_(layer.weight, gain=5 / 3)` (line 4)."
)
EXPECTED = f"""\
TanhStack (model.py:TanhStack)
  {FIRST}
  inputs: float32 2x64, inferred from layers.0
  traced: 42 operations, 20 weight layers, 83,200 parameters, depth 20

error[NC501] poor-init: the gradient loses 5.0 decades
 --> model.py:4:38
  |
4 |         self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(20)])
  |                                      ^^^^^^^^^^^^^^^^^
  |
  = modules: layers.0 ... layers.19 (20)
  = also at: model.py:8:17  x = torch.tanh(layer(x))
  = evidence: static gain −5.0 decades over 20 weight layers
  = help: initialize for tanh:
              nn.init.xavier_uniform_(layer.weight, gain=5 / 3)

In these words (more: `netcheck explain decades`):
  decades  {manual.find("decades").short}
  gain     {manual.find("gain").short}
More about a finding: `netcheck rule NC501`

Checked 1 model, 42 operations: 1 error.
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def finding(file: Path) -> Finding:
    return Finding(
        "NC501",
        "poor-init",
        Severity.ERROR,
        "the gradient loses 5.0 decades",
        "initialize for tanh:\n    nn.init.xavier_uniform_(layer.weight, gain=5 / 3)",
        Evidence(-5.0, "decades", "static gain −5.0 decades over 20 weight layers", 3.0),
        modules=tuple(f"layers.{i}" for i in range(20)),
        locations=(Location(str(file), 4, 38, 4, 55), Location(str(file), 8, 17, 8, 37)),
        count=20,
    )


@pytest.fixture
def report(file: Path, finding: Finding) -> Report:
    return Report(
        "TanhStack",
        [finding],
        summary=Summary(42, 20, 83200, 20, 20),
        inputs="float32 2x64, inferred from layers.0",
        target=f"{file}:TanhStack",
    )


def text(report: Report, root: Path, **options: bool) -> str:
    return render([report], root=root, **{"colour": False, **options})


def test_the_whole_report(report: Report, tmp_path: Path) -> None:
    assert text(report, tmp_path) == EXPECTED


def test_colour_changes_nothing_but_the_colour(report: Report, tmp_path: Path) -> None:
    coloured = text(report, tmp_path, colour=True)
    assert "\x1b[1;31merror[NC501]\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == EXPECTED


def test_quiet_shows_the_findings_alone(report: Report, tmp_path: Path) -> None:
    quiet = text(report, tmp_path, quiet=True)
    assert quiet.startswith("TanhStack (model.py:TanhStack)\n\nerror[NC501]")
    assert "inputs:" not in quiet
    assert "Checked" not in quiet
    report.findings = []
    assert text(report, tmp_path, quiet=True) == ""


def test_a_clean_model_says_so(report: Report, tmp_path: Path) -> None:
    report.findings = []
    clean = text(report, tmp_path)
    assert clean.startswith("TanhStack (model.py:TanhStack): no findings\n")
    assert clean.endswith("Checked 1 model, 42 operations: no findings.\n")


def test_the_worst_comes_first(report: Report, finding: Finding, tmp_path: Path) -> None:
    report.findings = [replace(finding, severity=severity) for severity in Severity]
    titles = re.findall(r"^(\w+)\[", text(report, tmp_path), re.MULTILINE)
    assert titles == ["error", "warning", "info"]
    assert "1 error, 1 warning, 1 info." in text(report, tmp_path)


def test_cleared_findings_are_shown_when_verbose_and_always_counted(report: Report, finding: Finding, tmp_path: Path) -> None:
    report.findings = [replace(finding, verdict=Verdict.CLEARED)]
    assert "NC501" not in text(report, tmp_path)
    assert "42 operations: 1 cleared." in text(report, tmp_path)
    assert "= verdict: cleared" in text(report, tmp_path, verbose=True)
    assert "NC501" not in text(report, tmp_path, quiet=True)


def test_a_confirmed_finding_says_so(report: Report, finding: Finding, tmp_path: Path) -> None:
    report.findings = [replace(finding, verdict=Verdict.CONFIRMED)]
    assert "= verdict: confirmed" in text(report, tmp_path)


def test_a_finding_without_a_place_has_its_notes_all_the_same(report: Report, tmp_path: Path) -> None:
    report.findings = [replace(report.findings[0], locations=(), modules=(), count=3)]
    shown = text(report, tmp_path)
    assert "-->" not in shown
    assert "\n  = count: 3 times\n" in shown


def test_a_missing_file_leaves_the_place(report: Report, finding: Finding, tmp_path: Path) -> None:
    report.findings = [replace(finding, locations=(Location("/nowhere/model.py", 12, 3),))]
    assert "\n  --> /nowhere/model.py:12:3\n   = modules" in text(report, tmp_path)


def test_many_places_are_cut_unless_verbose(report: Report, finding: Finding, file: Path, tmp_path: Path) -> None:
    report.findings = [replace(finding, locations=tuple(Location(str(file), n) for n in range(1, 9)))]
    assert "and 4 more places (--verbose shows all)" in text(report, tmp_path)
    verbose = text(report, tmp_path, verbose=True)
    assert "more places" not in verbose
    assert "model.py:8:1  x = torch.tanh(layer(x))" in verbose


def test_skipped_and_not_understood_parts_are_said(report: Report, tmp_path: Path) -> None:
    report.skipped = ["its decoder was never called"]
    report.summary = Summary(42, 20, 1, 20, 2, unknown=("custom::a", "custom::a", *(f"f{i}" for i in range(9))))
    shown = text(report, tmp_path)
    assert "depth 20 (2 on the shortest way)" in shown
    assert "Skipped model.py:TanhStack (its decoder was never called).\n" in shown
    names = "custom::a (2 times), f0, f1, f2, f3 and 5 more."
    assert f"11 operations were not understood by any rule: {names}\n" in shown
    assert "f8" in text(report, tmp_path, verbose=True)


def test_a_model_that_could_not_be_checked_is_counted(finding: Finding, tmp_path: Path) -> None:
    report = Report("model.py", [finding], target="model.py", unchecked=Unchecked(Reason.IMPORT))
    shown = render([report], colour=False, root=tmp_path)
    assert shown.startswith("model.py\n  By an estimate,")
    assert shown.endswith(
        "Checked 0 models, 0 operations: 1 error; 1 model not checked.\n"
        "Not checked: cannot be imported (1): model.py.\n"
        "To check 1 model: correct what the import raises.\n"
    )


def test_what_was_not_checked_stands_by_reason_and_the_most_frequent_has_advice(tmp_path: Path) -> None:
    lacking = Unchecked(Reason.PACKAGE, "gym"), Unchecked(Reason.ARGUMENTS), Unchecked(Reason.PACKAGE, "timm")
    reports = [Report(name, target=f"{name}.py:Net", unchecked=one) for name, one in zip("abc", lacking, strict=True)]
    assert render(reports, colour=False, root=tmp_path) == (
        "Checked 0 models, 0 operations: no findings; 3 models not checked.\n"
        "Not checked: missing package (2): a.py:Net, c.py:Net; needs arguments (1): b.py:Net.\n"
        "To check 2 more models: install gym, timm in the environment that netcheck runs in.\n"
    )
    reports = [Report("Net", target="a.py:Net", unchecked=Unchecked(Reason.ARGUMENTS, assumed=True))]
    assert "`netcheck init`" in render(reports, colour=False, root=tmp_path)


def test_a_file_without_models_is_said(tmp_path: Path) -> None:
    skipped = Report("model.py", target="model.py", skipped=["defines no model"])
    shown = render([skipped], colour=False, root=tmp_path)
    assert shown == "There was no model to check.\nSkipped model.py (defines no model).\n"


def test_nothing_to_check(tmp_path: Path) -> None:
    assert render([], colour=False, root=tmp_path) == "There was no model to check.\n"
    assert render([], colour=False, quiet=True, root=tmp_path) == ""


def test_layers_are_a_table_when_verbose(report: Report, file: Path, tmp_path: Path) -> None:
    rows = (
        Layer("layers.0", "nn.Linear", "linear", (2, 64), 4160, Location(str(file), 4, 38), "gain 0.58"),
        Layer("", "torch.tanh", "activation", None, 0, None),
        Layer("loss", "torch.sum", "reduction", (), 0, None),
    )
    assert report.summary is not None
    report.summary = replace(report.summary, layers=rows)
    assert "gain 0.58" not in text(report, tmp_path)
    table = text(report, tmp_path, verbose=True)
    assert re.search(r"layers\.0 +nn\.Linear +linear +2x64 +4,160 +model\.py:4:38 +gain 0\.58", table)
    assert re.search(r"\(root\) +torch\.tanh +activation +\?", table)
    assert re.search(r"loss +torch\.sum +reduction +scalar", table)


HOSTILE = "\x1b[2J\x07<script>\nsecond\u202eline 🔥%0A" + "x" * 10_000 + "\0"


def test_hostile_names_and_messages_cannot_reach_the_terminal(report: Report, finding: Finding, tmp_path: Path) -> None:
    place = Location(f"/{HOSTILE}.py", 3)
    rows = (Layer(HOSTILE, HOSTILE, HOSTILE, (2,), 1, place, HOSTILE),)
    report.findings = [
        replace(
            finding,
            message=HOSTILE,
            help=HOSTILE,
            evidence=Evidence(float("nan"), HOSTILE, HOSTILE),
            modules=(HOSTILE, HOSTILE + "1"),
            locations=(place, place),
        )
    ]
    report.model = report.target = report.inputs = HOSTILE
    report.skipped = [HOSTILE]
    report.summary = Summary(1, 1, 1, 1, 1, unknown=(HOSTILE,), layers=rows)
    shown = text(report, tmp_path, verbose=True)
    assert set(filter(lambda c: not c.isprintable(), shown)) == {"\n"}
    assert "\u202e" not in shown


@pytest.mark.parametrize(
    ("modules", "short"),
    [
        (["a"], "a"),
        (["a", "b", "c"], "a, b, c"),
        ([f"blocks.{i}" for i in range(20)], "blocks.0 ... blocks.19 (20)"),
        (["stem", *(f"b.{i}.fc" for i in range(5))], "stem, b.0.fc ... b.4.fc (5)"),
        (
            ["stem", "head", *(f"b{i}.{j}.fc" for i in range(2) for j in range(3))],
            "stem, head, b0.0.fc ... b1.2.fc (6)",
        ),
        (list("abcdefgh"), "a, b, c ... h (8 in all)"),
    ],
)
def test_module_paths_are_abbreviated(modules: list[str], short: str) -> None:
    assert abbreviate(modules) == short


def test_a_path_outside_the_root_stays_as_it_is(report: Report, tmp_path: Path) -> None:
    assert str(tmp_path) not in text(report, tmp_path)
    assert f"--> {tmp_path}/model.py:4:38" in text(report, tmp_path / "elsewhere")
