"""What is done stands: after Ctrl-C and SIGTERM in the middle of a run, and after a limit that is hit while measuring."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from netcheck.findings import INTERRUPTED

from .test_worker import PATIENCE, strays, wait_until

ROOT = Path(__file__).parents[2]
HEAD = "import os\nimport torch\nfrom torch import nn\n\n\n"
GOOD = HEAD + "model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))\n"
ZEROS = HEAD + "model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))\nnn.init.zeros_(model[0].weight)\n"
ENDLESS = HEAD + "while True:\n    pass\nmodel = nn.Linear(1, 1)\n"
STUCK = (
    HEAD
    + """class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 2)
        nn.init.zeros_(self.a.weight)

    def forward(self, x):
        x = self.b(torch.relu(self.a(x)))
        while type(x) is torch.Tensor and not hasattr(x, "fake_mode"):
            pass
        return x
"""
)


@pytest.fixture(autouse=True)
def scratch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder for all temporary files, in which nothing is left; nor is any process."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path / "models")
    yield folder
    wait_until(lambda: strays() == [])
    assert list(folder.iterdir()) == []


class Run:
    """A run of the command over the current folder, whose output can be waited for."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-P", "-m", "netcheck", ".", "--isolated", "--no-cache", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines: SimpleQueue[str] = SimpleQueue()
        self.written = ""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)

    def wait_for(self, text: str) -> None:
        while text not in self.written:
            self.written += self.lines.get(timeout=PATIENCE)

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        """The exit code and all that was written, after a signal."""
        if number is not None:
            self.process.send_signal(number)
        assert self.process.stderr is not None
        errors = self.process.stderr.read()
        self.process.wait(PATIENCE)
        self.reader.join()
        self.written += "".join(self.lines.get() for _ in range(self.lines.qsize()))  # a document may be a million lines
        return self.process.returncode, self.written, errors


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def write(**sources: str) -> None:
    for name, source in sources.items():
        Path(f"{name}.py").write_text(source)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_models_are_shown_as_they_are_finished_and_stand_when_the_run_is_ended(number: int, code: int) -> None:
    write(a=ZEROS, b=GOOD, c=ENDLESS, d=GOOD)
    before = hashes(Path.cwd())
    run = Run("--no-probe")
    run.wait_for("Sequential (b.py:model): no findings\n")  # while c still runs
    assert "error[NC502]" in run.written
    returned, text, errors = run.end(number)
    assert returned == code
    assert "Checked 2 models" in text
    assert "Not checked: ended before (2): c.py:model, d.py:model." in text
    assert errors == "netcheck: ended before all was done: 2 of 4 are checked\n"
    assert hashes(Path.cwd()) == before


def test_lines_of_json_come_as_models_are_finished() -> None:
    write(a=ZEROS, b=GOOD, c=ENDLESS)
    run = Run("--no-probe", "--format", "json-lines")
    run.wait_for('"type": "model", "model": "Sequential", "target": "b.py:model"')  # while c still runs
    _, text, _ = run.end(signal.SIGINT)
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["type"] for line in lines] == ["run", "finding", "model", "model", "model", "unchecked"]
    assert [line.get("target") for line in lines] == [None, "a.py:model", "a.py:model", "b.py:model", "c.py:model", None]
    assert lines[-2]["skipped"] == [INTERRUPTED]
    assert (lines[-1]["reason"], lines[-1]["targets"]) == ("ended-before", ["c.py:model"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_program_gets_a_whole_document_of_a_run_that_is_ended(number: int, tmp_path: Path) -> None:
    started = tmp_path / "started"
    write(a=ZEROS, b=f"open({str(started)!r}, 'w').close()\n" + ENDLESS)
    run = Run("--no-probe", "--format", "json", "--allow-writes")
    wait_until(started.exists)
    returned, text, _ = run.end(number)
    assert returned == 128 + number
    document: Any = json.loads(text)
    assert [model["target"] for model in document["models"]] == ["a.py:model"]
    assert [found["code"] for found in document["models"][0]["findings"]] == ["NC502"]
    assert document["errors"] == [f"b.py:model: {INTERRUPTED}"]


def test_a_worker_that_is_ended_while_it_starts_leaves_nothing(scratch: Path) -> None:
    write(a=GOOD)
    run = Run()
    wait_until(lambda: any(scratch.iterdir()))  # it is importing torch, or about to
    assert run.end(signal.SIGTERM) == (143, "", "")


def test_static_findings_stand_where_the_probe_takes_too_long() -> None:
    write(a=STUCK, b=GOOD)
    seconds = 15.0
    while True:  # a busy machine takes long to get as far as the probe
        returned, text, _ = Run("--format", "json", "--timeout", str(seconds)).end()
        stuck, good = json.loads(text)["models"]
        if stuck["summary"] is not None and good["summary"] is not None:
            break
        assert seconds < PATIENCE
        seconds *= 3
    assert returned == 1
    assert [(found["code"], found["severity"]) for found in stuck["findings"]] == [("NC502", "error"), ("NC006", "info")]
    assert "did not end within" in stuck["findings"][1]["message"]
    assert stuck["findings"][1]["locations"][0]["file"].endswith("a.py")
    assert good["findings"] == []


def test_static_findings_stand_where_the_process_dies_in_the_probe() -> None:
    dies = STUCK.replace("            pass\n", "            import ctypes; ctypes.string_at(0)\n")
    write(a=dies)
    returned, text, _ = Run("--format", "json").end()
    (model,) = json.loads(text)["models"]
    assert returned == 1
    assert sorted(found["code"] for found in model["findings"]) == ["NC007", "NC502"]
    assert model["summary"]["weight_layers"] == 2
    assert os.path.basename(model["findings"][0]["locations"][0]["file"]) == "a.py"
