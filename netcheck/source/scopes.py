"""Scopes of a parsed file: which class or function stands where, and what is assigned to what in it. No
torch.

    SourceFile ---> FileIndex
                      scopes["Net"]            class Net
                      scopes["Net.__init__"]   a method: assigned["self.conv"] = [the expressions], in order
                      scopes["make"]           a function
                      scopes[""]               the module itself

A *key* names what is assigned to: a dotted name with constant subscripts in it, `self.backbone.fc`,
`self.layers.0`, `layers`. Whatever a method calls its first argument, a key calls it `self`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from netcheck.source.parse import MOST_FILES, SourceFile, Unreadable, legible, parse

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
SELF = "self"


@dataclass(eq=False)
class Scope:
    """A module, class or function body."""

    file: SourceFile
    qualname: str  # as Python's __qualname__, "" for a module
    node: ast.Module | ast.ClassDef | FunctionNode
    owner: ast.ClassDef | None  # the class that the function is a method of
    parent: Scope | None

    @cached_property
    def self_name(self) -> str:
        """What a method calls its instance, "" where it has none."""
        if self.owner is None or not isinstance(self.node, FunctionNode):
            return ""
        if any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in self.node.decorator_list):
            return ""
        arguments = self.node.args.posonlyargs + self.node.args.args
        return arguments[0].arg if arguments else ""

    @cached_property
    def parameters(self) -> frozenset[str]:
        """The names of a function's parameters."""
        if not isinstance(self.node, FunctionNode):
            return frozenset()
        spec = self.node.args
        every = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *filter(None, (spec.vararg, spec.kwarg))]
        return frozenset(argument.arg for argument in every)

    @cached_property
    def assigned(self) -> dict[str, list[ast.expr]]:
        """What each key is assigned in this body, in the order of the text."""
        found: dict[str, list[ast.expr]] = {}
        for statement in own_statements(self.node):
            for target, value in assignments(statement):
                key = self.key(target)
                if key:
                    found.setdefault(key, []).append(value)
        return found

    @cached_property
    def mutated(self) -> frozenset[str]:
        """The keys that this body changes in place: `x.append(...)`, `x += ...`, `x[i] = ...`."""
        found: set[str] = set()
        for statement in own_statements(self.node):
            if isinstance(statement, ast.AugAssign):
                found.add(self.key(statement.target))
            for target, _ in assignments(statement):
                if isinstance(target, ast.Subscript | ast.Attribute):
                    found.add(self.key(target.value))
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                function = statement.value.func
                if isinstance(function, ast.Attribute):
                    found.add(self.key(function.value))
                if isinstance(function, ast.Name) and function.id == "setattr" and statement.value.args:
                    found.add(self.key(statement.value.args[0]))
        return frozenset(found)

    def key(self, expression: ast.expr) -> str:
        """The key that an expression stands for, "" if it is no name, attribute or constant subscript."""
        if isinstance(expression, ast.Name):
            return SELF if expression.id == self.self_name else expression.id
        if isinstance(expression, ast.Attribute):
            base = self.key(expression.value)
            return f"{base}.{expression.attr}" if base else ""
        if isinstance(expression, ast.Subscript) and isinstance(expression.slice, ast.Constant):
            base = self.key(expression.value)
            value = expression.slice.value
            return f"{base}.{value}" if base and isinstance(value, str | int) else ""
        if is_super(expression):
            return SELF
        return ""


def is_super(expression: ast.expr) -> bool:
    """Whether an expression is `super()` or `super(Net, self)`."""
    return isinstance(expression, ast.Call) and isinstance(expression.func, ast.Name) and expression.func.id == "super"


@dataclass(eq=False)
class FileIndex:
    """Every class and function of one file by qualified name; of several of one name, in order."""

    file: SourceFile
    scopes: dict[str, list[Scope]] = field(default_factory=dict)

    @cached_property
    def imports(self) -> dict[str, str]:
        """What each imported name stands for: {"nn": "torch.nn", "Linear": "torch.nn.Linear", "B":
        ".base.B"}.
        """
        found: dict[str, str] = {}
        for node in ast.walk(self.file.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.asname or alias.name.split(".")[0]] = alias.name if alias.asname else alias.name.split(".")[0]
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                for alias in node.names:
                    if alias.name == "*":
                        continue
                    joint = "" if module.endswith(".") else "."
                    found[alias.asname or alias.name] = f"{module}{joint}{alias.name}"
        return found

    @cached_property
    def stars(self) -> tuple[str, ...]:
        """The modules that `from module import *` is done of, in order: (".parts", "torch.nn")."""
        nodes = (node for node in ast.walk(self.file.tree) if isinstance(node, ast.ImportFrom))
        starred = (node for node in nodes if any(alias.name == "*" for alias in node.names))
        return tuple("." * node.level + (node.module or "") for node in starred)

    def classes(self) -> Iterator[Scope]:
        """The scopes that are classes."""
        for scopes in self.scopes.values():
            yield from (scope for scope in scopes if isinstance(scope.node, ast.ClassDef))

    @cached_property
    def top_names(self) -> frozenset[str]:
        """The names of the classes and functions at the top of the file."""
        return frozenset(name for name in self.scopes if "." not in name)

    def methods(self, scope: Scope) -> list[Scope]:
        """The methods of a class in the order of the text, `__init__` first."""
        return self._methods.get(id(scope), [])

    @cached_property
    def _methods(self) -> dict[int, list[Scope]]:
        found: dict[int, list[Scope]] = {}
        for scopes in self.scopes.values():
            for scope in scopes:
                if scope.owner is not None and scope.parent is not None and scope.node is not scope.owner:
                    found.setdefault(id(scope.parent), []).append(scope)
        for methods in found.values():
            methods.sort(key=lambda s: (not s.qualname.endswith(".__init__"), s.node.lineno))  # type: ignore[union-attr]
        return found


def index(path: str) -> FileIndex | None:
    """The index of a file, of what can be read of it where it does not parse; None if that is nothing."""
    try:
        return index_file(parse(path))
    except Unreadable:
        found = legible(path)
        return None if found is None else index_file(found)


@lru_cache(maxsize=MOST_FILES)
def index_file(file: SourceFile) -> FileIndex:
    """List the classes and functions of a parsed file."""
    found = FileIndex(file)
    module = Scope(file, "", file.tree, None, None)
    found.scopes[""] = [module]
    pending: list[tuple[ast.AST, Scope]] = [(child, module) for child in file.tree.body]
    while pending:
        node, parent = pending.pop()
        if isinstance(node, ast.ClassDef | FunctionNode):
            owner = parent.node if isinstance(parent.node, ast.ClassDef) else None
            inner = ".<locals>." if isinstance(parent.node, FunctionNode) else "."
            name = f"{parent.qualname}{inner}{node.name}" if parent.qualname else node.name
            scope = Scope(file, name, node, owner, parent)
            found.scopes.setdefault(name, []).append(scope)
            pending += [(child, scope) for child in node.body]
        elif isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
            pending += [(child, parent) for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]
    for scopes in found.scopes.values():
        scopes.sort(key=lambda s: getattr(s.node, "lineno", 0))
    return found


def first_line(statement: ast.stmt) -> int:
    """The line on which a statement begins, decorators included."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(one.lineno for one in decorators)])


def own_statements(node: ast.AST) -> Iterator[ast.stmt]:
    """The statements of a body in the order of the text, without those of functions and classes inside it."""
    pending = inner_blocks(node)
    while pending:
        one = pending.pop()
        if isinstance(one, ast.stmt):
            yield one
        pending += inner_blocks(one)


def inner_blocks(node: ast.AST) -> list[ast.AST]:
    """The statements and clauses directly inside a node, the last first, without functions and classes."""
    parts = [child for name in ("body", "handlers", "orelse", "finalbody", "cases") for child in listed(node, name)]
    return [child for child in reversed(parts) if not isinstance(child, ast.ClassDef | FunctionNode)]


def listed(node: ast.AST, name: str) -> list[ast.AST]:
    """A list of statements or clauses that a node has under a name; nothing where that is an expression (of a lambda)."""
    found = getattr(node, name, ())
    return found if isinstance(found, list) else []


def local_names(function: FunctionNode) -> frozenset[str]:
    """The names that a function binds for itself, but for what it imports: a `v` in it is not the module's `v = Net()`."""
    found = {one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)}
    shared: set[str] = set()
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.ClassDef | FunctionNode):
            found.add(node.name)
        elif isinstance(node, ast.Global):
            shared |= set(node.names)
        elif not isinstance(node, COMPREHENSIONS | ast.Lambda):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            pending += ast.iter_child_nodes(node)
    return frozenset(found - shared)


def assignments(statement: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The (target, value) pairs of a statement; `a, b = f(), g()` has two,
    `a, b = f()` gives both the whole call.
    """
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        yield statement.target, statement.value
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield from pairs(target, statement.value)
    elif isinstance(statement, ast.With):
        for item in statement.items:
            if item.optional_vars is not None:
                yield item.optional_vars, item.context_expr


def pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Match the parts of a tuple target with the parts of its value."""
    if not isinstance(target, ast.Tuple | ast.List):
        yield target, value
    elif isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
        for one, its_value in zip(target.elts, value.elts, strict=True):
            yield from pairs(one, its_value)
    else:
        for one in target.elts:
            yield from pairs(one, value)
