"""`pytest --netcheck` in real pytest processes, and what `assert_clean` shows there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODELS = """
from torch import nn
import torch


class Fine(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 16)
        self.second = nn.Linear(16, 2)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(40))

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x


class Unbuildable(nn.Module):
    def __init__(self, width):
        super().__init__()
        if width * width != 12345678987654321:
            raise ValueError("no such width")
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(x)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.netcheck]\nprobe = false\n[tool.pytest.ini_options]\n")
    (tmp_path / "net.py").write_text(MODELS)
    return tmp_path


def run(folder: Path, *arguments: str, plugins: tuple[str, ...] = ("netcheck.pytest_plugin",)) -> tuple[int, str]:
    """The exit code and the output of pytest in `folder`, without the plugins that this machine has."""
    chosen = [part for plugin in plugins for part in ("-p", plugin)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *chosen, *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_ADDOPTS": "",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_models_are_tests(folder: Path) -> None:
    (folder / "conftest.py").write_text("import sys\ndef pytest_sessionfinish():\n    print('TORCH', 'torch' in sys.modules)\n")
    code, output = run(folder, "--netcheck", "-v", "-s", "-rs", "net.py")
    assert code == 1
    assert re.search(r"^net.py::Fine PASSED", output, re.MULTILINE)
    assert re.search(r"^net.py::Deep FAILED", output, re.MULTILINE)
    assert re.search(r"^net.py::Unbuildable SKIPPED", output, re.MULTILINE)
    assert "TORCH False" in output, "the process that collects imports no torch"
    assert "cannot be built without" in output
    assert "1 failed, 1 passed, 1 skipped" in output
    failure = output[output.index("= FAILURES =") : output.index("= short test summary info =")]
    assert "[NC501] poor-init" in failure
    assert "--> net.py:" in failure
    assert "Traceback" not in failure
    assert "pytest_plugin.py" not in failure


def test_one_model_can_be_chosen(folder: Path) -> None:
    code, output = run(folder, "--netcheck", "-q", "-m", "netcheck", "-k", "Fine", ".")
    assert (code, "1 passed, 2 deselected" in output) == (0, True), output
    code, output = run(folder, "--netcheck", "-q", "net.py::Fine")
    assert (code, "1 passed" in output) == (0, True), output


def test_the_settings_are_those_of_the_project(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.netcheck]\nprobe = false\nignore = ["ALL"]\n[tool.pytest.ini_options]\n')
    assert run(folder, "--netcheck", "-q", "net.py")[0] == 0
    (folder / "pyproject.toml").write_text('[tool.netcheck]\nselct = ["NC1"]\n[tool.pytest.ini_options]\n')
    code, output = run(folder, "--netcheck", "net.py")
    assert code == 4
    assert "ERROR: netcheck: " in output
    assert "did you mean" in output


def test_files_with_tests_are_left_alone(folder: Path) -> None:
    (folder / "net.py").rename(folder / "test_net.py")
    (folder / "conftest.py").write_text(MODELS)
    code, output = run(folder, "--netcheck", "-q")
    assert code == 5, output


def test_a_file_that_is_no_python_fails(folder: Path) -> None:
    (folder / "broken.py").write_text("from torch import nn\nclass Net(nn.Module:\n")
    code, output = run(folder, "--netcheck", "-q", "broken.py")
    assert code == 1
    assert "error[NC001] cannot-load" in output
    assert "broken.py:2" in output


def test_with_xdist(folder: Path) -> None:
    pytest.importorskip("xdist")
    code, output = run(folder, "--netcheck", "-q", "-n", "2", "net.py", plugins=("netcheck.pytest_plugin", "xdist"))
    assert code == 1
    assert "1 failed, 1 passed, 1 skipped" in output


def test_nothing_is_imported_unless_it_is_asked_for(folder: Path) -> None:
    (folder / "test_imports.py").write_text(
        "import sys\n"
        "def test_imports():\n"
        "    parts = {name.split('.')[1] for name in sys.modules if name.startswith('netcheck.')}\n"
        "    assert parts == {'pytest_plugin', 'findings', 'figures', 'location'}  # that and plain data\n"
        "    assert 'torch' not in sys.modules\n"
    )
    code, output = run(folder, "-q")
    assert code == 0, output
    code, output = run(folder, "-q", "--collect-only", "--netcheck", "net.py")
    assert "net.py::Deep" in output


def test_assert_clean_reads_well(folder: Path) -> None:
    (folder / "test_net.py").write_text(
        textwrap.dedent(
            """
            import netcheck
            from net import Deep, Fine

            def test_deep():
                netcheck.assert_clean(Deep, probe=False)

            def test_fine():
                netcheck.assert_clean(Fine, probe=False)
            """
        )
    )
    code, output = run(folder, "-q")
    assert code == 1
    assert ">       netcheck.assert_clean(Deep, probe=False)" in output
    assert "E       AssertionError: netcheck found faults in Deep" in output
    assert re.search(r"^E       (error|warning)\[NC501\] poor-init: ", output, re.MULTILINE)
    assert "help: initialize each layer" in output
    assert "api.py" not in output, "the failure is in the test, not in netcheck"
    assert "1 failed, 1 passed" in output


def test_pytest_finds_the_plugin_by_itself_where_netcheck_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"netcheck": "netcheck.pytest_plugin"}


def test_a_model_that_was_not_checked_fails_where_all_are_required(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.netcheck]\nprobe = false\nrequire = "all"\n[tool.pytest.ini_options]\n')
    code, output = run(folder, "--netcheck", "-q", "net.py::Unbuildable")
    assert (code, "1 failed" in output) == (1, True), output
    assert "netcheck: not checked" in output
    assert "Unbuildable cannot be built without width" in output
    assert run(folder, "--netcheck", "-q", "net.py::Fine")[0] == 0
