"""A project with settings, checked by the command: everything but the child process is real."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from netcheck.settings import OPTIONS
from netcheck.settings.options import Option, Switch
from tests import readme, warm

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width: int, classes: int):
        super().__init__()
        self.encoder = nn.Sequential(*[layer for _ in range(20) for layer in (nn.Linear(width, width), nn.Tanh())])
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.encoder(x))
"""

BAD = """
from torch import nn

model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
"""

pytestmark = pytest.mark.usefixtures("without_children")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "net.py").write_text(NET)
    for folder in ("legacy", "tests"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "bad.py").write_text(BAD)
    return tmp_path


def run(folder: Path, *arguments: str) -> Result:
    return warm.invoke(*arguments, folder=folder)


SWITCHES = [one for one in OPTIONS.values() if isinstance(one.kind, Switch) and one.by_project]


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda one: one.key)
def test_the_command_line_turns_off_what_the_file_turns_on(switch: Option, project: Path) -> None:
    assert isinstance(switch.kind, Switch)
    for said, flag, holds in (("true", switch.kind.off, "false"), ("false", switch.label, "true")):
        (project / "pyproject.toml").write_text(f"[tool.netcheck]\n{switch.key} = {said}\n")
        shown = run(project, "--show-settings", flag, "src")
        assert f"{switch.key} = {holds}  # command line\n" in shown.output


@pytest.mark.parametrize(
    ("file", "variables", "sentence"),
    [
        ('ignore = ["NCX"]', {}, "pyproject.toml: unknown rule 'NCX'"),
        ('per-file-ignores = { "x.py" = ["poor-inti"] }', {}, "unknown rule 'poor-inti': did you mean poor-init?"),
        ("rules = { NC706 = { sample = 4 } }", {}, "pyproject.toml: unknown threshold 'sample' of NC706"),
        ("", {"NETCHECK_SELECT": "NC9999"}, "NETCHECK_SELECT: unknown rule 'NC9999'"),
    ],
)
def test_who_names_a_rule_that_there_is_not(file: str, variables: dict[str, str], sentence: str, project: Path) -> None:
    (project / "pyproject.toml").write_text(f"[tool.netcheck]\n{file}\n")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        done = run(project, "src")
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_command_line_does_without_a_file_that_the_project_names(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.netcheck]\nbaseline = "known.json"\noutput-file = "out.txt"\n')
    done = run(project, "--no-probe", "--baseline", "", "--output-file", "-", "legacy")
    assert done.stderr == ""
    assert "NC103" in done.stdout
    assert not (project / "out.txt").exists()


def findings(folder: Path, *arguments: str) -> dict[str, list[str]]:
    """The codes found in each target, without the mere information."""
    done = run(folder, "--format", "json", *arguments)
    assert done.stderr == ""
    models: list[dict[str, Any]] = json.loads(done.stdout)["models"]
    return {model["target"]: [found["code"] for found in model["findings"] if found["severity"] != "info"] for model in models}


def write(project: Path, table: str) -> None:
    (project / "pyproject.toml").write_text(table)


def test_the_lines_that_needs_arguments_prints_build_the_model(project: Path) -> None:
    unguessed = "classes: int):\n        assert width**2 == 1600 and classes**2 == 9\n"
    (project / "src" / "net.py").write_text(NET.replace("classes: int):\n", unguessed))
    for folder, target in ((project, "src"), (project / "src", "net.py")):
        write(project, "[tool.netcheck]\n")
        said = run(folder, target, "--verbose").stdout
        lines = re.search(r"\[\[tool\.netcheck\.model\]\]\n.*\n.*", said)
        assert lines, said
        written = "\n".join(line.strip() for line in lines[0].splitlines())
        entry = tomllib.loads(written)["tool"]["netcheck"]["model"][0]
        assert (entry["target"], set(entry["kwargs"])) == ("src/net.py:Net", {"width", "classes"})
        right = re.sub(r"kwargs = .*", "kwargs = { width = 40, classes = 3 }", written)
        write(project, f"[tool.netcheck]\n{right}\n")
        assert findings(folder, target) == {f"{target}/net.py:Net".removeprefix("net.py/"): ["NC501"]}


def test_the_example_in_readme(project: Path) -> None:
    found = re.search(r"<!-- config -->\n```toml\n(.*?)```", readme.text(), re.DOTALL)
    assert found
    write(project, found[1])
    # NC501 is at the encoder's layers, and only NC4 is ignored there.
    assert findings(project, ".") == {"src/net.py:Net": ["NC501"], "tests/bad.py:model": ["NC103"]}
    write(project, found[1].replace('["NC4"]', '["NC5"]').replace('["NC5"]\n', '["NC1"]\n', 1))
    assert findings(project, ".") == {"src/net.py:Net": [], "tests/bad.py:model": []}


def test_what_is_excluded_can_still_be_named(project: Path) -> None:
    write(project, '[tool.netcheck]\nexclude = ["legacy", "src", "tests"]\n')
    assert findings(project, ".") == {}
    assert findings(project, "legacy/bad.py") == {"legacy/bad.py:model": ["NC103"]}
    write(project, "")
    assert findings(project, ".", "--exclude", "legacy", "--exclude", "src/*") == {"tests/bad.py:model": ["NC103"]}


def test_a_factory_in_the_settings_is_checked_with_its_file(project: Path) -> None:
    (project / "src" / "build.py").write_text("from net import Net\n\n\ndef make(width):\n    return Net(width, 2)\n")
    write(project, '[[tool.netcheck.model]]\ntarget = "src/build.py:make"\nargs = [16]\ninput = "3x16"\nbatch = 7\n')
    for target in (".", "src", "src/build.py", "src/build.py:make"):
        assert findings(project, target)["src/build.py:make"] == ["NC501"]
    said = run(project, "src/build.py").stdout
    assert "inputs: float32 (3, 16), as given" in said
    assert findings(project, "legacy") == {"legacy/bad.py:model": ["NC103"]}


def test_arguments_that_do_not_fit_are_a_finding(project: Path) -> None:
    write(project, '[[tool.netcheck.model]]\ntarget = "src/net.py:Net"\nkwargs = { widht = 3 }\n')
    said = run(project, "src")
    assert "does not take the arguments given" in said.stdout
    assert said.exit_code == 2
    write(project, '[[tool.netcheck.model]]\ntarget = "src/net.py:Net"\nkwargs = { width = 3 }\n')
    said = run(project, "src")
    assert "Net cannot be built without classes" in said.stdout
    assert "kwargs = { width = 3, classes = 64 }" in said.stdout
    assert "warning[NC002]" in said.stdout


def test_unknown_rules_in_the_settings_are_bad_usage(project: Path) -> None:
    for table, sentence in (
        ('ignore = ["NC9999"]', "unknown rule 'NC9999'"),
        ('per-file-ignores = { "*" = ["poor-inti"] }', "unknown rule 'poor-inti': did you mean poor-init?"),
        ('per-model-ignores = { "*" = ["tanh"] }', "unknown rule 'tanh'"),
    ):
        write(project, f"[tool.netcheck]\n{table}\n")
        for more in ([], ["--show-settings"]):
            done = run(project, ".", *more)
            assert (done.exit_code, done.stdout) == (2, "")
            assert sentence in done.stderr
            assert done.stderr.count("\n") == 1


def test_an_entry_for_a_file_that_is_not_there_is_bad_usage(project: Path) -> None:
    write(project, '[[tool.netcheck.model]]\ntarget = "src/nte.py:Net"\n')
    done = run(project, "legacy")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "netcheck: the settings name the model src/nte.py:Net: there is no such file\n"


def test_an_entry_counts_where_its_file_is_checked_and_nowhere_else(project: Path) -> None:
    write(project, '[[tool.netcheck.model]]\ntarget = "src/net.py:Net"\nkwargs = { width = 64, classes = 2 }\n')
    assert findings(project / "legacy", ".") == {"bad.py:model": ["NC103"]}
    assert findings(project / "src", ".") == {"net.py:Net": ["NC501"]}
