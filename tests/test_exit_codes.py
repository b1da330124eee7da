"""The exit code, for every combination that matters: 0 clean, 1 findings, 2 nothing could be done, 130 interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from netcheck.cli import cli

ROOT = Path(__file__).parent.parent
HEAD = "import torch\nfrom torch import nn\n"
FILES = {
    "clean.py": f"{HEAD}model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))\n",
    "informed.py": f"{HEAD}model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2), nn.ReLU())\n",  # NC106
    "warned.py": f"{HEAD}model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))\n",  # NC103
    "faulty.py": f"{HEAD}model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1), nn.Softmax(1))\n",  # NC108
    "ignored.py": f"{HEAD}model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))  # netcheck: ignore[NC103]\n",
    "arguments.py": f"{HEAD}class Net(nn.Module):\n    def __init__(self, n):\n        super().__init__()\n"
    "        assert n**2 == 1681\n\n"
    "    def forward(self, x):\n        return x\n",
    "accepted.py": f"{HEAD}class Net(nn.Module):  # netcheck: ignore[NC002]\n    def __init__(self, n):\n"
    "        super().__init__()\n        assert n**2 == 1681\n\n"
    "    def forward(self, x):\n        return x\n",
    "unrunnable.py": f"{HEAD}class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    "        self.layer = nn.Linear(3, 3)\n\n    def forward(self, x):\n        raise ValueError('no')\n",
    "unloadable.py": f"{HEAD}model = nn.Linear(3, there_is_no_such_name)\n",
    "unbuildable.py": f"{HEAD}class Net(nn.Module):\n    def __init__(self):\n        raise KeyError('x')\n\n"
    "    def forward(self, x):\n        return x\n",
    "syntax.py": "import torch\nclass Net(torch.nn.Module:\n",
    "plain.py": "x = 1\n",
}
TABLE = [
    # what is checked                    with                              exit code
    ("clean.py", "", 0),
    ("clean.py", "--fail-on info", 0),
    ("informed.py", "", 0),
    ("informed.py", "--fail-on info", 1),
    ("informed.py", "--fail-on info --exit-zero", 0),
    ("warned.py", "", 1),
    ("warned.py", "--fail-on warning", 1),
    ("warned.py", "--fail-on error", 0),
    ("warned.py", "--exit-zero", 0),
    ("warned.py", "--ignore NC103", 0),
    ("warned.py", "--select NC5", 0),
    ("warned.py", "-q", 1),
    ("warned.py", "--statistics", 1),
    ("warned.py", "--statistics --format json", 1),
    ("warned.py", "--exit-zero --no-exit-zero", 1),
    ("warned.py", "--output-file -", 1),
    ("informed.py warned.py", "--fail-on info --statistics", 1),
    ("warned.py", "--fail-on error --format sarif", 0),
    ("warned.py", "--format junit", 1),
    ("ignored.py", "", 0),
    ("faulty.py", "", 1),
    ("faulty.py", "--fail-on error", 1),
    ("faulty.py", "--fail-on error --exit-zero", 0),
    ("clean.py warned.py", "", 1),
    ("warned.py faulty.py", "--fail-on error", 1),
    ("clean.py warned.py", "--fail-on error", 0),
    # Models that could not be checked.
    ("arguments.py", "", 2),  # a run that checked nothing is never green
    ("arguments.py", "--require none", 0),  # nobody asked for it: information
    ("arguments.py", "--require all", 2),
    ("arguments.py clean.py", "--require all", 2),
    ("arguments.py warned.py", "--require all", 2),
    ("arguments.py warned.py", "", 1),
    ("clean.py", "--require all", 0),
    ("warned.py", "--require all", 1),
    ("accepted.py clean.py", "--require all", 0),
    ("accepted.py", "", 2),
    ("plain.py", "--require all", 0),
    ("arguments.py:Net", "", 2),
    ("arguments.py:Net", "--exit-zero", 2),
    ("arguments.py clean.py", "", 0),
    ("unrunnable.py", "", 1),
    ("unrunnable.py", "--exit-zero", 0),
    ("unrunnable.py", "--fail-on error", 2),
    ("unrunnable.py", "--fail-on error --require none", 0),
    ("unrunnable.py", "--ignore NC004", 2),
    ("unrunnable.py", "--ignore NC004 --require none", 0),
    ("unrunnable.py clean.py", "--ignore NC004", 0),
    ("unrunnable.py clean.py", "--ignore NC004 --require all", 2),
    ("unrunnable.py clean.py", "--fail-on error", 0),
    ("arguments.py:Net clean.py", "--fail-on error", 0),
    ("arguments.py:Net clean.py", "", 1),
    ("unloadable.py clean.py", "--fail-on error", 1),
    ("unloadable.py syntax.py", "", 2),
    ("unloadable.py unrunnable.py", "", 1),
    ("unloadable.py", "", 2),
    ("unloadable.py", "--exit-zero", 2),
    ("unloadable.py", "--fail-on error", 2),
    ("unloadable.py", "--require none", 1),
    ("unloadable.py clean.py", "--require all", 2),
    ("unloadable.py clean.py", "", 1),
    ("unloadable.py clean.py", "--exit-zero", 0),
    ("unbuildable.py", "", 2),
    ("syntax.py", "", 2),
    ("syntax.py clean.py", "", 1),
    ("syntax.py clean.py", "--exit-zero", 0),
    ("clean.py:nothing", "", 2),
    # Nothing to check is nothing wrong.
    ("plain.py", "", 0),
    ("empty", "", 0),
    ("plain.py warned.py", "", 1),
    # What makes no sense.
    ("missing.py", "", 2),
    ("missing.py clean.py", "", 2),
    ("missing.py clean.py", "--exit-zero", 2),
    ("", "", 1),  # this folder
    ("clean.py", "--no-such-option", 2),
    ("clean.py", "--format xml", 2),
    ("clean.py", "--fail-on never", 2),
    ("clean.py", "--require most", 2),
    ("clean.py", "--select NC9999", 2),
    ("clean.py", "--select NC9999 --exit-zero", 2),
    ("clean.py", "--timeout 0", 2),
    ("clean.py", "--jobs 0", 2),
    ("clean.py", "--config missing.toml", 2),
    ("clean.py", "--config broken.toml", 2),
    ("clean.py", "--baseline missing.json", 2),
    ("clean.py", "--weights missing.pt", 2),
    ("clean.py", "--output-file missing/report.txt", 2),
    ("clean.py", "--weights clean.py", 2),
    ("clean.py", "--format sarif --statistics", 2),
    ("clean.py", "--verbose --quiet", 2),
    ("clean.py", "--write-baseline --add-ignores", 2),
    ("clean.py", "--input 8xx3", 2),
    ("clean.py", "--device moon", 2),
    ("clean.py", "--show-settings", 0),
    ("clean.py", "--show-settings --select NC9999", 2),
    ("missing.py", "--show-settings", 0),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("exit_codes")
    for name, text in FILES.items():
        (made / name).write_text(text)
    (made / "empty").mkdir()
    (made / "broken.toml").write_text("jobs =")
    return made


@pytest.fixture
def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch, without_children: None) -> None:
    """Check in the folder, without processes."""
    monkeypatch.chdir(folder)


def run(targets: str, options: str) -> Result:
    own = ["--isolated", "--no-probe", "--no-cache"]
    if "--config" in options:
        own.remove("--isolated")
    return CliRunner().invoke(cli, ["check", *targets.split(), *options.split(), *own], prog_name="netcheck")


@pytest.mark.usefixtures("in_folder")
@pytest.mark.parametrize(("targets", "options", "code"), TABLE, ids=lambda value: str(value) or "-")
def test_exit_code(targets: str, options: str, code: int) -> None:
    done = run(targets, options)
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    if done.stderr:
        assert code == 2
        assert done.stderr.startswith("netcheck: ")
        assert done.stderr.count("\n") == 1


def start(folder: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "netcheck", "--isolated", "--no-probe", "--no-cache", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, **options)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupt_is_130_and_quiet(folder: Path, tmp_path: Path) -> None:
    slow = "open('running', 'w').close()\nimport time\ntime.sleep(60)\nmodel = nn.Linear(1, 1)\n"
    (tmp_path / "slow.py").write_text(HEAD + slow)
    process = start(tmp_path, "slow.py", "--allow-writes", stdout=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (tmp_path / "running").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.strip(), err.strip()) == (130, b"", b"")


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_reader_that_goes_away_gets_no_traceback(folder: Path) -> None:
    reader, writer = os.pipe()
    process = start(folder, "warned.py", "-v", stdout=writer)
    os.close(writer)
    os.close(reader)
    _, err = process.communicate(timeout=120)
    assert err == b""
    assert process.returncode == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("arguments", [["warned.py"], ["clean.py", "--format", "json"]], ids=["text", "json"])
def test_a_full_disk_is_one_sentence(folder: Path, arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        process = start(folder, *arguments, stdout=full)
        _, err = process.communicate(timeout=120)
    assert err == b"netcheck: cannot write to standard output: No space left on device\n"
    assert process.returncode == 2


@pytest.mark.skipif(os.name != "posix", reason="processes")
@pytest.mark.parametrize(
    ("body", "options", "code"),
    [
        ("import os\nos._exit(3)", [], 2),
        (
            "class Net(nn.Linear):\n    def __init__(self):\n        while True:\n            pass\nmodel = Net()",
            ["--timeout", "3"],
            2,
        ),
    ],
    ids=["crash", "endless"],
)
def test_a_model_that_ends_its_process_could_not_be_loaded(tmp_path: Path, body: str, options: list[str], code: int) -> None:
    (tmp_path / "net.py").write_text(f"{HEAD}model = nn.Linear(1, 1)\n{body}\n")
    process = start(tmp_path, "net.py", *options, stdout=subprocess.PIPE)
    out, err = process.communicate(timeout=180)
    assert (process.returncode, err) == (code, b"")
    assert b"NC007" in out
