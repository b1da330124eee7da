"""README.md and the guides: what they show is what netcheck prints, and every example in them runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from netcheck.settings import FORMATS
from tests import readme, warm, zoo
from tests.readme import GITHUB, GITLAB, PAGES, PYTHON, README, ROOT, SHELL, regenerated

TEXT = readme.text()
LINES = [line for block in SHELL.findall(TEXT) for line in block.splitlines()]
SETUP = [line for line in LINES if " -m venv " in line]
COMMANDS = [line for line in LINES if line not in SETUP]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_shown_is_what_netcheck_says(page: Path) -> None:
    text = page.read_text("utf-8")
    assert regenerated(text) == text, "write it anew with `python -m tests.readme`"


def test_readme_is_read_at_one_sitting_and_names_every_guide() -> None:
    text = README.read_text("utf-8")
    assert len(text.splitlines()) < 400
    for page in PAGES[1:]:
        assert f"(netcheck/report/manual/guides/{page.name}) | {page.read_text('utf-8').split(chr(10) * 2)[1]} |" in text


def test_the_first_screen_shows_a_finding_in_the_model_that_it_shows() -> None:
    model, output = TEXT.index("class TanhStack"), TEXT.index("warning[NC501]")
    assert model < output < TEXT.index("## Install")
    assert "executes the code" in TEXT[:model]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs_and_exits_as_it_says(command: str) -> None:
    promised = re.search(r"  # exits with (\d)", command)
    assert promised, f"README does not say how `{command}` exits"
    done = warm.line(command)
    assert done.returncode == int(promised[1]), done.stdout + done.stderr
    assert done.stdout


def test_the_python_examples_run() -> None:
    shown, example, *others, _ = PYTHON.findall(TEXT)
    assert shown.startswith("class TanhStack")
    done = run_python(example)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("warning NC501 ")
    for other in others:
        done = run_python(other)
        assert done.returncode == 0, done.stderr


def test_the_example_of_lightning_runs() -> None:
    *_, example = PYTHON.findall(TEXT)
    assert "NetcheckCallback" in example
    zoo.declare_torchvision_operators()  # Lightning imports torchvision where it is installed
    pytest.importorskip("pytorch_lightning")
    done = run_python(f"from tests import zoo\nzoo.declare_torchvision_operators()\n{example}")
    assert done.returncode == 0, done.stderr


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_format_is_named() -> None:
    section = next(page for page in PAGES if page.stem == "formats").read_text("utf-8")
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([\w-]+)`", row)} == set(FORMATS)


@pytest.mark.parametrize(
    ("recipe", "schema"),
    [(GITHUB, "vendor.github-workflows"), (GITLAB, "vendor.gitlab-ci")],
    ids=["github", "gitlab"],
)
def test_a_recipe_for_ci_is_one(recipe: re.Pattern[str], schema: str, tmp_path: Path) -> None:
    pytest.importorskip("check_jsonschema")
    (text,) = recipe.findall(TEXT)
    file = tmp_path / "recipe.yml"
    file.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [line for recipe in (GITHUB, GITLAB) for line in re.findall(r"netcheck --.* src\b", recipe.findall(TEXT)[0])],
)
def test_what_a_recipe_runs_works(command: str, tmp_path: Path) -> None:
    changed = command.replace(" src", " examples/lecture/relu.py").replace("--output-file ", f"--output-file {tmp_path}/")
    done = warm.line(changed)
    assert done.returncode == (0 if "--exit-zero" in command else 1), done.stderr
    (written,) = [file.read_text() for file in tmp_path.iterdir()] or [done.stdout]
    assert "NC501" in written


def test_two_commands_do_all_setup() -> None:
    first, second = SETUP
    for command in SETUP:
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -q torch==")
    assert first.endswith(".venv/bin/netcheck examples/lecture/tanh_stack.py")
    assert second.endswith(".venv/bin/pytest -n auto --dist loadfile")


def test_the_name_of_another_package_is_not_advertised() -> None:
    assert not re.search(r"pip install (-\S+ )*netcheck", TEXT)


def test_continuous_integration_runs_the_second_command() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert SETUP[1] in [line.strip() for line in script.splitlines()]
