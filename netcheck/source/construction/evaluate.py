"""Expressions to values, as far as the source leads. Imports no torch.

    value("args.hidden")          args <- parser.parse_args() <- add_argument("--hidden", default=16)       16
    value("cfg['model']")         cfg <- yaml.safe_load(open("configs/base.yaml"))                      Record(...)
    value("Encoder(cfg.width)")   Encoder <- from .encoder import Encoder                   Made(Encoder, (64,))
    value("len(vocab)")           vocab <- Vocab.from_file(path)                            Unknown(("len",))

A name is followed to what it is assigned last before it is read, where no condition says otherwise; a parameter to what callers
of its function give, then to its default; an attribute of self into the methods of the class; a function of the project into
what it returns. Nothing is run. The work is bounded by steps, so that the same source has the same values everywhere.
"""

from __future__ import annotations

import ast
import builtins
from dataclasses import replace
from functools import partial
from typing import Any

from netcheck.source.builders import file_index
from netcheck.source.construction import attributes, calls
from netcheck.source.construction.bindings import Binding, bindings, guarded
from netcheck.source.construction.callers import callers
from netcheck.source.construction.evaluation import Frame
from netcheck.source.construction.lookup import in_files, preferred
from netcheck.source.construction.operations import MOST_ITEMS, OPERATORS, UNARY, fields_of, items, plain_only, sized, taken_apart
from netcheck.source.construction.options import options_in
from netcheck.source.construction.project import Project, Site, project_of
from netcheck.source.construction.values import Made, Module, Named, Record, Unknown, is_known, is_plain
from netcheck.source.imports import definitions, module_file
from netcheck.source.models import is_never_imported
from netcheck.source.scopes import FileIndex, FunctionNode, Scope, index

MOST_STEPS = 20_000
DEEPEST = 120  # expressions that lead to each other
MOST_CALLERS = 6


class Evaluator:
    """Evaluates for one class: of several configuration files, those that name it come first."""

    def __init__(self, project: Project, subject: str = "", forced: dict[str, str] | None = None) -> None:
        """Evaluate for a class.

        Args:
            project: that the class belongs to.
            subject: the class's name, or what configuration files call it.
            forced: options whose value is known to be another than the default: that which chooses the class.
        """
        self.project = project
        self.subject = subject
        self.forced = forced or {}
        self.steps = 0
        self.active: dict[tuple[int, int], None] = {}
        self.called_at: dict[Scope, list[Site]] = {}
        self.known: dict[tuple[int, int], tuple[ast.expr, Scope, Any]] = {}  # with what must live as long as the ids count

    def value(self, expression: ast.expr, frame: Frame) -> Any:
        """What an expression comes to."""
        mark = (id(expression), id(frame.scope))
        if not frame.given and mark in self.known:
            return self.known[mark][2]
        if mark in self.active or self.steps >= MOST_STEPS or len(self.active) > DEEPEST:
            return Unknown()
        self.steps += 1
        self.active[mark] = None
        try:
            found = self.dispatched(expression, frame)
        except (ArithmeticError, TypeError, ValueError, LookupError, AttributeError, MemoryError, RecursionError):
            found = Unknown()  # what would raise has no value
        finally:
            del self.active[mark]
        if not frame.given:
            self.known[mark] = expression, frame.scope, found
        return found

    def dispatched(self, node: ast.expr, frame: Frame) -> Any:
        """By the kind of expression."""
        evaluate = partial(self.value, frame=frame)
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return self.name(node, frame)
            case ast.Attribute():
                return attributes.attribute(self, node, frame)
            case ast.Subscript():
                return attributes.subscript(self, node, frame)
            case ast.List():
                return self.elements(node.elts, frame)
            case ast.Tuple():
                return tuple(self.elements(node.elts, frame))
            case ast.Set():
                return set(self.elements(node.elts, frame))
            case ast.Dict():
                return self.mapping(node, frame)
            case ast.IfExp():
                test = evaluate(node.test)
                if is_plain(test):
                    return evaluate(node.body if test else node.orelse)
                chosen = evaluate(node.body)
                return chosen if is_known(chosen) else evaluate(node.orelse)
            case ast.BoolOp():
                return self.choice(node, frame)
            case ast.UnaryOp():
                return plain_only(UNARY[type(node.op)], evaluate(node.operand))
            case ast.BinOp():
                return sized(plain_only(OPERATORS[type(node.op)], evaluate(node.left), evaluate(node.right)))
            case ast.Compare(ops=[one]):
                return plain_only(OPERATORS[type(one)], evaluate(node.left), evaluate(node.comparators[0]))
            case ast.JoinedStr():
                parts = [evaluate(part.value if isinstance(part, ast.FormattedValue) else part) for part in node.values]
                return "".join(map(str, parts)) if all(map(is_plain, parts)) else Unknown()
            case ast.Slice():
                bounds = [None if bound is None else evaluate(bound) for bound in (node.lower, node.upper, node.step)]
                return slice(*bounds) if all(map(is_plain, bounds)) else Unknown()
            case ast.ListComp() | ast.GeneratorExp() | ast.SetComp() | ast.DictComp():
                return self.comprehension(node, frame)
            case ast.Call():
                return calls.value_of_call(self, node, frame)
            case ast.NamedExpr() | ast.Await():
                return evaluate(node.value)
        return Unknown()

    # ---- parts of expressions -------------------------------------------------------------------------------------------

    def elements(self, nodes: list[ast.expr], frame: Frame) -> list[Any]:
        """The items of a display or the arguments of a call, starred ones unpacked.

        Raises:
            ValueError: how many there are is unknown.
        """
        found: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                found += items(self.value(node.value, frame))
            else:
                found.append(self.value(node, frame))
        return found

    def mapping(self, node: ast.Dict, frame: Frame) -> Any:
        """A dict, others unpacked into it."""
        found: dict[Any, Any] = {}
        for key, one in zip(node.keys, node.values, strict=True):
            if key is None:
                found |= fields_of(self.value(one, frame))
            else:
                name = self.value(key, frame)
                if not is_plain(name):
                    return Unknown()
                found[name] = self.value(one, frame)
        return found

    def choice(self, node: ast.BoolOp, frame: Frame) -> Any:
        """`a or b`, `a and b`: of what is unknown, only the last part counts where the others cannot decide."""
        is_or = isinstance(node.op, ast.Or)
        for part in node.values[:-1]:
            value = self.value(part, frame)
            if isinstance(value, Unknown):
                return value if not is_or else self.value(node.values[-1], frame)
            if not is_plain(value) or bool(value) is is_or:
                return value
        return self.value(node.values[-1], frame)

    def comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp, frame: Frame) -> Any:
        """A list, set or dict, item by item."""
        rows = [frame]
        for generator in node.generators:
            inner: list[Frame] = []
            for row in rows:
                for item in items(self.value(generator.iter, row)):
                    one = row.within(taken_apart(generator.target, item))
                    tests = [self.value(test, one) for test in generator.ifs]
                    if not all(map(is_plain, tests)) or len(inner) > MOST_ITEMS:
                        return Unknown()
                    if all(tests):
                        inner.append(one)
            rows = inner
        if isinstance(node, ast.DictComp):
            return {self.fresh(node.key, row): self.fresh(node.value, row) for row in rows}
        made = [self.fresh(node.elt, row) for row in rows]
        return set(made) if isinstance(node, ast.SetComp) else made

    def fresh(self, node: ast.expr, frame: Frame) -> Any:
        """The value of an expression in each of several frames of one scope."""
        return self.value(node, frame)

    # ---- names ------------------------------------------------------------------------------------------------------------

    def name(self, node: ast.Name, frame: Frame) -> Any:
        """What a name stands for."""
        if node.id in frame.given:
            return self.with_changes(frame.given[node.id], node.id, frame, node.lineno)
        scope: Scope | None = frame.scope
        at = frame
        while scope is not None:
            found = self.in_scope(node.id, at, node.lineno)
            if found is not None:
                return found
            scope = scope.parent
            while scope is not None and isinstance(scope.node, ast.ClassDef):
                scope = scope.parent
            at = Frame(scope) if scope is not None else at
        return self.elsewhere(node, frame)

    def in_scope(self, key: str, frame: Frame, line: int) -> Any:
        """What a key stands for by the assignments and parameters of one scope; None where it has none."""
        found = self.assigned(key, frame, line)
        if found is None and key in frame.scope.parameters:
            found = self.with_changes(self.parameter(key, frame), key, frame, line)
        return found

    def assigned(self, key: str, frame: Frame, line: int) -> Any:
        """What a key is assigned last before a line, in a scope that runs to there; None where it is not."""
        everywhere = bindings(frame.scope).get(key, [])
        later = not isinstance(frame.scope.node, FunctionNode)  # the whole module has run when a function of it does
        values = [one for one in everywhere if one.how in ("value", "each") and (later or one.line <= line)]
        if not values:
            return None
        unknown = Unknown((key,))
        for one in reversed(values):
            if self.refuted(one, frame):
                continue
            value = self.bound(one, frame)
            if not isinstance(value, Unknown):
                return self.with_changes(value, key, frame, line)
            unknown = value if value.trail else unknown
            if not one.conditions:
                break  # what came before is overwritten
        return unknown

    def refuted(self, one: Binding, frame: Frame) -> bool:
        """Whether a condition of an assignment is known not to hold."""
        for test, holds in one.conditions:
            if is_never_imported(test):
                continue
            known = self.value(test, frame)
            if is_plain(known) and bool(known) is not holds:
                return True
        return False

    def bound(self, one: Binding, frame: Frame) -> Any:
        """The value of one assignment."""
        value = self.value(one.value, frame)
        if one.how == "each":
            value = next(iter(items(value)), Unknown())
        for number in one.path:
            value = items(value)[number] if not isinstance(value, Unknown) else value
        return value

    def with_changes(self, value: Any, key: str, frame: Frame, line: int) -> Any:
        """A value and what is done to it before a line: `args.n = 3`, `cfg["n"] = 3`, `cfg.update(...)`, `widths.append(3)`."""
        changes = [one for one in bindings(frame.scope).get(key, []) if one.how in ("updated", "changed")]
        if isinstance(value, Record | dict):
            found = dict(fields_of(value))
            for one in sorted([*changes, *self.parts_assigned(key, frame)], key=lambda one: one.line):
                if one.line < line and not self.refuted(one, frame):
                    changed = self.bound(one, frame)
                    if one.how == "updated":
                        found |= fields_of(changed) if isinstance(changed, Record | dict) else {}
                    elif one.key != key:
                        found[one.key.rpartition(".")[2]] = self.with_changes(changed, one.key, frame, line)
            if isinstance(value, dict) and any(one.how == "changed" and one.key == key and one.line < line for one in changes):
                return Unknown((key,))
            return Record(found, value.name or key) if isinstance(value, Record) else found
        if isinstance(value, Made):
            return self.with_attributes(value, key, frame, line)
        if any(one.line < line for one in changes) and not isinstance(value, Named | Module):
            return Unknown((key,))
        return value

    def parts_assigned(self, key: str, frame: Frame) -> list[Binding]:
        """The last assignment to each attribute or item of what a key stands for."""
        parts = key.count(".") + 1
        named = {name: all_ for name, all_ in bindings(frame.scope).items() if name.startswith(f"{key}.")}
        return [all_[-1] for name, all_ in named.items() if name.count(".") == parts]

    def with_attributes(self, made: Made, key: str, frame: Frame, line: int) -> Made:
        """An object and the attributes that it is given before a line: `model.width = 64`."""
        then = dict(made.then)
        for one in self.parts_assigned(key, frame):
            if one.how == "value" and one.line < line and not self.refuted(one, frame):
                then[one.key.rpartition(".")[2]] = self.bound(one, frame)
        return replace(made, then=then) if then != made.then else made

    def parameter(self, name: str, frame: Frame) -> Any:
        """What callers give for a parameter; else its option or its default."""
        scope = frame.scope
        assert isinstance(scope.node, FunctionNode)
        if name == scope.self_name:
            return Unknown((name,))
        for decorator in scope.node.decorator_list:
            for dest, value in options_in(decorator, partial(self.value, frame=Frame(scope.parent or scope))):
                if dest == name and not isinstance(value, Unknown):
                    return value
        known = Unknown((name,))
        for site in self.callers(scope):
            value = self.argument(name, scope, site)
            if value is not None and not isinstance(value, Unknown):
                return value
            if isinstance(value, Unknown) and value.trail:
                known = value
        default = default_of(scope.node, name)
        value = self.value(default, Frame(scope.parent or scope)) if default is not None else known
        if isinstance(value, Made) and value.callee.last in ("Option", "Argument"):  # of typer
            value = value.args[0] if value.args else value.kwargs.get("default", known)
        return value

    def callers(self, scope: Scope) -> list[Site]:
        """The calls of a function, each found once."""
        if scope not in self.called_at:
            self.called_at[scope] = callers(self.project, scope)[:MOST_CALLERS]
        return self.called_at[scope]

    def argument(self, name: str, scope: Scope, site: Site) -> Any:
        """What one call gives for a parameter; None where it does not."""
        given = self.bound_arguments(scope, site.call, Frame(site.scope))
        return given.get(name)

    def bound_arguments(self, scope: Scope, call: ast.Call, frame: Frame) -> dict[str, Any]:
        """The arguments of a call by the names that a function has for them."""
        assert isinstance(scope.node, FunctionNode)
        spec = scope.node.args
        names = [argument.arg for argument in (*spec.posonlyargs, *spec.args)]
        names = names[1:] if scope.self_name else names
        args, kwargs = self.arguments(call, frame)
        found = {**dict(zip(names, args, strict=False)), **kwargs}
        if spec.vararg is not None:
            found[spec.vararg.arg] = tuple(args[len(names) :])
        if spec.kwarg is not None:
            known = {*names, *(argument.arg for argument in spec.kwonlyargs)}
            found[spec.kwarg.arg] = {name: value for name, value in kwargs.items() if name not in known}
        return found

    def arguments(self, call: ast.Call, frame: Frame) -> tuple[list[Any], dict[str, Any]]:
        """What a call gives, by place and by name.

        Raises:
            ValueError: it unpacks what is unknown.
        """
        args = self.elements(call.args, frame)
        kwargs: dict[str, Any] = {}
        for keyword in call.keywords:
            if keyword.arg is None:
                kwargs |= fields_of(self.value(keyword.value, frame))
            else:
                kwargs[keyword.arg] = self.value(keyword.value, frame)
        return args, kwargs

    def elsewhere(self, node: ast.Name, frame: Frame) -> Any:
        """A class or function of this file, what is imported, or a builtin."""
        for one in definitions(node, frame.scope):
            return Named(one.file.path, one.qualname)
        files = file_index(frame.scope)
        if node.id in files.imports:
            return self.imported(files.file.path, files.imports[node.id])
        for star in reversed(files.stars):
            module = followed(files.file.path, star)
            if module and (found := self.of_module(module, node.id)) is not None:
                return found
        if hasattr(builtins, node.id):
            return Named("", f"builtins.{node.id}")
        return self.looked_up((node.id,))

    def imported(self, path: str, target: str) -> Any:
        """What an import means: a file of the project, something in one, or something elsewhere."""
        if module := followed(path, target):
            return Module(module)
        base, _, last = target.rpartition(".")
        dots = len(target) - len(target.lstrip("."))
        base = target[:dots] if len(base) < dots else base
        if base and (module := followed(path, base)):
            found = self.of_module(module, last)
            return Unknown((last,)) if found is None else found
        return Named("", target) if not dots else Unknown((last,))

    def of_module(self, file: str, name: str) -> Any:
        """What a name at the top of a file of the project stands for; None where it has none."""
        files = index(file)
        if files is None:
            return None
        top = files.scopes[""][0]
        if name in files.scopes:
            return Named(file, name)
        if (found := self.assigned(name, Frame(top), len(files.file.lines))) is not None:
            return found
        if name in files.imports:
            return self.imported(file, files.imports[name])
        inner = module_file(file.rpartition("/")[0], 1, name) if file.endswith("__init__.py") else None
        if inner:
            return Module(inner)
        for star in files.stars:
            module = followed(file, star)
            if module and module != file and (found := self.of_module(module, name)) is not None:
                return found
        return None

    def attribute_of(self, base: Any, name: str) -> Any:
        """An attribute of a value."""
        return attributes.attribute_of(self, base, name)

    # ---- options and configuration files ----------------------------------------------------------------------------------

    def looked_up(self, trail: tuple[str | int, ...]) -> Any:
        """What the project's options and configuration files have under a trail of names; Unknown(trail) if nothing."""
        if len(trail) > 1 and isinstance(trail[-1], str):
            found = self.in_settings(trail[1:])
            if isinstance(found, Unknown) and len(trail) == 2:
                found = self.in_options(trail[1])  # type: ignore[arg-type]
            if not isinstance(found, Unknown):
                return found
        return Unknown(trail)

    def in_settings(self, trail: tuple[str | int, ...]) -> Any:
        """What stands under these names in a configuration file, those first that name the class."""
        return in_files(preferred(self.project, self.subject), trail, self.forced)

    def in_options(self, name: str) -> Any:
        """The default of the option of this name, if the project has one."""
        return self.options().get(name, Unknown((name,)))

    def options(self) -> dict[str, Any]:
        """All options of the project that have a plain default, the first of each name."""
        return options_of(self.project)

    # ---- functions --------------------------------------------------------------------------------------------------------

    def returned(self, scope: Scope, given: dict[str, Any]) -> Any:
        """What a function of the project returns for some arguments."""
        frame = Frame(scope, {**self.defaults(scope), **given})
        unknown = Unknown()
        for statement, conditions in guarded(scope.node.body):
            if isinstance(statement, ast.Return) and statement.value is not None:
                if self.refuted(Binding("", 0, statement.value, conditions), frame):
                    continue
                value = self.value(statement.value, frame)
                if not isinstance(value, Unknown):
                    return value
                unknown = value
        return unknown

    def defaults(self, scope: Scope) -> dict[str, Any]:
        """The values of a function's parameters that are not given."""
        assert isinstance(scope.node, FunctionNode)
        found = {}
        for name in scope.parameters:
            default = default_of(scope.node, name)
            if default is not None:
                found[name] = self.value(default, Frame(scope.parent or scope))
        return found


def default_of(node: FunctionNode, name: str) -> ast.expr | None:
    """The default of a parameter."""
    spec = node.args
    positional = [*spec.posonlyargs, *spec.args]
    pairs = [*zip(positional[::-1], spec.defaults[::-1], strict=False), *zip(spec.kwonlyargs, spec.kw_defaults, strict=True)]
    return next((default for argument, default in pairs if argument.arg == name), None)


def followed(path: str, target: str) -> str | None:
    """The file of the project that an import target (".config", "models.net") is."""
    level = len(target) - len(target.lstrip("."))
    return module_file(path.rpartition("/")[0], level, target[level:])


def options_of(project: Project) -> dict[str, Any]:
    """The options of all files of a project that have a plain default, the first of each name."""
    if project not in known_options:
        found: dict[str, Any] = {}
        known_options[project] = found
        files = {file for word in ("add_argument", "DEFINE_") for file in project.mentioning(word)}
        for file in sorted(files, key=lambda file: (file.count("/"), file)):
            parsed: FileIndex | None = index(file)
            if parsed is not None:
                evaluator = Evaluator(project)
                frame = Frame(parsed.scopes[""][0])
                for name, value in options_in(parsed.file.tree, partial(evaluator.value, frame=frame)):
                    if is_plain(value):
                        found.setdefault(name, value)
    return known_options[project]


known_options: dict[Project, dict[str, Any]] = {}

__all__ = ["Evaluator", "Frame", "project_of"]
