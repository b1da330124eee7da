"""What the patterns in settings match: files, and the parts of models.

tests              a file or folder of that name, anywhere
src/legacy/*.py    a path, from the folder of the configuration file
Net.encoder.*      everything inside a part of a model
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase


def matches_file(path: str, pattern: str, root: str = "") -> bool:
    """Whether a pattern matches a file or a folder that holds it.

    Args:
        path: the file.
        pattern: a name, if it has no slash but at its end; otherwise a path from `root`. `*` stands for anything.
        root: the folder that patterns start from; "" for the current one.
    """
    place = os.path.relpath(os.path.abspath(path), root or os.getcwd()).replace(os.sep, "/")
    wanted = pattern.replace(os.sep, "/").removeprefix("./").rstrip("/")
    parts = place.split("/")
    if "/" not in wanted:
        return any(fnmatchcase(part, wanted) for part in parts)
    return any(fnmatchcase("/".join(parts[:length]), wanted) for length in range(1, len(parts) + 1))


def matches_part(model: str, path: str, pattern: str) -> bool:
    """Whether a pattern ("Net.encoder.*") matches a part of a model, or a part that holds it.

    Args:
        model: the model's name.
        path: the module path inside it, "" for the model itself.
        pattern: a model's name, and a dot and a module path if it is for a part of it. `*` stands for anything.
    """
    parts = [model, *path.split(".")] if path else [model]
    return any(fnmatchcase(".".join(parts[:length]), pattern) for length in range(1, len(parts) + 1))
