"""A file as it was: `net.py@HEAD~1`, `net.py@v1.2:Net`, `net.py:Net@main`. Imports no torch.

with checked_out("net.py@HEAD~1:Net") as target:       /tmp/netcheck-.../net.py:Net, with all that the repository had beside it
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator

from netcheck.errors import UsageError

FORM = re.compile(r"(?P<file>.+\.(?:py|ipynb))(?P<before>:[\w.]+)?@(?P<revision>[^@:]+)(?P<after>:[\w.]+)?")


@contextlib.contextmanager
def checked_out(target: str) -> Iterator[str]:
    """The target as it may be checked: one that names a revision in a copy of its repository, which is gone afterwards.

    Raises:
        UsageError: there is no such repository, revision or file.
    """
    match = None if os.path.lexists(target) else FORM.fullmatch(target)
    if match is None:
        yield target
        return
    file, revision = match["file"], match["revision"]
    folder = os.path.dirname(os.path.abspath(file))
    top = git(folder, "rev-parse", "--show-toplevel", fault=f"{file} is in no git repository").decode().strip()
    if git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", fault="").strip() == b"":
        raise UsageError(f"the repository of {file} has no revision {revision!r}", help="name a commit, a branch or a tag")
    path = os.path.relpath(os.path.realpath(os.path.abspath(file)), os.path.realpath(top))
    archive = git(top, "archive", "--format=tar", revision, fault=f"git cannot give the files of {revision}")
    with tempfile.TemporaryDirectory(prefix="netcheck-") as copy:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(copy, filter="data")
        there = os.path.join(copy, path)
        if not os.path.isfile(there):
            raise UsageError(f"there is no {file} in revision {revision}", help="name a revision that has it")
        yield there + (match["before"] or match["after"] or "")


def git(folder: str, *arguments: str, fault: str) -> bytes:
    """What a command of git prints; nothing if it fails and `fault` is "".

    Raises:
        UsageError: it fails, or there is no git.
    """
    folder = folder if os.path.isdir(folder) else os.curdir
    try:
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, check=False)
    except OSError as error:
        raise UsageError("there is no git to ask for a revision", help="install git, or name two files") from error
    if done.returncode and fault:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UsageError(f"{fault}{f' ({said[0]})' if said else ''}", help="name a file in a repository")
    return done.stdout if not done.returncode else b""
