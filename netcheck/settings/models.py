"""How one model is built and checked, where it needs more than its name: `[[tool.netcheck.model]]`.

[[tool.netcheck.model]]
target = "src/net.py:Net"                 # as on the command line; the path starts from the file's own folder
kwargs = { width = 64, classes = 10 }     # for its class or factory; `args` for positional ones
input = ["8x3x32x32"]                     # and any other option that may differ between models
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netcheck.settings.options import Kind, toml

ENDINGS = (".py", ".ipynb")


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One `[[tool.netcheck.model]]`.

    Attributes:
        target: the model, as on the command line, with its path from `Settings.root`.
        args: positional arguments for its class or factory.
        kwargs: keyword arguments for it.
        options: fields of `Settings` that this model has for itself, as pairs.
    """

    target: str
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def head(self) -> str:
        """The file or dotted module of the target."""
        return self.target.rpartition(":")[0]

    @property
    def symbol(self) -> str:
        """The class, variable or function of the target."""
        return self.target.rpartition(":")[2]

    def file(self, root: str) -> str:
        """The absolute path of the target's file, "" if it names a dotted module that is not under `root`."""
        if self.head.endswith(ENDINGS):
            return os.path.abspath(os.path.join(root, self.head))
        place = os.path.join(*self.head.split("."))
        ways = (os.path.join(root, src, place) for src in ("", "src"))
        found = (file for way in ways for file in (f"{way}.py", os.path.join(way, "__init__.py")))
        return next((os.path.abspath(file) for file in found if os.path.isfile(file)), "")

    def names(self, file: str, symbol: str, module: str, root: str) -> bool:
        """Whether this is the entry of the model `symbol` in a file or dotted module."""
        if self.symbol != symbol:
            return False
        here = self.file(root)
        return bool(module and self.head == module) or bool(here and file and same(here, file))


class Models(Kind):
    """A list of `ModelEntry`; in configuration files only, where `config.py` reads the options inside."""

    expects = "a list of tables [[tool.netcheck.model]]"

    def read(self, value: object) -> tuple[ModelEntry, ...]:
        """As entries that hold options by their keys, not yet read."""
        if isinstance(value, tuple) and all(isinstance(one, ModelEntry) for one in value):
            return value
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise ValueError(f"expected {self.expects}, not {toml(value)}")
        return tuple(self.entry(one) for one in value)

    def entry(self, table: dict[str, Any]) -> ModelEntry:
        """One table as an entry."""
        target, args, kwargs = table.get("target"), table.get("args", []), table.get("kwargs", {})
        if not isinstance(target, str) or not target.rpartition(":")[0] or not target.rpartition(":")[2]:
            shown = "" if target is None else f", not {toml(target)}"
            raise ValueError(f'each needs a target such as "model.py:Net"{shown}')
        if not isinstance(args, list):
            raise ValueError(f"expected a list of args for {target}, not {toml(args)}")
        if not isinstance(kwargs, dict):
            raise ValueError(f"expected a table of kwargs for {target}, not {toml(kwargs)}")
        rest = {key: value for key, value in table.items() if key not in ("target", "args", "kwargs")}
        return ModelEntry(target, tuple(args), tuple(kwargs.items()), tuple(rest.items()))


def table_of(entry: ModelEntry) -> dict[str, Any]:
    """An entry's target and arguments as the table that they were read from."""
    arguments = {"args": entry.args, "kwargs": dict(entry.kwargs)}
    return {"target": entry.target, **{key: value for key, value in arguments.items() if value}}


def lines(target: str, args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    """The lines of a configuration file that give a model its arguments."""
    given = [f"args = {toml(list(args))}"] if args else []
    given += [f"kwargs = {toml(kwargs)}"] if kwargs else []
    return "\n".join(["[[tool.netcheck.model]]", f"target = {toml(target)}", *given])


def same(one: str, other: str) -> bool:
    """Whether two paths lead to one file."""
    return os.path.realpath(one) == os.path.realpath(other)
