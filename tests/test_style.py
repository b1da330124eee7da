"""The source is clean and formatted, as the linter and the formatter of the test extra see it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids="-".join)
def test_ruff_has_nothing_to_say(command: tuple[str, ...]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", str(ROOT)], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_tests_are_one_package() -> None:
    """Without this, whatever else is called `tests` on the path (many distributions install such a package) is found first."""
    folders = {file.parent for file in Path(__file__).parent.rglob("test_*.py")}
    bare = [str(folder) for folder in folders for above in (folder, *folder.parents) if is_bare(above)]
    assert not bare


def is_bare(folder: Path) -> bool:
    """Whether a folder among the tests is no package."""
    return Path(__file__).parent in (folder, *folder.parents) and not (folder / "__init__.py").exists()
