"""The configuration file: `[tool.netcheck]` in the closest pyproject.toml that has it, or the file that was named.

closest(targets) -> pyproject.toml --tomllib--> table --options--> {"jobs": 3, "select": ("NC1",), ...}
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netcheck.errors import UsageError
from netcheck.settings import OPTIONS
from netcheck.settings.models import ModelEntry
from netcheck.settings.options import Option, did_you_mean

KEYS = {one.key: one for one in OPTIONS.values() if one.key and one.by_project}
MODEL_KEYS = {one.model_key or one.key: one for one in OPTIONS.values() if one.by_model}


@dataclass(frozen=True, slots=True)
class Config:
    """What one configuration file says.

    Attributes:
        file: its path, as a person would name it.
        values: fields of `Settings`, read and checked.
    """

    file: Path
    values: dict[str, Any]

    @property
    def root(self) -> str:
        """The absolute folder that the file's patterns and paths start from."""
        return str(self.file.absolute().parent)


def closest(targets: Sequence[str]) -> Config | None:
    """The closest pyproject.toml with a [tool.netcheck], in the folder that holds all targets or above it.

    Raises:
        UsageError: one on the way is no TOML, or says something that makes no sense.
    """
    place = common_folder(targets)
    for folder in (place, *place.parents):
        file = folder / "pyproject.toml"
        table = load(file).get("tool", {}) if file.is_file() else {}
        if isinstance(table, dict) and "netcheck" in table:
            return understood(shorter(file), table["netcheck"])
    return None


def common_folder(targets: Sequence[str]) -> Path:
    """The deepest folder that holds all targets which are paths; the current one where there are none."""
    paths = [target if os.path.lexists(target) else target.rpartition(":")[0] for target in targets]
    folders = [
        path if os.path.isdir(path) else os.path.dirname(path)
        for path in (os.path.abspath(path) for path in paths if path and os.path.lexists(path))
    ]
    try:
        return Path(os.path.commonpath(folders)) if folders else Path.cwd()
    except ValueError:  # on different drives
        return Path.cwd()


def shorter(file: Path) -> Path:
    """A path relative to the current folder, if it lies in it."""
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file


def named_file(path: str) -> Config:
    """The file that `--config` names: a pyproject.toml, or one whose top level is the table itself.

    Raises:
        UsageError: it cannot be read, or says something that makes no sense.
    """
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"--config {path}: there is no such file")
    table = load(file)
    if file.name == "pyproject.toml" or isinstance(table.get("tool"), dict):
        table = table.get("tool", {}).get("netcheck", {})
    return understood(file, table)


def load(file: Path) -> dict[str, Any]:
    """A TOML file as a table.

    Raises:
        UsageError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{shorter(file)} is not valid TOML: {error}") from error


def understood(file: Path, table: object) -> Config:
    """The table of a configuration file as fields of `Settings`.

    Raises:
        UsageError: a key is unknown, or a value is of the wrong type or makes no sense.
    """
    if not isinstance(table, dict):
        raise UsageError(f"{file}: tool.netcheck must be a table: write [tool.netcheck]")
    config = Config(file, {})
    for key, value in table.items():
        one = known(key, KEYS, str(file))
        read = one.read(value, f"{file}: {key}")
        if one.name == "models":
            read = tuple(entry_understood(entry, file) for entry in read)
        config.values[one.name] = from_root(read, config.root)
    return config


def known(key: str, keys: dict[str, Option], where: str) -> Option:
    """The option with this key.

    Raises:
        UsageError: there is none.
    """
    if key in keys:
        return keys[key]
    close = did_you_mean(key.replace("_", "-"), keys) or f": choose one of {', '.join(sorted(keys))}"
    raise UsageError(f"{where}: unknown key {key!r}{close}")


def entry_understood(entry: ModelEntry, file: Path) -> ModelEntry:
    """An entry whose options are read.

    Raises:
        UsageError: as for the whole file.
    """
    where = f"{file}: model {entry.target}"
    keys = {"target": None, "args": None, "kwargs": None, **MODEL_KEYS}
    options = []
    for key, value in entry.options:
        one = known(key, keys, where)  # type: ignore[arg-type]
        read = one.read(value, f"{where}: {key}")
        options.append((one.name, from_root(read, str(file.absolute().parent))))
    return replace(entry, options=tuple(options))


def from_root(value: Any, root: str) -> Any:
    """A path that starts from the configuration file's folder; anything else as it is."""
    return Path(root, value) if isinstance(value, Path) else value
