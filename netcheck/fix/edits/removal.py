"""What is one too many: the second of two activations or norms in a row, a softmax that the loss applies again.

x = F.relu(F.relu(x))                          x = F.relu(x)
x = self.softmax(self.head(x))                 x = self.head(x)        and `self.softmax = ...` goes, where nothing else uses it
nn.Sequential(nn.Linear(8, 3), nn.Softmax(1))  nn.Sequential(nn.Linear(8, 3))
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import libcst as cst

from netcheck.figures.fixes import Edit
from netcheck.fix.classes import target_of
from netcheck.fix.code import ByHand, Code
from netcheck.fix.editor import Case, Editor
from netcheck.fix.syntax import dotted, is_self, last_name
from netcheck.location import Location

KNOWN = "this file uses CrossEntropyLoss"
ATOMS = cst.Name | cst.Attribute | cst.Call | cst.Subscript | cst.Integer | cst.Float | cst.Tuple | cst.List


class Once(Editor):
    """Takes out an activation behind another: of a rectifier, which changes nothing."""

    codes = ("NC104",)
    may_change = True

    def edits(self, case: Case) -> Iterable[Edit]:
        """The edits that take out the second of each pair."""
        return without(case, case.finding.locations)


class OneNorm(Editor):
    """Takes out a norm behind another."""

    codes = ("NC303",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """The edits that take out the second of a pair; of several, which is which is not known."""
        built: list[Location] = []
        called: list[Location] = []
        for place in case.finding.locations:
            code = case.code(place)
            call = code.at(place, cst.Call)
            if call is not None:
                is_built = element_of(code, call) is not None or attribute_of(code, call)
                (built if is_built or not is_operation(code, call) else called).append(place)
        if case.finding.count > 1 and len(built) + len(called) > 4:
            raise ByHand("there are several pairs: which norm is to stay is yours to say")
        return without(case, [*built[:1], *apart_in_row(case, built), *called[:1]])


def apart_in_row(case: Case, built: Sequence[Location]) -> Iterator[Location]:
    """The places in the same Sequential or list as the first one that are not beside it: of a pair there one stays."""
    rows = []
    for place in built:
        code = case.code(place)
        listed = element_of(code, call) if (call := code.at(place, cst.Call)) is not None else None
        parts = (
            [] if listed is None else [id(one) for one in (*getattr(listed[0], "args", ()), *getattr(listed[0], "elements", ()))]
        )
        rows.append((parts, parts.index(id(listed[1])) if listed is not None else -1))
    taken = rows[:1]
    for place, (parts, number) in zip(built[1:], rows[1:], strict=True):
        if parts and all(parts == other and abs(number - place_there) > 1 for other, place_there in taken):
            taken.append((parts, number))
            yield place


class Logits(Editor):
    """Returns logits where a cross-entropy in the same file applies the softmax."""

    codes = ("NC107",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """The edits that take the softmax out."""
        told = case.finding.message
        if "forward returns" in told and KNOWN not in told:
            raise ByHand("no CrossEntropyLoss is in the file: who uses the probabilities is not known")
        return without(case, case.finding.locations)


def without(case: Case, places: Sequence[Location]) -> Iterator[Edit]:
    """The edits that take out what is built or called at these places."""
    found = [(code, call) for place in places if (call := (code := case.code(place)).at(place, cst.Call)) is not None]
    taken: list[tuple[Code, cst.Call]] = []
    built = {name for code, call in found if (name := attribute_of(code, call))}
    for code, call in found:
        if (listed := element_of(code, call)) is not None:
            yield without_element(code, *listed)
        elif is_operation(code, call) and runs_one(code, call, built):
            taken.append((code, call))
            yield unwrapped(code, call)
    for code, call in found:
        yield from without_attribute(code, call, [inner for other, inner in taken if other is code])


def element_of(code: Code, call: cst.Call) -> tuple[cst.Call | cst.List, cst.Arg | cst.Element] | None:
    """The Sequential or list that a module is built in, and its place there."""
    above = code.parents.get(call)
    holder = code.parents.get(above) if above is not None else None
    if isinstance(above, cst.Arg) and isinstance(holder, cst.Call) and last_name(holder.func) == "Sequential":
        return holder, above
    if isinstance(above, cst.Element) and isinstance(holder, cst.List):
        return holder, above
    return None


def without_element(code: Code, holder: cst.Call | cst.List, element: cst.Arg | cst.Element) -> Edit:
    """The edit that takes a module out of a Sequential or a list, with its comma, and its line if that is its own."""
    parts: Sequence[cst.Arg] | Sequence[cst.BaseElement] = holder.args if isinstance(holder, cst.Call) else holder.elements
    if len(parts) == 1:
        raise ByHand(f"line {code.line_number(element)} builds nothing else")
    return without_part(code, parts, next(number for number, one in enumerate(parts) if one is element))


def without_part(code: Code, parts: Sequence[cst.Arg] | Sequence[cst.BaseElement], number: int) -> Edit:
    """The edit that takes one of several arguments or elements out, with its comma."""
    if number:
        return code.edit(code.end_of_part(parts[number - 1]), code.end_of_part(parts[number]), "")
    return code.edit(code.extent(parts[0].value)[0], code.extent(parts[1].value)[0], "")


def is_operation(code: Code, call: cst.Call) -> bool:
    """Whether a call is where forward runs something on a value, rather than where a module is built."""
    if code.around(call, cst.FunctionDef) is None or not (call.args or isinstance(call.func, cst.Attribute)):
        return False
    name = last_name(call.func)
    return name[:1].islower() or name.startswith("_") or (isinstance(call.func, cst.Call) and bool(call.args))


def attribute_of(code: Code, call: cst.Call) -> str:
    """The attribute that is what a call builds, in some cases at least: "self.act"; "" for none."""
    value: cst.CSTNode = call
    while isinstance(above := code.parents[value], cst.IfExp | cst.BooleanOperation):
        value = above
    assert isinstance(value, cst.BaseExpression)
    found = target_of(code, value)
    return found[1] if found is not None and found[1].startswith("self.") else ""


def runs_one(code: Code, call: cst.Call, built: Collection[str]) -> bool:
    """Whether a call runs one of the attributes that are built, or a function; not a Sequential around what is built."""
    name = dotted(call.func)
    if is_self(call.func):
        return name in built
    function = code.around(call, cst.FunctionDef)
    if not isinstance(call.func, cst.Name) or function is None:
        return True
    loops = [dotted(one.target) for one in code.inside(function, cst.For)]
    made = [dotted(target.target) for one in code.inside(function, cst.Assign) for target in one.targets]
    return name not in (*loops, *made, *(one.name.value for one in function.params.params))


def operand_of(call: cst.Call) -> cst.BaseExpression:
    """What an operation is done on: x of `F.relu(x)`, `self.act(x)`, `x.relu()` and `nn.ReLU()(x)`.

    Raises:
        ByHand: that cannot be told.
    """
    owner = call.func.value if isinstance(call.func, cst.Attribute) else None
    spread = any(arg.star for arg in call.args)
    if owner is not None and not spread:
        is_name = dotted(owner)
        is_method = not is_name or is_name.partition(".")[0] not in ("self", "F", "torch", "nn", "functional")
        if is_method and (not call.args or not isinstance(call.args[0].value, cst.Name | cst.Call)):
            return owner
    if not call.args or spread:
        raise ByHand("what the call is done on cannot be told")
    return call.args[0].value


def unwrapped(code: Code, call: cst.Call) -> Edit:
    """The edit that puts the operand of a call in its place; `x = f(x)` goes as a whole."""
    inner = operand_of(call)
    above = code.parents.get(call)
    if (
        isinstance(above, cst.Assign)
        and len(above.targets) == 1
        and dotted(inner)
        and dotted(above.targets[0].target) == dotted(inner)
    ):
        return code.removed(code.line_of(above))
    start, end = code.extent(call)
    text = code.text[slice(*code.extent(inner))]
    is_part = isinstance(above, cst.Attribute | cst.BinaryOperation | cst.Subscript | cst.Call | cst.UnaryOperation)
    brackets = is_part and not isinstance(inner, ATOMS) and not getattr(inner, "lpar", ())
    return code.edit(start, end, f"({text})" if brackets else text)


def without_attribute(code: Code, call: cst.Call, taken: Sequence[cst.Call]) -> Iterator[Edit]:
    """The edit that takes out the line `self.act = nn.ReLU()`, where all its uses are taken out."""
    found, owner = target_of(code, call), code.around(call, cst.ClassDef)
    if found is None or owner is None or not found[1].startswith("self."):
        return
    statement, name = found
    target = statement.targets[0].target
    uses = [one for one in code.inside(owner, cst.Attribute) if dotted(one) == name and not code.is_within(one, target)]
    if not all(any(use is one.func for one in taken) for use in uses) or name in outside(code, owner):
        return
    if statement.value is call:
        yield code.removed(code.line_of(statement))
        return
    assert isinstance(target, cst.Tuple)
    assert isinstance(statement.value, cst.Tuple)
    number = next(n for n, one in enumerate(target.elements) if dotted(one.value) == name)
    if len(target.elements) > 2:  # of two, one would be left, which is no tuple
        for row in (target, statement.value):
            yield without_part(code, row.elements, number)
    else:
        left = 1 - number
        kept = f"{code.source_of(target.elements[left].value)} = {code.source_of(statement.value.elements[left].value)}"
        yield code.edit(code.begin_of(statement), code.end_of(statement), kept)


def outside(code: Code, owner: cst.ClassDef) -> set[str]:
    """Attributes of `self` that other classes of the file use by the same name: subclasses may read them."""
    inner = set(map(id, code.inside(owner, cst.Attribute)))
    return {dotted(one) for one in code.every(cst.Attribute) if id(one) not in inner}
