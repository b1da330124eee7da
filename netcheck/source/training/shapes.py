"""The shapes of what a training file makes with torch, as far as its syntax tells. Imports no torch.

x = torch.randn(512, 24)
data = TensorDataset(x, x[:, -3:].sum(1))     item 1 of a batch of it has the shape (None,)
for xb, yb in DataLoader(data, 64): ...       yb
"""

from __future__ import annotations

import ast
from contextlib import suppress

from netcheck.source.training.constants import NotConstant, constant
from netcheck.source.training.values import Value, full_name, settled

Shape = tuple[int | None, ...]

DEEPEST = 20
MAKERS = frozenset("torch.randn torch.rand torch.zeros torch.ones torch.empty".split())
RANGES = frozenset("torch.arange torch.linspace".split())
LOADER, DATASET = "torch.utils.data.DataLoader", "torch.utils.data.TensorDataset"
REDUCING = frozenset("sum mean prod std var norm argmax argmin amax amin all any logsumexp".split())
KEEPING = frozenset(
    "float double half long int bool to cuda cpu clone detach abs round floor sign sin cos tanh sigmoid exp log sqrt pow square "
    "clamp relu add sub mul div requires_grad_ contiguous type".split()
)  # methods and functions that leave the shape as it is


def shape_of(value: Value, deep: int = DEEPEST) -> Shape | None:
    """The shape of an expression, sizes that are not known as None; None if not even its number of dimensions is."""
    value = settled(value)
    if value.part_of is not None:
        return of_batch(value)
    node = value.node
    if deep == 0 or node is None:
        return None
    match node:
        case ast.Subscript():
            return taken(shape_of(value.of(node.value), deep - 1), node.slice)
        case ast.UnaryOp():
            return shape_of(value.of(node.operand), deep - 1)
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow()):
            return broadcast(operand(value, node.left, deep), operand(value, node.right, deep))
        case ast.Call():
            return of_call(value, node, deep)
    return None


def of_batch(value: Value) -> Shape | None:
    """Of a variable of a loop over batches: one tensor of the data set, with as many samples as there are in a batch."""
    loader = loader_of(value.part_of) if value.part_of is not None else Value()
    if not isinstance(loader.node, ast.Call) or full_name(loader.node.func, loader.scope) != LOADER or value.place < 0:
        return None
    given = loader.argument(0, "dataset")
    data = settled(given) if given is not None else Value()
    if not isinstance(data.node, ast.Call) or full_name(data.node.func, data.scope) != DATASET:
        return None
    tensor = data.argument(value.place)
    shape = shape_of(tensor) if tensor is not None else None
    return (None, *shape[1:]) if shape else None


def loader_of(batch: Value) -> Value:
    """What a loop goes over that has a batch for its variable, or for the second of them: `for i, batch in enumerate(loader)`."""
    counted = batch.place == 1 and batch.part_of is not None
    item = batch.part_of if counted and batch.part_of is not None else batch
    over = settled(item.part_of) if item.part_of is not None and item.place < 0 else Value()
    if not counted:
        return over
    counts = isinstance(over.node, ast.Call) and getattr(over.node.func, "id", "") == "enumerate"
    given = over.argument(0, "iterable") if counts else None
    return settled(given) if given is not None else Value()


def of_call(value: Value, node: ast.Call, deep: int) -> Shape | None:
    """Of a call of torch, or of a tensor's method."""
    name = full_name(node.func, value.scope)
    if name in MAKERS:
        sizes = node.args[0].elts if node.args and isinstance(node.args[0], ast.Tuple | ast.List) else node.args
        return tuple(number(value, size) for size in sizes) if not any(isinstance(one, ast.Starred) for one in sizes) else None
    if name in RANGES:
        return (None,)
    if name == "torch.randint":
        size = value.argument(2, "size")
        listed = size.node if size is not None else None
        return tuple(number(value, one) for one in listed.elts) if isinstance(listed, ast.Tuple | ast.List) else None
    method = name.removeprefix("torch.") if name.startswith("torch.") else getattr(node.func, "attr", "")
    of_tensor = not name and isinstance(node.func, ast.Attribute)
    subject = value.of(node.func.value) if of_tensor and isinstance(node.func, ast.Attribute) else value.argument(0, "input")
    shape = shape_of(subject, deep - 1) if subject is not None else None
    if shape is None or (name and not name.startswith("torch.")):
        return None
    return changed(shape, method, value, node, node.args if of_tensor else node.args[1:])


def changed(shape: Shape, method: str, value: Value, node: ast.Call, args: list[ast.expr]) -> Shape | None:
    """A shape after a method of its tensor."""
    if method in KEEPING:
        return shape
    keywords = {one.arg: one.value for one in node.keywords}
    dim = number(value, args[0] if args else keywords["dim"]) if args or "dim" in keywords else None
    if method in ("view", "reshape"):
        sizes = [number(value, one) for one in args]
        return tuple(None if size == -1 else size for size in sizes) if sizes and not isinstance(args[0], ast.Tuple) else None
    if dim is None or not -len(shape) <= dim <= len(shape):
        return tuple(size for size in shape if size != 1) if method == "squeeze" and not args and None not in shape[1:] else None
    if method == "unsqueeze":
        place = dim % (len(shape) + 1)
        return (*shape[:place], 1, *shape[place:])
    if method == "squeeze":
        place = dim % len(shape)
        return (*shape[:place], *shape[place + 1 :]) if shape[place] == 1 else shape
    if method in REDUCING and "keepdim" not in keywords and len(args) < 2:
        place = dim % len(shape)
        return (*shape[:place], *shape[place + 1 :])
    return None


def taken(shape: Shape | None, index: ast.expr) -> Shape | None:
    """A shape after it was indexed by numbers, slices and None."""
    steps = index.elts if isinstance(index, ast.Tuple) else [index]
    left, found = list(shape or ()), list[int | None]()
    for step in steps if shape is not None else []:
        if isinstance(step, ast.Constant) and step.value is None:
            found.append(1)
        elif not left:
            return None
        elif isinstance(step, ast.Slice):
            size = left.pop(0)
            found.append(size if step.lower is None and step.upper is None and step.step is None else None)
        elif is_number(step):
            left.pop(0)
        else:
            return None
    return (*found, *left) if shape is not None else None


def is_number(step: ast.expr) -> bool:
    """Whether an index is a number that is written there."""
    inner = step.operand if isinstance(step, ast.UnaryOp) else step
    return isinstance(inner, ast.Constant) and type(inner.value) is int


def operand(value: Value, node: ast.expr, deep: int) -> Shape | None:
    """The shape of one side of an operation; of a number, none."""
    inner = node.operand if isinstance(node, ast.UnaryOp) else node
    return () if isinstance(inner, ast.Constant) else shape_of(value.of(node), deep - 1)


def broadcast(one: Shape | None, other: Shape | None) -> Shape | None:
    """The shape of what two make together."""
    if one is None or other is None:
        return None
    if len(one) < len(other):
        one, other = other, one
    rest = len(one) - len(other)
    pairs = zip(one[rest:], other, strict=True)
    return (*one[:rest], *(b if a == 1 else a if b == 1 or a == b else None for a, b in pairs))


def number(value: Value, node: ast.expr) -> int | None:
    """A size that is written there, or that a name leads to."""
    with suppress(NotConstant):
        found = constant(value.of(node))
        return found if type(found) is int else None
    return None
