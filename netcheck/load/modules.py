"""Importing a user's file as Python itself would, without letting it get in the way of other modules.

    src/pack/models/net.py     as pack.models.net, with src/ on the path: relative imports work
    scripts/train.py           as train, with scripts/ on the path
    types.py, queue.py         under a name of their own: the standard library keeps its modules
    my-net v2.py               any name will do
    study.ipynb                the cells that its models need

User folders come after the standard library and before installed packages: the top of the project first, then the file's own;
what is found in none of them is looked for in the folders between and above. Modules of one project are forgotten when a file of
another one is loaded, so that both may have a `utils.py`.
"""

from __future__ import annotations

import ast
import contextlib
import glob
import hashlib
import importlib
import importlib.machinery
import importlib.util
import linecache
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from netcheck.errors import LoadError
from netcheck.figures.unchecked import Reason
from netcheck.findings import Location
from netcheck.load import fence
from netcheck.load.fence.command_line import own_command_line
from netcheck.load.guard import user_code
from netcheck.load.raised import is_installed
from netcheck.load.statements import Statements
from netcheck.load.unwritten import unwritten_is_nan
from netcheck.source.dependencies import files_of, imported
from netcheck.source.guarded import needed_of_main
from netcheck.source.imports import folders_above, project_roots
from netcheck.source.needed import needed
from netcheck.source.parse import SourceFile, Unreadable, parse

MOST_FILES = 256  # that import each other relatively, until it is known how high they reach


def import_file(path: str, symbols: Sequence[str] = ()) -> ModuleType:
    """Import a Python file or notebook.

    Args:
        path: the file.
        symbols: what is wanted of it; of a notebook only the statements that define these are run, and of other files
            those that they do not need must not take long.

    Raises:
        LoadError: it is not Python, or raised.
    """
    path = os.path.abspath(path)
    try:
        source = parse(path)
    except Unreadable as error:
        place = Location(path, error.line or 1)
        failed = LoadError(f"{show(path)} {error}", help="correct the file", location=place)
        failed.reason = Reason.IMPORT
        raise failed from error
    root, name = module_name(path)
    around = search_path(path, root)
    with around, user_code(f"importing {show(path)}", path), importing(), own_command_line(path):
        if path.endswith(".ipynb"):
            linecache.cache[path] = (len(source.raw), None, [f"{line}\n" for line in source.lines], path)
            return run(source, own_name(path), needed(source.tree, symbols) if symbols else source.tree)
        loaded = sys.modules.get(name)
        if loaded is not None and same_file(loaded, path):
            if all(hasattr(loaded, symbol.partition(".")[0]) for symbol in symbols):
                return loaded
            del sys.modules[name]  # what defines the symbol was left out then, for it was not needed
        if "." in name:
            with wanted(name, symbols):
                module = importlib.import_module(name)
            if same_file(module, path):
                return module
        return run(source, name if name not in sys.modules else own_name(path), source.tree, symbols)


def import_module(name: str, symbols: Sequence[str] = ()) -> ModuleType:
    """Import a dotted module, of which `symbols` are wanted.

    Raises:
        LoadError: there is none, or it raised.
    """
    around = search_path(os.path.join(os.getcwd(), "-"), os.getcwd())
    alone = own_command_line(name)
    with around, user_code(f"importing {name}", name), importing(), alone, wanted(name, symbols):
        return importlib.import_module(name)


def show(path: str) -> str:
    """A path as a person in this folder would write it."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def run(source: SourceFile, name: str, tree: ast.Module, symbols: Sequence[str] = ()) -> ModuleType:
    """Execute a tree as the module `name`, of which `symbols` are wanted; a module that raises is forgotten again."""
    spec = importlib.util.spec_from_loader(name, loader=None, origin=source.path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = source.path
    module.__package__ = name.rpartition(".")[0]
    sys.modules[name] = module
    try:
        Statements(source.path, tree, vars(module), symbols).run()
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


@contextmanager
def importing() -> Iterator[None]:
    """What holds while user code is imported."""
    with fence.building(), unwritten_is_nan(), resilient():
        yield


@contextmanager
def resilient() -> Iterator[None]:
    """Have the modules of the user's that are imported meanwhile run like the file itself: past what is not let happen."""
    kind = importlib.machinery.SourceFileLoader
    before, own = kind.exec_module, "exec_module" in vars(kind)

    def exec_module(loader: Any, module: ModuleType) -> None:
        tree = None if is_installed(loader.path) else tree_of(loader.path)
        if tree is None:
            before(loader, module)
        else:
            symbols = symbols_of.get(module.__name__, ())
            Statements(loader.path, tree, vars(module), symbols).run(loader.get_code(module.__name__))

    setattr(kind, "exec_module", exec_module)  # noqa: B010
    try:
        yield
    finally:
        if own:
            setattr(kind, "exec_module", before)  # noqa: B010
        else:
            del kind.exec_module


def define_from_main(path: str, namespace: ModuleType) -> None:
    """Define what the classes of a file read that only its block under `if __name__ == "__main__":` defines, where that runs.

    `path` is absolute.
    """
    tree = tree_of(path)
    part, symbols = needed_of_main(tree, vars(namespace)) if tree is not None else (ast.Module([], []), [])
    if not symbols:
        return
    with fence.building(), resilient(), own_command_line(path), contextlib.suppress(Exception, SystemExit):
        Statements(path, part, vars(namespace)).run()


def tree_of(path: str) -> ast.Module | None:
    """The statements of a file of the user's that is imported; None where the import itself must say what is wrong."""
    try:
        return parse(path).tree
    except Unreadable:
        return None


symbols_of: dict[str, Sequence[str]] = {}  # what is wanted of a module, while it is imported


@contextmanager
def wanted(name: str, symbols: Sequence[str]) -> Iterator[None]:
    """Have the module run for these symbols when it is imported meanwhile."""
    symbols_of[name] = symbols
    try:
        yield
    finally:
        del symbols_of[name]


def module_name(path: str) -> tuple[str, str]:
    """The folder that must be on the path for a file, and the dotted name of its module there."""
    folder, file = os.path.split(path)
    stem = os.path.splitext(file)[0]
    parts = [] if stem == "__init__" else [stem]
    top = highest_package(path)
    while os.path.isfile(os.path.join(folder, "__init__.py")) or is_inside(folder, top):
        folder, package = os.path.split(folder)
        if not package or "." in package:
            return os.path.dirname(path), own_name(path)
        parts.insert(0, package)
    taken = parts[0] in sys.stdlib_module_names or parts[0] in ("__main__", "torch", "netcheck")
    if len(parts) == 1 and (taken or "." in stem):
        return os.path.dirname(path), own_name(path)
    if taken:  # a folder called code, or test
        place = os.path.join(folder, parts[0])
        parts[0] = own_name(place)
        around.named[parts[0]] = place
    return folder, ".".join(parts)


def highest_package(path: str) -> str:
    """The highest folder that a file, and what it imports relatively, take for a package even without `__init__.py`.

    "" where there are no relative imports.
    """
    pending, seen, highest = [path], set[str](), ""
    while pending and len(seen) < MOST_FILES:
        one = pending.pop()
        if one in seen:
            continue
        seen.add(one)
        folder = os.path.dirname(one)
        for level, module in imported(one):
            if level:
                base = folder if level == 1 else os.path.normpath(os.path.join(folder, *[os.pardir] * (level - 1)))
                highest = base if not highest or is_inside(highest, base) else highest
                pending += files_of(folder, level, module)
    return highest


def is_inside(folder: str, top: str) -> bool:
    """Whether a folder is another one or lies in it; in "" nothing does."""
    return bool(top) and f"{folder}{os.sep}".startswith(f"{top.rstrip(os.sep)}{os.sep}")


def own_name(path: str) -> str:
    """A module name that nothing else has."""
    stem = os.path.splitext(os.path.basename(path))[0]
    return f"netcheck_target_{hashlib.sha1(os.fsencode(path)).hexdigest()[:8]}_{stem.replace('.', '_')}"


def same_file(module: ModuleType, path: str) -> bool:
    """Whether a module was loaded from this file."""
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and os.path.realpath(file) == os.path.realpath(path)


@contextmanager
def search_path(path: str, root: str) -> Iterator[None]:
    """Let imports find what lies around a file, from now on and for as long as the process works on this
    project.

    What user code may import later, in forward, must be found as well, so the path stays; the next project
    replaces it. No bytecode is written beside a user's files.
    """
    here = os.path.dirname(path)
    folders = dict.fromkeys([*project_roots(here), root, *([] if in_package(path) else [here])])
    forget_others(tuple(folders))
    around.folders, around.here = folders_above(here), here
    sys.meta_path[:] = [*(one for one in sys.meta_path if one is not around), around]
    kept = [entry for entry in sys.path if entry not in folders and entry not in added]
    position = first_installed(kept)
    sys.path[:] = [*kept[:position], *folders, *kept[position:]]
    added[:] = [folder for folder in folders if folder not in given]
    importlib.invalidate_caches()
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


class Around:
    """Finds modules of a project that lie neither at its top nor beside the file: in a folder between, or above.

    Python asks it last, so nothing that is installed is hidden.
    """

    def __init__(self) -> None:
        self.folders: Sequence[str] = ()
        self.here = ""
        self.named: dict[str, str] = {}  # folders by the name of the package that each is, for that of the folder is taken

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """Where a module at the top of a folder is; None for parts of a package."""
        if path is not None:
            return None
        if name in self.named:
            return package_at(name, self.named[name])
        for folder in (*self.folders, *self.relative()):
            found = importlib.machinery.PathFinder.find_spec(name, [folder])
            if found is not None and found.origin is not None:
                return found
            if found is not None and glob.glob(os.path.join(glob.escape(folder), name, "*.py")):
                return package_at(name, os.path.join(folder, name))
        return None

    def relative(self) -> list[str]:
        """What code has added to the path from where it is meant to be run: `sys.path.append("utils")`."""
        entries = [one for one in sys.path if one and not os.path.isabs(one)]
        return [os.path.normpath(os.path.join(folder, one)) for one in entries for folder in (self.here, *self.folders)]


def package_at(name: str, folder: str) -> importlib.machinery.ModuleSpec:
    """The spec of a folder as the package `name`, whatever the folder is called and whether or not it has an `__init__.py`."""
    file = os.path.join(folder, "__init__.py")
    if os.path.isfile(file):
        found = importlib.util.spec_from_file_location(name, file, submodule_search_locations=[folder])
        assert found is not None
        return found
    found = importlib.machinery.ModuleSpec(name, None, is_package=True)
    found.submodule_search_locations = [folder]
    return found


around = Around()
given = tuple(sys.path)  # as netcheck was started
given_modules = frozenset(sys.modules)
added: list[str] = []  # the folders of the project that is being worked on


def in_package(path: str) -> bool:
    """Whether a file lies in a folder that is a package."""
    return os.path.isfile(os.path.join(os.path.dirname(path), "__init__.py"))


def first_installed(entries: Sequence[str]) -> int:
    """Where installed packages begin on a search path."""
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    for number, entry in enumerate(entries):
        if entry in installed or entry.endswith(("site-packages", "dist-packages")):
            return number
    return len(entries)


def forget_others(folders: tuple[str, ...]) -> None:
    """Forget the modules of other projects, whose names the next file may use for its own."""
    if not added or tuple(added) == folders:
        return
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or name in given_modules or is_installed(file):
            continue
        if file.startswith(tuple(f"{folder}{os.sep}" for folder in added)):
            sys.modules.pop(name, None)
