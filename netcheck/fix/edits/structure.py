"""Another structure: a norm behind each layer of a Sequential, a skip around each turn of a loop. Shown, never applied.

nn.Sequential(nn.Linear(64, 64), nn.ReLU())      nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU())
layers.append(nn.Conv2d(8, 8, 3))                layers.append(nn.Conv2d(8, 8, 3)); layers.append(nn.BatchNorm2d(8))
for block in self.blocks: x = block(x)           for block in self.blocks: x = x + block(x)
x = self.body(x)                                 for block in self.body: x = x + block(x)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import libcst as cst

from netcheck.figures.fixes import Edit
from netcheck.fix.classes import assignments, in_torch, unused_name
from netcheck.fix.code import ByHand, Code
from netcheck.fix.editor import Case, Editor
from netcheck.fix.edits.bias import BIAS
from netcheck.fix.edits.identity import NAMES, bindings, operand
from netcheck.fix.syntax import argument, dotted, last_name, with_argument

NORM = re.compile(r"`nn\.(BatchNorm[123]d|LayerNorm)\(")
WIDTH = {"Linear": (1, "out_features"), "LazyLinear": (0, "out_features")}  # where a layer takes how wide its output is
OF_CONVOLUTIONS = (1, "out_channels")
NO_FORM = ""  # where the source has no form that allows it, nothing is said


class NormBehindEach(Editor):
    """Puts a norm behind each layer that is an element of a Sequential or list, but for the last of them."""

    codes = ("NC301",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """An edit for each line that builds such a layer."""
        norm = NORM.search(case.finding.help)
        found = [edit for code, call in layers_of(case) for edit in with_norm(code, call, norm[1])] if norm else []
        if not found:
            raise ByHand(NO_FORM)
        return found


def layers_of(case: Case) -> Iterator[tuple[Code, cst.Call]]:
    """The calls that build the finding's layers, each once."""
    seen: set[int] = set()
    for place in case.finding.locations:
        code = case.code(place)
        call = code.at(place, cst.Call)
        if call is not None and last_name(call.func) in BIAS and id(call) not in seen:
            seen.add(id(call))
            yield code, call


def with_norm(code: Code, call: cst.Call, norm: str) -> Iterator[Edit]:
    """The edits that put a norm behind a layer; none where it is in no row, or at the end of one."""
    name, imports = in_torch(code, f"nn.{norm}")
    position, keyword = WIDTH.get(last_name(call.func), OF_CONVOLUTIONS)
    width = argument(call, position, keyword)
    if width is None:
        raise ByHand(NO_FORM)
    built = f"{name}({code.source_of(width.value)})"
    holder = code.parents.get(code.parents[call])
    made = call
    if norm != "LayerNorm" and argument(call, BIAS[last_name(call.func)], "bias") is None:
        made = with_argument(call, "bias", "False", BIAS[last_name(call.func)])
    text = code.module.code_for_node(made)
    if isinstance(holder, cst.Call) and last_name(holder.func) == "append":
        line = code.line_of(holder)
        yield from imports
        yield code.replaced(call, made)
        yield code.inserted(line, [f"{code.source_of(holder.func)}({built})"])
    elif is_row(holder) and not is_last(code, holder, call):
        yield from imports
        yield code.edit(code.begin_of(call), code.end_of(call), f"{text}, {built}")


def is_row(holder: cst.CSTNode | None) -> bool:
    """Whether the elements of a node are run one behind the other."""
    return isinstance(holder, cst.List | cst.Tuple) or (isinstance(holder, cst.Call) and last_name(holder.func) == "Sequential")


def is_last(code: Code, holder: cst.CSTNode | None, call: cst.Call) -> bool:
    """Whether nothing stands behind a layer in its row."""
    parts = holder.args if isinstance(holder, cst.Call) else getattr(holder, "elements", ())
    return bool(parts) and parts[-1].value is call


class SkipAroundEach(Editor):
    """Leads a skip around each turn of the loops over modules that the row of layers is run in."""

    codes = ("NC401",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """The edits of each such loop, or of each such Sequential that is run as a whole."""
        found: list[Edit] = []
        seen: set[int] = set()
        for place in case.finding.locations:
            code = case.code(place)
            owner = code.at(place, cst.ClassDef)
            if owner is not None and id(owner) not in seen:
                seen.add(id(owner))
                found += [edit for one in code.inside(owner, cst.For) for edit in around_turn(code, one)]
                found += [edit for one in code.inside(owner, cst.Assign) for edit in around_each(code, owner, one)]
        if not found:
            raise ByHand(NO_FORM)
        return found


def around_turn(code: Code, loop: cst.For) -> Iterator[Edit]:
    """The edits that lead a skip around the body of a loop over modules of `self`; none for another loop."""
    if "self." not in code.source_of(loop.iter) or not isinstance(loop.body, cst.IndentedBlock):
        return
    body = list(loop.body.body)
    names = [operand(made.value) for made in assigned_in(body)]
    stream = names[0].value if names and names[0] is not None else ""
    made = list(bindings(body, stream)) if stream else []
    if not made or len(body) != len(list(assigned_in(body))) or not isinstance(made[-1], cst.Assign):
        return
    last = made[-1]
    if code.line_of(last) is not body[-1] or [dotted(one.target) for one in last.targets] != [stream]:
        return
    if len(body) == 1:
        if not isinstance(last.value, cst.BinaryOperation):
            yield code.replaced(last.value, cst.parse_expression(f"{stream} + {code.source_of(last.value)}"))
        return
    kept = unused_name(code, loop, NAMES)
    yield code.inserted(body[0], [f"{kept} = {stream}"], before=True)
    yield code.inserted(body[-1], [f"{stream} = {stream} + {kept}"])


def assigned_in(body: Iterable[cst.BaseStatement]) -> Iterator[cst.Assign]:
    """The assignments among some statements that stand alone on their lines."""
    for line in body:
        if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 and isinstance(line.body[0], cst.Assign):
            yield line.body[0]


def around_each(code: Code, owner: cst.ClassDef, made: cst.Assign) -> Iterator[Edit]:
    """The edit of `x = self.body(x)`, where the body is a Sequential of what one expression builds again and again."""
    call = made.value
    if not isinstance(call, cst.Call) or len(call.args) != 1 or len(made.targets) != 1:
        return
    stream, name = dotted(made.targets[0].target), dotted(call.func)
    if not name.startswith("self.") or not stream or "." in stream or dotted(call.args[0].value) == "":
        return
    built = [one.value for one in assignments(code, owner, name.removeprefix("self."))]
    if len(built) != 1 or not is_repeated(built[0]):
        return
    block = unused_name(code, made, ("block", "layer", "each", "part"))
    first = dotted(call.args[0].value)
    line, indent = code.line_of(made), code.indent_of(code.line_of(made))
    lines = [] if first == stream else [f"{stream} = {first}"]
    lines += [f"for {block} in {name}:", f"{code.step}{stream} = {stream} + {block}({stream})"]
    yield code.edit(code.begin_of(line), code.end_of(line), f"{code.newline}{indent}".join(lines))


def is_repeated(value: cst.BaseExpression) -> bool:
    """Whether a value is `nn.Sequential(*[block(...) for ...])`, or the same with a generator."""
    if not isinstance(value, cst.Call) or last_name(value.func) != "Sequential" or len(value.args) != 1:
        return False
    return value.args[0].star == "*" and isinstance(value.args[0].value, cst.ListComp | cst.GeneratorExp)
