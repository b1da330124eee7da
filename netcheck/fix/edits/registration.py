"""What PyTorch does not know of: modules in plain lists and dicts, tensors as plain attributes.

self.layers = [nn.Linear(16, 16), nn.ReLU()]      self.layers = nn.ModuleList([nn.Linear(16, 16), nn.ReLU()])
self.mean = torch.zeros(3)                        self.register_buffer("mean", torch.zeros(3), persistent=False)
self.scale = torch.ones(3, requires_grad=True)    self.scale = nn.Parameter(torch.ones(3))
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import libcst as cst

from netcheck.figures.fixes import Edit
from netcheck.fix.classes import Assigned, as_module, assigned, in_torch
from netcheck.fix.code import ByHand, Code
from netcheck.fix.editor import Case, Editor
from netcheck.fix.syntax import argument, dotted, without_argument

PATH = re.compile(r"^(?:(?P<holder>[^\[<]*)\.)?(?P<name>[^.\[<]+)(?P<items>\[.*\])?$")


class Registered(Editor):
    """Puts modules into what registers them."""

    codes = ("NC901",)
    may_change = True  # of dropout and batch norms that eval() did not reach

    def edits(self, case: Case) -> Iterable[Edit]:
        """Wraps the list, tuple or dict; makes a plain class a module."""
        if "<" in case.finding.modules[0]:
            raise ByHand("a module that forward builds has to be built in `__init__`")
        _, name, items = parts(case.finding.modules[0])
        if not items:
            code, place = case.place
            owner = code.at(place, cst.ClassDef)
            if owner is None:
                raise ByHand(f"no class was found that assigns `{name}`")
            return as_module(code, owner)
        return wrapped(assigned(case, name), "nn.ModuleDict" if is_key(items) else "nn.ModuleList", items.count("["))


class Held(Editor):
    """Registers tensors: constants as buffers that are not saved, so that checkpoints stay; others as parameters."""

    codes = ("NC906",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """Rewrites the assignment."""
        _, name, items = parts(case.finding.modules[0])
        if "computed from parameters" in case.finding.message:
            raise ByHand("it has to be computed in forward, from the parameters as they are then")
        if "a plain tensor" in case.finding.message:
            if items:
                raise ByHand(f"each tensor in `{name}` has to be a buffer of its own")
            return buffered(assigned(case, name), name)
        if items:
            return wrapped(assigned(case, name), "nn.ParameterDict" if is_key(items) else "nn.ParameterList", 1)
        return as_parameter(assigned(case, name))


def parts(path: str) -> tuple[str, str, str]:
    """What holds something, its name there, and the way on from there: "body", "heads" and "['a']" of "body.heads['a']".

    Raises:
        ByHand: it is no attribute.
    """
    match = PATH.match(path)
    if match is None:
        raise ByHand(f"`{path}` is no attribute of the model")
    return match["holder"] or "", match["name"], match["items"] or ""


def is_key(items: str) -> bool:
    """Whether the way into a container is a key of a dict, rather than a number."""
    return re.match(r"\[['\"]", items) is not None


def wrapped(found: Assigned, container: str, depth: int) -> Iterator[Edit]:
    """The value in a container that registers what it holds; pairs in a list each in one of their own."""
    code = found.code
    name, imports = in_torch(code, container)
    yield from imports
    if depth > 1:
        inner = [one for one in displays(found) if one is not found.value]
        if not inner:
            raise ByHand("what the list holds are containers that are made elsewhere")
        for one in inner:
            yield from around(code, one, name)
    if isinstance(found.statement, cst.AnnAssign):
        yield code.replaced(found.statement.annotation.annotation, cst.parse_expression(name))
    yield from around(code, found.value, name)


def around(code: Code, value: cst.BaseExpression, name: str) -> Iterator[Edit]:
    """The edits that make an expression the argument of a call; an empty list or dict needs none."""
    if is_empty(value):
        yield code.replaced(value, cst.parse_expression(f"{name}()"))
        return
    (start, end), brackets = code.extent(value), ("(", ")") if isinstance(value, cst.Tuple) and not value.lpar else ("", "")
    yield code.edit(start, start, f"{name}({brackets[0]}")
    yield code.edit(end, end, f"{brackets[1]})")


def displays(found: Assigned) -> Iterator[cst.BaseExpression]:
    """Lists and tuples that are written out as the elements of a value, or as what is appended to the attribute."""
    wanted = dotted_target(found)
    holders = [one.args[0].value for one in found.code.inside(found.owner, cst.Call) if dotted(one.func) == f"{wanted}.append"]
    if isinstance(found.value, cst.List | cst.Tuple):
        holders += [one.value for one in found.value.elements]
    if isinstance(found.value, cst.ListComp):
        holders.append(found.value.elt)
    return (one for one in holders if isinstance(one, cst.List | cst.Tuple))


def dotted_target(found: Assigned) -> str:
    """The attribute that is assigned, "self.blocks"."""
    target = found.statement.target if isinstance(found.statement, cst.AnnAssign) else found.statement.targets[0].target
    return dotted(target)


def is_empty(value: cst.BaseExpression) -> bool:
    """Whether a value is a list, tuple or dict without anything in it."""
    if isinstance(value, cst.Call):
        return dotted(value.func) in ("list", "dict", "tuple") and not value.args
    return isinstance(value, cst.List | cst.Dict | cst.Tuple) and not value.elements


def buffered(found: Assigned, name: str) -> Iterator[Edit]:
    """The assignment as a buffer, which is moved and not saved."""
    if not found.alone or isinstance(found.statement, cst.AnnAssign):
        raise ByHand(f"line {found.code.line_number(found.statement)} assigns more than `self.{name}`")
    call = cst.parse_expression(f'self.register_buffer("{name}", value, persistent=False)')
    assert isinstance(call, cst.Call)
    args = (call.args[0], call.args[1].with_changes(value=found.value), call.args[2])
    yield found.code.replaced(found.statement, cst.Expr(call.with_changes(args=args)))


def as_parameter(found: Assigned) -> Iterator[Edit]:
    """The tensor as a parameter, which asks for a gradient anyway."""
    code, value = found.code, found.value
    name, imports = in_torch(code, "nn.Parameter")
    yield from imports
    if isinstance(value, cst.Call) and (asked := argument(value, None, "requires_grad")) is not None:
        inner = code.module.code_for_node(without_argument(value, asked))
        yield code.replaced(value, cst.parse_expression(f"{name}({inner})"))
    else:
        yield from around(code, value, name)
