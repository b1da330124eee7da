"""The line that built each submodule of a live model, from the text of its source. Imports no torch.

    class Net(nn.Module):                                      names            the call at
        def __init__(self):
            self.conv = nn.Conv2d(3, 8, 3)                     conv             line 3
            self.layers = nn.Sequential(                       layers           line 4
                nn.Linear(8, 8),                               layers, 0        line 5
                *[Block() for _ in range(3)],                  layers, 2        line 6
            )

Where several expressions may have made a module (a branch, a loop), the class of the live module decides.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from netcheck.findings import Location
from netcheck.source.builders import (
    Site,
    called_functions,
    dotted,
    file_index,
    resolve,
    returned,
    values_of,
)
from netcheck.source.contents import END, class_history, contents, history
from netcheck.source.imports import imported_as
from netcheck.source.recipe import Item, One, Recipe, ones, parse_items
from netcheck.source.scopes import SELF, FunctionNode, Scope, index

EXACT, OPEN, UNKNOWN, OTHER = 3.0, 1.0, 0.5, 0.1  # how well a callee fits the class of a live module


@dataclass(frozen=True, slots=True)
class Definition:
    """Where a class, a factory or a variable that holds a model is defined.

    Attributes:
        file: the path of its source.
        name: its qualified name, as `__qualname__` gives it, "make.<locals>.Net"; or a variable's name.
        line: its first line where known; it tells apart two definitions of one name.
    """

    file: str
    name: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One step down from a module to a child.

    Attributes:
        name: the child's name ("layers", "3").
        class_name: its class ("Linear"), "" where not known.
        siblings: all children of the same parent; they make the place in a loop exact.
    """

    name: str
    class_name: str = ""
    siblings: Siblings | None = None


@dataclass(eq=False)
class Siblings:
    """All children of one module; equal ones are one object (see `siblings_of`), compared in no time however many they are.

    Attributes:
        items: (name, class name) of each.
        numbered: those whose names are numbers.
    """

    items: tuple[Item, ...]

    def __post_init__(self) -> None:
        self.numbered = tuple(item for item in self.items if item[0].isdecimal())
        self._numbers = {item: number for number, item in reversed(list(enumerate(self.numbered)))}

    def number(self, item: Item) -> int | None:
        """The place of a child among those whose names are numbers; None if it is not among them."""
        return self._numbers.get(item)


@lru_cache(maxsize=4096)
def siblings_of(items: tuple[Item, ...]) -> Siblings:
    """The children of one module."""
    return Siblings(items)


def locate_child(parent_sources: Sequence[Definition], names: Sequence[str | Step], class_name: str = "") -> Location | None:
    """The call that built a submodule.

    Args:
        parent_sources: the classes of the parent in the order of its MRO; or its variable or factory.
        names: the way from there: ("conv1",), or ("layers", "3") where `layers` is a container.
        class_name: the class of the live submodule.

    Returns:
        The place of the call, or None where the source is not known or a caller passed the submodule in.
    """
    steps = tuple(step if isinstance(step, Step) else Step(step) for step in names)
    if class_name:
        last = steps[-1]
        steps = (*steps[:-1], Step(last.name, class_name.removeprefix("Parametrized"), last.siblings))
    return locate_steps(tuple(parent_sources), steps)


def locate_override(sources: tuple[Definition, ...], steps: tuple[Step, ...]) -> Location | None:
    """The call with which an ancestor replaced a module below it: `self.backbone.fc = nn.Linear(8, 2)`."""
    if len(steps) < 2 or not any(reaches_down(source) for source in sources):
        return None
    key = ".".join((SELF, *(step.name for step in steps)))
    for source in sources:
        for scope in scopes_of(source):
            for method in file_index(scope).methods(scope):
                for value in method.assigned.get(key, ())[::-1]:
                    for call in resolve(value, method):
                        if call.settled and fit(call, steps[-1].class_name) >= OPEN:
                            return location(call.expression, call.scope)
    return None


@lru_cache(maxsize=4096)
def reaches_down(source: Definition) -> bool:
    """Whether a class assigns to anything below its own attributes."""
    return any(
        key.startswith(f"{SELF}.") and key.count(".") > 1
        for scope in scopes_of(source)
        for method in file_index(scope).methods(scope)
        for key in method.assigned
    )


def locate_definition(definition: Definition) -> Location | None:
    """The first line of a class or factory, or the call that a variable was assigned."""
    for scope in scopes_of(definition):
        if scope.qualname:
            return location(scope.node, scope)
    for value, scope in variable_values(definition):
        for site in resolve(value, scope):
            return location(site.expression, site.scope)
    return None


def locate_parameter(function: Definition, name: str) -> Location | None:
    """Where the signature of a function has a parameter; its first line for one that it takes by `*` or `**`."""
    for scope in scopes_of(function):
        if isinstance(scope.node, FunctionNode):
            spec = scope.node.args
            named = {each.arg: each for each in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)}
            return location(named.get(name, scope.node), scope)
    return None


@lru_cache(maxsize=65536)
def locate_steps(sources: tuple[Definition, ...], steps: tuple[Step, ...]) -> Location | None:
    """`locate_child` with everything hashable; the nearest class that explains the child well decides."""
    best: tuple[float, Site] | None = None
    for source in sources:
        for site in sites(source, steps):
            for call in resolve(site.expression, site.scope):
                quality = fit(call, steps[-1].class_name) if call.settled else -1.0
                if quality >= 0 and (best is None or quality > best[0]):
                    best = quality, call
        if best is not None and best[0] >= OPEN:
            break
    return location(best[1].expression, best[1].scope) if best is not None else None


def sites(source: Definition, steps: tuple[Step, ...]) -> Iterator[Site]:
    """The expressions that may have made the child `steps` of what `source` defines, the likeliest first."""
    for scope in scopes_of(source):
        if isinstance(scope.node, ast.ClassDef):
            yield from sites_in_class(scope, steps)
        else:
            for value in returned_values(scope):
                yield from sites_in_key(scope, scope.key(value), value, steps)
    for value, scope in variable_values(source):
        yield from sites_in_key(scope, source.name.rpartition(".")[2], value, steps)


def sites_in_class(owner: Scope, steps: tuple[Step, ...]) -> Iterator[Site]:
    """The expressions for a child of a class: `self.a.b = ...`, then what `self.a` or self itself holds."""
    methods = file_index(owner).methods(owner)
    for length in range(len(steps), 0, -1):
        key = ".".join((SELF, *(step.name for step in steps[:length])))
        found = [(value, method) for method in methods for value in method.assigned.get(key, ())]
        rest = steps[length:]
        for value, method in found:
            if not rest:
                yield Site(value, method)
        if rest and (found or any(key in method.mutated for method in methods)):
            yield from down(item_of(key, owner, found), rest)
    if any(SELF in method.mutated for method in methods):
        yield from pick_all(class_contents(SELF, owner), steps)


def item_of(key: str, owner: Scope, found: list[tuple[ast.expr, Scope]]) -> list[Recipe]:
    """What the container `key` of a class holds: as it is built, or after all that happened to it."""
    methods = file_index(owner).methods(owner)
    if any(key in method.mutated for method in methods):
        return [class_contents(key, owner)]
    return [value_contents(value, method) for value, method in found]


@lru_cache(maxsize=4096)
def class_contents(key: str, owner: Scope) -> Recipe:
    """`class_history`, once for each class and key."""
    return class_history(key, owner, END, frozenset())


@lru_cache(maxsize=4096)
def value_contents(value: ast.expr, scope: Scope) -> Recipe:
    """`contents`, once for each expression."""
    return contents(value, scope)


def sites_in_key(scope: Scope, key: str, value: ast.expr, steps: tuple[Step, ...]) -> Iterator[Site]:
    """The expressions for a child of the model that a variable or a factory's return value holds."""
    for length in range(len(steps), 0, -1):
        inner = ".".join((key, *(step.name for step in steps[:length])))
        found = scope.assigned.get(inner, []) if key else []
        rest = steps[length:]
        yield from (Site(one, scope) for one in found if not rest)
        if rest:
            yield from down([value_contents(one, scope) for one in found], rest)
    mutated = key in scope.mutated
    recipe = history(key, scope) if mutated else value_contents(value, scope)
    yield from pick_all(recipe, steps)


def down(recipes: Sequence[Recipe], steps: tuple[Step, ...]) -> Iterator[Site]:
    """The expressions for a child `steps` below containers that hold `recipes`."""
    for recipe in recipes:
        yield from pick_all(recipe, steps)


def pick_all(recipe: Recipe, steps: tuple[Step, ...]) -> Iterator[Site]:
    """The expressions in a recipe that may have made the child `steps`."""
    for part in pick(recipe, steps[0]):
        if part.expression is None:
            continue
        if len(steps) == 1:
            yield Site(part.expression, part.scope)
        else:
            yield from pick_all(value_contents(part.expression, part.scope), steps[1:])


def pick(recipe: Recipe, step: Step) -> list[One]:
    """The parts of a recipe that may have made one child, the likeliest first."""
    if step.name.isdecimal():
        part = parsed_part(recipe, step)
        if part is not None:
            return [part]
    named = [one for one in ones(recipe) if one.key is not None and one.key.fullmatch(step.name)]
    if named:  # the name that says most; of equals, what __init__ does
        return sorted(named, key=lambda one: (-literal_length(one.key), not is_initializer(one.scope)))[:1]
    loose = [one for one in ones(recipe) if one.key is None]
    return [one for one in loose if step.class_name and part_fit(one, step.class_name) >= EXACT]


def parsed_part(recipe: Recipe, step: Step) -> One | None:
    """The part that made item `step` by the best parse of the whole container, or of its beginning."""
    number = step.siblings.number((step.name, step.class_name)) if step.siblings is not None else None
    if step.siblings is not None and number is not None:
        made = parse_whole(recipe, step.siblings)
        if made is not None:
            return made[number]
    if int(step.name) > 100_000:
        return None
    beginning = (*((str(n), "") for n in range(int(step.name))), (step.name, step.class_name))
    made = parse_items(recipe, beginning, item_fit, whole=False)
    return made[-1] if made else None


@lru_cache(maxsize=4096)
def parse_whole(recipe: Recipe, siblings: Siblings) -> list[One] | None:
    """`parse_items`, once for each container."""
    return parse_items(recipe, siblings.numbered, item_fit)


def item_fit(part: One, item: Item) -> float:
    """How well a part explains a live module; negative where its name excludes it."""
    name, class_name = item
    if part.key is not None and not part.key.fullmatch(name):
        return -1.0
    return part_fit(part, class_name)


@lru_cache(maxsize=16384)
def part_fit(part: One, class_name: str) -> float:
    """How well the calls behind a part explain a module of this class."""
    if part.expression is None or not class_name:
        return UNKNOWN
    return expression_fit(part.expression, part.scope, class_name)


def expression_fit(expression: ast.expr, scope: Scope, class_name: str, depth: int = 3) -> float:
    """The best fit of the calls behind an expression, and of what the functions return that these call."""
    best = -1.0
    for site in resolve(expression, scope):
        best = max(best, fit(site, class_name))
        if best < EXACT and depth and isinstance(site.expression, ast.Call):
            for function in called_functions(site.expression.func, site.scope):
                inner = (expression_fit(value, function, class_name, depth - 1) for value in returned(function))
                best = max(best, max(inner, default=best))
    return best if best >= 0 else UNKNOWN


def fit(site: Site, class_name: str) -> float:
    """How well one call explains a module of this class: by its callee's name, aliases followed."""
    if not isinstance(site.expression, ast.Call) or not class_name:
        return UNKNOWN if not isinstance(site.expression, ast.Call) else OPEN
    names = callee_names(site.expression.func, site.scope)
    if class_name in names:
        return EXACT
    return OTHER if names and all(name[:1].isupper() for name in names) else OPEN


def callee_names(function: ast.expr, scope: Scope) -> list[str]:
    """The last names that a callee may have: `Conv` of `Conv = nn.Conv2d` gives Conv2d."""
    if isinstance(function, ast.IfExp):
        return callee_names(function.body, scope) + callee_names(function.orelse, scope)
    if isinstance(function, ast.Name):
        aliased = [dotted(value) for value, _ in values_of(function.id, scope, until=function.lineno)]
        if any(aliased):
            return [name.rpartition(".")[2] for name in aliased if name]
    head, _, tail = dotted(function).partition(".")
    if not tail:
        head = imported_as(file_index(scope), head)
    name = (tail or head).rpartition(".")[2]
    return [name] if name else []


def is_initializer(scope: Scope) -> bool:
    """Whether a scope is the `__init__` of a class."""
    return scope.qualname.endswith(".__init__")


def literal_length(key: re.Pattern[str] | None) -> int:
    """How many characters of a name a pattern fixes: `conv1` says more than `conv.+`."""
    return len(key.pattern.replace(".+", "")) if key is not None else 0


@lru_cache(maxsize=4096)
def scopes_of(definition: Definition) -> tuple[Scope, ...]:
    """The classes or functions of this name in the file; the one at the given line alone, if there is one."""
    files = index(definition.file)
    found = files.scopes.get(definition.name, []) if files is not None and definition.name else []
    exact = [s for s in found if definition.line and definition.line in range(first_line(s), s.node.body[0].lineno)]
    return tuple(exact or found[-1:])  # the last definition of a name is the one that stands


def first_line(scope: Scope) -> int:
    """The line of a definition, decorators included."""
    if isinstance(scope.node, ast.Module):
        return 1
    return min([scope.node.lineno, *(decorator.lineno for decorator in scope.node.decorator_list)])


@lru_cache(maxsize=4096)
def variable_values(definition: Definition) -> tuple[tuple[ast.expr, Scope], ...]:
    """What a variable is assigned: at the top of the file, else in the function of its name or line."""
    files = index(definition.file)
    if files is None:
        return ()
    outer, _, name = definition.name.rpartition(".")
    scopes = [scope for found in files.scopes.values() for scope in found if name in scope.assigned]
    if outer:
        scopes = [scope for scope in scopes if scope.qualname == outer.removesuffix(".<locals>")]
    elif definition.line:
        scopes = [scope for scope in scopes if encloses(scope, definition.line)]
    scopes.sort(key=lambda scope: (scope.qualname != "", first_line(scope)))
    values = [(value, scope) for scope in scopes for value in scope.assigned[name][::-1]]
    if definition.line:
        values.sort(key=lambda pair: pair[0].lineno > definition.line)  # what was assigned before it, first
    return tuple(values)


def encloses(scope: Scope, line: int) -> bool:
    """Whether a line stands in a scope."""
    return isinstance(scope.node, ast.Module) or scope.node.lineno <= line <= (scope.node.end_lineno or END)


def returned_values(scope: Scope) -> list[ast.expr]:
    """What a factory returns."""
    return returned(scope) if isinstance(scope.node, FunctionNode) else []


def location(node: ast.AST, scope: Scope) -> Location:
    """The place of a syntax node."""
    assert isinstance(node, ast.expr | ast.stmt | ast.arg)
    end = node.end_lineno or node.lineno
    if isinstance(node, ast.ClassDef | FunctionNode):  # its name, not its body
        end_line, end_column = node.lineno, None
    else:
        end_line, end_column = end, scope.file.column(end, node.end_col_offset or 0)
    return Location(
        file=scope.file.path,
        line=node.lineno,
        column=scope.file.column(node.lineno, node.col_offset),
        end_line=end_line,
        end_column=end_column,
        function=scope.qualname if isinstance(scope.node, FunctionNode) else "",
    )
