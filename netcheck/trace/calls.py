"""What a torch call is as a node of a graph: its target, what it reads and writes, what it gives.

as_written(torch.Tensor.__add__, "__add__", (x, y))     -> ("call_function", operator.add, (x, y))
x[0] = 1                                                -> set_item(x, 0, 1), which returns x
y = x[:2]; x.add_(1); y                                 -> after(y, x.add_(1)): y as it is now
"""

from __future__ import annotations

import copy
import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.fx.node import has_side_effect

from netcheck.torch_versions import DataDependentOutputException, DynamicOutputShapeException, address
from netcheck.trace import structure

# A torch call that tells about a tensor without computing one; recording it would only cost time.
METADATA = {
    "size", "dim", "numel", "stride", "is_floating_point", "is_complex", "is_contiguous", "element_size", "ndimension",
    "nelement", "get_device", "is_inference", "storage_offset", "untyped_storage", "data_ptr", "is_same_size",
    "is_nonzero", "has_names", "__len__", "__hash__", "__repr__", "__format__", "type", "retain_grad", "register_hook",
    "backward", "is_pinned", "is_shared", "is_signed", "dense_dim", "sparse_dim", "result_type", "can_cast", "finfo",
}  # fmt: skip

READS = {"item", "tolist", "__bool__", "__int__", "__float__", "__index__", "__complex__", "__contains__",
          "equal", "allclose", "is_nonzero", "numpy", "__array__"}  # fmt: skip

# What hands out the memory of a tensor, to be written to where no torch function tells of it.
EXPOSING = {"numpy", "__array__", "data_ptr", "untyped_storage", "__dlpack__"}

# What changes the tensor object in place, and not what lies in its memory.
RESHAPES = {"t_", "transpose_", "swapaxes_", "swapdims_", "squeeze_", "unsqueeze_", "resize_", "resize_as_", "as_strided_",
            "set_", "detach_", "requires_grad_"}  # fmt: skip

# What fake tensors raise when they are asked for a value.
VALUE_NEEDED = (DataDependentOutputException, DynamicOutputShapeException)

# Python's operators, in the form that a person would write and torch.fx prints.
_OPERATORS: dict[str, Callable[..., Any]] = {
    f"__{name}__": getattr(operator, f"{name}_" if name in ("and", "or") else name)
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "neg",
                 "invert", "lshift", "rshift", "lt", "le", "gt", "ge", "eq", "ne", "getitem", "abs", "pos",
                 "iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "iand", "ior", "ixor")
}  # fmt: skip
_REFLECTED = {
    f"__r{name}__": getattr(operator, name) for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
}
_REFLECTED["__rdiv__"] = operator.truediv

# What torch.fx prints as itself; exact types, since an enum is an int too.
LITERALS = frozenset((bool, int, float, complex, str, type(None), torch.dtype, torch.device, range, torch.memory_format,
                       torch.layout))  # fmt: skip

_CONTAINERS = (list, tuple, set, Mapping)

_METHODS: dict[Any, str] = {}
for _name in dir(torch.Tensor):
    _value = inspect.getattr_static(torch.Tensor, _name)
    if callable(getattr(torch.Tensor, _name)) and not isinstance(_value, property | staticmethod | classmethod):
        _METHODS.setdefault(getattr(torch.Tensor, _name), _name)


def after(tensor: torch.Tensor, mutation: Any) -> torch.Tensor:
    """`tensor`, read after `mutation` has written to the memory that it shares."""
    return tensor


def set_item(tensor: torch.Tensor, index: Any, value: Any) -> torch.Tensor:
    """`tensor[index] = value`, as a function that returns the tensor."""
    tensor[index] = value
    return tensor


def set_attribute(tensor: torch.Tensor, name: str, value: Any) -> torch.Tensor:
    """`tensor.name = value` (such as `.data`), as a function that returns the tensor."""
    setattr(tensor, name, value)
    return tensor


def in_place(function: Callable[..., Any], tensors: Any, *args: Any, **kwargs: Any) -> Any:
    """A function that writes to its first argument and returns nothing (`torch._foreach_add_`), as one that returns it."""
    function(tensors, *args, **kwargs)
    return tensors


def run_backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
    """`torch.autograd.backward`, which adds to the `.grad` of the leaves."""
    torch.autograd.backward(tensors, *args, **kwargs)


def gradient_of(tensor: torch.Tensor, *backward: Any) -> Any:
    """`tensor.grad`, read after these calls of `run_backward`."""
    return tensor.grad


for _function in (in_place, run_backward):
    has_side_effect(_function)  # torch.fx must not remove them as dead code


def copied(tensor: torch.Tensor) -> torch.Tensor:
    """`copy.deepcopy(tensor)`."""
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)


def referenced(tensor: torch.Tensor) -> torch.Tensor:
    """`copy.copy(tensor)`: it shares the memory, and knows nothing of what that was computed from."""
    if isinstance(tensor, torch.nn.Parameter):
        return torch.nn.Parameter(tensor.detach(), tensor.requires_grad)
    return tensor.detach().requires_grad_(tensor.requires_grad)


def called(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`function(...)`, where the function is itself the result of a node."""
    return function(*args, **kwargs)


class LayerCall:
    """A layer that forward made, as a graph's target: it runs on the weights that forward made for it."""

    def __init__(self, layer: torch.nn.Module) -> None:
        weights = {id(t): t for t in (*layer.parameters(), *layer.buffers())}
        self.layer = copy.deepcopy(layer, {key: emptied(tensor) for key, tensor in weights.items()})
        self.__name__ = self.__qualname__ = type(layer).__name__
        self.__module__ = __name__

    def __call__(self, *args: Any, weights: dict[str, torch.Tensor], **kwargs: Any) -> Any:
        return torch.func.functional_call(self.layer, weights, args, kwargs)


def emptied(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor or parameter of that kind without values."""
    empty = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
    return torch.nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, torch.nn.Parameter) else empty


class Transformed:
    """A function that torch.func made (`vmap(f)`), as a graph's target.

    `touched` are the tensors that its function reads besides what it is given: an edge for each, and not handed on.
    """

    def __init__(self, name: str, run: Callable[..., Any]) -> None:
        self.run = run
        self.__name__ = self.__qualname__ = name
        self.__module__ = __name__  # torch.fx would print torch's own function of that name, and call it

    def __call__(self, args: Any, kwargs: Any, touched: Any = ()) -> Any:
        return self.run(*args, **kwargs)


class AutogradCall:
    """A custom autograd function as a graph's target: printable, and still the user's own function."""

    def __init__(self, function: type[torch.autograd.Function]) -> None:
        self.function = function
        self.__name__ = function.__name__
        self.__qualname__ = function.__qualname__
        # torch.fx prints what is torch's by its name, which would mean the class.
        own = function.__module__.partition(".")[0] == "torch"
        self.__module__ = __name__ if own else function.__module__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function.apply(*args, **kwargs)


def describe(value: Any) -> Any:
    """What a report needs of a result: (shape, dtype) of a tensor, a list of such for several, None without tensors."""
    if isinstance(value, torch.Tensor):
        return None if has_no_shape(value) else (tuple(value.shape), value.dtype)
    found = [(tuple(tensor.shape), tensor.dtype) for _, tensor in structure.tensors(value) if not has_no_shape(tensor)]
    return found or None


def has_no_shape(tensor: torch.Tensor) -> bool:
    """Whether a tensor holds others of several shapes (`torch.nested`, in its older layout), and has none itself."""
    return tensor.is_nested and tensor.layout is torch.strided


def holds_tensor(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return True
    return isinstance(value, list | tuple | Mapping) and any(True for _ in structure.tensors(value))


def is_in_place(name: str) -> bool:
    """Whether a function's name says that it writes to its argument: `add_`."""
    return name.endswith("_") and not name.endswith("__")


def writes(name: str, args: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether a function that returned its first argument also changed it."""
    if name in ("requires_grad_", "detach_", "sharememory_"):
        return False  # marks on the tensor: its value stays
    if name.startswith("__i") or is_in_place(name):
        return True
    return bool(kwargs.get("inplace")) or any(arg is True for arg in args[1:])  # F.relu(x, True)


def as_written(func: Any, name: str, args: Any) -> tuple[str, Any, Any]:
    """The fx op, target and arguments that a person would recognize for a torch call."""
    if name in _REFLECTED and len(args) == 2:
        return "call_function", _REFLECTED[name], (args[1], args[0])
    if func in _METHODS:
        if name in _OPERATORS:
            return "call_function", _OPERATORS[name], args
        return "call_method", _METHODS[func], args
    return "call_function", func, args


def memory(tensor: torch.Tensor) -> int:
    """A number that tensors share which share memory."""
    try:
        return address(tensor)
    except (NotImplementedError, RuntimeError):  # sparse and opaque tensors have no storage
        return id(tensor)


def reference(tensor: torch.Tensor) -> torch.Tensor:
    """Another tensor object of the same memory and history; the tensor itself where torch cannot make one."""
    ordinary = type(tensor) is torch.Tensor and tensor.layout is torch.strided
    if not ordinary or (tensor.is_leaf and tensor.requires_grad):
        return tensor
    with torch.enable_grad():  # a view made without gradients could not be written to with them
        return tensor.view_as(tensor)


def brief(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, _CONTAINERS):
        items = value.values() if isinstance(value, Mapping) else value
        if any(isinstance(item, _CONTAINERS) for item in items):
            return type(value).__name__  # whose text might be endless
    text = repr(value)
    return text if len(text) <= 40 else type(value).__name__
