"""What README and the repository offer to editors and to GitHub, against what netcheck prints."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.readme import ROOT, VSCODE, run, text

ACTION = ROOT / ".github" / "actions" / "netcheck" / "action.yml"


@pytest.fixture(scope="module")
def pattern() -> dict[str, Any]:
    (block,) = VSCODE.findall(text())
    (task,) = json.loads(block)["tasks"]
    assert task["args"] == ["--format", "concise", "${file}"]
    return task["problemMatcher"]["pattern"]


def test_the_problem_matcher_reads_what_is_printed(pattern: dict[str, Any]) -> None:
    done = run("netcheck --no-probe --format concise examples/lecture/relu.py")
    lines = done.stdout.splitlines()
    found = [match for line in lines if (match := re.search(pattern["regexp"], line))]
    assert len(found) == len(lines) - 1, "all but the last line, which says what was checked"
    first = found[0]
    assert Path(ROOT, first[pattern["file"]]).samefile(ROOT / "examples/lecture/relu.py")
    assert re.fullmatch(r"NC\d{3}", first[pattern["code"]])
    assert first[pattern["severity"]] in ("error", "warning")
    assert int(first[pattern["line"]]) > 1
    assert int(first[pattern["column"]]) > 1
    assert re.match(r"[a-z-]+: ", first[pattern["message"]])


def test_the_problem_matcher_knows_windows(pattern: dict[str, Any]) -> None:
    match = re.search(pattern["regexp"], r"C:\src\net.py:3:5: NC501 warning poor-init: the fact")
    assert match
    assert match[pattern["file"]] == r"C:\src\net.py"


def test_the_action_is_one(tmp_path: Path) -> None:
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions", str(ACTION)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_action_annotates_and_sums_up(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    *_, step = yaml.safe_load(ACTION.read_text())["runs"]["steps"]
    assert set(step["env"]) == {"NETCHECK_ACTION_ARGS", "NETCHECK_ACTION_PATHS"}
    program = tmp_path / "netcheck"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m netcheck "$@"\n')
    program.chmod(0o755)
    summary = tmp_path / "summary.md"
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(summary),
        "NETCHECK_ACTION_ARGS": "--no-probe --fail-on error",
        "NETCHECK_ACTION_PATHS": "examples/lecture/relu.py examples/lecture/maxout.py",
    }
    done = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "::warning file=examples/lecture/relu.py" in done.stdout
    assert "<summary><b>warning NC501</b>" in summary.read_text()
