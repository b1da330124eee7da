"""What the rules on training steps find in files, on its way into reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netcheck import worker
from netcheck.findings import Report
from netcheck.report import output
from netcheck.rules.base import registry, select
from netcheck.settings import FORMATS, Settings
from netcheck.source.training.reading import read

LOOP = """
import torch
import torch.nn.functional as F
from project import loader, model

optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in loader:
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step(){comment}
"""


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def check(comment: str = "", **options: Any) -> list[Report]:
    """The reports on a file that defines no model and trains one without clearing gradients."""
    Path("train.py").write_text(LOOP.format(comment=comment))
    return worker.check_targets(Settings(**{"targets": ("train.py",), "cache": False, **options}))


def codes(reports: list[Report]) -> list[str]:
    return [found.code for report in reports for found in report]


def test_a_file_without_a_model_is_read_for_how_it_trains() -> None:
    (report,) = check()
    assert (report.target, codes([report]), report.exit_code) == ("train.py", ["TS101"], 1)
    assert report.findings[0].location is not None
    assert report.findings[0].location.line == 10


def test_a_folder_is_read_as_well() -> None:
    check()
    Path("other.py").write_text("import torch\n")
    reports = worker.check_targets(Settings(targets=(".",), cache=False))
    assert [report.target for report in reports] == ["train.py"]


@pytest.mark.parametrize(
    "comment", ["  # netcheck: ignore[TS101]", "  # netcheck: ignore[TS1]", "  # netcheck: ignore[missing-zero-grad]"]
)
def test_a_comment_suppresses_it(comment: str) -> None:
    (report,) = check(comment)
    assert not report.findings
    assert [found.code for found in report.suppressed] == ["TS101"]


def test_a_comment_for_another_rule_does_not() -> None:
    assert codes(check("  # netcheck: ignore[NC1]")) == ["TS101"]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"select": ("TS",)}, True),
        ({"select": ("TS1",)}, True),
        ({"select": ("NC",)}, False),
        ({"select": ("TS2",)}, False),
        ({"ignore": ("TS",)}, False),
        ({"ignore": ("TS", "NC1")}, False),
        ({"per_file_ignores": (("train.py", ("TS101",)),)}, False),
        ({"exclude": ("train.py",)}, True),  # it was named
    ],
)
def test_it_is_selected_and_ignored_as_any_rule(options: dict[str, Any], found: bool) -> None:
    assert codes(check(**options)) == (["TS101"] if found else [])


def test_no_selector_of_models_means_a_training_rule() -> None:
    assert {rule.code[:2] for rule in registry()} == {"NC", "TS"}
    assert all(rule.code.startswith("NC") for selector in ("NC", "NC1", "tanh-stack") for rule in select((selector,)))


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "full"])
def test_every_format_has_it(name: str) -> None:
    assert "missing-zero-grad" in output.rendered(check(), Settings(format=name), colour=False)


def test_in_json_it_stands_under_its_file() -> None:
    document = json.loads(output.rendered(check(), Settings(format="json"), colour=False))
    (entry,) = document["models"]
    assert (entry["target"], entry["findings"][0]["code"], entry["summary"]) == ("train.py", "TS101", None)


def test_a_baseline_knows_it() -> None:
    from netcheck import baseline

    settings = Settings(baseline=Path("known.json"), targets=("train.py",), cache=False)
    baseline.write(check(), settings)
    (report,) = worker.check_targets(settings)
    assert not report.findings
    assert [found.code for found in report.known] == ["TS101"]
    assert len(json.loads(Path("known.json").read_text())["findings"]) == 1


def test_each_loop_is_read_once_for_each_version_of_a_file() -> None:
    check()
    assert read(str(Path("train.py").absolute())) is read(str(Path("train.py").absolute()))


def test_what_was_read_is_kept_until_the_file_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    from netcheck.engine import training

    options: dict[str, Any] = {"cache": True, "cache_dir": Path("kept")}
    assert codes(check(**options)) == ["TS101"]
    monkeypatch.setattr(training, "judged", lambda path, rules: iter(()))
    assert codes(check(**options)) == ["TS101"]
    assert codes(check(**options, select=("TS2",))) == []
    assert codes(check("  # another line", **options)) == []
