"""What one operation costs, found by running it alone, forward and backward, on fake tensors.

    profile = profiled(fakes, call, args, kwargs, members)

    F.gelu(x)      forward 0, backward 0 FLOPs    saves argument 0            returns new memory
    F.relu(x)      forward 0, backward 0 FLOPs    saves result 0              returns new memory
    x.view(2, -1)  forward 0, backward 0 FLOPs    saves nothing               returns the memory of argument 0
    nn.Linear      forward f, backward 2f FLOPs   saves argument 0 (and its weight, which is no activation)

An operation is given stand-ins for its arguments, so that what it costs can be said of any other that has arguments of the
same shapes: a deep model runs each of its repeated operations once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils import flop_counter

from netcheck import torch_versions
from netcheck.torch_versions import DispatchMode, FakeTensor, address, overloads
from netcheck.trace import structure
from netcheck.trace.fakes import Fakes

_ATEN = torch.ops.aten

# torch's table, and the CPU's own attention kernel, which it leaves out.
_FORMULAS = {
    **flop_counter.flop_registry,
    _ATEN._scaled_dot_product_flash_attention_for_cpu: flop_counter.flop_registry[_ATEN._scaled_dot_product_flash_attention],
    _ATEN._scaled_dot_product_flash_attention_for_cpu_backward: flop_counter.flop_registry[
        _ATEN._scaled_dot_product_flash_attention_backward
    ],
}


def grouped_mm(
    mat_a: torch.Tensor,
    mat_b: torch.Tensor,
    offs: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    out_dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """What costs as much as torch's product of groups of rows with a matrix each, whatever the groups are.

    Fake tensors have that product in bfloat16 only.

    Args:
        mat_a: (rows, in), or (groups, rows, in).
        mat_b: (groups, in, out).
        offs: where the groups end.
        bias: as torch's.
        out_dtype: as torch's.

    Raises:
        NotImplementedError: the matrices are of other shapes, or further arguments are given.
    """
    if mat_b.dim() != 3 or bias is not None:
        raise NotImplementedError("only groups of rows, without a bias")
    product = mat_a @ (mat_b[0] if mat_a.dim() == 2 else mat_b)
    return product if out_dtype is None else product.to(out_dtype)


# What to run on fake tensors in the place of functions that do not run on them.
EQUALLY_COSTLY: dict[Any, Callable[..., torch.Tensor]] = {
    function: grouped_mm
    for module, name in ((torch, "_grouped_mm"), (nn.functional, "grouped_mm"))
    if (function := getattr(module, name, None)) is not None
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the memory of a tensor comes from: that of an argument (by position among the tensors given), or new."""

    argument: int | None = None
    new: int = 0  # which of the operation's new pieces of memory
    nbytes: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """What one operation costs.

    Attributes:
        forward, backward: FLOPs.
        saved: memory that is kept for backward, without that of the module's own parameters and buffers.
        result: what it returned, with placeholders for its tensors.
        origins: where the memory of each of these placeholders comes from, by id.
    """

    forward: int
    backward: int
    saved: tuple[Origin, ...]
    result: Any
    origins: Mapping[int, Origin]


class Flops(DispatchMode):
    """Counts the FLOPs of the ATen operations that run inside it, by the formulas of torch.utils.flop_counter.

    torch's own FlopCounterMode decomposes every operation that it meets, and takes twice as long.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing here is compiled: the guard against it would cost more than the count

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        formula = _FORMULAS.get(overloads(func))
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


class _StandIn(torch.autograd.Function):
    """A tensor that requires a gradient without being a leaf: operations may write to it."""

    @staticmethod
    def forward(ctx: Any, root: torch.Tensor, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        return make()  # in here: an argument that is handed through would be a view, which must not be written to

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return None, None


def profiled(
    fakes: Fakes,
    call: Callable[..., Any],
    args: Any,
    kwargs: Any,
    members: Sequence[torch.Tensor],
    *,
    grad_enabled: bool,
) -> Profile:
    """Run `call(*args, **kwargs)` alone, forward and backward.

    Args:
        fakes: what made the tensors in `args`, `kwargs` and `members`.
        call: a function, or a leaf module.
        args: its arguments, tensors at any nesting.
        kwargs: its keyword arguments.
        members: the module's own parameters and buffers.
        grad_enabled: whether forward ran it with gradients on.

    Raises:
        Whatever the operation raises on fake tensors.
    """
    with fakes.mode, torch.set_grad_enabled(grad_enabled):
        root = torch.empty((), requires_grad=True)
        given = list({id(t): t for _, t in structure.tensors((args, kwargs))}.values())
        stand_ins = {id(t): stand_in(fakes, t, root) for t in given}
        args, kwargs = structure.rebuild((args, kwargs), lambda t: stand_ins[id(t)])
        with Flops() as forward, saved_tensors() as saved:
            result = call(*args, **kwargs)
        backward = Flops()
        if forward.total:  # the derivative of what multiplies no matrices multiplies none
            with backward:
                run_backward(result, [root, *(m for m in members if m.requires_grad)])
    memories = Memories(members, [stand_ins[id(t)] for t in given])
    kept = [origin for t in saved if (origin := memories.origin(t)) is not None]
    origins: dict[int, Origin] = {}

    def placeholder(tensor: torch.Tensor) -> torch.Tensor:
        twin = like(fakes, tensor, requires_grad=tensor.requires_grad)
        origins[id(twin)] = memories.origin(tensor) or Origin()
        return twin

    template = structure.rebuild(result, placeholder)
    return Profile(forward.total, backward.total, tuple(dict.fromkeys(kept)), template, origins)


def like(fakes: Fakes, tensor: torch.Tensor, *, requires_grad: bool) -> torch.Tensor:
    """A fake tensor of the same shape, strides, dtype and device, with memory of its own."""
    device = tensor.fake_device if isinstance(tensor, FakeTensor) else tensor.device
    return fake_tensor(fakes, tensor.shape, tensor.stride(), tensor.dtype, device, requires_grad=requires_grad)


def fake_tensor(
    fakes: Fakes,
    shape: Sequence[int],
    stride: Sequence[int],
    dtype: torch.dtype,
    device: torch.device,
    *,
    requires_grad: bool,
) -> torch.Tensor:
    """A fake tensor made without asking the mode, which would take ten times as long."""
    with torch_versions.unset_fake_temporarily():  # it would be a fake itself, of which torch 2.9 makes no other
        empty = torch.empty_strided(shape, stride, dtype=dtype, device="meta")
    return torch_versions.fake_tensor(fakes.mode, empty, device, requires_grad)


def stand_in(fakes: Fakes, tensor: torch.Tensor, root: torch.Tensor) -> torch.Tensor:
    """A tensor like `tensor` with memory of its own, to which operations may write."""
    if not (tensor.requires_grad and torch.is_grad_enabled()):
        return like(fakes, tensor, requires_grad=False)
    twin: torch.Tensor = _StandIn.apply(root, lambda: like(fakes, tensor, requires_grad=False))  # type: ignore[no-untyped-call]
    return twin


@contextmanager
def saved_tensors() -> Iterator[list[torch.Tensor]]:
    """The tensors that operations inside the context keep for backward."""
    kept: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield kept


def run_backward(result: Any, inputs: Sequence[torch.Tensor]) -> None:
    """Backward from all of `result` to `inputs`, on gradients without values."""
    outputs = [tensor for _, tensor in structure.tensors(result) if tensor.grad_fn is not None]
    if outputs:
        gradients = [torch.empty_like(tensor) for tensor in outputs]
        torch.autograd.grad(outputs, inputs, gradients, allow_unused=True)


class Memories:
    """Tells whose memory a tensor lies in."""

    def __init__(self, members: Sequence[torch.Tensor], arguments: Sequence[torch.Tensor]) -> None:
        self._state = {address(tensor) for tensor in members}
        self._known = {address(tensor): Origin(index) for index, tensor in enumerate(arguments)}

    def origin(self, tensor: torch.Tensor) -> Origin | None:
        """Where the memory of `tensor` comes from; None if it is the module's own."""
        key = address(tensor)
        if key in self._state:
            return None
        if key not in self._known:
            new = sum(origin.argument is None for origin in self._known.values())
            self._known[key] = Origin(None, new, tensor.untyped_storage().nbytes())
        return self._known[key]
