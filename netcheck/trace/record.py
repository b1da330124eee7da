"""Run forward and record every operation as a torch.fx node.

    record(model, args, kwargs)
      +-- unwrapped            DataParallel, DDP, torch.compile: the model inside
      +-- Recorder             a TorchFunctionMode: sees every torch call that forward makes
            +-- call_module        nn.Module.__call__: leaves become one node, the others are entered
            +-- __torch_function__ everything else becomes one call_function or call_method node
            +-- apply              torch.autograd.Function: a leaf, unless it runs modules or callables
            +-- write              arguments -> nodes (placeholders, get_attr, getitem made where needed)
            +-- bind               results -> the node that made them

Tensors are fake unless their values matter (see `netcheck.trace.run`). A tensor is known by identity: `bindings` maps
its id to the node that made it. An in-place operation binds the tensor to the new node; other views of the same memory
find out at their next use (`_resolve` inserts an `after` node), so that the graph's edges tell the truth about data flow.
"""

from __future__ import annotations

import inspect
import operator
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

import torch
from torch import fx, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException
from torch.overrides import TorchFunctionMode, _pop_mode_temporarily
from torch.utils._python_dispatch import TorchDispatchMode

from netcheck.trace import structure
from netcheck.trace.fakes import Fakes
from netcheck.trace.guard import Census, join
from netcheck.trace.values import Values

_CONTAINERS = (
    nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder,
    nn.TransformerEncoderLayer, nn.TransformerDecoderLayer,
)  # fmt: skip

# A torch call that tells about a tensor without computing one; recording it would only cost time.
_METADATA = {
    "size", "dim", "numel", "stride", "is_floating_point", "is_complex", "is_contiguous", "element_size", "ndimension",
    "nelement", "get_device", "is_inference", "storage_offset", "untyped_storage", "data_ptr", "is_same_size",
    "is_nonzero", "has_names", "__len__", "__hash__", "__repr__", "__format__", "type", "retain_grad", "register_hook",
    "backward", "is_pinned", "is_shared", "is_signed", "dense_dim", "sparse_dim", "result_type", "can_cast", "finfo",
}  # fmt: skip

_READS = {"item", "tolist", "__bool__", "__int__", "__float__", "__index__", "__complex__", "__contains__",
          "equal", "allclose", "is_nonzero", "numpy", "__array__"}  # fmt: skip

# Python's operators, in the form that a person would write and torch.fx prints.
_OPERATORS: dict[str, Callable[..., Any]] = {
    f"__{name}__": getattr(operator, f"{name}_" if name in ("and", "or") else name)
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "neg",
                 "invert", "lshift", "rshift", "lt", "le", "gt", "ge", "eq", "ne", "getitem", "abs", "pos",
                 "iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "iand", "ior", "ixor")
}  # fmt: skip
_REFLECTED = {
    f"__r{name}__": getattr(operator, name)
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
}
_REFLECTED["__rdiv__"] = operator.truediv

# What torch.fx prints as itself; exact types, since an enum is an int too.
_LITERALS = frozenset((bool, int, float, complex, str, type(None), torch.dtype, torch.device, range, torch.memory_format,
                       torch.layout))  # fmt: skip

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


@dataclass(slots=True)
class Call:
    """What the recorder noted about one node, next to torch.fx's own fields."""

    node: fx.Node
    path: str  # of the module itself for a leaf, of the enclosing module otherwise
    module: nn.Module | None  # the leaf module called
    owner: nn.Module | None  # the module whose forward made the call
    code: CodeType | None  # the user's function that made the call
    instruction: int  # where in `code`
    result: Any  # ("tensor", shape, dtype) or a list of such, see `describe`
    grad_enabled: bool
    training: bool


@dataclass(slots=True)
class _Binding:
    tensor: torch.Tensor  # keeps the tensor alive, so that its id is not reused
    node: fx.Node
    path: structure.Path  # from the node's value to this tensor
    clock: int  # how many mutations there had been


@dataclass
class Recording:
    """What one run of forward did.

    Attributes:
        graph: the torch.fx graph.
        calls: what is known about each node, by node.
        attributes: what the graph's get_attr and call_module targets mean.
        names: every qualified name of each parameter, by its target.
        reads: nodes whose values forward looked at (`.item()`, `if tensor:`): only the recorded path was seen.
        lost: places where a tensor appeared that no recorded operation made.
    """

    graph: fx.Graph = field(default_factory=fx.Graph)
    calls: dict[fx.Node, Call] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    reads: list[fx.Node] = field(default_factory=list)
    lost: list[fx.Node] = field(default_factory=list)


@dataclass(slots=True)
class Failure:
    """The operation that raised: what it was, what it was given, and where the user wrote it."""

    error: BaseException
    operation: str
    arguments: str
    path: str
    code: CodeType | None
    instruction: int


class Recorder(TorchFunctionMode):
    """Records what happens between `__enter__` and `__exit__` on this thread. Used once."""

    def __init__(
        self,
        census: Census,
        *,
        fakes: Fakes | None = None,
        listener: Callable[[Call, Any], Any] | None = None,
    ) -> None:
        """Make a recorder for one run.

        Args:
            census: what the model holds, keyed by the tensors that forward will meet.
            fakes: what made the run's tensors, if they are fake.
            listener: called with each node's facts and its result; what it returns takes the result's place (not of parts
                of a result, which it hears of too).
        """
        super().__init__()
        self.recording = Recording()
        self.failure: Failure | None = None
        self.needs_values = False  # a fake tensor was asked for a value, which it does not have
        self._fakes = fakes
        self._values = Values(self.recording, fakes) if fakes is not None else None
        self._census = census
        self._listener = listener
        self._bindings: dict[int, _Binding] = {}
        self._scopes: list[tuple[str, nn.Module | None]] = [("", None)]
        self._mutations: dict[int, tuple[int, fx.Node]] = {}  # memory -> (clock, the node that wrote to it)
        self._clock = 0
        self._busy = False
        self._thread = threading.get_ident()
        self._entry: FrameType | None = None

    # ---- forward's arguments and result -------------------------------------------------------------------------

    def placeholder(self, name: str, value: Any, example: Any = None) -> None:
        """Declare one argument of forward; the tensors inside it become known. `example` is its real value, if any."""
        node = self.recording.graph.placeholder(name)
        self._note(node, None, value)
        self._bind(node, value)
        if self._values is not None:
            self._values.given[node] = example

    def output(self, value: Any) -> None:
        """Declare forward's result."""
        node = self.recording.graph.output(self.write(value))
        self._note(node, None, value)

    # ---- what forward calls -------------------------------------------------------------------------------------

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if self._busy or name in _METADATA:
            return func(*args, **kwargs)
        if name == "__iter__":  # `for row in tensor`: the iterator itself is no tensor, the rows are
            return iter(self.__torch_function__(torch.Tensor.unbind, types, args))
        if name == "__get__":
            return self._property(func, args[0])
        if name == "__set__":
            return self._assignment(func, *args)
        result = self._run(name, func, args, kwargs)
        if name in _READS:
            self._read(args)
        elif name == "__setitem__":
            self._add("call_function", set_item, args, {}, args[0], mutated=args[0])
        elif _holds_tensor(result):
            op, target, args = _as_written(func, name, args)
            mutated = kwargs.get("out")
            if mutated is None and args and result is args[0] and _writes(name, args, kwargs):
                mutated = result
            return self._add(op, target, args, kwargs, result, mutated=mutated)
        return result

    def call_module(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `module(*args, **kwargs)` does while recording: record a leaf, enter anything else."""
        module = unwrapped(module)
        path = self._path(module)
        if not is_leaf(module):
            self._scopes.append((path, module))
            try:
                return module._call_impl(*args, **kwargs)  # not __call__: that may be compiled
            finally:
                self._scopes.pop()
        call = module.__call__ if isinstance(module, torch.jit.ScriptModule) else module._call_impl
        with _pop_mode_temporarily():
            result = self._run(type(module).__name__, call, args, kwargs, leaf=module)
        target = path or type(module).__name__  # the root itself may be a leaf
        self.recording.attributes[target] = module
        changed = bool(args) and result is args[0] and bool(getattr(module, "inplace", False))
        return self._add("call_module", target, args, kwargs, result, leaf=module, mutated=result if changed else None)

    def apply(self, function: type[torch.autograd.Function], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `function.apply(...)` does while recording."""
        if function.__name__ == "CheckpointFunction" and function.__module__ == "torch.utils.checkpoint":
            run, _preserve_rng_state, *inputs = args
            return run(*inputs)
        original = _ORIGINAL_APPLY.__func__
        if any(callable(arg) and not isinstance(arg, torch.Tensor) for arg in args):
            return function.forward(torch.autograd.function.FunctionCtx(), *args, **kwargs)  # it runs what it is given
        with _pop_mode_temporarily():
            result = self._run(function.__name__, lambda *a, **k: original(function, *a, **k), args, kwargs)
        return self._add("call_function", AutogradCall(function), args, kwargs, result)

    def dispatched(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An ATen operation that no torch function announced (a TorchScript function, an extension)."""
        result = func(*args, **kwargs)
        if self._busy or not _holds_tensor(result):
            return result
        mutated = result if args and result is args[0] else None
        return self._add("call_function", func, args, kwargs, result, mutated=mutated)

    def _property(self, func: Any, tensor: torch.Tensor) -> Any:
        """`tensor.T`, `.mT`, `.data`, `.real` are tensors; `.shape`, `.device` and the like are not."""
        result = func(tensor)
        if isinstance(result, torch.Tensor):
            name = getattr(getattr(func, "__self__", None), "__name__", "")
            if name != "grad":
                return self._add("call_function", getattr, (tensor, name), {}, result)
        return result

    def _assignment(self, func: Any, tensor: torch.Tensor, value: Any) -> None:
        func(tensor, value)
        name = getattr(getattr(func, "__self__", None), "__name__", "")
        if isinstance(value, torch.Tensor) and name == "data":
            self._add("call_function", set_attribute, (tensor, name, value), {}, tensor, mutated=tensor)

    def _run(self, name: str, call: Callable[..., Any], args: Any, kwargs: Any, leaf: nn.Module | None = None) -> Any:
        """Call, with recording off; on an exception note what was called, with what, and where."""
        before, self._busy = self._busy, True
        try:
            if self._fakes is None:
                return call(*args, **kwargs)
            if leaf is not None:
                return self._fakes.run_leaf(leaf, call, args, kwargs)
            return self._fakes.run(name, call, args, kwargs)
        except (DataDependentOutputException, DynamicOutputShapeException) as error:
            value = self._values.compute(call, self.write(tuple(args)), self.write(dict(kwargs))) if self._values else None
            if value is not None:
                return value
            self.needs_values = True
            self.failure = self._failure(error, name, args, kwargs, leaf)
            raise
        except BaseException as error:
            if self.failure is None or self.failure.error is not error:
                self.failure = self._failure(error, name, args, kwargs, leaf)
            raise
        finally:
            self._busy = before

    def _failure(self, error: BaseException, name: str, args: Any, kwargs: Any, leaf: nn.Module | None) -> Failure:
        shapes = ", ".join(_brief(value) for value in (*args, *kwargs.values()))
        path = self._path(leaf) if leaf is not None else self._scopes[-1][0]
        return Failure(error, name, shapes, path, *self._caller())

    def _read(self, args: Any) -> None:
        for _, tensor in structure.tensors(args):
            if id(tensor) in self._bindings:
                self.recording.reads.append(self._resolve(tensor))

    # ---- values to nodes ----------------------------------------------------------------------------------------

    def write(self, value: Any) -> Any:
        """`value` as an argument of a node: tensors become the nodes that made them, the rest stays or is lifted."""
        if isinstance(value, torch.Tensor):
            return self._resolve(value)
        if type(value) in _LITERALS or value is Ellipsis:
            return value
        if isinstance(value, torch.Size):
            return tuple(value)
        if type(value) in (list, tuple):
            return type(value)(self.write(item) for item in value)
        if type(value) is dict:
            return {key: self.write(item) for key, item in value.items()}
        if isinstance(value, slice):
            return slice(self.write(value.start), self.write(value.stop), self.write(value.step))
        return self._write_object(value)

    def _write_object(self, value: Any) -> Any:
        """An object of the user's: rebuilt from its parts if it holds tensors, otherwise lifted as it is."""
        if any(True for _ in structure.tensors(value)):
            parts: dict[str, Any]
            if structure.is_namedtuple(value):
                parts = dict(zip(value._fields, value, strict=True))
            else:
                parts = {key: item for (_, key), item in structure.children(value) if isinstance(key, str)}
            template = self._lift(structure.rebuild(value, lambda tensor: None))
            written = {key: self.write(item) for key, item in parts.items()}
            return self.recording.graph.call_function(structure.assemble, (template, written))
        return self._lift(value)

    def _lift(self, value: Any) -> fx.Node:
        """Keep `value` as a constant of the graph."""
        target = f"_constant_{sum(1 for name in self.recording.attributes if name.startswith('_constant_'))}"
        self.recording.attributes[target] = value
        return self._note(self.recording.graph.get_attr(target), None, value).node

    def _resolve(self, tensor: torch.Tensor) -> fx.Node:
        """The node whose value `tensor` is, as it is now."""
        binding = self._bindings.get(id(tensor))
        if binding is None:
            binding = self._bind_unknown(tensor)
        if binding.path:
            node = binding.node
            for how, key in binding.path:
                function = operator.getitem if how == "item" else getattr
                node = self.recording.graph.call_function(function, (node, key))
            self._hear(self._note(node, None, tensor), tensor)
            binding.node, binding.path = node, ()
        if self._mutations:
            clock, mutation = self._mutations.get(_memory(tensor), (0, binding.node))
            if clock > binding.clock:
                node = self.recording.graph.call_function(after, (binding.node, mutation))
                self._hear(self._note(node, None, tensor), tensor)
                binding.node, binding.clock = node, clock
        return binding.node

    def _bind_unknown(self, tensor: torch.Tensor) -> _Binding:
        """A tensor that no recorded operation made: the model's own, a constant, or one that got past the recorder."""
        known = self._census.tensors.get(id(tensor))
        if known is not None:
            original, names = known
            target = names[0]
            self.recording.attributes[target] = original
            self.recording.names[target] = tuple(names)
            node = self.recording.graph.get_attr(target)
            self._note(node, None, tensor)
        else:
            node = self._lift(tensor)
            self.recording.lost.append(node)
        binding = _Binding(tensor, node, (), self._clock)
        self._bindings[id(tensor)] = binding
        return binding

    # ---- nodes --------------------------------------------------------------------------------------------------

    def _add(
        self, op: str, target: Any, args: Any, kwargs: Any, result: Any, *,
        leaf: nn.Module | None = None, mutated: Any = None,
    ) -> Any:  # fmt: skip
        """Append a node and bind what it returned. Returns the result (or what the listener puts in its place)."""
        node = self.recording.graph.create_node(op, target, self.write(tuple(args)), self.write(dict(kwargs)))
        call = self._note(node, leaf, result)
        result = self._hear(call, result)
        given = {id(arg) for arg in (*args, *kwargs.values())} if mutated is None else ()
        self._bind(node, result, besides=given)
        if mutated is not None:
            self._clock += 1
            for way, tensor in structure.tensors(mutated):  # out= may be a tuple
                self._mutations[_memory(tensor)] = (self._clock, node)
                self._bindings[id(tensor)] = _Binding(tensor, node, way, self._clock)
        return result

    def _hear(self, call: Call, result: Any) -> Any:
        """The result, or what the listener puts in its place; what the listener does is not recorded."""
        if self._listener is None:
            return result
        before, self._busy = self._busy, True
        try:
            return self._listener(call, result)
        finally:
            self._busy = before

    def _bind(self, node: fx.Node, value: Any, besides: Any = ()) -> None:
        """Every tensor in `value` was made by `node`; but one that was handed through unchanged keeps its maker."""
        if isinstance(value, torch.Tensor):
            if id(value) not in besides:
                self._bindings[id(value)] = _Binding(value, node, (), self._clock)
            return
        for path, tensor in structure.tensors(value):
            if id(tensor) not in besides:
                self._bindings[id(tensor)] = _Binding(tensor, node, path, self._clock)

    def _note(self, node: fx.Node, leaf: nn.Module | None, value: Any) -> Call:
        path, owner = self._scopes[-1]
        code, instruction = self._caller()
        if leaf is not None:
            path = self._path(leaf)
        training = leaf.training if leaf is not None else bool(owner is None or owner.training)
        call = Call(
            node, path, leaf, owner, code, instruction, describe(value), torch.is_grad_enabled(), training
        )
        self.recording.calls[node] = call
        return call

    def _path(self, module: nn.Module) -> str:
        """The module's name; of several, the one that continues the enclosing module's."""
        known = self._census.modules.get(id(module))
        scope = self._scopes[-1][0]
        if known is None:  # made inside forward: it has no name in the model
            name = join(scope, f"<{type(module).__name__}>")
            self._census.modules[id(module)] = (module, [name])
            return name
        names = known[1]
        return next((name for name in names if len(names) > 1 and name.startswith(scope + ".")), names[0])

    def _caller(self) -> tuple[CodeType | None, int]:
        """The innermost frame of user code, as (code, instruction); positions are looked up when somebody asks."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame is not self._entry:
            if _is_users(frame.f_code):
                return frame.f_code, frame.f_lasti
            frame = frame.f_back
        return None, 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Everything that forward does inside this context is recorded."""
        self._entry = sys._getframe(2)  # the caller of `with recorder.running()`: nothing above it is the model's
        with ExitStack() as stack:
            stack.enter_context(_patched(nn.Module, "__call__", _module_call(self)))
            stack.enter_context(_patched(torch.autograd.Function, "apply", _function_apply(self)))
            stack.enter_context(eager())
            stack.enter_context(self)
            yield


class Unannounced(TorchDispatchMode):
    """Hears the ATen operations that reach the dispatcher without passing a torch function. Slower; used when needed."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recorder = recorder

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.recorder.dispatched(func, args, kwargs or {})


class AutogradCall:
    """A custom autograd function as a graph's target: printable, and still the user's own function."""

    def __init__(self, function: type[torch.autograd.Function]) -> None:
        self.function = function
        self.__name__ = function.__name__
        self.__qualname__ = function.__qualname__
        self.__module__ = function.__module__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function.apply(*args, **kwargs)


# ---- what a module is -----------------------------------------------------------------------------------------------


def unwrapped(module: nn.Module) -> nn.Module:
    """The model inside DataParallel, DistributedDataParallel and torch.compile's wrappers."""
    while True:
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            module = module.module
        elif type(module).__name__ == "OptimizedModule" and isinstance(
            original := getattr(module, "_orig_mod", None), nn.Module
        ):
            module = original
        else:
            return module


def is_leaf(module: nn.Module) -> bool:
    """Whether the recorder notes the module as one operation.

    It does when torch wrote the forward that would run (also in a subclass that only changes construction), unless that
    is a container, or a parametrization computes its weight (which is then worth seeing).
    """
    if isinstance(module, torch.jit.ScriptModule):
        return True
    if isinstance(module, _CONTAINERS) or "forward" in module.__dict__ or "parametrizations" in module._modules:
        return False
    author = next(cls for cls in type(module).__mro__ if "forward" in cls.__dict__ or "_conv_forward" in cls.__dict__)
    return author.__module__.startswith(("torch.nn.modules.", "torch.ao.nn.", "torch.nn.quantized."))


# ---- small facts ----------------------------------------------------------------------------------------------------


def describe(value: Any) -> Any:
    """What a report needs of a result: (shape, dtype) of a tensor, a list of such for several, None without tensors."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), value.dtype
    found = [(tuple(tensor.shape), tensor.dtype) for _, tensor in structure.tensors(value)]
    return found or None


def _holds_tensor(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return True
    return isinstance(value, list | tuple | Mapping) and any(True for _ in structure.tensors(value))


def _writes(name: str, args: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether a function that returned its first argument also changed it."""
    if name.startswith("__i") or (name.endswith("_") and not name.endswith("__")):
        return True
    return bool(kwargs.get("inplace")) or any(arg is True for arg in args[1:])  # F.relu(x, True)


def _as_written(func: Any, name: str, args: Any) -> tuple[str, Any, Any]:
    """The fx op, target and arguments that a person would recognize for a torch call."""
    if name in _REFLECTED and len(args) == 2:
        return "call_function", _REFLECTED[name], (args[1], args[0])
    if func in _METHODS:
        if name in _OPERATORS:
            return "call_function", _OPERATORS[name], args
        return "call_method", _METHODS[func], args
    return "call_function", func, args


def _memory(tensor: torch.Tensor) -> int:
    """A number that tensors share which share memory."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):  # sparse and opaque tensors have no storage
        return id(tensor)


def _brief(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 40 else type(value).__name__


_TORCH = torch.__file__.removesuffix("__init__.py")
_STANDARD_LIBRARY = sysconfig.get_path("stdlib")
_OURS = __file__.removesuffix("trace/record.py").removesuffix("trace\\record.py")
_users: dict[str, bool] = {}


def _is_users(code: CodeType) -> bool:
    known = _users.get(code.co_filename)
    if known is None:
        name = code.co_filename
        standard = name.startswith(_STANDARD_LIBRARY) and "site-packages" not in name
        known = not (standard or name.startswith((_TORCH, _OURS, "<frozen")))
        _users[name] = known
    return known


# ---- patches, in force only while recording -------------------------------------------------------------------------

_ORIGINAL_APPLY = torch.autograd.Function.__dict__["apply"]
_ORIGINAL_CALL = nn.Module.__call__


def _module_call(recorder: Recorder) -> Callable[..., Any]:
    def __call__(module: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - it takes the place of one
        if recorder._busy or threading.get_ident() != recorder._thread:
            return _ORIGINAL_CALL(module, *args, **kwargs)
        return recorder.call_module(module, args, kwargs)

    return __call__


def _function_apply(recorder: Recorder) -> Any:
    def apply(cls: type[torch.autograd.Function], *args: Any, **kwargs: Any) -> Any:
        if recorder._busy or threading.get_ident() != recorder._thread:
            return _ORIGINAL_APPLY.__func__(cls, *args, **kwargs)
        return recorder.apply(cls, args, kwargs)

    return classmethod(apply)


@contextmanager
def _patched(owner: type, name: str, value: Any) -> Iterator[None]:
    original = owner.__dict__[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


def eager() -> Any:
    """Switch torch.compile off, if anything has switched it on (importing it costs a second)."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
