"""Which files define models, and which symbols in them. Imports no torch.

    files --bytes filter--> ast --> classes, instances, factories --> roots
                                        ResNet  builds  BasicBlock      ResNet

Only roots are reported: what another candidate builds is checked inside it. A file that mentions no library
of neural networks is not even parsed, unless it names a model class that another file of the tree defines.
"""

from __future__ import annotations

import ast
import gc
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from netcheck.source import models, ways
from netcheck.source.builders import family, file_index, returned
from netcheck.source.imports import definitions
from netcheck.source.mentions import LARGEST, derives, may_define_models, names_one
from netcheck.source.needed import root_name
from netcheck.source.parse import Unreadable, limit_of, parse, read
from netcheck.source.scopes import FileIndex, FunctionNode, Scope, assignments, index_file, local_names
from netcheck.source.spots import spot
from netcheck.source.walk import python_files

Code = list[tuple[ast.AST, frozenset[str]]]  # with the names that are local there
NONE: frozenset[str] = frozenset()
Kind = Literal["class", "instance", "factory"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that a file defines: `symbol` is a class, a variable that holds a model,
    or a function that makes one.
    """

    file: str
    symbol: str
    kind: Kind
    line: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file in which no model was looked for or found. `reason` follows the file's name in a sentence."""

    file: str
    reason: str
    line: int | None = None
    unreadable: bool = False  # nobody could have looked
    beside: bool = False  # a class of a file that has others: said whatever they come to


@dataclass(frozen=True, slots=True)
class Discovery:
    """What `discover` found, both in the order of the files; what each model that was found, root or not, builds itself; and the
    files that were looked at.
    """

    candidates: tuple[Candidate, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    parts: dict[Candidate, tuple[Candidate, ...]] = field(default_factory=dict)
    files: tuple[str, ...] = ()


@dataclass(eq=False)
class Definition:
    """A candidate before it is known whether another one contains it."""

    candidate: Candidate
    scope: Scope  # the class, the function, or the module of a variable
    values: list[ast.expr] = field(default_factory=list)  # what a variable is assigned
    can_run: bool = True  # a class without forward, and without methods in its place, is named and hides nothing


@contextmanager
def uncollected() -> Iterator[None]:
    """Have Python not look for cycles: syntax trees have none, and millions of parts to look at."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def discover(paths: Sequence[str], left_out: Callable[[str], bool] = lambda file: False) -> Discovery:
    """Find the models that files and folders define.

    Args:
        paths: files, each of which is answered for by a candidate or a reason; and folders, which are walked.
        left_out: whether a file in a folder is not to be looked at.

    Returns:
        The root models, and the files that cannot be read. Of files in folders that define no model nothing
        is said.
    """
    named = {path: None for path in paths if not os.path.isdir(path)}
    folders = [path for path in paths if os.path.isdir(path)]
    walked = {file: None for path in folders for file in python_files(path) if not left_out(file)}
    files = list(named | walked)
    skipped: list[Skipped] = []
    indexes = list(parsed(files, named.keys(), skipped))
    shown = {os.path.abspath(file): file for file in reversed(files)}
    definitions_found = [
        one for files_index in indexes for one in sorted(defined_in(files_index, shown), key=lambda one: one.candidate.line)
    ]
    skipped += [one for files_index in indexes for one in out_of_reach(files_index, shown)]
    built = parts_built(definitions_found)
    roots = roots_of(definitions_found, built)
    order = {file: number for number, file in enumerate(files)}
    answered = {one.file for one in skipped if not one.beside} | {root.candidate.file for root in roots}
    everything = {one.candidate.file for one in definitions_found}
    for file in named.keys() - answered:
        inside = file in everything
        skipped.append(Skipped(file, "defines only models that others contain" if inside else "defines no model"))
    candidates = sorted((root.candidate for root in roots), key=lambda c: (order[c.file], c.line))
    known = {id(one): one.candidate for one in definitions_found}
    parts = {one.candidate: tuple(known[part] for part in built[id(one)]) for one in definitions_found}
    return Discovery(tuple(candidates), tuple(sorted(skipped, key=lambda s: order[s.file])), parts, tuple(files))


def parsed(files: Sequence[str], named: Iterable[str], skipped: list[Skipped]) -> Iterator[FileIndex]:
    """The syntax trees of the files that may define a model;
    adds to `skipped` those that should but cannot be read.
    """
    named = set(named)
    others: list[str] = []  # they mention no library
    known: set[str] = set()  # the names of the model classes so far
    for file in files:
        mention = mentions_library(file, skipped, is_named=file in named)
        if mention is False:
            others.append(file)
        elif mention and (found := index_or_reason(file, skipped)):
            known |= model_names(found)
            yield found
    while known and others:  # a class may derive from a model class of the tree, and another one from that
        names = frozenset(name.encode() for name in known)
        naming = dict.fromkeys(file for file in others if names_one(file, names))
        others = [file for file in others if file not in naming]
        known = set()
        for file in naming:
            reasons: list[Skipped] = []
            if found := index_or_reason(file, reasons):
                known |= model_names(found)
                yield found
            elif derives(file, names):  # others, such as the same model for another framework, are no concern
                skipped += reasons


def mentions_library(file: str, skipped: list[Skipped], *, is_named: bool) -> bool | None:
    """Whether a file mentions a library and may define something; None if it is answered for in `skipped`."""
    try:
        raw = read(file, LARGEST)
    except Unreadable as error:
        skipped.append(Skipped(file, str(error), unreadable=True))
        return None
    text = raw.replace(b"\0", b"") if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else raw  # UTF-16: a reason to give
    wanted = may_define_models(text)
    most = limit_of(file)
    if len(raw) > most and (wanted or is_named):
        size, limit = len(raw) / 2**20, most / 2**20
        reason = f"is {size:.1f} MiB, more than the {limit:.0f} MiB that netcheck reads"
        skipped.append(Skipped(file, reason, unreadable=True))
        return None
    return len(raw) <= most and (wanted or is_named)


def index_or_reason(file: str, skipped: list[Skipped]) -> FileIndex | None:
    """The index of a file; None, and a reason in `skipped`, if it is no Python."""
    try:
        return index_file(parse(os.path.abspath(file)))  # as imports find it, so that both have one tree
    except Unreadable as error:
        skipped.append(Skipped(file, str(error), error.line, unreadable=True))
        return None


def model_names(files: FileIndex) -> set[str]:
    """The names of the model classes and factories of a file, by which other files may use them."""
    return {
        scope.node.name
        for scopes in files.scopes.values()
        for scope in scopes
        if isinstance(scope.node, ast.ClassDef) and models.is_model(scope)
    }


def defined_in(files: FileIndex, shown: dict[str, str]) -> Iterator[Definition]:
    """Every model class, instance and factory at the top of a file,
    which candidates call by its name in `shown`.
    """
    module = files.scopes[""][0]
    path = shown[files.file.path]
    top = [*files.file.tree.body, *models.own_statements_unguarded(files.file.tree.body)]
    blocks = {id(s): s for s in top}
    reachable = {id(child) for s in blocks.values() for child in (s, *blocks_of(s))}
    for scopes in files.scopes.values():
        scope = scopes[-1]
        if scope.parent is not module or id(scope.node) not in reachable:
            continue
        assert not isinstance(scope.node, ast.Module)
        line, name = scope.node.lineno, scope.node.name
        if isinstance(scope.node, ast.ClassDef):
            if models.is_model(scope) and not models.is_abstract(scope):
                entry = models.can_run(scope) or bool(ways.ways_in(scope))
                yield Definition(Candidate(path, name, "class", line), scope, can_run=entry)
        elif models.is_addressable_factory(scope):
            yield Definition(Candidate(path, name, "factory", line), scope)
    yield from instances(module, path, blocks.values())


def out_of_reach(files: FileIndex, shown: dict[str, str]) -> Iterator[Skipped]:
    """The model classes of a file that no name at its top leads to: made by a function, or replaced by another of the name."""
    path = shown[files.file.path]
    classes = [scope for scope in files.classes() if models.is_model(scope) and models.can_run(scope)]
    for scope in sorted(classes, key=lambda one: one.node.lineno):  # type: ignore[union-attr]
        assert isinstance(scope.node, ast.ClassDef)
        what = f"{spot(path, scope.node.lineno)}: class {scope.node.name} is not checked"
        last = files.scopes[scope.qualname][-1]
        maker = scope.parent.node if scope.parent is not None else None
        if scope is not last:
            line = getattr(last.node, "lineno", 0)
            yield Skipped(path, f"{what}, for {spot(path, line)} defines another one", beside=True)
        elif isinstance(maker, FunctionNode) and is_maker(scope):
            yield Skipped(path, f"{what}, for {maker.name} makes it: name a function that builds it", beside=True)


def is_maker(scope: Scope) -> bool:
    """Whether the function around a class gives the class itself: not what it builds of it, nor for a test."""
    function = scope.parent
    assert function is not None
    assert isinstance(scope.node, ast.ClassDef)
    name = scope.node.name
    return any(isinstance(value, ast.Name) and value.id == name for value in returned(function))


def blocks_of(statement: ast.stmt) -> Iterator[ast.stmt]:
    """The definitions directly inside an if, try or with statement."""
    if isinstance(statement, ast.If) and models.is_never_imported(statement.test):
        yield from statement.orelse
    elif not isinstance(statement, ast.ClassDef | FunctionNode):
        for name in ("body", "orelse", "finalbody"):
            yield from getattr(statement, name, ())


def instances(module: Scope, path: str, statements: Iterable[ast.stmt]) -> Iterator[Definition]:
    """The variables at the top of a file that hold a model, each once."""
    found: dict[str, Definition] = {}
    for statement in statements:
        for target, value in assignments(statement):
            if not isinstance(target, ast.Name) or isinstance(value, ast.Name) or target.id.startswith("__"):
                continue
            if target.id in found:
                found[target.id].values.append(value)
            elif models.makes_model(value, module):
                candidate = Candidate(path, target.id, "instance", statement.lineno)
                found[target.id] = Definition(candidate, module, [value])
    yield from found.values()


def parts_built(found: list[Definition]) -> dict[int, dict[int, None]]:
    """The ids of the definitions that each one builds, by its id; of a variable the class that it is made by is the first."""
    by_node = {id(one.scope.node): one for one in found if one.candidate.kind != "instance"}
    by_variable = {(one.scope.file.path, one.candidate.symbol): one for one in found if one.candidate.kind == "instance"}
    symbols = frozenset(one.candidate.symbol for one in by_node.values())
    built = {id(one): dict.fromkeys(parts_of(one, by_node, by_variable, symbols)) if one.can_run else {} for one in found}
    return {number: {part: None for part in inside if part != number} for number, inside in built.items()}


def roots_of(found: list[Definition], built: dict[int, dict[int, None]]) -> list[Definition]:
    """The definitions that no other one builds; of a ring of classes that build each other, the first."""
    by_node = {id(one.scope.node): one for one in found if one.candidate.kind != "instance"}
    inside = {part for parts in built.values() for part in parts}
    bases = [by_node[base] for base in bases_of(found) if base in by_node]
    headless = {id(base) for base in bases if not models.can_run(base.scope)}
    inside |= {id(base) for base in bases if needs_arguments(base)} | headless
    roots = [one for one in found if id(one) not in inside]
    reached = set(headless)
    reach(roots, built, reached)
    for one in found:
        if id(one) not in reached:
            roots.append(one)
            reach([one], built, reached)
    return roots


def bases_of(found: list[Definition]) -> Iterator[int]:
    """The ids of the classes that others derive from."""
    for one in found:
        if one.candidate.kind == "class":
            yield from (id(base.node) for base in family(one.scope) if base is not one.scope)


def needs_arguments(one: Definition) -> bool:
    """Whether a class cannot be built as it is: if others derive from it, it was made for them."""
    for base in family(one.scope):
        for scope in file_index(base).scopes.get(f"{base.qualname}.__init__", [])[-1:]:
            assert isinstance(scope.node, FunctionNode)
            return models.required_arguments(scope.node) > 1
    return False


def reach(start: Iterable[Definition], built: dict[int, dict[int, None]], reached: set[int]) -> None:
    """Add to `reached` all that the definitions in `start` build, and what that builds."""
    pending = [id(one) for one in start]
    while pending:
        one = pending.pop()
        if one not in reached:
            reached.add(one)
            pending += built[one]


def parts_of(
    one: Definition,
    by_node: dict[int, Definition],
    by_variable: dict[tuple[str, str], Definition],
    symbols: frozenset[str],
) -> Iterator[int]:
    """The definitions that the code of one definition uses to build something; `symbols` are the names of all."""
    scope = one.scope
    values: Code = [(value, NONE) for value in one.values]
    code = values if one.candidate.kind == "instance" else building_code(scope.node)
    module = file_index(scope).scopes[""][0]
    local, imported = file_index(scope).top_names, file_index(scope).imports
    followed: set[str] = set()
    helpers: set[int] = set()
    while code:
        part, own = code.pop()
        own |= drawn_in(part)
        for node in ast.walk(part):
            if not isinstance(node, ast.Name | ast.Attribute) or root_name(node) in own:
                continue
            if isinstance(node, ast.Name) and node.id in module.assigned and node.id not in followed:
                followed.add(node.id)  # BLOCKS = {"basic": BasicBlock}
                code += [(value, NONE) for value in module.assigned[node.id]]
                variable = by_variable.get((scope.file.path, node.id))
                if variable is not None:
                    yield id(variable)
            last = node.id if isinstance(node, ast.Name) else node.attr
            if last in symbols or last in local or last in imported:
                for found in definitions(node, module):
                    if id(found.node) in by_node:
                        yield id(by_node[id(found.node)])
                    elif found.node is not one.scope.node and id(found.node) not in helpers:
                        helpers.add(id(found.node))  # one that builds: _resnet(BasicBlock, ...)
                        code += building_code(found.node)


def drawn_in(part: ast.AST) -> frozenset[str]:
    """The names that comprehensions give to what they go over: `_` of `[Layer() for _ in range(6)]` is not the module's."""
    targets = (node.target for node in ast.walk(part) if isinstance(node, ast.comprehension))
    return frozenset(node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))


def building_code(node: ast.AST, own: frozenset[str] = NONE) -> Code:
    """The code of a class or function without its bases, decorators and annotations; `own` are the names around it."""
    if isinstance(node, ast.ClassDef):
        return [part for statement in node.body for part in building_code(statement, own)]
    if isinstance(node, FunctionNode):
        defaults = [(default, own) for default in (*node.args.defaults, *node.args.kw_defaults) if default is not None]
        inside = own | local_names(node)
        return [*defaults, *(part for statement in node.body for part in building_code(statement, inside))]
    if isinstance(node, ast.AnnAssign):
        return [(node.value, own)] if node.value is not None else []
    return [(node, own)]
