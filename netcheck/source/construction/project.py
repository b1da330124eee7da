"""The files of a project, and where they call what. Imports no torch.

pygcn/                 setup.py: here the project begins
  pygcn/models.py      class GCN
  pygcn/train.py       GCN(...)          Project("pygcn").calls("GCN")
  configs/cora.yaml    read where the code reads it
  README.md            its examples are files, too
"""

from __future__ import annotations

import ast
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache

from netcheck.source import markdown
from netcheck.source.imports import is_top
from netcheck.source.parse import Unreadable, read, text_of
from netcheck.source.scopes import FileIndex, FunctionNode, Scope, index
from netcheck.source.walk import LEFT_OUT, python_files

SIGNS = ("requirements.txt", "environment.yml", "LICENSE", "LICENSE.md", "LICENSE.txt", "README.md", "README.rst", "README")
HIGHEST = 6  # folders above a file in which the top of its project is looked for
MOST_FILES = 4000
MOST_SETTINGS = 400  # configuration files that are looked at
SETTINGS = (".yaml", ".yml", ".json", ".toml")
LARGEST_SETTINGS = 256 * 1024  # bytes: more is data
MOST_WAYS = 40  # calls of one name


@dataclass(frozen=True, eq=False)
class Site:
    """A call and the scope that it stands in."""

    call: ast.Call
    scope: Scope

    @property
    def file(self) -> str:
        """Its file."""
        return self.scope.file.path


def project_of(file: str) -> Project:
    """The project that a file belongs to."""
    return opened(top_of(os.path.abspath(file)))


@lru_cache(maxsize=4096)
def top_of(file: str) -> str:
    """The folder in which the project of a file begins: the highest with a sign of one, below which all is one project."""
    folder = os.path.dirname(file)
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder = os.path.dirname(folder)
    found = place = folder
    home = os.path.expanduser("~")
    for _ in range(HIGHEST):
        if place in (home, os.path.dirname(place)):
            break
        if is_top(place):
            return place
        if any(os.path.exists(os.path.join(place, name)) for name in SIGNS):
            found = place
        place = os.path.dirname(place)
    return found


@lru_cache(maxsize=8)
def opened(top: str) -> Project:
    """One project, known once."""
    return Project(top)


class Project:
    """All Python files below a folder; each is read when a name is looked for, and parsed if it has it."""

    def __init__(self, top: str) -> None:
        self.top = top
        self._calls: dict[str, list[Site]] = {}

    @cached_property
    def files(self) -> list[str]:
        """The project's Python files, as absolute paths."""
        return [os.path.abspath(file) for file in python_files(self.top)[:MOST_FILES]]

    @cached_property
    def texts(self) -> dict[str, bytes]:
        """Each file's content, and last the examples in the README at the top."""
        found = {}
        for file in self.files:
            with suppress(Unreadable):
                found[file] = read(file)
        for file in self.readmes():
            with suppress(Unreadable):
                text = text_of(file)
                found |= {part: (markdown.part(part, text) or "").encode() for part in markdown.parts_of(file, text)}
        return found

    def readmes(self) -> list[str]:
        """The README at the top, however its name is written."""
        try:
            names = sorted(os.listdir(self.top))
        except OSError:
            return []
        return [os.path.join(self.top, name) for name in names if name.lower() == "readme.md"]

    @cached_property
    def settings(self) -> list[str]:
        """Files that may hold configuration, those in few folders first."""
        found: list[str] = []
        for place, folders, names in os.walk(self.top):
            folders[:] = sorted(name for name in folders if name not in LEFT_OUT and not name.startswith("."))
            files = [os.path.join(place, name) for name in sorted(names) if name.endswith(SETTINGS) and not name.startswith(".")]
            found += [file for file in files if os.path.getsize(file) <= LARGEST_SETTINGS]
            if len(found) > MOST_SETTINGS:
                break
        return found[:MOST_SETTINGS]

    def mentioning(self, word: str) -> list[str]:
        """The files in whose text a word stands."""
        return [file for file, text in self.texts.items() if word.encode() in text]

    def calls(self, name: str) -> list[Site]:
        """Every call of something with this last name: `Net(...)`, `models.Net(...)`."""
        if name not in self._calls:
            sites = (site for file in self.mentioning(f"{name}(") for site in calls_in(file).get(name, ()))
            self._calls[name] = [site for site, _ in zip(sites, range(MOST_WAYS), strict=False)]
        return self._calls[name]


def calls_in(file: str) -> dict[str, list[Site]]:
    """The calls of a file by the last part of the name that is called; "" for what has no name: `models[name](...)`."""
    files = index(file)
    return {} if files is None else calls_of_file(files)


@lru_cache(maxsize=4096)
def calls_of_file(files: FileIndex) -> dict[str, list[Site]]:
    """The same for one version of a file."""
    found: dict[str, list[Site]] = {}
    scopes = {id(scope.node): scope for group in files.scopes.values() for scope in group}
    pending: list[tuple[ast.AST, Scope]] = [(files.file.tree, files.scopes[""][0])]
    while pending:
        node, scope = pending.pop()
        if isinstance(node, ast.ClassDef | FunctionNode):
            scope = scopes.get(id(node), scope)
        if isinstance(node, ast.Call):
            called = node.func
            name = called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
            found.setdefault(name, []).append(Site(node, scope))
        pending += [(child, scope) for child in ast.iter_child_nodes(node)]
    for sites in found.values():
        sites.sort(key=lambda site: site.call.lineno)
    return found
