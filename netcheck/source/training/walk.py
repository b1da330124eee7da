"""Follows a program statement by statement, as far as its file shows it, and writes down what happens in its training steps.

Walk(modules).course(scope)
  +-- block, statement        loops, branches, contexts; what is assigned
        +-- evaluate          the calls in an expression, innermost first
              +-- call        a deed (calls.py), a function of the file (followed), or what cannot be seen
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from netcheck.source import models
from netcheck.source.builders import family
from netcheck.source.scopes import FunctionNode, Scope, is_super
from netcheck.source.training import calls
from netcheck.source.training.events import Act, Course, Event, Guard, Loop
from netcheck.source.training.frames import Frame, arguments, defaults, inner, method_of, top
from netcheck.source.training.values import SAME_OBJECT, Role, Value, called, full_name, is_name, role_of, settled, spelled

MOST_EVENTS = 20_000
MOST_STATEMENTS = 60_000
DEEPEST = 8  # functions that are followed from one to the next
MADE = (Role.OPTIMIZER, Role.SCHEDULER, Role.SCALER, Role.SAMPLER, Role.LOADER)
OFF = ("torch.no_grad", "torch.inference_mode", "torch.autograd.no_grad", "torch.autograd.inference_mode")
SWITCHES = ("torch.set_grad_enabled", "torch.autograd.set_grad_enabled")
METHODS = frozenset("zero_grad step backward train eval unscale_ update".split())  # that do nothing where they are only named


class TooLong(Exception):
    """A program is longer than what is followed."""


@dataclass(frozen=True)
class Around:
    """What stands around a statement."""

    loops: tuple[Loop, ...] = ()
    guards: tuple[Guard, ...] = ()
    grad: bool | None = True


class Walk:
    """One way through a file. `modules` are the names that the file uses as modules: it calls `.parameters()` on them."""

    def __init__(self, modules: frozenset[str]) -> None:
        self.modules = modules
        self.events: list[Event] = []
        self.values: dict[str, Value] = {}
        self.aliases: dict[str, str] = {}
        self.classes: dict[str, Scope] = {}  # of the objects that are made
        self.around = Around()
        self.stack: list[Scope] = []
        self.returned: list[list[Value]] = []
        self.followed: set[int] = set()
        self.number = 0
        self.statements = 0

    def course(self, scope: Scope, kind: str = "", loop: Loop | None = None, *, grad: bool = True) -> Course:
        """Follow a module, a function or a method from its beginning; `loop` is what a framework runs around it."""
        try:
            self.begin(scope, loop, grad=grad)
            whole = True
        except (TooLong, RecursionError):
            whole = False
        name = getattr(scope.node, "name", "")
        return Course(scope, tuple(self.events), kind, name if kind else "", whole)

    def begin(self, scope: Scope, loop: Loop | None, *, grad: bool) -> None:
        """Follow what a course begins with; before a method, the constructor of its class."""
        itself = ""
        if scope.owner is not None and scope.parent is not None and scope.self_name:
            itself = scope.owner.name
            self.classes[itself] = scope.parent
            start = method_of(scope.parent, "__init__")
            if start is not None and start.node is not scope.node:
                self.body(start, Frame(start, self.aliases, f"{self.new()}:", itself))
                self.around = Around()
        if loop is not None or not grad:
            self.around = Around((loop,) if loop is not None else (), (), grad)
        prefix = "" if isinstance(scope.node, ast.Module) else f"{self.new()}:"
        self.body(scope, Frame(scope, self.aliases, prefix, itself))

    def body(self, scope: Scope, frame: Frame) -> list[Value]:
        """Follow the statements of a function or module; what it returns."""
        self.followed.add(id(scope.node))
        self.stack.append(scope)
        self.returned.append([])
        if isinstance(scope.node, FunctionNode):
            for name, default in defaults(scope.node):
                if frame.own(name) not in self.aliases and frame.own(name) not in self.values:
                    self.values[frame.own(name)] = self.value(default, frame)
            for decorator in scope.node.decorator_list:
                self.switch(decorator, frame)
        assert not isinstance(scope.node, ast.ClassDef)
        self.block(scope.node.body, frame)
        self.stack.pop()
        return self.returned.pop()

    def new(self) -> int:
        """A number that nothing else has."""
        self.number += 1
        return self.number

    # ---- statements --------------------------------------------------------------------------------------------------

    def block(self, statements: Sequence[ast.stmt], frame: Frame) -> bool:
        """Follow statements one after the other; whether what stands behind them is not reached."""
        for place, statement in enumerate(statements):
            if isinstance(statement, ast.If | ast.Match | ast.Try):
                going = self.branches(statement, frame)
                if not going:
                    return True
                if len(going) == 1 and going[0] is not None:  # the others leave: what follows is in this branch
                    with self.within(guards=(*self.around.guards, going[0])):
                        return self.block(statements[place + 1 :], frame)
                continue
            self.statement(statement, frame)
            if isinstance(statement, ast.Return | ast.Break | ast.Continue | ast.Raise):
                return True
        return False

    @contextmanager
    def within(self, **changes: object) -> Iterator[None]:
        """Have other things stand around what follows."""
        before = self.around
        self.around = replace(before, **changes)  # type: ignore[arg-type]
        try:
            yield
        finally:
            self.around = before

    def statement(self, statement: ast.stmt, frame: Frame) -> None:
        """Follow one statement that does not branch."""
        self.statements += 1
        if self.statements > MOST_STATEMENTS or len(self.events) > MOST_EVENTS:
            raise TooLong
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if (found := inner(frame, statement)) is not None:
                    frame.functions[statement.name] = found
            case ast.ClassDef():
                pass
            case ast.For() | ast.AsyncFor() | ast.While():
                self.loop(statement, frame)
            case ast.With() | ast.AsyncWith():
                self.context(statement, frame)
            case ast.AugAssign():
                self.added(statement, frame)
            case ast.Return():
                value = self.evaluate(statement.value, frame) if statement.value is not None else Value()
                self.returned[-1].append(value)
                if len(self.stack) == 1:
                    self.emit(Act.RETURN, statement, frame, value=value)
            case ast.Expr(value=ast.Attribute(attr=attr) as named) if attr in METHODS:
                self.emit(Act.NAMED, named, frame, subject=frame.key(named.value))
            case _:
                self.simple(statement, frame)

    def simple(self, statement: ast.stmt, frame: Frame) -> None:
        """Follow an assignment, an expression, or another statement without a body."""
        value = getattr(statement, "value", None)
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(value, ast.expr):
            whole = self.evaluate(value, frame)
            for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
                self.kept_in_sum(target, value, statement, frame)
                self.bind(target, whole, statement, frame)
            return
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.expr):
                self.evaluate(child, frame)

    def kept_in_sum(self, target: ast.expr, value: ast.expr, statement: ast.stmt, frame: Frame) -> None:
        """`total = total + loss` keeps what it adds."""
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add) and is_name(target):
            for one, other in ((value.left, value.right), (value.right, value.left)):
                if is_name(one) and spelled(one) == spelled(target):
                    self.emit(Act.KEEP, statement, frame, subject=frame.key(target), value=self.value(other, frame))

    def added(self, statement: ast.AugAssign, frame: Frame) -> None:
        """`total += loss`."""
        value = self.evaluate(statement.value, frame)
        target = statement.target
        read: ast.expr = ast.copy_location(ast.parse(ast.unparse(target), mode="eval").body, target)
        for node in ast.walk(read):
            ast.copy_location(node, target)
        whole = ast.copy_location(ast.BinOp(read, statement.op, statement.value), statement)
        if isinstance(statement.op, ast.Add):
            self.emit(Act.KEEP, statement, frame, subject=frame.key(target), value=value)
        self.bind(target, self.value(whole, frame), statement, frame)

    def loop(self, statement: ast.For | ast.AsyncFor | ast.While, frame: Frame) -> None:
        """A loop: what it assigns is not known where it begins."""
        over = None
        if isinstance(statement, ast.While):
            self.evaluate(statement.test, frame)
        else:
            over = self.evaluate(statement.iter, frame)
        for node in (node for part in statement.body for node in ast.walk(part)):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.forget(frame.own(node.id))
        if not isinstance(statement, ast.While):
            self.bind(statement.target, Value(part_of=over, scope=frame.scope), statement, frame)
        one = Loop(statement, frame.scope, over)
        with self.within(loops=(*self.around.loops, one)):
            self.block(statement.body, frame)
        self.block(statement.orelse, frame)

    def forget(self, key: str) -> None:
        """Know nothing of a key."""
        self.aliases.pop(key, None)
        self.values.pop(key, None)

    def context(self, statement: ast.With | ast.AsyncWith, frame: Frame) -> None:
        """The contexts of a with statement, and what stands in it."""
        before = self.around
        for item in statement.items:
            value = self.evaluate(item.context_expr, frame)
            self.switch(item.context_expr, frame)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, value, statement, frame)
        self.block(statement.body, frame)
        self.around = before

    def switch(self, context: ast.expr, frame: Frame) -> None:
        """Turn the recording of gradients off or on, where a context or decorator does so."""
        found = settled(self.value(context, frame)).node or context
        call = found if isinstance(found, ast.Call) else None
        name = full_name(call.func if call else found, frame.scope)
        given = [*call.args, *(keyword.value for keyword in call.keywords)] if call else []
        if name in OFF or name in SWITCHES:
            on: bool | None = False
            if given and name not in OFF[:1]:
                on = bool(given[0].value) if isinstance(given[0], ast.Constant) else None
                on = not on if name in OFF and on is not None else on
            self.around = replace(self.around, grad=on)
        elif name in ("torch.enable_grad", "torch.autograd.enable_grad"):
            self.around = replace(self.around, grad=True)
        elif not name and not isinstance(context, ast.Name | ast.Attribute) and mentions_switch(context):
            self.around = replace(self.around, grad=None)
        elif not name and call is None and frame.function(spelled(context)) is None:
            self.around = replace(self.around, grad=None)  # a context in a variable

    def branches(self, statement: ast.If | ast.Match | ast.Try, frame: Frame) -> list[Guard | None]:
        """Follow each branch from what holds before it; the guards of those that go on, None for one that is always taken."""
        number = self.new()
        ways: list[tuple[Guard | None, Sequence[ast.stmt]]]
        if isinstance(statement, ast.If):
            self.evaluate(statement.test, frame)
            if is_main(statement.test):
                return [] if self.block(statement.body, frame) else [None]
            ways = [((number, 0), statement.body), ((number, 1), statement.orelse)]
        elif isinstance(statement, ast.Match):
            self.evaluate(statement.subject, frame)
            ways = [((number, place), case.body) for place, case in enumerate(statement.cases)]
            ways.append(((number, len(ways)), []))
        else:
            ways = [(None, [*statement.body, *statement.orelse])]
            ways += [((number, place), handler.body) for place, handler in enumerate(statement.handlers, 1)]
        going, ends = [], []
        values, aliases = self.values, dict(self.aliases)
        for guard, body in ways:
            self.values = dict(values)
            self.aliases.clear()
            self.aliases.update(aliases)
            with self.within(guards=(*self.around.guards, *([guard] if guard else []))):
                left = self.block(body, frame)
            if not left:
                going.append(guard)
                ends.append((self.values, dict(self.aliases)))
        self.values, joined = merged(ends) if ends else (values, aliases)
        self.aliases.clear()
        self.aliases.update(joined)
        if isinstance(statement, ast.Try):
            left = self.block(statement.finalbody, frame)
            return [] if left or not going else [None]
        return going

    # ---- what is assigned --------------------------------------------------------------------------------------------

    def bind(self, target: ast.expr, value: Value, statement: ast.stmt, frame: Frame) -> None:
        """Have a target hold a value."""
        if isinstance(target, ast.Tuple | ast.List):
            whole = settled(value)
            same = isinstance(whole.node, ast.Tuple | ast.List) and len(whole.node.elts) == len(target.elts)
            for place, one in enumerate(target.elts):
                part = whole.of(whole.node.elts[place]) if same else Value(part_of=value, place=place, grad=value.grad)  # type: ignore[union-attr]
                self.bind(one, part, statement, frame)
            return
        for node in ast.walk(target):
            if isinstance(node, ast.Attribute) and node.attr == "grad":
                self.emit(Act.GRADIENT, statement, frame, subject=frame.key(node.value))
        if not is_name(target) or not (own := frame.unmeant(target)):
            return
        source = value.key(value.node) if value.node is not None and is_name(value.node) else ""
        value = moved(value)
        source = value.instance or source
        if source and source != own and (source in self.values or source in self.classes or isinstance(target, ast.Attribute)):
            self.aliases[own] = source
            if value.instance:
                self.values.setdefault(source, value)
            made = frame.meant(own)
        else:
            if not self.is_same_object(value, frame.meant(own)):
                self.aliases.pop(own, None)
            made = frame.meant(own)
            self.values[made] = value
        role, _ = role_of(value)
        is_module = role is Role.MODEL or (value.instance in self.classes and self.is_module_class(self.classes[value.instance]))
        if isinstance(value.node, ast.Call | ast.IfExp) and (role in MADE or is_module):
            act = Act.MAKE if role in MADE else Act.ASSIGN
            self.emit(act, statement, frame, subject=made if act is Act.MAKE else own, value=value)

    def is_same_object(self, value: Value, key: str) -> bool:
        """Whether a value is the object that a key names, moved or wrapped: `model = model.to(device)`."""
        call = value.node
        if not isinstance(call, ast.Call):
            return False
        if isinstance(call.func, ast.Attribute) and call.func.attr in SAME_OBJECT and value.key(call.func.value) == key:
            return True
        return bool(call.args) and value.key(call.args[0]) == key and bool(full_name(call.func, value.scope))

    # ---- expressions -------------------------------------------------------------------------------------------------

    def evaluate(self, expression: ast.expr, frame: Frame) -> Value:
        """Follow the calls in an expression, and say what it gives."""
        self.visit(expression, frame)
        return self.value(expression, frame)

    def visit(self, node: ast.AST, frame: Frame) -> None:
        """Follow the calls in a part of an expression, the innermost first."""
        if isinstance(node, ast.Lambda):
            return
        for child in ast.iter_child_nodes(node):
            self.visit(child, frame)
        if isinstance(node, ast.Attribute) and node.attr == "grad" and isinstance(node.ctx, ast.Load):
            self.emit(Act.GRADIENT, node, frame, subject=frame.key(node.value))
        if isinstance(node, ast.Call):
            found = self.call(node, frame)
            if found is not None:
                self.values[called(node)] = found

    def value(self, expression: ast.expr, frame: Frame) -> Value:
        """What an expression gives, with what the names in it hold now."""
        names: dict[str, Value] = {}
        keys: dict[str, str] = {}
        for node in ast.walk(expression):
            if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
                if (text := spelled(node)) and text not in keys and (key := frame.key(node)):
                    keys[text] = key
                    if key in self.values:
                        names[key] = self.values[key]
            elif isinstance(node, ast.Call) and called(node) in self.values:
                names[called(node)] = self.values[called(node)]
        found = names.get(called(expression))
        return found or Value(expression, frame.scope, names, keys, grad=self.around.grad, order=len(self.events))

    # ---- calls -------------------------------------------------------------------------------------------------------

    def call(self, call: ast.Call, frame: Frame) -> Value | None:
        """Follow a call, or write down what it does; its value, where its function was followed."""
        whole = self.value(call, frame)
        if full_name(call.func, frame.scope) in SWITCHES and not call.keywords:
            self.around = replace(self.around, grad=None)  # as a statement; a context turns it back at its end
            return None
        if (found := self.followed_call(call, frame)) is not None:
            return found
        if isinstance(call.func, ast.Attribute) and not full_name(call.func, frame.scope):
            key, receiver = frame.key(call.func.value), whole.of(call.func.value)
            deed = calls.deed_of_method(call, key, receiver, whole, is_model=self.is_module(key, receiver))
        else:
            deed = calls.deed_of_function(call, whole)
        if deed is None:
            self.other_call(call, frame, whole)
            return None
        if deed.act is Act.STEP and not deed.scaler:
            self.closure(call, frame)
        count = len(call.args) + len(call.keywords)
        handed = given(call, frame)
        self.emit(deed.act, call, frame, deed.subject, given=handed, value=deed.value, scaler=deed.scaler, arguments=count)
        return None

    def other_call(self, call: ast.Call, frame: Frame, whole: Value) -> None:
        """The call of a model, of a loss, or of what cannot be seen."""
        key = frame.key(call.func)
        receiver = whole.of(call.func)
        if key and calls.is_criterion(key, receiver):
            self.emit(Act.LOSS, call, frame, subject=key, value=whole)
        elif key and self.is_module(key, receiver):
            self.emit(Act.FORWARD, call, frame, subject=key, value=whole)
        elif not calls.is_harmless(call, whole):
            handed = given(call, frame)
            if isinstance(call.func, ast.Attribute):
                if call.func.attr in calls.HARMLESS_METHODS or self.of_framework(call.func, frame):
                    return
                handed |= {frame.key(call.func.value)} - {""}
            self.emit(Act.CALL, call, frame, subject=key, given=handed, value=whole)

    def of_framework(self, function: ast.Attribute, frame: Frame) -> bool:
        """Whether a method is one that a framework's class has, and that changes nothing: `self.log(...)`."""
        owner = frame.key(function.value)
        return bool(owner) and owner == frame.itself and function.attr in calls.OF_FRAMEWORKS

    def closure(self, call: ast.Call, frame: Frame) -> None:
        """`optimizer.step(closure)` calls the closure first."""
        for one in [*call.args, *(keyword.value for keyword in call.keywords)]:
            if isinstance(one, ast.Name) and (found := frame.function(one.id)) is not None:
                self.follow(found[0], ast.Call(one, [], []), frame, outer=found[1])

    def followed_call(self, call: ast.Call, frame: Frame) -> Value | None:
        """The value of a call of a function, a class or a method of the file; None for any other."""
        if isinstance(call.func, ast.Name):
            if (function := frame.function(call.func.id)) is not None:
                return self.follow(function[0], call, frame, outer=function[1])
            kind = top(frame.scope, call.func.id) if call.func.id not in frame.local else None
            if kind is not None and isinstance(kind.node, ast.ClassDef):
                return self.made(kind, call, frame)
        key = frame.key(call.func)
        if isinstance(call.func, ast.Attribute):
            owner = frame.key(call.func.value)
            if is_super(call.func.value):
                return self.of_base(call.func.attr, call, frame)
            if owner in self.classes and (method := method_of(self.classes[owner], call.func.attr)) is not None:
                return self.follow(method, call, frame, itself=owner)
        called_object = key in self.classes and not self.is_module_class(self.classes[key])
        if called_object and (method := method_of(self.classes[key], "__call__")) is not None:
            return self.follow(method, call, frame, itself=key)
        return None

    def of_base(self, name: str, call: ast.Call, frame: Frame) -> Value | None:
        """A method that is called on `super()`: of a base in the file; a constructor that cannot be seen does nothing here."""
        owner = self.classes.get(frame.itself)
        for base in list(family(owner))[1:] if owner is not None else ():
            if base.file is frame.scope.file and (method := method_of(base, name)) is not None:
                return self.follow(method, call, frame, itself=frame.itself)
        return Value() if name.startswith("__") else None

    def made(self, kind: Scope, call: ast.Call, frame: Frame) -> Value:
        """The object that a class of the file makes."""
        itself = f"{kind.qualname}@{self.new()}"
        self.classes[itself] = kind
        if (start := method_of(kind, "__init__")) is not None:
            self.follow(start, call, frame, itself=itself)
        return replace(Value(call, frame.scope, grad=self.around.grad, order=len(self.events)), instance=itself)

    def follow(
        self, function: Scope, call: ast.Call, frame: Frame, *, itself: str = "", outer: Frame | None = None
    ) -> Value | None:
        """Follow a function that is called; None where it leads too deep, or gives what it has piece by piece."""
        node = function.node
        assert isinstance(node, FunctionNode)
        yields = any(isinstance(one, ast.Yield | ast.YieldFrom | ast.Await) for one in ast.walk(node))
        if yields or len(self.stack) >= DEEPEST or function in self.stack:
            self.emit(Act.CALL, call, frame, subject=frame.key(call.func), given=given(call, frame) | ({itself} - {""}))
            return None
        own = itself if function.self_name else ""
        inside = Frame(function, self.aliases, f"{node.name}@{self.new()}:", own, outer)
        whole = self.value(call, frame)
        for name, argument in arguments(call, node, bound=bool(own)):
            key = frame.key(argument)
            if key and (key in self.values or key in self.classes or is_name(argument)):
                self.aliases[inside.own(name)] = key
            else:
                self.values[inside.own(name)] = whole.of(argument)
        with self.within():
            results = self.body(function, inside)
        result = results[0] if len(results) == 1 else Value(options=tuple(results))
        return replace(whole, node=call, result=result if results else None, order=len(self.events))

    def is_module(self, key: str, value: Value) -> bool:
        """Whether what a key names is a module."""
        if key in self.classes:
            return self.is_module_class(self.classes[key])
        role, _ = role_of(value)
        name = calls.last_name(key)
        return role is Role.MODEL or (role is None and bool(name) and (name in self.modules or bool(calls.MODEL.search(name))))

    def is_module_class(self, scope: Scope) -> bool:
        """Whether a class of the file is a module."""
        return models.is_model(scope)

    def emit(
        self,
        act: Act,
        node: ast.expr | ast.stmt,
        frame: Frame,
        subject: str = "",
        *,
        given: frozenset[str] = frozenset(),
        value: Value | None = None,
        scaler: str = "",
        arguments: int = 0,
    ) -> None:
        """Write an event down."""
        a = self.around
        self.events.append(Event(act, node, frame.scope, subject, a.loops, a.guards, a.grad, given, value, scaler, arguments))


def moved(value: Value) -> Value:
    """The object that a class of the file made, where it is moved, or put into a mode, as it is made: `Net().to(device)`."""
    one = value
    while not one.instance and isinstance(one.node, ast.Call) and isinstance(one.node.func, ast.Attribute):
        if one.node.func.attr not in SAME_OBJECT or isinstance(one.node.func.value, ast.Name | ast.Attribute):
            break
        one = one.of(one.node.func.value)
    return one if one.instance else value


def given(call: ast.Call, frame: Frame) -> frozenset[str]:
    """The keys that a call is given as they are, also in a list, tuple or dict."""
    found: set[str] = set()
    pending: list[ast.expr] = [*call.args, *(keyword.value for keyword in call.keywords)]
    while pending:
        one = pending.pop()
        if isinstance(one, ast.List | ast.Tuple | ast.Set):
            pending += one.elts
        elif isinstance(one, ast.Dict):
            pending += one.values
        elif isinstance(one, ast.Starred):
            pending.append(one.value)
        elif key := frame.key(one):
            found.add(key)
    return frozenset(found)


def merged(ends: list[tuple[dict[str, Value], dict[str, str]]]) -> tuple[dict[str, Value], dict[str, str]]:
    """What holds where several ways meet."""
    first, aliases = ends[0]
    if len(ends) == 1:
        return first, aliases
    values: dict[str, Value] = {}
    for key in {key for each, _ in ends for key in each}:
        options = list(dict.fromkeys(each.get(key, Value()) for each, _ in ends))
        values[key] = options[0] if len(options) == 1 else Value(options=tuple(options))
    return values, {key: one for key, one in aliases.items() if all(other.get(key) == one for _, other in ends)}


def mentions_switch(context: ast.expr) -> bool:
    """Whether an expression that is a context names what turns gradients off: `no_grad() if frozen else nullcontext()`."""
    return any(isinstance(one, ast.Attribute | ast.Name) and "grad" in spelled(one) for one in ast.walk(context))


def is_main(test: ast.expr) -> bool:
    """Whether a test is `__name__ == "__main__"`."""
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"
