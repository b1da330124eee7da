"""Importing a user's file as Python itself would, without letting it get in the way of other modules.

    src/pack/models/net.py     as pack.models.net, with src/ on the path: relative imports work
    scripts/train.py           as train, with scripts/ on the path
    types.py, queue.py         under a name of their own: the standard library keeps its modules
    my-net v2.py               any name will do
    study.ipynb                the cells that its models need

User folders come after the standard library and before installed packages. Modules of one project are
forgotten when a file of another one is loaded, so that both may have a `utils.py`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from netcheck.errors import LoadError
from netcheck.findings import Location
from netcheck.load import fence
from netcheck.load.guard import is_installed, user_code
from netcheck.load.statements import Statements
from netcheck.source.needed import needed
from netcheck.source.parse import SourceFile, Unreadable, parse

PROJECT_FILES = (".git", "pyproject.toml", "setup.py", "setup.cfg")
HIGHEST = 12  # folders above a file in which the top of its project is looked for


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
        raise LoadError(f"{show(path)} {error}", help="correct the file", location=place) from error
    root, name = module_name(path, source.tree)
    with search_path(path, root), user_code(f"importing {show(path)}", path), fence.building(), resilient():
        if path.endswith(".ipynb"):
            return run(source, own_name(path), needed(source.tree, symbols) if symbols else source.tree)
        loaded = sys.modules.get(name)
        if loaded is not None and same_file(loaded, path):
            return loaded
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
    with around, user_code(f"importing {name}", name), fence.building(), resilient(), wanted(name, symbols):
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


def module_name(path: str, tree: ast.Module) -> tuple[str, str]:
    """The folder that must be on the path for a file, and the dotted name of its module there."""
    folder, file = os.path.split(path)
    stem = os.path.splitext(file)[0]
    parts = [] if stem == "__init__" else [stem]
    climb = highest_relative_import(tree)
    while os.path.isfile(os.path.join(folder, "__init__.py")) or climb > 0:
        folder, package = os.path.split(folder)
        if not package or "." in package:
            return os.path.dirname(path), own_name(path)
        parts.insert(0, package)
        climb -= 1
    name = ".".join(parts)
    taken = parts[0] in sys.stdlib_module_names or parts[0] in ("__main__", "torch", "netcheck")
    if taken or (len(parts) == 1 and "." in stem):
        return os.path.dirname(path), own_name(path)
    return folder, name


def highest_relative_import(tree: ast.Module) -> int:
    """The most dots of a relative import: how many folders above a
    file are packages even without __init__.py.
    """
    return max((node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)), default=0)


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
    folders = dict.fromkeys([root, *source_roots(root), *([] if in_package(path) else [os.path.dirname(path)])])
    forget_others(tuple(folders))
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


given = tuple(sys.path)  # as netcheck was started
given_modules = frozenset(sys.modules)
added: list[str] = []  # the folders of the project that is being worked on


def source_roots(root: str) -> list[str]:
    """The top of the project that a folder lies in, and its `src`."""
    place = root
    for _ in range(HIGHEST):
        if any(os.path.exists(os.path.join(place, name)) for name in PROJECT_FILES):
            source = os.path.join(place, "src")
            return [place, source] if os.path.isdir(source) else [place]
        above = os.path.dirname(place)
        if above == place:
            break
        place = above
    return []


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
