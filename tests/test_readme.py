"""README.md: what it shows is what netcheck prints, and every example in it runs."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.readme import PYTHON, README, ROOT, SHELL, regenerated, run

TEXT = README.read_text()
LINES = [line for block in SHELL.findall(TEXT) for line in block.splitlines()]
SETUP = [line for line in LINES if " -m venv " in line]
COMMANDS = [line for line in LINES if line not in SETUP]


def test_what_is_shown_is_what_netcheck_says() -> None:
    assert regenerated(TEXT) == TEXT, "write it anew with `python -m tests.readme`"


def test_the_first_screen_shows_a_finding_in_the_model_that_it_shows() -> None:
    model, output = TEXT.index("class TanhStack"), TEXT.index("warning[NC501]")
    assert model < output < TEXT.index("## Install")
    assert "executes the code" in TEXT[:model]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs_and_exits_as_it_says(command: str) -> None:
    promised = re.search(r"  # exits with (\d)", command)
    assert promised, f"README does not say how `{command}` exits"
    done = run(command)
    assert done.returncode == int(promised[1]), done.stdout + done.stderr
    assert done.stdout


def test_the_python_examples_run() -> None:
    shown, example = PYTHON.findall(TEXT)
    assert shown.startswith("class TanhStack")
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("warning NC501 ")


def test_two_commands_do_all_setup() -> None:
    first, second = SETUP
    for command in SETUP:
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -q torch==")
    assert first.endswith(".venv/bin/netcheck examples/lecture/tanh_stack.py")
    assert second.endswith(".venv/bin/pytest")


def test_the_name_of_another_package_is_not_advertised() -> None:
    assert not re.search(r"pip install (-\S+ )*netcheck", TEXT)


def test_continuous_integration_runs_the_second_command() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert SETUP[1] in script.splitlines()
