"""One file, as it trains: the courses through it, and the classes that a framework trains by."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache

from netcheck.source.builders import family, file_index
from netcheck.source.parse import SourceFile, Unreadable, parse
from netcheck.source.scopes import FunctionNode, Scope, index_file
from netcheck.source.training.events import Course, FrameworkClass, Loop, TrainingFile
from netcheck.source.training.values import full_name
from netcheck.source.training.walk import Walk

TRAINS = re.compile(rb"backward|zero_grad|def training_step|def compute_loss|DistributedSampler|torch[\s\S]*\.step\b")
LIBRARIES = re.compile(rb"torch|lightning|transformers")
OF_MODULES = frozenset("parameters named_parameters eval".split())  # who calls one of these, calls it on a module
BY_THE_TRAINER = frozenset("training_step validation_step test_step predict_step".split())  # methods of a LightningModule
WITHOUT_GRADIENT = frozenset("validation_step test_step predict_step".split())
BY_FRAMEWORK = {"lightning": BY_THE_TRAINER, "trainer": frozenset(("compute_loss",))}
OF_STEPS = frozenset("backward manual_backward zero_grad step".split())
APART = frozenset(("forward", "__init__", "extra_repr", "configure_optimizers"))  # methods that no course begins with


def may_train(raw: bytes) -> bool:
    """Whether the bytes of a file mention a library and something of a training step: spares parsing most files."""
    return LIBRARIES.search(raw) is not None and TRAINS.search(raw) is not None


def read(path: str) -> TrainingFile:
    """How a file trains; an empty `TrainingFile` where it cannot be read or is no Python."""
    try:
        source = parse(path)
    except Unreadable:
        return TrainingFile(path)
    return read_source(source)


@lru_cache(maxsize=256)
def read_source(source: SourceFile) -> TrainingFile:
    """How a parsed file trains."""
    if not may_train(source.raw):
        return TrainingFile(source.path)
    index = index_file(source)
    module = index.scopes[""][0]
    modules = used_as_modules(source.tree)
    classes = tuple(framework_classes(module))
    followed: set[int] = set()
    courses: list[Course] = []

    def follow(scope: Scope, kind: str = "", *, loop: bool = False, grad: bool = True) -> None:
        walk = Walk(modules)
        around = Loop(scope.node, scope) if loop and isinstance(scope.node, FunctionNode) else None
        courses.append(walk.course(scope, kind, around, grad=grad))
        followed.update(walk.followed)

    leading = leading_to_steps(module)
    if id(module.node) in leading:
        follow(module)
    for one in classes:
        for name in BY_FRAMEWORK[one.kind]:
            if name in one.methods:
                follow(one.methods[name], one.kind, loop=True, grad=name not in WITHOUT_GRADIENT)
    for scope in beginnings(module, followed):
        if id(scope.node) not in followed and id(scope.node) in leading:
            follow(scope)
    return TrainingFile(source.path, tuple(courses), classes, names_in(source.tree))


def beginnings(module: Scope, followed: set[int]) -> Iterator[Scope]:
    """The functions and methods that nothing has led to, those first whose name no call in the file has."""
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(module.file.tree)
        if isinstance(node, ast.Call)
    }
    scopes = [one for found in file_index(module).scopes.values() for one in found if isinstance(one.node, FunctionNode)]
    apart = [one for one in scopes if getattr(one.node, "name", "") not in APART and not inside_function(one)]
    yield from sorted(apart, key=lambda one: (getattr(one.node, "name", "") in called, one.node.lineno))  # type: ignore[union-attr]


def leading_to_steps(module: Scope) -> set[int]:
    """The ids of the functions, and of the module, that name something of a step, or a function that does, by its name."""
    scopes = [one for found in file_index(module).scopes.values() for one in found if not isinstance(one.node, ast.ClassDef)]
    named = {id(one.node): (one, names_below(one)) for one in scopes}
    wanted = set(OF_STEPS)
    found: set[int] = set()
    while new := [number for number, (_, names) in named.items() if number not in found and not names.isdisjoint(wanted)]:
        found.update(new)
        for number in new:
            one = named[number][0]
            wanted |= {getattr(one.node, "name", ""), one.owner.name if one.owner is not None else ""} - {"", "forward"}
    return found


def names_below(scope: Scope) -> set[str]:
    """The names and attributes that a function's body has, or a module outside of its functions and classes."""
    found: set[str] = set()
    pending: list[ast.AST] = list(scope.node.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.ClassDef | FunctionNode) and isinstance(scope.node, ast.Module):
            continue
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        pending += ast.iter_child_nodes(node)
    return found


def inside_function(scope: Scope) -> bool:
    """Whether a function is defined in another, which leads to it."""
    return "<locals>" in scope.qualname


def used_as_modules(tree: ast.Module) -> frozenset[str]:
    """The last names of what the file calls `.parameters()` or `.eval()` on."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in OF_MODULES:
            of = node.func.value
            found.add(of.attr if isinstance(of, ast.Attribute) else getattr(of, "id", ""))
    return frozenset(found - {"", "self"})


def framework_classes(module: Scope) -> Iterator[FrameworkClass]:
    """The LightningModules and the Trainers of transformers that a file defines."""
    for scope in file_index(module).classes():
        bases = [base for one in family(scope) if isinstance(one.node, ast.ClassDef) for base in one.node.bases]
        names = [full_name(base, scope) for base in bases]
        kind = next(filter(None, map(framework, names)), "")
        if not kind:
            continue
        methods = {getattr(one.node, "name", ""): one for one in file_index(module).methods(scope)}
        manual = "automatic_optimization" in names_in(module.file.tree)
        assert isinstance(scope.node, ast.ClassDef)
        yield FrameworkClass(kind, scope, methods, manual, plain=len(bases) == 1)


def framework(name: str) -> str:
    """The framework whose class a full name is: "lightning", "trainer" or ""."""
    last = name.rpartition(".")[2]
    if last == "LightningModule" and "lightning" in name:
        return "lightning"
    return "trainer" if name.startswith("transformers.") and last.endswith("Trainer") else ""


@lru_cache(maxsize=64)
def names_in(tree: ast.Module) -> frozenset[str]:
    """Every identifier in a file: names, attributes, keywords, what is imported."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.keyword) and node.arg:
            found.add(node.arg)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update(alias.name for alias in node.names)
    return frozenset(found)
