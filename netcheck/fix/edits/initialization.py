"""Initialization: a function for all layers of a class, applied at the end of its `__init__`; constants drawn at random instead.

    self.apply(self._init_weights)

@staticmethod
def _init_weights(module):
    if isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight, gain=5 / 3)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import libcst as cst

from netcheck.figures.fixes import Edit
from netcheck.fix.classes import constructor, in_torch, target_of
from netcheck.fix.code import ByHand, Code
from netcheck.fix.editor import Case, Editor
from netcheck.fix.edits.bias import BIAS
from netcheck.fix.syntax import dotted, last_name
from netcheck.location import Location

CURE = re.compile(r"`nn\.init\.(?P<name>\w+)\(layer\.weight(?P<rest>[^`]*)\)`")
CONSTANT = ("constant_", "zeros_", "ones_")
FILLING = ("zero_", "fill_", "zeros_", "ones_")


class Initialized(Editor):
    """Initializes the layers of a class as their activations need it."""

    codes = ("NC501",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """A function, and where it is applied."""
        cure = CURE.search(case.finding.help)
        if cure is None:
            raise ByHand("it is no matter of one initializer")
        built = list(where_built(case))
        if not built:
            raise ByHand("no line was found that builds the layers")
        code = built[0][0]
        if any(other is not code for other, _ in built):
            raise ByHand("the layers are built in several files")
        kinds = list(dict.fromkeys(last_name(call.func) for _, call in built))
        owners = list({id(one): one for _, call in built if (one := code.around(call, cst.ClassDef)) is not None}.values())
        init, imports = in_torch(code, f"nn.init.{cure['name']}")
        zeros, _ = in_torch(code, "nn.init.zeros_")
        types = [in_torch(code, f"nn.{kind}")[0] for kind in kinds]
        body = [
            f"if isinstance(module, {types[0] if len(types) == 1 else '(' + ', '.join(types) + ')'}):",
            f"{code.step}{init}(module.weight{cure['rest'].replace('fan_in', 'module.weight[0].numel()')})",
            f"{code.step}if module.bias is not None:",
            f"{code.step * 2}{zeros}(module.bias)",
        ]
        if len(owners) == 1 and all(code.around(call, cst.ClassDef) is owners[0] for _, call in built):
            return [*imports, *in_class(code, owners[0], body)]
        if not owners:
            return [*imports, *behind(code, case.report.target.rpartition(":")[2], body)]
        whole = next((one for one in code.every(cst.ClassDef) if one.name.value == case.report.model), None)
        if whole is None:
            raise ByHand("the layers are built in several classes: " + ", ".join(one.name.value for one in owners))
        return [*imports, *in_class(code, whole, body)]


def where_built(case: Case) -> Iterator[tuple[Code, cst.Call]]:
    """The calls that build layers with a weight of PyTorch's own."""
    for place in case.finding.locations:
        code = case.code(place)
        call = code.at(place, cst.Call)
        if call is not None and last_name(call.func) in BIAS:
            yield code, call


def in_class(code: Code, owner: cst.ClassDef, body: list[str]) -> Iterator[Edit]:
    """A method, applied at the end of the constructor.

    Raises:
        ByHand: the class initializes its weights in a way of its own.
    """
    made = constructor(code, owner)
    if any(initializes(call) for call in code.inside(owner, cst.Call)):
        raise ByHand(f"{owner.name.value} initializes its weights itself: what of that is to stay is yours to say")
    inner = code.indent_of(made)
    lines = [
        f"{code.step}self.apply(self._init_weights)",
        "",
        "@staticmethod",
        "def _init_weights(module):",
        *(f"{code.step}{line}" for line in body),
    ]
    assert isinstance(made.body, cst.IndentedBlock)
    last = made.body.body[-1]
    where = code.positions[last].end.line
    text = "".join(f"{inner}{line}{code.newline}" if line else code.newline for line in lines)
    start = code.starts[where] if where < len(code.starts) else len(code.text)
    lead = "" if code.text[:start].endswith(("\n", "\r")) else code.newline
    yield code.edit(start, start, lead + text)


def initializes(call: cst.Call) -> bool:
    """Whether a call may set weights: `nn.init.zeros_(...)`, `self.apply(...)`, `init_weights(self)`."""
    name = last_name(call.func)
    return "init." in dotted(call.func) or name in ("apply", "reset_parameters") or ("init" in name and name != "__init__")


def behind(code: Code, name: str, body: list[str]) -> Iterator[Edit]:
    """A function at the top of the file, applied to the model behind the statement that makes it.

    Raises:
        ByHand: the model is no variable at the top of the file.
    """
    made = [one for one in code.every(cst.Assign) if len(one.targets) == 1 and dotted(one.targets[0].target) == name]
    lines = [code.line_of(one) for one in made]
    if len(lines) != 1 or not isinstance(code.parents.get(lines[0]), cst.Module) or "init_weights" in code.text:
        raise ByHand("the layers are built in no class, and for no variable at the top of the file")
    yield code.inserted(lines[0], ["def init_weights(module):", *(f"{code.step}{line}" for line in body), "", ""], before=True)
    yield code.inserted(lines[0], [f"{name}.apply(init_weights)"])


class Random(Editor):
    """Draws at random what is set to a constant."""

    codes = ("NC502",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """An edit for each line that sets a weight to one number."""
        found = [edit for place in case.finding.locations[:1] for edit in drawn(case, place)]
        if not found:
            raise ByHand("no line was found that sets the weights to one number")
        return found


def drawn(case: Case, place: Location) -> Iterator[Edit]:
    """The edits in the class, or the file, that a layer is built in."""
    code = case.code(place)
    owner: cst.CSTNode = code.at(place, cst.ClassDef) or code.module
    paths = {f"{path.rpartition('.')[2]}.weight" for path in case.finding.modules}
    built = {last_name(made.func) for one in case.finding.locations if (made := case.code(one).at(one, cst.Call)) is not None}
    for call in code.inside(owner, cst.Call):
        name = last_name(call.func)
        weight = dotted(call.args[0].value) if call.args and name in CONSTANT else ""
        if not weight and name in FILLING and isinstance(call.func, cst.Attribute):
            weight = dotted(call.func.value).removesuffix(".data")
        if not weight.endswith(".weight"):
            continue
        is_own = weight.startswith("self.") and weight.removeprefix("self.") in paths
        if is_own or ("." not in weight.removesuffix(".weight") and concerns(code, call, built)):
            init, imports = in_torch(code, "nn.init.kaiming_normal_")
            yield from imports
            yield code.replaced(call, cst.parse_expression(f"{init}({weight})"))


def concerns(code: Code, call: cst.Call, kinds: set[str]) -> bool:
    """Whether a line of a loop over modules is run for one of these kinds, as far as `isinstance` around it tells."""
    branch = code.around(call, cst.If)
    while branch is not None and "isinstance" not in code.source_of(branch.test):
        branch = code.around(branch, cst.If)
    if branch is None or code.is_within(call, branch.test):
        return branch is None
    return any(re.search(rf"\b{kind}\b", code.source_of(branch.test)) for kind in kinds)


class OpenGates(Editor):
    """Lets the forget gates of an LSTM start open."""

    codes = ("NC505",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """Lines behind the one that builds the LSTM."""
        done = 0
        for place in case.finding.locations:
            code = case.code(place)
            call = code.at(place, cst.Call)
            if call is None or last_name(call.func) not in ("LSTM", "LSTMCell"):
                continue
            statement, made = code.line_of(call), target_of(code, call)
            if made is None:
                raise ByHand(f"line {place.line} builds the LSTM within another expression")
            name = made[1]
            if "False" in [dotted(arg.value) for arg in call.args if arg.keyword and arg.keyword.value == "bias"]:
                raise ByHand(f"line {place.line} builds the LSTM without biases")
            grad, imports = in_torch(code, "torch.no_grad")
            yield from imports
            step = code.step
            yield code.inserted(
                statement,
                [
                    f"with {grad}():  # the forget gates start open",
                    f"{step}for name, bias in {name}.named_parameters():",
                    f'{step * 2}if "bias" in name:',
                    f'{step * 3}bias[{name}.hidden_size : 2 * {name}.hidden_size] = 1.0 if "bias_ih" in name else 0.0',
                ],
            )
            done += 1
        if not done:
            raise ByHand("no line was found that builds the LSTM")
