"""One fault of a kind put into a file of healthy models, as its author might have written it: source text in, source text out.

    for text in planted("NC901", source, lines): ...        nn.ModuleList([...]) as [...], at each place where that can be

Places are found by the syntax tree; all around what is changed stays to the byte. Only classes that hold one of the given lines,
those that the model goes through, are touched. Whether a fault took hold is the rule's to say: a bias is one only before a norm.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

Node = TypeVar("Node", bound=ast.AST)
Change = tuple[int, int, str]  # from, to, what stands there then
Planter = Callable[["Page"], Iterator[list[Change]]]
PLANTERS: dict[str, Planter] = {}
LAYERS = re.compile(r"^(Conv|Linear)")
NORM = re.compile(r"norm|bn", re.IGNORECASE)
ACTIVATION = re.compile(r"^(relu|act|gelu|silu|act\d|relu\d|activation|activate|hardtanh|leaky_relu)$")
MAKERS = ("zeros", "ones", "arange", "tensor", "empty", "full", "rand", "randn", "linspace")


@dataclass
class Page:
    """A file, and the classes in it that faults are put into."""

    text: str
    lines: Collection[int]
    starts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tree = ast.parse(self.text)
        self.starts = [0]
        for line in self.text.split("\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.owner = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    @cached_property
    def classes(self) -> list[ast.ClassDef]:
        """The classes that hold one of the lines."""
        found = [one for one in ast.walk(self.tree) if isinstance(one, ast.ClassDef)]
        return [one for one in found if any(one.lineno <= line <= (one.end_lineno or 0) for line in self.lines)]

    def every(self, kind: type[Node], *, within: str = "") -> Iterator[Node]:
        """The nodes of a kind in the classes, or in their methods of this name."""
        for owner in self.classes:
            for part in owner.body if within else [owner]:
                if not within or getattr(part, "name", "") == within:
                    yield from (one for one in ast.walk(part) if isinstance(one, kind))

    def at(self, node: ast.AST) -> tuple[int, int]:
        """Where a node begins and ends in the text."""
        assert isinstance(node, ast.expr | ast.stmt | ast.keyword | ast.arg)
        ends = ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0))
        begin, end = (self.starts[line - 1] + len(self.row(line).encode()[:column].decode()) for line, column in ends)
        return begin, end

    def row(self, line: int) -> str:
        """A line of the text."""
        return self.text[self.starts[line - 1] : self.starts[line] - 1]

    def source(self, node: ast.AST) -> str:
        """A node as it is written."""
        return self.text[slice(*self.at(node))]

    def instead(self, node: ast.AST, text: str) -> list[Change]:
        """A text in the place of a node."""
        return [(*self.at(node), text)]

    def without(self, call: ast.Call, name: str) -> list[Change]:
        """A call without an argument, which is not its first."""
        parts = sorted([*call.args, *call.keywords], key=lambda one: self.at(one)[0])
        number = next((n for n, one in enumerate(parts) if getattr(one, "arg", "") == name), 0)
        return [(self.at(parts[number - 1])[1], self.at(parts[number])[1], "")] if number else []

    def line_after(self, statement: ast.stmt, text: str) -> list[Change]:
        """A line behind a statement."""
        end = self.starts[statement.end_lineno or 0]
        return [(end, end, " " * statement.col_offset + text + "\n")]


def planted(kind: str, text: str, lines: Collection[int]) -> Iterator[str]:
    """The text with one fault of a kind, at each place where it can be.

    Args:
        kind: a name of `PLANTERS`: a rule's code, and how.
        text: the healthy file.
        lines: those of the classes that are to have it.
    """
    for changes in PLANTERS[kind](Page(text, lines)):
        new = text
        for start, end, content in sorted(changes, reverse=True):
            new = new[:start] + content + new[end:]
        if changes and new != text:
            yield new


def planter(kind: str) -> Callable[[Planter], Planter]:
    """Register what puts a kind of fault in."""

    def register(function: Planter) -> Planter:
        PLANTERS[kind] = function
        return function

    return register


def name_of(call: ast.AST) -> str:
    """The last part of the name of what is called."""
    function = call.func if isinstance(call, ast.Call) else call
    return function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""


def dotted(node: ast.AST) -> str:
    """A name with its dots; "" for anything else."""
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def keyword(call: ast.Call, name: str) -> ast.keyword | None:
    """An argument by its name."""
    return next((one for one in call.keywords if one.arg == name), None)


def is_value(node: ast.AST, value: object) -> bool:
    """Whether a node is this constant."""
    return isinstance(node, ast.Constant) and node.value is value


# ---- layers and what registers them -----------------------------------------------------------------------------------


@planter("NC302 left out")
def bias(page: Page) -> Iterator[list[Change]]:
    for call in page.every(ast.Call):
        found = keyword(call, "bias")
        if found is not None and LAYERS.match(name_of(call)) and is_value(found.value, False):
            yield page.without(call, "bias")


@planter("NC302 asked for")
def bias_asked_for(page: Page) -> Iterator[list[Change]]:
    for call in page.every(ast.Call):
        found = keyword(call, "bias")
        if found is not None and LAYERS.match(name_of(call)) and is_value(found.value, False):
            yield page.instead(found.value, "True")


@planter("NC901")
def plain_list(page: Page) -> Iterator[list[Change]]:
    for call in page.every(ast.Call):
        if name_of(call) in ("ModuleList", "ModuleDict"):
            empty = "[]" if name_of(call) == "ModuleList" else "{}"
            if not call.args:
                yield page.instead(call, empty)
            elif isinstance(call.args[0], ast.List | ast.ListComp | ast.Dict):
                yield page.instead(call, page.source(call.args[0]))
            else:
                yield page.instead(call, f"{'list' if empty == '[]' else 'dict'}({page.source(call.args[0])})")


@planter("NC901 of an attribute")
def module_in_a_list(page: Page) -> Iterator[list[Change]]:
    """self.conv = nn.Conv2d(...) as self.conv = [nn.Conv2d(...)], and self.conv[0](x)."""
    for made in page.every(ast.Assign, within="__init__"):
        name = dotted(made.targets[0])
        if name.startswith("self.") and isinstance(made.value, ast.Call) and LAYERS.match(name_of(made.value)):
            owner = next(one for one in page.classes if made in list(ast.walk(one)))
            uses = [one for one in ast.walk(owner) if dotted(one) == name and one is not made.targets[0]]
            begin, end = page.at(made.value)
            called = [one for one in uses if isinstance(page.owner[one], ast.Call) and page.owner[one].func is one]  # type: ignore[attr-defined]
            if uses and len(called) == len(uses):
                yield [(begin, begin, "["), (end, end, "]"), *((page.at(one)[1],) * 2 + ("[0]",) for one in uses)]


@planter("NC906")
def plain_buffer(page: Page) -> Iterator[list[Change]]:
    for call in page.every(ast.Call):
        if name_of(call) == "register_buffer" and len(call.args) == 2 and isinstance(call.args[0], ast.Constant):
            yield page.instead(call, f"self.{call.args[0].value} = {page.source(call.args[1])}")


@planter("NC906 of a parameter")
def plain_parameter(page: Page) -> Iterator[list[Change]]:
    for call in page.every(ast.Call):
        inner = call.args[0] if name_of(call) == "Parameter" and call.args else None
        if isinstance(inner, ast.Call) and name_of(inner) in MAKERS:
            begin, end = page.at(inner)
            yield page.instead(call, f"{page.text[begin : end - 1]}, requires_grad=True)")


# ---- what is run ------------------------------------------------------------------------------------------------------


def activations(page: Page) -> Iterator[ast.Call]:
    """The calls of activations in forward."""
    for call in page.every(ast.Call, within="forward"):
        if ACTIVATION.match(name_of(call)) and len(call.args) >= 1 and not isinstance(call.args[0], ast.Starred):
            yield call


def results(page: Page) -> Iterator[tuple[ast.Assign, ast.Call]]:
    """Statements of forward that assign the result of a call to a name."""
    for made in page.every(ast.Assign, within="forward"):
        if isinstance(made.value, ast.Call) and len(made.targets) == 1 and isinstance(made.targets[0], ast.Name):
            yield made, made.value


@planter("NC104 nested")
def activation_nested(page: Page) -> Iterator[list[Change]]:
    for call in activations(page):
        yield page.instead(call.args[0], page.source(call.func) + "(" + page.source(call.args[0]) + ")")


@planter("NC104 again")
def activation_again(page: Page) -> Iterator[list[Change]]:
    calls = list(activations(page))
    for made, call in results(page):
        if call in calls and page.source(call.args[0]) == page.source(made.targets[0]):
            yield page.line_after(made, page.source(made))


def elements(page: Page, wanted: re.Pattern[str]) -> Iterator[ast.Call]:
    """What is built as an element of a Sequential or list."""
    for holder in page.every(ast.Call):
        if name_of(holder) == "Sequential":
            yield from (one for one in holder.args if isinstance(one, ast.Call) and wanted.search(name_of(one)))
    for row in page.every(ast.List):
        yield from (one for one in row.elts if isinstance(one, ast.Call) and wanted.search(name_of(one)))


@planter("NC104 in a Sequential")
def activation_twice(page: Page) -> Iterator[list[Change]]:
    for one in elements(page, re.compile(r"^(ReLU|GELU|ReLU6|act_layer|activation_layer)$")):
        yield page.instead(one, f"{page.source(one)}, {page.source(one)}")


@planter("NC303 in a Sequential")
def norm_twice(page: Page) -> Iterator[list[Change]]:
    for one in elements(page, NORM):
        yield page.instead(one, f"{page.source(one)}, {page.source(one)}")


@planter("NC303 in forward")
def norm_again(page: Page) -> Iterator[list[Change]]:
    built = {dotted(one.targets[0]): one for one in page.every(ast.Assign, within="__init__")}
    for call in page.every(ast.Call, within="forward"):
        name = dotted(call.func)
        if NORM.search(name) and name in built and isinstance(built[name].value, ast.Call) and call.args:
            inner = f"{name}_more({page.source(call.args[0])})"
            line = page.source(built[name]).replace(name, f"{name}_more", 1)
            yield [*page.instead(call.args[0], inner), *page.line_after(built[name], line)]


@planter("NC201 in a Sequential")
def pixel_dropout(page: Page) -> Iterator[list[Change]]:
    for one in elements(page, re.compile(r"^(ReLU|ReLU6|Hardswish)$")):
        yield page.instead(one, f"{page.source(one)}, nn.Dropout(0.4)")


@planter("NC201 in forward")
def pixel_dropout_called(page: Page) -> Iterator[list[Change]]:
    calls = list(activations(page))
    for made, call in results(page):
        if call in calls:
            name = page.source(made.targets[0])
            yield page.line_after(made, f"{name} = torch.nn.functional.dropout({name}, 0.4, self.training)")


@planter("NC202 without training")
def always_on(page: Page) -> Iterator[list[Change]]:
    for call in page.every(ast.Call):
        if name_of(call) == "dropout" and keyword(call, "training"):
            yield page.without(call, "training")


def dropouts(page: Page) -> Iterator[ast.Call]:
    """Calls in forward of a dropout that the model has."""
    for call in page.every(ast.Call, within="forward"):
        if re.match(r"self\.(\w*drop(out)?|dropout\d)$", dotted(call.func)) and len(call.args) == 1:
            yield call


@planter("NC202 by a function")
def always_on_function(page: Page) -> Iterator[list[Change]]:
    for call in dropouts(page):
        yield page.instead(call.func, "nn.functional.dropout")


@planter("NC202 built in forward")
def built_in_forward(page: Page) -> Iterator[list[Change]]:
    for call in dropouts(page):
        yield page.instead(call.func, "nn.Dropout(0.1)")


@planter("NC202 built in forward by name")
def built_in_forward_by_name(page: Page) -> Iterator[list[Change]]:
    for made, call in results(page):
        if call in list(dropouts(page)):
            begin = page.starts[made.lineno - 1]
            yield [(begin, begin, f"{' ' * made.col_offset}drop = nn.Dropout(0.1)\n"), *page.instead(call.func, "drop")]


@planter("NC107")
def probabilities(page: Page) -> Iterator[list[Change]]:
    for call in heads(page):
        yield page.instead(call, f"torch.softmax({page.source(call)}, dim=1)")


@planter("NC107 by a method")
def probabilities_by_a_method(page: Page) -> Iterator[list[Change]]:
    for call in heads(page):
        yield page.instead(call, f"{page.source(call)}.softmax(1)")


def heads(page: Page) -> Iterator[ast.Call]:
    """Calls of what may be the last layer."""
    for owner in page.classes:
        for call in (one for part in owner.body for one in ast.walk(part)):
            if isinstance(call, ast.Call) and re.match(
                r"self\.(fc|classifier|head|heads|last_linear|lin|out|last)$", dotted(call.func)
            ):
                yield call


@planter("NC109")
def no_dimension(page: Page) -> Iterator[list[Change]]:
    for call in page.every(ast.Call):
        if name_of(call) == "softmax":
            if keyword(call, "dim") and (call.args or len(call.keywords) > 1):
                yield page.without(call, "dim")
            elif keyword(call, "dim"):
                yield page.instead(call, f"nn.functional.softmax({page.source(call.func.value)})")  # type: ignore[attr-defined]


@planter("NC908")
def batch_second(page: Page) -> Iterator[list[Change]]:
    for call in page.every(ast.Call):
        if keyword(call, "batch_first"):
            yield page.without(call, "batch_first")


# ---- skips, sizes, devices --------------------------------------------------------------------------------------------


@planter("NC403 by an operator")
def in_place(page: Page) -> Iterator[list[Change]]:
    for made in page.every(ast.Assign, within="forward"):
        total, name = made.value, page.source(made.targets[0])
        if isinstance(total, ast.BinOp) and isinstance(total.op, ast.Add) and name == page.source(total.left):
            yield page.instead(made, f"{name} += {page.source(total.right)}")


@planter("NC403 by an activation")
def in_place_activation(page: Page) -> Iterator[list[Change]]:
    for call in page.every(ast.Call, within="__init__"):
        if name_of(call) == "ReLU" and not call.args and not call.keywords:
            yield page.instead(call, page.source(call)[:-1] + "inplace=True)")


@planter("NC404 by an operator")
def doubled(page: Page) -> Iterator[list[Change]]:
    for changed in page.every(ast.AugAssign, within="forward"):
        if isinstance(changed.op, ast.Add) and isinstance(changed.value, ast.Name) and isinstance(changed.target, ast.Name):
            yield page.instead(changed.value, changed.target.id)


@planter("NC404 in a sum")
def doubled_sum(page: Page) -> Iterator[list[Change]]:
    for total in page.every(ast.BinOp, within="forward"):
        if isinstance(total.op, ast.Add) and isinstance(total.left, ast.Name) and isinstance(total.right, ast.Name):
            yield page.instead(total.right, total.left.id)
            yield page.instead(total.left, total.right.id)


@planter("NC404 without a name for the input")
def forgotten(page: Page) -> Iterator[list[Change]]:
    """identity = x left out, and x added to itself."""
    for part in page.every(ast.FunctionDef):
        for skip in part.body if part.name == "forward" else []:
            if isinstance(skip, ast.Assign) and isinstance(skip.value, ast.Name) and isinstance(skip.targets[0], ast.Name):
                name = skip.targets[0].id
                for total in ast.walk(part):
                    sides = [total.left, total.right] if isinstance(total, ast.BinOp) and isinstance(total.op, ast.Add) else []
                    sides = (
                        [total.target, total.value]
                        if isinstance(total, ast.AugAssign) and isinstance(total.op, ast.Add)
                        else sides
                    )
                    sides = [one for one in sides if isinstance(one, ast.Name)]
                    if len(sides) == 2 and sides[1].id == name:
                        gone = (page.starts[skip.lineno - 1], page.starts[skip.end_lineno or 0], "")
                        yield [gone, *page.instead(sides[1], sides[0].id)]


@planter("NC704 flattened")
def hard_coded(page: Page) -> Iterator[list[Change]]:
    for call in page.every(ast.Call):
        if (
            name_of(call) == "flatten"
            and [page.source(one) for one in call.args[1:]] == ["1"]
            and dotted(call.func) == "torch.flatten"
        ):
            yield page.instead(call, f"{page.source(call.args[0])}.reshape(2, -1)")


@planter("NC704 reshaped")
def hard_coded_reshape(page: Page) -> Iterator[list[Change]]:
    for call in page.every(ast.Call):
        sizes = call.args if name_of(call) in ("view", "reshape", "expand") else []
        if len(sizes) > 1 and re.match(r"^(B|b|N|n|batch_size|bs|x\.size\(0\)|x\.shape\[0\])$", page.source(sizes[0])):
            yield page.instead(sizes[0], "2")


@planter("NC704 made")
def hard_coded_expand(page: Page) -> Iterator[list[Change]]:
    for call in page.every(ast.Call, within="forward"):
        for size in call.args if name_of(call) in ("expand", "zeros", "ones", "repeat") else []:
            if page.source(size) in ("x.shape[0]", "x.size(0)", "batch_size", "B", "n"):
                yield page.instead(size, "2")


@planter("NC704 shape of the input")
def hard_coded_name(page: Page) -> Iterator[list[Change]]:
    for made in page.every(ast.Assign):
        if re.match(r"^(batch_size|B|b|n|batchsize)$", page.source(made.targets[0])) and re.search(
            r"shape|size", page.source(made.value)
        ):
            yield page.instead(made.value, "2")


@planter("NC708")
def no_device(page: Page) -> Iterator[list[Change]]:
    for call in page.every(ast.Call):
        if name_of(call) in MAKERS and keyword(call, "device"):
            yield page.without(call, "device")


@planter("NC708 by name")
def fixed_device(page: Page) -> Iterator[list[Change]]:
    for call in page.every(ast.Call):
        found = keyword(call, "device")
        if found is not None and name_of(call) in MAKERS:
            yield page.instead(found.value, '"cpu"')


# ---- initialization and the class itself --------------------------------------------------------------------------------


@planter("NC501")
def not_initialized(page: Page) -> Iterator[list[Change]]:
    """The loop over all modules, or the call of apply, left out."""
    for loop in page.every(ast.For):
        if "self.modules()" in page.source(loop.iter) and "init." in page.source(loop):
            yield page.instead(loop, "pass")
    for call in page.every(ast.Call, within="__init__"):
        if "init." in dotted(call.func):
            yield page.instead(call, "None")


@planter("NC502")
def constant(page: Page) -> Iterator[list[Change]]:
    for call in page.every(ast.Call):
        named = re.match(r"^((nn\.)?init\.)(kaiming|xavier|normal|trunc|uniform|orthogonal)\w*_$", dotted(call.func))
        if named and call.args and page.source(call.args[0]).endswith(".weight"):
            zeros = "init.zeros_" in page.text
            rest = "" if zeros else ", 0.01"
            yield page.instead(call, f"{named[1]}{'zeros_' if zeros else 'constant_'}({page.source(call.args[0])}{rest})")


@planter("NC003 forward")
def misspelt_forward(page: Page) -> Iterator[list[Change]]:
    for part in page.every(ast.FunctionDef):
        if part.name == "forward" and part in [one for owner in page.classes for one in owner.body]:
            begin = page.text.index("forward", page.at(part)[0])
            yield [(begin, begin + 7, "foward")]


@planter("NC001 __init__")
def misspelt_init(page: Page) -> Iterator[list[Change]]:
    for part in page.every(ast.FunctionDef):
        if part.name == "__init__" and len(part.args.args) + len(part.args.kwonlyargs) > 1:
            begin = page.text.index("__init__", page.at(part)[0])
            yield [(begin, begin + 8, "__int__" if part.lineno % 2 else "_init_")]


@planter("NC001 super")
def no_super(page: Page) -> Iterator[list[Change]]:
    for owner in page.classes:
        if any(dotted(base) in ("nn.Module", "torch.nn.Module") for base in owner.bases):
            for line in (one for part in owner.body if getattr(part, "name", "") == "__init__" for one in part.body):  # type: ignore[attr-defined]
                if isinstance(line, ast.Expr) and re.match(r"^super\([^)]*\)\.__init__\(\)$", page.source(line)):
                    yield [(page.starts[line.lineno - 1], page.starts[line.end_lineno or 0], "")]


# ---- the training step ----------------------------------------------------------------------------------------------------


def step(kind: str, *pairs: tuple[str, str]) -> None:
    """A fault of the loop that every file ends with."""

    def plant(page: Page) -> Iterator[list[Change]]:
        first = page.text.index("def train_on(")
        begins = [(page.text.rindex(old, first), old, new) for old, new in pairs]
        yield [(begin, begin + len(old), new) for begin, old, new in begins]

    PLANTERS[kind] = plant


TAB = " " * 12
CLEAR, BACKWARD, CLIP, STEP = (
    f"{TAB}{line}\n"
    for line in (
        "optimizer.zero_grad()",
        "loss.backward()",
        "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
        "optimizer.step()",
    )
)
step("TS101", (CLEAR, ""))
step("TS102", (CLEAR, ""), (BACKWARD, BACKWARD + CLEAR))
step("TS103", (STEP, ""))
step("TS105", (BACKWARD, ""), (STEP, STEP + BACKWARD))
step("TS107", ("loss.backward()", "loss.backward"))
step("TS201", (CLIP, ""), (STEP, STEP + CLIP))
step(
    "TS301", ("        scheduler.step()\n", ""), ("        model.train()\n", "        model.train()\n        scheduler.step()\n")
)
step("TS401", ("    for epoch in range(3):\n        model.train()\n", "    model.train()\n    for epoch in range(3):\n"))
step("TS402", ("        with torch.no_grad():\n            for images", "        if right == 0:\n            for images"))
step("TS501", ("loss.item()", "loss"))
step("TS702", ("criterion(output, labels)", "criterion(labels, output)"))
