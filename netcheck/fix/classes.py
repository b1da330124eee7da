"""Classes of the source: what they assign to `self`, their methods, and how the file calls what it has imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import libcst as cst

from netcheck.figures.fixes import Edit
from netcheck.fix.code import ByHand, Code
from netcheck.fix.editor import Case
from netcheck.fix.syntax import dotted, last_name

TORCH = {"nn": "torch.nn", "F": "torch.nn.functional", "torch": "torch"}  # by what this package calls them


@dataclass(frozen=True)
class Assigned:
    """A value that a class assigns to an attribute of `self`.

    Attributes:
        code: the file.
        owner: the class.
        statement: the assignment.
        value: what is assigned, without that of other attributes.
        alone: whether the statement assigns nothing else.
    """

    code: Code
    owner: cst.ClassDef
    statement: cst.Assign | cst.AnnAssign
    value: cst.BaseExpression
    alone: bool


def assigned(case: Case, name: str) -> Assigned:
    """The one assignment of an attribute in the class that one of the finding's places is in.

    Raises:
        ByHand: there is none, or there are several.
    """
    for place in case.finding.locations:
        code = case.code(place)
        inside = code.at(place, cst.ClassDef)
        found = [] if inside is None else list(assignments(code, inside, name))
        if len(found) == 1:
            return found[0]
        if found:
            lines = ", ".join(str(code.line_number(one.statement)) for one in found)
            raise ByHand(f"`self.{name}` is assigned at several lines: {lines}")
    raise ByHand(f"no line was found that assigns `self.{name}`")


def assignments(code: Code, owner: cst.ClassDef, name: str) -> Iterator[Assigned]:
    """Where a class assigns an attribute of `self`."""
    wanted = f"self.{name}"
    for annotated in code.inside(owner, cst.AnnAssign):
        if dotted(annotated.target) == wanted and annotated.value is not None:
            yield Assigned(code, owner, annotated, annotated.value, True)
    for statement in code.inside(owner, cst.Assign):
        for target in statement.targets:
            if dotted(target.target) == wanted:
                yield Assigned(code, owner, statement, statement.value, len(statement.targets) == 1)
            if isinstance(target.target, cst.Tuple) and isinstance(statement.value, cst.Tuple):
                for one, value in zip(target.target.elements, statement.value.elements, strict=False):
                    if dotted(one.value) == wanted:
                        yield Assigned(code, owner, statement, value.value, False)


def target_of(code: Code, value: cst.BaseExpression) -> tuple[cst.Assign, str] | None:
    """The assignment that gives a value a name, alone or as one of several, and the name; None if none does."""
    above = code.parents.get(value)
    if isinstance(above, cst.Assign) and len(above.targets) == 1:
        name = dotted(above.targets[0].target)
        return (above, name) if name else None
    row = code.parents.get(above) if isinstance(above, cst.Element) else None
    made = code.parents.get(row) if isinstance(row, cst.Tuple) else None
    if isinstance(made, cst.Assign) and len(made.targets) == 1 and isinstance(made.targets[0].target, cst.Tuple):
        assert isinstance(row, cst.Tuple)
        names = [dotted(one.value) for one in made.targets[0].target.elements]
        number = next(n for n, one in enumerate(row.elements) if one is above)
        if len(names) == len(row.elements) and names[number]:
            return made, names[number]
    return None


def in_torch(code: Code, name: str) -> tuple[str, list[Edit]]:
    """How a file may call "nn.ModuleList" or "torch.zeros", and what must be imported for it.

    Raises:
        ByHand: it imports nothing of torch by a name that can be told.
    """
    head, _, last = name.partition(".")
    module = TORCH[head]
    if "." in last:  # nn.init.zeros_
        outer, edits = in_torch(code, f"{head}.{last.partition('.')[0]}")
        return f"{outer}.{last.partition('.')[2]}", edits
    froms: list[cst.ImportFrom] = []
    for one in code.every(cst.ImportFrom):
        source = dotted(one.module) if one.module is not None and not one.relative else ""
        if isinstance(one.names, cst.ImportStar):
            if source == module:
                return last, []
            continue
        for alias in one.names:
            if f"{source}.{dotted(alias.name)}" in (module, f"{module}.{last}"):
                own = alias.evaluated_alias or dotted(alias.name)
                return (f"{own}.{last}" if f"{source}.{dotted(alias.name)}" == module else own), []
        if source == module:
            froms.append(one)
    plain = ""
    for imported in code.every(cst.Import):
        for alias in imported.names:
            full = dotted(alias.name)
            own = alias.evaluated_alias or (full if alias.asname is None else "")
            if own and full == module:
                return f"{own}.{last}", []
            if own and (f"{full}.").startswith("torch.") and alias.asname is None:
                plain = f"{module}.{last}"
    if froms:
        names = froms[-1].names
        assert not isinstance(names, cst.ImportStar)
        *before, end = names
        kept = end.with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")))
        added = cst.ImportAlias(cst.Name(last), comma=end.comma)
        return last, [code.replaced(froms[-1], froms[-1].with_changes(names=(*before, kept, added)))]
    if plain:
        return plain, []
    if head == "F":  # `from torch import nn` alone
        name, edits = in_torch(code, "nn.functional")
        return f"{name}.{last}", edits
    if head == "torch" and (known := first_import(code)) is not None:
        return name, [code.inserted(known, ["import torch"], before=True)]
    raise ByHand(f"the file does not import {module} by a name of its own")


def assigned_once(code: Code, node: cst.CSTNode, name: str) -> cst.Assign | None:
    """The one statement of the function around a node that assigns to a name; None if there are several, or none."""
    function = code.around(node, cst.FunctionDef)
    every = [] if function is None or not name else list(code.inside(function, cst.Assign))
    made = [one for one in every if any(dotted(target.target) == name for target in one.targets)]
    return made[0] if len(made) == 1 else None


def unused_name(code: Code, node: cst.CSTNode, names: Iterable[str]) -> str:
    """The first of some names that the function around a node does not use."""
    used = {one.value for one in code.inside(code.around(node, cst.FunctionDef) or code.module, cst.Name)}
    return next(name for name in names if name not in used)


def first_import(code: Code) -> cst.SimpleStatementLine | None:
    """The first statement at the top of a file that imports something of torch's."""
    for line in code.module.body:
        for one in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            if isinstance(one, cst.ImportFrom) and one.module is not None and not one.relative:
                names = [dotted(one.module)]
            else:
                names = [dotted(alias.name) for alias in one.names] if isinstance(one, cst.Import) else []
            if isinstance(line, cst.SimpleStatementLine) and any(name.partition(".")[0] == "torch" for name in names):
                return line
    return None


def constructor(code: Code, owner: cst.ClassDef) -> cst.FunctionDef:
    """A class's own `__init__`.

    Raises:
        ByHand: it has none.
    """
    found = code.method(owner, "__init__")
    if found is None:
        raise ByHand(f"the class {owner.name.value} has no `__init__`")
    return found


def statements(function: cst.FunctionDef) -> list[cst.BaseStatement]:
    """The statements of a function, without its documentation.

    Raises:
        ByHand: they stand on the line of the `def`.
    """
    if not isinstance(function.body, cst.IndentedBlock):
        raise ByHand(f"`{function.name.value}` is written on one line")
    body = list(function.body.body)
    return body[1:] if function.get_docstring() is not None and len(body) > 1 else body


def calls_super(function: cst.FunctionDef, code: Code) -> cst.BaseStatement | None:
    """The statement of a constructor that calls that of the base class; None if none does."""
    for call in code.inside(function, cst.Call):
        name = call.func
        if isinstance(name, cst.Attribute) and name.attr.value == "__init__":
            is_super = isinstance(name.value, cst.Call) and dotted(name.value.func) == "super"
            if is_super or last_name(name.value) in ("Module", "object"):
                found = code.around(call, cst.SimpleStatementLine)
                if found is not None:
                    return found
    return None


def free_name(code: Code, owner: cst.ClassDef, wanted: str) -> str:
    """A name for an attribute that the class does not use yet."""
    used = {one.attr.value for one in code.inside(owner, cst.Attribute)} | {
        one.name.value for one in code.inside(owner, cst.FunctionDef)
    }
    names = [wanted, *(f"{wanted}{number}" for number in range(2, 100))]
    return next(name for name in names if name not in used)


def as_module(code: Code, owner: cst.ClassDef) -> list[Edit]:
    """The edits that make a plain class a subclass of nn.Module, whose constructor comes first.

    Raises:
        ByHand: it has bases of its own, or no constructor.
    """
    if [base for base in owner.bases if dotted(base.value) != "object"] or owner.keywords or owner.decorators:
        raise ByHand(f"the class {owner.name.value} has bases or decorators of its own")
    first = statements(constructor(code, owner))[0]
    name, imports = in_torch(code, "nn.Module")
    base = cst.Arg(cst.parse_expression(name))
    new = owner.with_changes(bases=(base,), lpar=cst.LeftParen(), rpar=cst.RightParen())
    return [*imports, code.replaced(owner, new), code.inserted(first, ["super().__init__()"], before=True)]
