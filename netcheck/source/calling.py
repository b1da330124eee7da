"""What the project itself calls a model with, as far as the text shows shapes. Imports no torch.

model = Net(3)
model(torch.randn(1, 3, 64, 64))          Call((Shape((1, 3, 64, 64)),), {}, "net.py:40")
summary(model, (3, 64, 64))               Call((Shape((1, 3, 64, 64)),), {}, "net.py:41")
"""

from __future__ import annotations

import ast
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from netcheck.source.builders import dotted
from netcheck.source.construction.callers import calls_of
from netcheck.source.construction.evaluate import Evaluator
from netcheck.source.construction.evaluation import Frame
from netcheck.source.construction.project import Project, Site, calls_in, project_of
from netcheck.source.construction.values import is_plain
from netcheck.source.parse import Unreadable
from netcheck.source.scopes import Scope, index
from netcheck.source.spots import spot_in

# What makes a tensor of nested lists of numbers, and whether it holds whole numbers; None: as they are.
OF_DATA: dict[str, bool | None] = dict.fromkeys(("Tensor", "FloatTensor", "DoubleTensor"), False)
OF_DATA |= {"LongTensor": True, "IntTensor": True, "tensor": None, "as_tensor": None}
FACTORIES = frozenset(("randn", "rand", "zeros", "ones", "empty", "randint", "full", *OF_DATA))
UNCHANGED = frozenset(
    ("to", "cuda", "cpu", "float", "double", "half", "requires_grad_", "detach", "contiguous", "clone", "type", "Variable", "abs")
)
WHOLE = frozenset(("long", "int"))
SUMMARIES = frozenset(("summary",))  # of torchsummary (without a batch) and torchinfo (with one)
TAKERS = frozenset(("export", "trace", "add_graph", "profile", "FlopCountAnalysis", "draw_graph"))  # model, inputs
LARGEST = 2**26  # elements
MOST_CALLS = 4
DEEPEST = 8  # names that lead to each other


@dataclass(frozen=True)
class Shape:
    """A tensor of which the text shows the shape."""

    sizes: tuple[int, ...]
    whole: bool = False  # whether it holds whole numbers


@dataclass(frozen=True)
class Call:
    """A call of a model; each argument is a Shape or plain data."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    place: str = ""


@lru_cache(maxsize=512)
def calls_shown(file: str, qualname: str) -> tuple[Call, ...]:
    """The calls of a class's instances whose arguments are all known, those of its own file first.

    Args:
        file: the absolute path of its file.
        qualname: its qualified name there.
    """
    files = index(file)
    scopes = files.scopes.get(qualname, []) if files else []
    if not scopes or not isinstance(scopes[-1].node, ast.ClassDef):
        return ()
    try:
        project = project_of(file)
        found = [call for site in calls_of(project, scopes[-1], scopes[-1].node.name) for call in called(project, site)]
    except (RecursionError, Unreadable):
        return ()
    name = os.path.basename(file)
    own = (f"{name}:", f"{name}, ")
    return tuple(sorted(found, key=lambda call: not call.place.startswith(own))[:MOST_CALLS])


def called(project: Project, built: Site) -> Iterator[Call]:
    """The calls of what one construction builds: by its variable in the same scope, or in those inside."""
    evaluator = Evaluator(project)
    keys = [key for key, values in built.scope.assigned.items() if any(holds(value, built.call) for value in values)]
    for sites in calls_in(built.file).values():
        for site in sites:
            if not is_inside(site.scope, built.scope):
                continue
            name, key = dotted(site.call.func), next(iter(keys), "")
            given = site.call.args
            if (name and name in keys) or site.call.func is built.call:
                call = arguments_of(evaluator, site, given, site.call.keywords)
            elif given and key and dotted(given[0]) in keys and name.rpartition(".")[2] in TAKERS | SUMMARIES:
                call = taken(evaluator, site, name.rpartition(".")[2])
            else:
                continue
            if call is not None:
                yield call


def holds(value: ast.expr, call: ast.Call) -> bool:
    """Whether an expression is a call, perhaps with `.to(device)` or `nn.DataParallel(...)` around it."""
    while value is not call and isinstance(value, ast.Call):
        inner = value.func.value if isinstance(value.func, ast.Attribute) else None
        value = inner if isinstance(inner, ast.Call) else next(iter(value.args), ast.Constant(None))
    return value is call


def is_inside(scope: Scope, outer: Scope) -> bool:
    """Whether a scope is another one or lies in it."""
    place: Scope | None = scope
    while place is not None and place is not outer:
        place = place.parent
    return place is outer


def arguments_of(evaluator: Evaluator, site: Site, given: list[ast.expr], named: list[ast.keyword]) -> Call | None:
    """A call whose arguments are all known; None for any other, and for one without a tensor."""
    args = [shown(evaluator, one, site.scope) for one in given]
    kwargs = {one.arg: shown(evaluator, one.value, site.scope) for one in named if one.arg}
    values = [*args, *kwargs.values()]
    if len(kwargs) < len(named) or NotImplemented in values or not any(isinstance(one, Shape) for one in values):
        return None
    return Call(tuple(args), kwargs, spot_in(site.file, site.call.lineno))


def taken(evaluator: Evaluator, site: Site, name: str) -> Call | None:
    """What a function that runs a model runs it on: `summary(model, (3, 32, 32))`, `export(model, x, path)`."""
    words = {word.arg: word.value for word in site.call.keywords if word.arg}
    second = site.call.args[1] if len(site.call.args) > 1 else words.get("inputs", words.get("input_size", words.get("args")))
    if second is None:
        return None
    if name not in SUMMARIES:
        parts = second.elts if isinstance(second, ast.Tuple) else [second]
        return arguments_of(evaluator, site, list(parts), [])
    sizes = evaluator.value(second, Frame(site.scope))
    if not isinstance(sizes, tuple | list) or not sizes or not all(type(size) is int and size > 0 for size in sizes):
        return None
    with_batch = (1, *sizes) if len(sizes) in (1, 3) and "input_size" not in words else tuple(sizes)
    return Call((Shape(with_batch),), {}, spot_in(site.file, site.call.lineno))


def shown(evaluator: Evaluator, node: ast.expr, scope: Scope, depth: int = DEEPEST) -> Any:
    """A Shape, or plain data; NotImplemented for what the text does not show."""
    if depth == 0:
        return NotImplemented
    if isinstance(node, ast.Name | ast.Attribute):
        place: Scope | None = scope
        while place is not None:
            values = [
                value for value in place.assigned.get(place.key(node), ()) if value.lineno <= node.lineno or place is not scope
            ]
            if values:
                found = shown(evaluator, values[-1], place, depth - 1)
                if found is not NotImplemented:
                    return found
                break
            place = place.parent
    if isinstance(node, ast.Call):
        return made(evaluator, node, scope, depth)
    value = evaluator.value(node, Frame(scope))
    return value if value is None or (is_plain(value) and not isinstance(value, list | dict | set | bytes)) else NotImplemented


def made(evaluator: Evaluator, node: ast.Call, scope: Scope, depth: int) -> Any:
    """The tensor that a call makes."""
    name = dotted(node.func) or (node.func.attr if isinstance(node.func, ast.Attribute) else "")
    last = name.rpartition(".")[2]
    if last in FACTORIES and name.startswith(("torch.", *FACTORIES)):
        return factory(evaluator, node, scope, last)
    inner = node.func.value if isinstance(node.func, ast.Attribute) and last != "Variable" else next(iter(node.args), None)
    if inner is None or last not in UNCHANGED | WHOLE | {"unsqueeze", "view", "reshape"}:
        return NotImplemented
    base = shown(evaluator, inner, scope, depth - 1)
    if not isinstance(base, Shape) or last in UNCHANGED:
        return base if isinstance(base, Shape) else NotImplemented
    if last in WHOLE:
        return Shape(base.sizes, whole=True)
    sizes = [evaluator.value(one, Frame(scope)) for one in node.args]
    sizes = list(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes
    if not sizes or not all(type(size) is int for size in sizes):
        return NotImplemented
    if last == "unsqueeze":
        at = sizes[0] % (len(base.sizes) + 1)
        return Shape((*base.sizes[:at], 1, *base.sizes[at:]), base.whole)
    rest = math.prod(size for size in sizes if size != -1)
    whole = [size if size != -1 else math.prod(base.sizes) // max(1, rest) for size in sizes]
    return Shape(tuple(whole), base.whole) if math.prod(whole) == math.prod(base.sizes) else NotImplemented


def factory(evaluator: Evaluator, node: ast.Call, scope: Scope, name: str) -> Any:
    """The tensor that `torch.randn(2, 3)` or `torch.randint(0, 9, (2, 5))` makes."""
    words = {word.arg: word.value for word in node.keywords if word.arg}
    values = [evaluator.value(one, Frame(scope)) for one in node.args]
    if name in OF_DATA and len(values) == 1 and (OF_DATA[name] is None or isinstance(values[0], list | tuple)):
        return of_data(values[0], OF_DATA[name])
    if "size" in words:
        values = [evaluator.value(words["size"], Frame(scope))]
    elif name == "randint":
        values = [one for one in values if isinstance(one, tuple | list)]
    elif name == "full":
        values = values[:1]
    sizes = values[0] if len(values) == 1 and isinstance(values[0], tuple | list) else values
    if not sizes or not all(type(size) is int and size > 0 for size in sizes) or math.prod(sizes) > LARGEST:
        return NotImplemented
    dtype = ast.unparse(words["dtype"]) if "dtype" in words else ""
    whole = "int" in dtype or "long" in dtype or OF_DATA.get(name) or (name == "randint" and "float" not in dtype)
    return Shape(tuple(sizes), bool(whole))


def of_data(value: Any, whole: bool | None) -> Any:
    """The tensor that nested lists of numbers make; NotImplemented for what is none, or of uneven length."""
    sizes: list[int] = []
    level = [value]
    while level and all(isinstance(one, list | tuple) for one in level):
        lengths = {len(one) for one in level}
        if len(lengths) > 1 or 0 in lengths:
            return NotImplemented
        sizes += lengths
        level = [part for one in level for part in one]
    if not sizes or not all(isinstance(one, int | float) for one in level):
        return NotImplemented
    return Shape(tuple(sizes), all(isinstance(one, int) for one in level) if whole is None else whole)
