"""A folder in which little can be checked: what could not be is counted by reason, in every format, with one thing to do."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from netcheck.cli import cli
from netcheck.figures.unchecked import Reason
from netcheck.source.targets import Target
from netcheck.worker.outcome import report_of

HEAD = "from torch import nn\n"
BUILT = "    def __init__(self):\n        super().__init__()\n        self.layer = nn.Linear(4, 4)\n\n"
FORWARD = "    def forward(self, x):\n        return self.layer(x)\n"
FILES = {
    "arguments.py": f"{HEAD}class Net(nn.Module):\n    def __init__(self, table, dropout):\n        super().__init__()\n"
    "        assert table.rows**2 == 1681 and dropout\n\n" + FORWARD,
    "built.py": f"{HEAD}class Net(nn.Module):\n    def __init__(self):\n        raise KeyError('x')\n\n{FORWARD}",
    "good.py": f"{HEAD}model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))\n",
    "inputs.py": f"{HEAD}class Net(nn.Module):\n{BUILT}    def forward(self, batch):\n"
    "        if batch['key'] != 'sesame':\n            raise ValueError('no')\n        return self.layer(batch['x'])\n",
    "lacking.py": f"{HEAD}import fancy_ops\nclass Net(fancy_ops.Base):\n{BUILT}{FORWARD}"
    f"class Other(nn.Module):\n{BUILT}    def forward(self, x):\n        return fancy_ops.run(self.layer(x))\n",
    "syntax.py": "from torch import nn\nclass Net(nn.Module:\n",
}
REASONS = {
    "arguments.py:Net": "needs-arguments",
    "built.py:Net": "cannot-be-built",
    "good.py:model": None,
    "inputs.py:Net": "no-inputs",
    "lacking.py:Net": "missing-package",
    "lacking.py:Other": "missing-package",
    "syntax.py": "cannot-be-imported",
}
ADVICE = "To check 2 more models: install fancy_ops in the environment that netcheck runs in."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("unchecked")
    for name, text in FILES.items():
        (made / name).write_text(text)
    return made


@pytest.fixture(autouse=True)
def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch, without_children: None) -> None:
    """Check in the folder, without processes."""
    monkeypatch.chdir(folder)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["check", *arguments, "--isolated", "--no-probe", "--no-cache"])


def test_each_has_its_reason_and_they_are_counted() -> None:
    document = json.loads(run(".", "--format", "json").stdout)
    assert {one["target"]: one["unchecked"] for one in document["models"]} == REASONS
    assert document["checked"] == 1
    first, *rest = document["unchecked"]
    assert first == {
        "reason": "missing-package",
        "models": 2,
        "targets": ["lacking.py:Net", "lacking.py:Other"],
        "advice": "install fancy_ops in the environment that netcheck runs in",
    }
    assert {one["reason"]: one["models"] for one in rest} == dict.fromkeys(
        ("needs-arguments", "cannot-be-built", "no-inputs", "cannot-be-imported"), 1
    )


@pytest.mark.parametrize("format", ["text", "concise", "github", "markdown", "html"])
def test_who_reads_is_told_how_many_why_and_what_to_do(format: str) -> None:
    shown = run(".", "--format", format).stdout.replace("&#95;", "_")
    for sentence in ("6 models not checked.", "missing package (2): lacking.py:Net, lacking.py:Other;", "(1): syntax.py", ADVICE):
        assert sentence in shown


def test_who_runs_tests_is_told() -> None:
    suite = ElementTree.fromstring(run(".", "--format", "junit").stdout.partition("\n")[2])[0]
    numbers = {one.get("name"): one.get("value") for one in suite.findall("properties/property")}
    assert (numbers["checked"], numbers["not checked: missing package"]) == ("1", "2")
    skipped = [one.get("message") or "" for one in suite.findall("testcase/skipped")]
    assert any(one.startswith("not checked (needs arguments): Net cannot be built") for one in skipped)
    every = ElementTree.fromstring(run(".", "--format", "junit", "--require", "all").stdout.partition("\n")[2])[0]
    assert (every.get("errors"), every.get("skipped")) == ("6", "0")


def test_code_scanning_is_told() -> None:
    (invocation,) = json.loads(run(".", "--format", "sarif").stdout)["runs"][0]["invocations"]
    assert invocation["properties"]["unchecked"]["missing-package"] == 2
    assert any(
        "Not checked (no inputs): inputs.py:Net." in one["message"]["text"] for one in invocation["toolExecutionNotifications"]
    )


def test_lines_of_json_end_with_what_was_not_checked() -> None:
    lines = [json.loads(line) for line in run(".", "--format", "json-lines").stdout.splitlines()]
    assert next(one["reason"] for one in lines if one["type"] == "unchecked") == "missing-package"
    assert {one["target"]: one["unchecked"] for one in lines if one["type"] == "model"} == REASONS


def test_a_package_that_forward_needs_is_no_fault_of_forward() -> None:
    (report,) = json.loads(run("lacking.py:Other", "--format", "json").stdout)["models"]
    (found,) = report["findings"]
    assert (found["code"], found["help"]) == ("NC001", "install fancy_ops in the environment that netcheck runs in")
    assert (found["locations"][0]["file"].rpartition("/")[2], found["locations"][0]["line"]) == ("lacking.py", 16)


def test_the_call_has_what_was_found_and_shows_what_is_missing() -> None:
    shown = run("arguments.py").stdout
    assert "table is to be filled in, dropout is guessed" in shown
    assert "# table has rows\n" in shown
    assert "return Net(table=..., dropout=0.1)\n" in shown
    assert "64" not in shown


def test_what_ends_without_a_report_has_a_reason_too() -> None:
    report = report_of(Target("net.py", "Net"), ValueError("no"))
    assert report.unchecked is not None
    assert report.unchecked.reason is Reason.DEFECT


def test_what_has_no_weights_and_was_not_named_fails_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    forward = FILES["inputs.py"].partition("    def forward")[2]
    Path("losses.py").write_text(f"{HEAD}class Loss(nn.Module):\n    def forward{forward}")
    Path("good.py").write_text(FILES["good.py"])
    assert run(".").exit_code == 0
    assert "info[NC004]" in run(".").output
    assert run("losses.py:Loss", "good.py:model").exit_code == 1
