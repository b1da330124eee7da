"""The Python files and notebooks under a folder, as git sees them. Imports no torch.

In a git work tree that is what git tracks or would track: ignored files are left out. Elsewhere, everything
but hidden folders, virtual environments, caches and installed packages.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

ENDINGS = (".py", ".ipynb")
LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env", "__pypackages__"})
GIT_SECONDS = 30


def python_files(folder: str) -> list[str]:
    """The files under `folder` that may hold Python, sorted; relative if `folder` is."""
    listed = files_by_git(folder) or files_by_walking(folder)  # a folder that git ignores was named on purpose
    return sorted(listed)


def files_by_git(folder: str) -> list[str]:
    """What git lists under `folder`; nothing outside a work tree or where git cannot be run."""
    if not in_work_tree(folder):
        return []
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.quotepath=off", "ls-files", "-z"]
    command += ["--cached", "--others", "--exclude-standard", "--", *(f"*{ending}" for ending in ENDINGS)]
    try:
        result = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    if result.returncode != 0:
        return []
    names = {os.fsdecode(name) for name in result.stdout.split(b"\0") if name}
    paths = [os.path.normpath(os.path.join(folder, name)) for name in names]
    return [path for path in paths if os.path.isfile(path)]  # git also lists what was deleted or is a link to nothing


def in_work_tree(folder: str) -> bool:
    """Whether `folder` or one above it has a `.git`."""
    place = os.path.abspath(folder)
    while not os.path.exists(os.path.join(place, ".git")):
        above = os.path.dirname(place)
        if above == place:
            return False
        place = above
    return True


def files_by_walking(folder: str) -> Iterator[str]:
    """Walk `folder` without following links to folders, so a loop of links is no loop here."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_left_out(place, name)]
        for name in names:
            path = os.path.normpath(os.path.join(place, name))
            if name.endswith(ENDINGS) and not name.startswith(".") and os.path.isfile(path):
                yield path


def is_left_out(place: str, name: str) -> bool:
    """Whether a folder holds no code of the project."""
    return (
        name.startswith(".")
        or name in LEFT_OUT
        or name.endswith(".egg-info")
        or os.path.exists(os.path.join(place, name, "pyvenv.cfg"))
    )
