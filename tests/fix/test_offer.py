"""What is offered, what is written, and what is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from netcheck.cli import cli
from netcheck.errors import UsageError
from netcheck.fix import writing
from netcheck.fix.offering import Offer
from netcheck.report import output
from netcheck.settings import Settings
from netcheck.source.edits import applied
from tests import warm
from tests.fix.mending import PRELUDE, Mender, findings, text_of

NET = """
class Net(nn.Module):
    '''Two layers.'''

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)  # the first
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout( p = 0.5 )
        self.more = [nn.Conv2d(8, 8, 3), nn.ReLU()]
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = self.drop(F.relu(self.norm(self.conv(x))))
        for layer in self.more:
            x = layer(x)
        return self.head(x.mean((2, 3)))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "net.py"
    made.write_bytes((PRELUDE + NET).replace("\n", "\r\n").encode())
    return made


def test_safe_fixes_and_then_unsafe_ones(file: Path, mender: Mender) -> None:
    before = file.read_bytes()
    safe = mender.offer(file, unsafe_fixes=False)
    text = dict(safe.texts)[str(file)].decode()
    assert "nn.Conv2d(3, 8, 3, bias=False)  # the first\r\n" in text
    assert "self.more = nn.ModuleList([nn.Conv2d(8, 8, 3), nn.ReLU()])\r\n" in text
    assert "nn.Dropout( p = 0.5 )\r\n" in text
    assert safe.left == 1
    every = mender.offer(file)
    assert "nn.Dropout2d( p = 0.1 )\r\n" in text_of(every, file)
    (found,) = findings(every, "NC201")
    assert found.fix is not None
    assert not found.fix.safe
    assert file.read_bytes() == before  # nothing was written


def test_outside_of_the_edits_every_byte_stays(file: Path, mender: Mender) -> None:
    old, new = file.read_bytes().split(b"\r\n"), dict(mender.offer(file).texts)[str(file)].split(b"\r\n")
    assert len(old) == len(new)
    assert sum(one != other for one, other in zip(old, new, strict=True)) == 3


def test_what_does_not_hold_is_not_offered(tmp_path: Path, mender: Mender) -> None:
    file = tmp_path / "net.py"
    held = "class Kept(list):\n    pass\n"
    net = NET.replace(
        "[nn.Conv2d(8, 8, 3), nn.ReLU()]", "[nn.Conv2d(8, 8, 3), nn.ReLU()]\n        assert type(self.more) is list"
    )
    file.write_text(PRELUDE + held + net)
    offer = mender.offer(file, unsafe_fixes=False)
    (found,) = findings(offer, "NC901")
    assert found.fix is None
    assert "cannot be checked any more" in found.by_hand
    assert "bias=False" in text_of(offer, file)  # the others are offered all the same


def test_another_model_of_the_run_must_not_get_worse(tmp_path: Path, mender: Mender) -> None:
    file = tmp_path / "net.py"
    shared = """
class Block(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8) if norm else nn.Identity()

    def forward(self, x):
        return F.relu(self.norm(self.conv(x))).mean((2, 3))

class WithNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.head = Block(True), nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.block(x))

class Without(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.head = Block(False), nn.Linear(8, 4)
        nn.init.normal_(self.block.conv.bias)

    def forward(self, x):
        return self.head(self.block(x))
"""
    file.write_text(PRELUDE + shared)
    offer = mender.offer(file, "WithNorm", "Without")
    assert not offer.texts
    assert findings(offer, "NC302")[0].by_hand


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("def forward(", "def foward("),
        ("def __init__(", "def __int__("),
        ("def __init__(", "def _init__("),
        ("        super().__init__()\n", ""),
    ],
)
def test_what_keeps_a_model_from_running_is_mended(right: str, wrong: str, tmp_path: Path, mender: Mender) -> None:
    file = tmp_path / "net.py"
    file.write_text(PRELUDE + NET.replace(right, wrong))
    offer = mender.offer(file, inputs=("4x3x16x16",), select=("NC0",))
    assert text_of(offer, file) == PRELUDE + NET
    (found,) = (one for report in offer.reports for one in report.findings)
    assert found.fix is not None
    assert not found.fix.safe


def test_nothing_is_said_of_other_reasons_why_a_model_does_not_run(tmp_path: Path, mender: Mender) -> None:
    file = tmp_path / "net.py"
    file.write_text(PRELUDE + NET.replace("return self.head", "return self.head.missing"))
    (found,) = (one for report in mender.offer(file, inputs=("4x3x16x16",)).reports for one in report.findings)
    assert (found.fix, found.by_hand) == (None, "")


def test_edits_are_those_of_the_file_as_it_is(tmp_path: Path, mender: Mender) -> None:
    """Whatever order they were found in: each alone can be put into the file."""
    file = tmp_path / "net.py"
    file.write_text(PRELUDE + NET)
    offer = mender.offer(file)
    for code, text in (("NC302", "bias=False)"), ("NC901", "nn.ModuleList(["), ("NC201", "nn.Dropout2d(")):
        (found,) = findings(offer, code)
        assert found.fix is not None
        assert text in applied(file.read_bytes(), str(file), found.fix.edits).decode()


def test_a_file_that_has_changed_meanwhile_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("x = 1\n")
    with pytest.raises(UsageError, match="has changed"):
        writing.write(((str(file), b"x = 2\n"),), ((str(file), b"x = 0\n"),))
    assert file.read_text() == "x = 1\n"


@pytest.mark.parametrize(
    "norm", ["if norm:\n            self.norm = nn.BatchNorm2d(8)", "self.norm = nn.BatchNorm2d(8) if norm else nn.Identity()"]
)
def test_a_norm_that_is_built_in_some_cases_leaves_the_bias_alone(norm: str, tmp_path: Path, mender: Mender) -> None:
    file = tmp_path / "net.py"
    net = NET.replace("__init__(self)", "__init__(self, norm=True)", 1).replace("self.norm = nn.BatchNorm2d(8)", norm)
    file.write_text(PRELUDE + net)
    (found,) = findings(mender.offer(file, inputs=("4x3x16x16",), select=("NC302",)), "NC302")
    assert "depends on `norm`" in found.by_hand


def test_files_that_are_not_checked_are_not_edited(tmp_path: Path, mender: Mender) -> None:
    (tmp_path / "parts.py").write_text(PRELUDE + NET)
    file = tmp_path / "net.py"
    file.write_text("from parts import Net\n\nmodel = Net()\n")
    offer = mender.offer(file, "model")
    assert not offer.texts
    assert findings(offer, "NC302")[0].by_hand == "parts.py is not among the files that are checked"
    assert mender.offer(file, "model", files=[file, tmp_path / "parts.py"]).texts


def test_findings_that_a_comment_suppresses_are_left_alone(file: Path, mender: Mender) -> None:
    file.write_text(PRELUDE + NET.replace("# the first", "# netcheck: ignore[NC302]"))
    assert "bias=False" not in text_of(mender.offer(file), file)


def test_a_notebook_is_mended_in_its_cells(tmp_path: Path, mender: Mender) -> None:
    file = tmp_path / "study.ipynb"
    cells = [
        {"cell_type": "code", "metadata": {}, "source": (PRELUDE.strip()).splitlines(keepends=True), "outputs": []},
        {
            "cell_type": "code",
            "metadata": {},
            "source": NET.strip().splitlines(keepends=True),
            "outputs": [],
            "execution_count": 2,
        },
    ]
    file.write_text(json.dumps({"cells": cells, "metadata": {"k": 1}, "nbformat": 4, "nbformat_minor": 5}, indent=1))
    before = file.read_text().split("\n")
    after = text_of(mender.offer(file), file).split("\n")
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 3
    assert any("bias=False)  # the first\\n" in line for line in after)


def test_the_command_writes_once_and_keeps_the_mode(file: Path) -> None:
    file.chmod(0o640)
    run = netcheck("--fix", "--unsafe-fixes", "--format", "text", str(file))
    assert "3 findings were fixed in 1 file." in run.stdout, run.stdout + run.stderr
    assert "Checked 1 model" in run.stdout
    assert run.returncode == 0
    assert file.stat().st_mode & 0o777 == 0o640
    written = file.read_bytes()
    again = netcheck("--fix", "--unsafe-fixes", str(file))
    assert "There is nothing to fix." in again.stdout
    assert file.read_bytes() == written
    assert [one.name for one in file.parent.iterdir() if one.name != "__pycache__"] == ["net.py"]


def test_a_diff_can_be_applied(file: Path) -> None:
    run = netcheck("--diff", "net.py", cwd=file.parent)
    assert run.returncode == 1  # the findings are still there
    before = file.read_bytes()
    text = run.stdout.encode()
    done = subprocess.run(["git", "apply", "-"], input=text, cwd=file.parent, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"bias=False" in file.read_bytes() != before


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, mender: Mender) -> Offer:
    """An offer of safe fixes for a file that stays."""
    file = tmp_path_factory.mktemp("shown") / "net.py"
    file.write_text(PRELUDE + NET)
    return mender.offer(file, unsafe_fixes=False)


@pytest.mark.parametrize("format", ["markdown", "github", "html"])
def test_formats_for_people_have_the_fix(shown: Offer, format: str) -> None:
    text = output.rendered(shown.reports, Settings(format=format), colour=False)
    assert ", bias=False)" in text
    assert "build the layer with" in text


def test_json_has_the_edits(shown: Offer) -> None:
    document = json.loads(output.rendered(shown.reports, Settings(format="json"), colour=False))
    (found,) = [one for one in document["models"][0]["findings"] if one["code"] == "NC302"]
    assert found["fix"]["safe"] is True
    assert [one["content"] for one in found["fix"]["edits"]] == [", bias=False"]


def test_sarif_has_what_code_scanning_offers(shown: Offer) -> None:
    document = json.loads(output.rendered(shown.reports, Settings(format="sarif"), colour=False))
    (result,) = [one for one in document["runs"][0]["results"] if one["ruleId"] == "NC302"]
    (change,) = result["fixes"][0]["artifactChanges"]
    (replacement,) = change["replacements"]
    assert replacement["insertedContent"]["text"] == ", bias=False"
    assert replacement["deletedRegion"] == {"startLine": 11, "startColumn": 38, "endLine": 11, "endColumn": 38}


def test_without_libcst_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "libcst.py").write_text("raise ImportError('not here')\n")
    run = netcheck("--diff", "net.py", PYTHONPATH=str(tmp_path))
    assert run.returncode == 2
    assert run.stderr.startswith("netcheck: --diff and --fix need LibCST")
    assert len(run.stderr.splitlines()) == 1


def test_options_that_contradict_each_other() -> None:
    for options in ({"diff": True, "fix": True}, {"fix": True, "add_ignores": True}):
        with pytest.raises(UsageError):
            Settings(**options)  # type: ignore[arg-type]


def netcheck(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own if that has an environment of its own; line ends of what it prints stay."""
    if not environment:
        return warm.command("--no-probe", *arguments, folder=cwd or Path.cwd())
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (environment.pop("PYTHONPATH", ""), root)))
    done = subprocess.run(
        [sys.executable, "-m", "netcheck", "--no-probe", *arguments],
        cwd=cwd,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_the_command_has_the_options() -> None:
    from click.testing import CliRunner

    shown = CliRunner().invoke(cli, ["check", "--help"]).output
    assert all(option in shown for option in ("--diff", "--fix", "--unsafe-fixes"))
