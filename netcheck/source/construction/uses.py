"""What a constructor, and the methods beside it, do with each parameter. Imports no torch.

    def __init__(self, c, act, dims, cfg):
        self.conv = nn.Conv2d(c, dims[0], 3)        c: role Conv2d.in_channels     dims: item 0, role Conv2d.out_channels
        self.act = act()                            act: called
        if cfg.norm == "batch": ...                 cfg: attribute norm; cfg.norm: compared with "batch"

A path names a parameter or what is read of it: `cfg`, `cfg.norm`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from netcheck.source.builders import family, file_index
from netcheck.source.imports import definitions
from netcheck.source.models import external_name
from netcheck.source.scopes import SELF, FunctionNode, Scope, index

# The first parameters of what models are made of, in their order.
PARAMETERS = {
    **{f"Conv{n}d": ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups") for n in (1, 2, 3)},
    **{f"ConvTranspose{n}d": ("in_channels", "out_channels", "kernel_size", "stride", "padding") for n in (1, 2, 3)},
    "Linear": ("in_features", "out_features", "bias"),
    "Embedding": ("num_embeddings", "embedding_dim", "padding_idx"),
    **{f"BatchNorm{n}d": ("num_features", "eps", "momentum") for n in (1, 2, 3)},
    "InstanceNorm2d": ("num_features",),
    "LayerNorm": ("normalized_shape", "eps"),
    "GroupNorm": ("num_groups", "num_channels"),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), ("input_size", "hidden_size", "num_layers")),
    **dict.fromkeys(("LSTMCell", "GRUCell", "RNNCell"), ("input_size", "hidden_size")),
    "MultiheadAttention": ("embed_dim", "num_heads", "dropout"),
    **{f"Transformer{kind}Layer": ("d_model", "nhead", "dim_feedforward", "dropout") for kind in ("Encoder", "Decoder")},
    **dict.fromkeys(("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout"), ("p",)),
    "LeakyReLU": ("negative_slope",),
    "MaxPool2d": ("kernel_size", "stride"),
    "AvgPool2d": ("kernel_size", "stride"),
    "range": ("count",),
    "zeros": ("size", "size", "size"), "ones": ("size", "size", "size"), "randn": ("size", "size", "size"),
    "Tensor": ("size", "size", "size"), "FloatTensor": ("size", "size", "size"), "empty": ("size", "size", "size"),
    "PixelShuffle": ("upscale_factor",),
    "Softmax": ("dim",),
    "register_buffer": ("name", "buffer"),
    "Parameter": ("buffer",),
}  # fmt: skip
DEEPEST = 4  # constructors that hand a parameter on


@dataclass
class Uses:
    """What is done with one path."""

    roles: list[str] = field(default_factory=list)  # "Conv2d.in_channels"
    compared: list[Any] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    optional: list[str] = field(default_factory=list)  # attributes that are asked for with a default, or by hasattr
    items: list[Any] = field(default_factory=list)
    called: bool = False
    made: bool = False  # called with arguments in the constructor: a class, or what makes modules
    iterated: bool = False
    measured: bool = False  # len()
    unpacked: int = 0  # into how many parts
    length: int = 0  # that it is compared with
    computed: bool = False  # in arithmetic
    tested: bool = False  # by its truth, or against None
    keyed: list[Any] = field(default_factory=list)  # the keys of a dict that it chooses from
    divides: bool = False  # by this, something is divided

    def merge(self, other: Uses) -> None:
        """Add what another constructor does with the same value."""
        for name in ("roles", "compared", "attributes", "optional", "items", "keyed"):
            own = getattr(self, name)
            own += [one for one in getattr(other, name) if one not in own]
        for name in ("called", "made", "iterated", "measured", "computed", "tested", "divides"):
            setattr(self, name, getattr(self, name) or getattr(other, name))
        self.unpacked = self.unpacked or other.unpacked
        self.length = self.length or other.length


@lru_cache(maxsize=1024)
def uses(file: str, qualname: str, depth: int = DEEPEST) -> dict[str, Uses]:
    """What a class or function does with its parameters, by path."""
    files = index(file)
    found: dict[str, Uses] = {}
    for scope in files.scopes.get(qualname, [])[-1:] if files else ():
        for method, names in methods_of(scope):
            Reader(method, names, found, depth).read()
    return found


def methods_of(scope: Scope) -> Iterator[tuple[Scope, dict[str, str]]]:
    """The constructor and the other methods of a class, each with what its keys mean: {"c": "c", "self.width": "c"}."""
    if isinstance(scope.node, FunctionNode):
        yield scope, {name: name for name in scope.parameters}
        return
    for one in family(scope):
        methods = file_index(one).methods(one)
        constructor = next((method for method in methods if method.qualname.endswith(".__init__")), None)
        if constructor is None:
            continue
        names = {name: name for name in constructor.parameters if name != constructor.self_name}
        kept = {key: name for key, name in aliases(constructor, names).items() if key.startswith(f"{SELF}.")}
        for method in methods:
            yield method, names | kept if method is constructor else kept
        return


def aliases(scope: Scope, names: dict[str, str]) -> dict[str, str]:
    """The keys that are set to a parameter, or to an attribute of one: {"self.width": "cfg.width"}."""
    found = dict(names)
    for key, values in scope.assigned.items():
        for value in values[-1:]:
            path = path_of(value, scope, found)
            if path:
                found[key] = path
    return found


def path_of(node: ast.AST, scope: Scope, names: dict[str, str]) -> str:
    """The path that an expression reads, "" if it reads none."""
    if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        return ""
    key = scope.key(node)
    if key in names:
        return names[key]
    if isinstance(node, ast.Attribute):
        base = path_of(node.value, scope, names)
        return f"{base}.{node.attr}" if base else ""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        base = path_of(node.value, scope, names)
        return f"{base}.{node.slice.value}" if base else ""
    return ""


class Reader:
    """Reads one function."""

    def __init__(self, scope: Scope, names: dict[str, str], found: dict[str, Uses], depth: int) -> None:
        self.scope = scope
        self.names = aliases(scope, names)
        self.found = found
        self.depth = depth

    def read(self) -> None:
        """Note every use."""
        for node in ast.walk(self.scope.node):
            if isinstance(node, ast.Compare):
                self.note_length(node)
            for name, child in parts(node):
                path = path_of(child, self.scope, self.names)
                if path:
                    self.note(self.found.setdefault(path, Uses()), node, name, child)

    def note_length(self, node: ast.Compare) -> None:
        """Note `len(shape) == 3`."""
        sides = [node.left, *node.comparators]
        measured = [
            one for one in sides if isinstance(one, ast.Call) and one.args and external_name(one.func, self.scope) == "len"
        ]
        numbers = [one.value for one in sides if isinstance(one, ast.Constant) and isinstance(one.value, int)]
        path = path_of(measured[0].args[0], self.scope, self.names) if measured else ""
        if path and numbers:
            use = self.found.setdefault(path, Uses())
            use.length = use.length or numbers[0]

    def note(self, use: Uses, node: ast.AST, name: str, child: ast.AST) -> None:
        """Note what a node does with a part of it."""
        match node:
            case ast.Attribute():
                use.attributes.append(node.attr)
            case ast.Subscript() if name == "value":
                known = node.slice.value if isinstance(node.slice, ast.Constant) else None
                if isinstance(known, str):
                    use.attributes.append(known)
                use.items.append(known)
            case ast.Subscript() if isinstance(node.value, ast.Dict):
                use.keyed += [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
            case ast.Call() if name == "func":
                use.called = True
                use.made = use.made or bool(node.args or node.keywords)
            case ast.Call():
                self.handed_on(use, node, child)
            case ast.keyword():
                pass  # with its call
            case ast.For() | ast.comprehension() if name == "iter":
                use.iterated = True
            case ast.Starred():
                use.iterated = True
            case ast.Compare():
                self.compared(use, node, child)
            case ast.BinOp():
                use.computed = True
                use.divides = use.divides or (name == "right" and isinstance(node.op, ast.FloorDiv | ast.Div | ast.Mod))
            case ast.Assign() if isinstance(node.targets[0], ast.Tuple):
                use.unpacked = len(node.targets[0].elts)
            case ast.If() | ast.IfExp() | ast.BoolOp() | ast.UnaryOp() if name in ("test", "values", "operand"):
                use.tested = True

    def handed_on(self, use: Uses, call: ast.Call, child: ast.AST) -> None:
        """A use as an argument."""
        full = external_name(call.func, self.scope)
        last = full.rpartition(".")[2]
        if last == "len":
            use.measured = True
        elif last in ("zip", "enumerate", "list", "tuple", "reversed"):
            use.iterated = True
        elif last in ("getattr", "hasattr") and len(call.args) > (1 if last == "hasattr" else 2) and call.args[0] is child:
            use.optional.append(str(getattr(call.args[1], "value", "")))
        role = role_of(call, child)
        if last in PARAMETERS and role is not None:
            number = role if isinstance(role, int) else -1
            known = PARAMETERS[last]
            named = known[number] if 0 <= number < len(known) else role
            if isinstance(named, str):
                use.roles.append(f"{last}.{named}")
            return
        for one in definitions(call.func, self.scope) if self.depth and role is not None else ():
            if one.node is not self.scope.owner and one is not self.scope:
                self.inherited(use, one, role)

    def inherited(self, use: Uses, callee: Scope, role: int | str | None) -> None:
        """What another constructor of the project does with the same value."""
        name = role if isinstance(role, str) else parameter_at(callee, role or 0)
        for path, other in uses(callee.file.path, callee.qualname, self.depth - 1).items():
            if path == name:
                use.merge(other)
            elif path.startswith(f"{name}."):
                use.attributes.append(path.split(".")[1])
        if name:
            use.roles.append(f".{name}")

    def compared(self, use: Uses, node: ast.Compare, child: ast.AST) -> None:
        """A comparison with constants: `act == "relu"`, `norm in ("batch", "layer")`."""
        if child is not node.left and any(isinstance(one, ast.In | ast.NotIn) for one in node.ops):
            use.iterated = True  # something is looked for in it
            return
        for other in (node.left, *node.comparators):
            if other is child:
                continue
            values = other.elts if isinstance(other, ast.Tuple | ast.List | ast.Set) else [other]
            for value in values:
                if isinstance(value, ast.Constant) and value.value is None:
                    use.tested = True
                elif isinstance(value, ast.Constant):
                    use.compared.append(value.value)


def parts(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The expressions directly in a node, with the field that each is in; of a call, also the values of its keywords."""
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.Call) and isinstance(child, ast.keyword):
                yield "keywords", child.value
            elif isinstance(child, ast.AST):
                yield name, child


def role_of(call: ast.Call, child: ast.AST) -> int | str | None:
    """Where an argument of a call stands: its number or its name."""
    for number, one in enumerate(call.args):
        if one is child:
            return number
    return next((keyword.arg for keyword in call.keywords if keyword.value is child), None)


def parameter_at(scope: Scope, number: int) -> str:
    """The name of a class's or function's parameter at a place, "" if there is none."""
    if isinstance(scope.node, ast.ClassDef):
        for one in family(scope):
            for method in file_index(one).scopes.get(f"{one.qualname}.__init__", [])[-1:]:
                assert isinstance(method.node, FunctionNode)
                names = [argument.arg for argument in (*method.node.args.posonlyargs, *method.node.args.args)][1:]
                return names[number] if number < len(names) else ""
        return ""
    assert isinstance(scope.node, FunctionNode)
    names = [argument.arg for argument in (*scope.node.args.posonlyargs, *scope.node.args.args)]
    return names[number] if number < len(names) else ""
