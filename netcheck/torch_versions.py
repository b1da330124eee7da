"""What of PyTorch is private or differs between its versions, in one place: netcheck is tested on 2.9 to 2.14.

    fake tensors        FakeTensor, fake_mode(), fake_tensor(...)        made by position and flag since 2.13
    hearing calls       uncompiled, appliers, early_applied              autograd functions are applied in C++ since 2.14
                        scripts_as_written                               the Python behind torch.jit.script
    transforms          transforms_heard                                 torch.func, and jacrev by other names until 2.12
    autograd's graph    when_made, results_of, step_back             a step backward without the engine
    CUDA graphs         captured                                         what they stand in the place of
    modes               mode_popped, pop_mode, push_mode, DispatchMode   torch functions and operators
    switches            set_gradients, set_deterministic ...             faster than the public ones, or without one
    of the process      SWITCHES, precisions, pending_seeds ...          what has no public way to be read, or to be put back
    processes           in_bad_fork, group_store                         what a fork or a launcher left behind

All of it is looked up when this is imported, so that a torch which lacks something is known at once (`UsageError`), and not by
a crash in the middle of each model. What lives elsewhere in netcheck is public, and there in every version of the range.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from netcheck.errors import UsageError

OLDEST, NEWEST = (2, 9), (2, 14)  # those that the tests run on


def version() -> tuple[int, ...]:
    """The installed torch's version: (2, 13) of "2.13.0+cpu"."""
    return tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2] if part.isdigit())


def lacking(what: object) -> UsageError:
    """The sentence about a torch that does not do, because of `what` it lacks."""
    oldest, newest = (".".join(map(str, bound)) for bound in (OLDEST, NEWEST))
    reason = f"lacks what it needs ({what})" if version() >= OLDEST else f"is older than {oldest}"
    return UsageError(
        f"netcheck cannot work with torch {torch.__version__}, which {reason}",
        help=f"install a torch from {oldest} to {newest}, on which netcheck is tested, or a newer netcheck",
    )


if version() < OLDEST:
    raise lacking("its version")
try:
    from torch._functorch import apis as _transforms
    from torch._functorch import eager_transforms as _eager_transforms
    from torch._ops import OpOverload
    from torch._subclasses.fake_tensor import (
        DataDependentOutputException,
        DynamicOutputShapeException,
        FakeTensor,
        FakeTensorMode,
        UnsupportedFakeTensorException,
        in_kernel_invocation_manager,
        unset_fake_temporarily,
    )
    from torch.autograd.function import BackwardCFunction, Function, FunctionMeta, _SingleLevelFunction
    from torch.nn.modules import module as _module
    from torch.nn.modules.batchnorm import _BatchNorm as BatchNormalization
    from torch.nn.modules.conv import _ConvNd as Convolution
    from torch.nn.modules.conv import _ConvTransposeNd as TransposedConvolution
    from torch.nn.utils import parametrize
    from torch.overrides import TorchFunctionMode, _len_torch_function_stack, _pop_mode, _pop_mode_temporarily, _push_mode
    from torch.utils import _device
    from torch.utils._python_dispatch import TorchDispatchMode as DispatchMode

    without_torch_function: Callable[[], AbstractContextManager[None]] = torch._C.DisableTorchFunction
    set_gradients: Callable[[bool], None] = torch._C._set_grad_enabled
    # The public function imports torch's compiler, which takes over a second.
    set_deterministic: Callable[..., None] = torch._C._set_deterministic_algorithms
    require_batch: Callable[[list[int]], None] = nn.functional._verify_batch_size  # type: ignore[attr-defined]
    _onednn, _set_onednn = torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled
    _global_hooks = (_module._global_forward_hooks, _module._global_forward_pre_hooks)
    _bad_forks = (torch.cuda._is_in_bad_fork, torch.xpu._is_in_bad_fork)
    _precision, _set_precision = torch._C._get_fp32_precision_getter, torch._C._set_fp32_precision_setter
    _older_precisions: tuple[tuple[Callable[[], Any], Callable[[Any], object]], ...] = (
        (torch._C._get_float32_matmul_precision, torch._C._set_float32_matmul_precision),
        (torch._C._get_cublas_allow_tf32, torch._C._set_cublas_allow_tf32),
        (torch._C._get_cudnn_allow_tf32, torch._C._set_cudnn_allow_tf32),
    )
    _seeds_of: dict[Any, Any] = {torch.cuda: torch.cuda._lazy_seed_tracker, torch.xpu: torch.xpu._lazy_seed_tracker}
    _default_device = torch._GLOBAL_DEVICE_CONTEXT
    _register_options: Any = torch.library.register_fake.__kwdefaults__
    MODULE_HOOKS = [
        held for name, held in sorted(vars(_module).items()) if name.startswith("_global_") and isinstance(held, dict)
    ]
    SWITCHES: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
        "order of attention kernels": (torch._C._get_sdp_priority_order, torch._C._set_sdp_priority_order),
        "NNPACK": (torch._C._get_nnpack_enabled, torch._C._set_nnpack_enabled),
        "TorchScript's optimizer": (torch._C._get_graph_executor_optimize, torch._C._set_graph_executor_optimize),
        "threads of backward": (torch._C._is_multithreading_enabled, torch._C._set_multithreading_enabled),
    }
except (ImportError, AttributeError) as error:
    raise lacking(error) from error

__all__ = [
    "FAKE_TENSOR_LOG",
    "MODULE_HOOKS",
    "SWITCHES",
    "BackwardCFunction",
    "BatchNormalization",
    "Convolution",
    "DataDependentOutputException",
    "DispatchMode",
    "DynamicOutputShapeException",
    "FakeTensor",
    "FakeTensorMode",
    "GraphNode",
    "OpOverload",
    "TorchFunctionMode",
    "TransposedConvolution",
    "UnsupportedFakeTensorException",
    "address",
    "applied_by_torch",
    "appliers",
    "captured",
    "early_applied",
    "fake_mode",
    "fake_of",
    "fake_tensor",
    "forward_of",
    "function_modes",
    "global_hooks",
    "gradients_kept_on",
    "group_store",
    "in_bad_fork",
    "in_kernel_invocation_manager",
    "lacking",
    "let_register_again",
    "mode_popped",
    "parametrized_weights",
    "pending_seeds",
    "pop_mode",
    "precisions",
    "push_mode",
    "require_batch",
    "results_of",
    "set_deterministic",
    "set_function_modes",
    "set_gradients",
    "set_pending_seeds",
    "set_precisions",
    "step_back",
    "transforms_heard",
    "uncompiled",
    "unset_fake_temporarily",
    "version",
    "when_made",
    "without_onednn",
    "without_torch_function",
]  # fmt: skip

FAKE_TENSOR_LOG = "torch._subclasses.fake_tensor"  # where torch logs a traceback for each operation that fails on fakes


# ---- fake tensors -----------------------------------------------------------------------------------------------------

_FLAGGED = version() >= (2, 13)  # whether a fake can be told to ask for a gradient when it is made


def fake_of(mode: FakeTensorMode, tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A fake of `mode` that answers for `tensor`: same shape, strides, dtype and marks, on `device`.

    An ordinary one is made without asking the mode: that takes a tenth of the time of `mode.from_tensor`, which looks for views
    and subclasses and imports torch's compiler.

    Raises:
        NotImplementedError, RuntimeError: PyTorch cannot fake this layout (some quantized and sparse tensors).
    """
    ordinary = type(tensor) in (torch.Tensor, nn.Parameter, nn.Buffer, FakeTensor)
    if not ordinary or tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_conj() or tensor.is_neg():
        return mode.from_tensor(tensor)
    empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    twin = fake_tensor(mode, empty, device, tensor.requires_grad)
    for name, value in vars(tensor).items():
        if name not in vars(twin):
            setattr(twin, name, value)  # marks that a model puts on its parameters
    if isinstance(tensor, nn.Parameter):
        twin._is_param = True
    return twin


def fake_tensor(mode: FakeTensorMode, meta: torch.Tensor, device: torch.device, requires_grad: bool) -> FakeTensor:
    """A fake of `mode` with the shape, strides and dtype of a meta tensor, on `device`."""
    if _FLAGGED:
        return FakeTensor(mode, meta, device, requires_grad=requires_grad)  # type: ignore[call-arg, unused-ignore]
    with without_torch_function():
        return FakeTensor(mode, meta.requires_grad_(requires_grad), device)


def fake_mode() -> FakeTensorMode:
    """A mode for fake tensors that refuse to say where their memory is.

    They have none, and would say 0: a kernel that forward launches itself (Triton's) would write there, after which neither this
    process nor its children could use the accelerator.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    mode._allow_unsafe_data_ptr_access = False
    return mode


NO_MEMORY = "Cannot access data pointer"  # what they raise then, in a RuntimeError


def overloads(operator: OpOverload) -> Any:
    """The operator of torch.ops that an overload belongs to."""
    return operator._overloadpacket


def let_register_again() -> None:
    """Have `torch.library.register_fake` replace what was registered for an operator, as newer versions do.

    2.9 and 2.10 refuse that, also where the first call raised because there was no such operator.
    """
    _register_options["allow_override"] = True


def address(tensor: torch.Tensor) -> int:
    """A number that tensors share which share memory, as long as one of them lives.

    Raises:
        NotImplementedError, RuntimeError: sparse and opaque tensors have no storage.
    """
    return int(tensor.untyped_storage()._cdata)


# ---- calls that no torch function announces ---------------------------------------------------------------------------


def uncompiled(module: nn.Module) -> Callable[..., Any]:
    """What calling a module does, with its hooks: not `__call__`, which may be compiled."""
    return module._call_impl


# Since 2.14 `Function.apply` is C++ from the start; before, it is Python that ends in its base's.
_IN_PYTHON = isinstance(Function.__dict__.get("apply"), classmethod)


def appliers() -> type:
    """The class whose `apply` a patch must replace to hear `function.apply(...)`, however it is looked up when it is called."""
    return _SingleLevelFunction if _IN_PYTHON else Function


def applied_by_torch(function: type[torch.autograd.Function], args: Iterable[Any], kwargs: dict[str, Any]) -> Any:
    """`function.apply(*args, **kwargs)` as PyTorch has it, whatever is patched."""
    return super(_SingleLevelFunction, function).apply(*args, **kwargs)  # type: ignore[misc]


# Called with the function, whether gradients were on around the call, and the user's forward; gives what runs in its place.
Instead = Callable[[type[torch.autograd.Function], bool, Callable[..., Any]], Callable[..., Any]]


@contextmanager
def early_applied(listens: Callable[[], bool], instead: Instead) -> Iterator[None]:
    """Hear the applications of functions whose `apply` was looked up before anything was patched: `swish = Swish.apply`.

    Since 2.14 that is a C++ function, which calls nothing that could be replaced, but asks the class for its `_backward_cls` and
    then for its `forward`: it is handed another one. (Before 2.14 `appliers` hears these calls too, and nothing is done.)
    """
    if _IN_PYTHON:
        yield
        return
    asked: dict[type, bool] = {}

    def __getattribute__(cls: Any, name: str) -> Any:  # noqa: N807 - it takes the place of one
        value = type.__getattribute__(cls, name)
        if name == "_backward_cls" and listens():
            asked[cls] = torch.is_grad_enabled()
        elif name == "forward" and cls in asked and listens():
            return instead(cls, asked.pop(cls), value)
        return value

    FunctionMeta.__getattribute__ = __getattribute__  # type: ignore[method-assign]
    try:
        yield
    finally:
        del FunctionMeta.__getattribute__


@contextmanager
def scripts_as_written(listens: Callable[[], bool]) -> Iterator[None]:
    """Have functions under `@torch.jit.script` run as the Python that they were compiled from, while somebody listens.

    TorchScript differentiates what it compiles by itself, and shows operations with detached arguments.
    """
    compiled: Any = torch.jit.ScriptFunction.__call__

    def __call__(function: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - it takes the place of one
        written = getattr(function, "_torchdynamo_inline", None)  # none of one that was loaded
        run = written if inspect.isfunction(written) and listens() else partial(compiled, function)
        return run(*args, **kwargs)

    torch.jit.ScriptFunction.__call__ = __call__  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        torch.jit.ScriptFunction.__call__ = compiled  # type: ignore[method-assign]


# ---- autograd's graph -------------------------------------------------------------------------------------------------

GraphNode = torch.autograd.graph.Node


def when_made(node: GraphNode) -> int:
    """A number that is larger for an operation that was recorded later."""
    return int(node._sequence_nr())


def results_of(node: GraphNode) -> Sequence[Any]:
    """What is known of each result of an operation: `.shape` and the like."""
    return tuple(node._input_metadata)


def step_back(node: Any, gradients: Sequence[torch.Tensor | None]) -> Iterator[tuple[Any, int, torch.Tensor | None]]:
    """(the operation that made it, which of its results it is, its gradient) for each argument of an operation, given the
    gradients of its own results.
    """
    edges = node.next_functions
    if isinstance(node, BackwardCFunction):  # of a user's function, which has arguments that are no tensors
        found = node.apply(*gradients)
        found = found if isinstance(found, tuple) else (found,)
        found = [gradient for gradient, needed in zip(found, node.needs_input_grad, strict=True) if needed]
        edges = [edge for edge in edges if edge[0] is not None]
    else:
        found = node(*gradients)
        found = found if isinstance(found, tuple) else (found,)
    for (source, result), gradient in zip(edges, found, strict=True):
        yield source, result, gradient


# ---- what is in the place of a module's forward -------------------------------------------------------------------------


def captured(module: nn.Module) -> Callable[..., Any] | None:
    """The forward that a module had before a CUDA graph was captured of it; None if none was.

    `torch.cuda.make_graphed_callables` puts a function in its place, which computes with the tensors that it captured.
    """
    forward: Any = module.__dict__.get("forward")
    if getattr(forward, "__module__", None) != "torch.cuda.graphs":
        return None
    cells = dict(zip(forward.__code__.co_freevars, forward.__closure__ or (), strict=True))
    return cells["orig_fwd"].cell_contents if "orig_fwd" in cells else None


# Called with a transform's name, what runs it, and what that is given; gives its result.
HearTransform = Callable[[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


@contextmanager
def transforms_heard(hear: HearTransform) -> Iterator[None]:
    """Hear the calls of functions that torch.func has made: `vmap(f)(x)`, `grad(f)(x)`, `jacrev(f)(x)`.

    However they were looked up, they call one of these in the end. Those of jacrev and jacfwd call several: they are heard as one
    where they are made inside this context.
    """

    def vmap(func: Any, in_dims: Any, out_dims: Any, randomness: str, chunk: Any, *args: Any, **kwargs: Any) -> Any:
        return hear("vmap", partial(run_vmap, func, in_dims, out_dims, randomness, chunk), args, kwargs)

    def grad(func: Any, argnums: Any, has_aux: bool, args: Any, kwargs: Any) -> Any:
        return hear("grad", lambda *a, **k: run_grad(func, argnums, has_aux, a, k), args, kwargs)

    def grad_and_value(func: Any, argnums: Any, has_aux: bool, args: Any, kwargs: Any) -> Any:
        return hear("grad_and_value", lambda *a, **k: run_both(func, argnums, has_aux, a, k), args, kwargs)

    def vjp(func: Any, *primals: Any, **options: Any) -> Any:
        return hear("vjp", partial(run_vjp, func, **options), primals, {})

    def jvp(func: Any, primals: Any, tangents: Any, argnums: Any, **options: Any) -> Any:
        return hear("jvp", lambda p, t: run_jvp(func, p, t, argnums, **options), (primals, tangents), {})

    def wraps(func: Any, *options: Any) -> Any:
        def decorate(wrapper: Any) -> Any:
            name = wrapper.__qualname__.partition(".")[0]
            return run_wraps(func, *options)(lambda *args, **kwargs: hear(name, wrapper, args, kwargs))

        return decorate

    wrapping = "wraps" if hasattr(_eager_transforms, "wraps") else "_wraps_without_dynamo_attrs"
    with ExitStack() as stack:
        run_vmap = stack.enter_context(_in_place(_transforms, "vmap_impl", vmap))
        run_grad = stack.enter_context(_in_place(_eager_transforms, "grad_impl", grad))
        run_both = stack.enter_context(_in_place(_eager_transforms, "grad_and_value_impl", grad_and_value))
        run_vjp = stack.enter_context(_in_place(_eager_transforms, "_vjp_with_argnums", vjp))
        run_jvp = stack.enter_context(_in_place(_eager_transforms, "_jvp_with_argnums", jvp))
        run_wraps = stack.enter_context(_in_place(_eager_transforms, wrapping, wraps))
        yield


@contextmanager
def _in_place(owner: Any, name: str, value: Any) -> Iterator[Any]:
    """Put `value` in the place of what `owner` holds by that name; gives that."""
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield original
    finally:
        setattr(owner, name, original)


# ---- modes ------------------------------------------------------------------------------------------------------------

mode_popped: Callable[[], AbstractContextManager[Any]] = _pop_mode_temporarily
pop_mode: Callable[[], Any] = _pop_mode
push_mode: Callable[[Any], None] = _push_mode


def global_hooks() -> list[Any]:
    """The hooks that run at every module's forward."""
    return [hook for hooks in _global_hooks for hook in hooks.values()]


# ---- switches ---------------------------------------------------------------------------------------------------------


@contextmanager
def gradients_kept_on(function: Callable[..., Any]) -> Iterator[None]:
    """Let what the function itself switches off stay on; what it calls may switch, unless it turns gradients on elsewhere to make
    up for that (`backward_pass` of a reversible block).

    `torch.no_grad` and `torch.set_grad_enabled` look `torch._C._set_grad_enabled` up at each use.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)

    def switch(on: bool) -> None:
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_globals.get("__name__") == torch.autograd.grad_mode.__name__:
            frame = frame.f_back
        if frame.f_code is not code and not makes_up(frame.f_locals.get("self")):
            set_gradients(on)

    def makes_up(owner: object) -> bool:
        methods = vars(type(owner)).values() if isinstance(owner, nn.Module) else ()
        return any(inspect.isfunction(one) and "enable_grad" in one.__code__.co_names for one in methods)

    with _in_place(torch._C, "_set_grad_enabled", switch):
        yield


@contextmanager
def without_onednn() -> Iterator[None]:
    """Switch oneDNN off, and nothing else: its recurrent layers tell neither their FLOPs nor what they keep."""
    before = _onednn()
    _set_onednn(False)
    try:
        yield
    finally:
        _set_onednn(before)


# ---- what belongs to the process --------------------------------------------------------------------------------------

_PRECISIONS = [(backend, part) for backend in ("cuda", "mkldnn") for part in ("all", "matmul", "conv", "rnn")]
_PRECISIONS.insert(0, ("generic", "all"))


def precisions() -> tuple[Any, ...]:
    """In which precision products of float32 are computed, of each backend; `set_precisions` puts it back.

    There are two ways to say that since 2.9, and the older one refuses to tell once the newer one was used.
    """
    older: list[Any] = []
    for get, _ in _older_precisions:
        try:
            older.append(get())
        except RuntimeError:
            older.append(None)
    return tuple(older), tuple(_precision(*which) for which in _PRECISIONS)


def set_precisions(before: tuple[Any, ...]) -> None:
    """Put back what `precisions` gave."""
    older, newer = before
    for (_, put_back), value in zip(_older_precisions, older, strict=True):
        if value is not None:
            put_back(value)  # sets some of the newer ones, too
    for which, value in zip(_PRECISIONS, newer, strict=True):
        if _precision(*which) != value:
            _set_precision(*which, value)


def function_modes() -> tuple[Any, ...]:
    """The modes that hear torch functions, the outermost first, and the default device, which is one of them."""
    modes = [_pop_mode() for _ in range(_len_torch_function_stack())][::-1]
    for mode in modes:
        _push_mode(mode)
    return tuple(modes), dict(vars(_default_device)), _device.CURRENT_DEVICE


def set_function_modes(before: tuple[Any, ...]) -> None:
    """Put back what `function_modes` gave."""
    modes, default, _device.CURRENT_DEVICE = before
    vars(_default_device).clear()
    vars(_default_device).update(default)
    for _ in range(_len_torch_function_stack()):
        _pop_mode()
    for mode in modes:
        _push_mode(mode)


def pending_seeds(accelerator: Any) -> tuple[Any, ...]:
    """What will seed the generators of torch.cuda (or torch.xpu) when its driver starts."""
    tracker = _seeds_of[accelerator]
    return tracker.manual_seed_all_cb, tracker.manual_seed_cb, tuple(tracker.call_order)


def set_pending_seeds(accelerator: Any, before: tuple[Any, ...]) -> None:
    """Put back what `pending_seeds` gave; if the driver has started meanwhile, seed as it would have then."""
    tracker = _seeds_of[accelerator]
    tracker.manual_seed_all_cb, tracker.manual_seed_cb, order = before
    tracker.call_order = list(order)
    if accelerator.is_initialized():
        accelerator.seed_all()  # as a driver that nobody seeded
        for queued in filter(None, order):
            queued[0]()


def parametrized_weights() -> dict[Any, Any]:
    """What `torch.nn.utils.parametrize.cached` keeps while it is entered."""
    return parametrize._cache


# ---- processes --------------------------------------------------------------------------------------------------------


def in_bad_fork() -> bool:
    """Whether this process was forked from one that had started an accelerator's driver."""
    return any(is_in_bad_fork() for is_in_bad_fork in _bad_forks)


def group_store() -> Any:
    """The store of the default process group, through which its ranks can tell one another things."""
    from torch.distributed.distributed_c10d import _get_default_store  # not in a torch built without it

    return _get_default_store()


# ---- scripts ----------------------------------------------------------------------------------------------------------


def forward_of(kind: type[nn.Module]) -> Callable[..., Any]:
    """The forward of a class; of one of ScriptModules, which it is taken away from, as it was written."""
    try:
        return kind.forward
    except AttributeError:
        stub = getattr(kind, "_methods", {}).get("forward")
        return getattr(stub, "original_method", nn.Module.forward)
