"""Fake tensors: shape, strides, dtype and device without values, and a quick way to compute with them.

Under `FakeTensorMode` every ATen operation goes through Python (0.1 ms each; a linear layer is four). Most calls that
forward makes need none of that care: all their tensors are fake and on one device, so PyTorch's own meta kernels give the
same shapes in C++. `Fakes.run` tries that first and falls back on the mode. (Not under autocast, which knows no meta tensors.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from torch import nn

from netcheck.load.forks import keep_forks_able_to_differentiate
from netcheck.torch_versions import (
    Convolution,
    FakeTensor,
    fake_mode,
    fake_of,
    fake_tensor,
    in_kernel_invocation_manager,
    require_batch,
)
from netcheck.trace import modes, structure
from netcheck.trace.calls import memory

# What makes tensors on a device of its own choice, or must be seen by the mode for another reason.
_CAREFUL = frozenset((
    "to", "cpu", "cuda", "xpu", "type", "type_as", "detach", "detach_", "requires_grad_", "set_", "clone", "pin_memory",
    "__deepcopy__", "lift_fresh", "nonzero", "unique", "masked_select", "bincount", "item", "tolist", "nms",
    "__bool__", "__int__", "__float__", "__index__", "numpy", "equal", "repeat_interleave", "tensor", "as_tensor",
))  # fmt: skip
# What refuses to multiply numbers of different dtypes, although its meta kernel does not.
_ONE_DTYPE = frozenset((
    "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "matmul", "mm",
    "bmm", "mv", "dot", "addmm", "baddbmm", "addmv", "__matmul__", "__rmatmul__",
))  # fmt: skip
_QUANTIZING = frozenset(("quantize_per_tensor", "quantize_per_channel", "quantize_per_tensor_dynamic"))
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_ONE_DTYPE_MODULES = (nn.Linear, Convolution, nn.MultiheadAttention)
_NO_GRADIENT = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


class Fakes:
    """Makes fake tensors of one mode, and runs calls on them."""

    def __init__(self) -> None:
        keep_forks_able_to_differentiate()
        self.mode = fake_mode()
        self._known: dict[Any, Any] = {}  # see _remember

    def make(self, tensor: torch.Tensor, device: torch.device | None = None) -> torch.Tensor:
        """A fake that answers for `tensor`: same shape, strides, dtype, and device (the CPU for meta).

        Raises:
            NotImplementedError, RuntimeError: PyTorch cannot fake this layout (some quantized and sparse tensors).
        """
        return fake_of(self.mode, tensor, device or device_of(tensor))

    def run(self, name: str, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """`call(*args, **kwargs)`; by meta kernels alone where all tensors are plain fakes on one device.

        Raises:
            NotImplementedError: there is no fake of what it gives.
        """
        given = [tensor for _, tensor in structure.tensors((args, kwargs))]
        if name in _ONE_DTYPE:
            require_one_dtype(given)
        if name in _QUANTIZING:
            raise NotImplementedError("a fake of a quantized tensor would pass for an ordinary one")
        if name in _CAREFUL or "device" in kwargs or not self._alike(given) or modes.present().precision:
            return call(*args, **kwargs)
        key = _likeness(call, args, kwargs) if _is_torchs(call) else None
        if key is not None and key in self._known:
            return self._again(self._known[key], args)
        result = self._compute(call, args, kwargs, given)
        self._remember(key, result, args, given)
        return result

    def run_leaf(self, module: nn.Module, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """`call(*args, **kwargs)` of a leaf module; a layer like one that ran before, on a like input, is not run again.

        Deep models repeat their blocks: this is what makes a graph of ten times the depth cost less than ten times.
        """
        key = None if modes.present().precision else _likeness(module, args, kwargs)
        if key is not None and key in self._known:
            return self._again(self._known[key], args)
        if isinstance(module, _ONE_DTYPE_MODULES):
            require_one_dtype([*args[:1], *module.parameters()])
        result = self._batch_normalized(module, args, kwargs) if type(module) in _BATCH_NORMS else None
        if result is None:
            result = self.run(type(module).__name__, call, args, kwargs)
        if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in module.parameters()):
            require_gradients(result, args)
        if key is not None:
            self._remember(key, result, args, [tensor for _, tensor in structure.tensors((args, kwargs))])
        return result

    def _batch_normalized(self, module: Any, args: Any, kwargs: Any) -> torch.Tensor | None:
        """What a batch normalization gives: a tensor like its input. None where that takes a closer look.

        PyTorch's meta kernel for it is written in Python, and costs half as much as all the rest of a ResNet.
        """
        members = [tensor for tensor in (*module._parameters.values(), *module._buffers.values()) if tensor is not None]
        if len(args) != 1 or kwargs or modes.present().precision or not self._alike([*args, *members]):
            return None
        (value,) = args
        module._check_input_dim(value)
        vectors = [tensor for tensor in members if tensor.dim()]
        fits = value.dim() > 1 and all(t.shape == (value.shape[1],) and t.dtype == value.dtype for t in vectors)
        if not fits or not value.is_contiguous():
            return None
        if module.training or module._buffers.get("running_mean") is None:
            require_batch(list(value.shape))
        learns = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (value, *members))
        with in_kernel_invocation_manager(self.mode):
            return self._wrap(_Meta.of(value).empty(), value.fake_device, learns)

    def _compute(self, call: Callable[..., Any], args: Any, kwargs: Any, given: list[torch.Tensor]) -> Any:
        try:
            with torch.no_grad(), in_kernel_invocation_manager(self.mode):
                result = call(*args, **kwargs)
        except Exception:  # whatever it is, the mode knows better, or raises it again with the user's message
            return call(*args, **kwargs)
        if any(not t.is_meta and type(t) is not FakeTensor for _, t in structure.tensors(result)):
            return call(*args, **kwargs)
        device = given[0].fake_device  # type: ignore[attr-defined]
        learns = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given)
        return structure.rebuild(result, lambda tensor: self._wrap(tensor, device, learns))

    def _remember(self, key: Any, result: Any, args: Any, given: list[torch.Tensor]) -> None:
        """Keep what a call gave, if that was new memory, or its first argument."""
        if key is None:
            return
        if args and result is args[0]:
            self._known[key] = None
            return
        parts = result if type(result) in (tuple, list) else (result,)
        if not all(part is None or type(part) is FakeTensor for part in parts):
            return
        made = [memory(part) for part in parts if part is not None]
        if len(set(made)) == len(made) and set(made).isdisjoint(memory(tensor) for tensor in given):
            self._known[key] = type(result), tuple(part if part is None else _Meta.of(part) for part in parts)

    def _again(self, known: Any, args: Any) -> Any:
        """What `_remember` kept, with new tensors."""
        if known is None:
            return args[0]
        container, metas = known
        with in_kernel_invocation_manager(self.mode):  # otherwise the mode would hear of each, at a hundred times the cost
            empty = [meta and meta.empty() for meta in metas]
            parts = [
                meta and fake_tensor(self.mode, tensor, meta.device, meta.learns)
                for meta, tensor in zip(metas, empty, strict=True)
            ]
        return container(parts) if container in (tuple, list) else parts[0]

    def reference(self, tensor: torch.Tensor) -> torch.Tensor:
        """Another fake of the same memory; the tensor itself if it is no fake of ours."""
        if type(tensor) is not FakeTensor or tensor.fake_mode is not self.mode or tensor.layout is not torch.strided:
            return tensor
        return self.run("view_as", torch.Tensor.view_as, (tensor, tensor), {})  # type: ignore[no-any-return]

    def _alike(self, given: list[torch.Tensor]) -> bool:
        """Whether all are fakes of this mode, on one device, and none stands for a constant whose value is known."""
        return bool(given) and all(
            type(tensor) is FakeTensor
            and tensor.fake_mode is self.mode
            and tensor.constant is None
            and tensor.fake_device == given[0].fake_device  # type: ignore[attr-defined]
            for tensor in given
        )

    def _wrap(self, tensor: torch.Tensor, device: torch.device, learns: bool) -> torch.Tensor:
        if type(tensor) is FakeTensor:
            return tensor  # an argument that was returned
        return fake_tensor(self.mode, tensor, device, learns and tensor.dtype not in _NO_GRADIENT)


def require_one_dtype(tensors: Iterable[Any]) -> None:
    """Raise what a matrix product on the CPU would.

    Raises:
        RuntimeError: the tensors have different dtypes, and autocast is not there to change them.
    """
    dtypes = list(dict.fromkeys(tensor.dtype for tensor in tensors if type(tensor) is FakeTensor))
    if len(dtypes) > 1 and not modes.present().precision:
        raise RuntimeError(f"expected tensors of one dtype, but got {' and '.join(map(str, dtypes))}")


@dataclass(frozen=True, slots=True)
class _Meta:
    """What is known of a tensor without values."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    learns: bool

    @classmethod
    def of(cls, tensor: Any) -> _Meta:
        return cls(tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.fake_device, tensor.requires_grad)

    def empty(self) -> torch.Tensor:
        return torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device="meta")


_SETTINGS = frozenset((int, float, bool, str, tuple, type(None), torch.dtype))


class _UnknownError(Exception):
    """Whether two calls give like results cannot be told from what they are given."""


def _likeness(subject: Any, args: Any, kwargs: Any) -> Any:
    """A key that two calls share only if they give tensors of one shape; None where that cannot be told."""
    try:
        described = _describe_module(subject) if isinstance(subject, nn.Module) else subject
        key = (described, torch.is_grad_enabled(), _describe(args), _describe(kwargs) if kwargs else None)
        hash(key)
    except (_UnknownError, TypeError, RuntimeError):  # an unhashable setting, a tensor without strides
        return None
    return key


def _describe(value: Any, levels: int = 6) -> Any:
    kind = type(value)
    if not levels:
        raise _UnknownError  # what nests deeper may be endless, or hold one thing in many places
    if kind is FakeTensor or value is None:
        return _describe_tensor(value)
    if kind is tuple or kind is list or kind is torch.Size:
        return kind, *(_describe(item, levels - 1) for item in value)
    if kind is dict:
        return tuple((name, _describe(item, levels - 1)) for name, item in value.items())
    if kind in _SETTINGS:
        return kind, value
    raise _UnknownError


def _describe_tensor(tensor: torch.Tensor | None) -> Any:
    return tensor if tensor is None else (tensor.shape, tensor.stride(), tensor.dtype, tensor.device, tensor.requires_grad)


def _describe_module(module: nn.Module, levels: int = 4) -> Any:
    """A module without hooks, and what it holds, by their types, settings and shapes."""
    if module._forward_hooks or module._forward_pre_hooks or not levels:
        raise _UnknownError
    settings = tuple((name, value) for name, value in module.__dict__.items() if type(value) in _SETTINGS)
    members = (*module._parameters.values(), *module._buffers.values())
    inner = tuple(_describe_module(child, levels - 1) for child in module._modules.values() if child is not None)
    return type(module), settings, tuple(map(_describe_tensor, members)), inner


_BUILT_IN = (type(torch.relu), type(torch.Tensor.relu), type(torch.Tensor.__add__))


def _is_torchs(call: Any) -> bool:
    """Whether a call is a function of torch's own, which gives like results for like arguments."""
    return type(call) in _BUILT_IN or (type(call) is FunctionType and call.__module__.startswith("torch."))


def require_gradients(result: Any, args: Any) -> None:
    """Let the new tensors in what a layer gave ask for gradients, as those of a layer with trained parameters do."""
    given = {id(tensor) for _, tensor in structure.tensors(args)}
    for _, tensor in structure.tensors(result):
        if id(tensor) not in given and tensor.is_leaf and (tensor.is_floating_point() or tensor.is_complex()):
            tensor.requires_grad_(True)


def device_of(tensor: torch.Tensor) -> torch.device:
    """The device that code which looks at the tensor should see: never meta, on which nothing can be computed."""
    device: torch.device = tensor.fake_device if isinstance(tensor, FakeTensor) else tensor.device
    return torch.device("cpu") if device.type == "meta" else device
