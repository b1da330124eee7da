"""Backward: gradients as autograd gives them, and what a loss would take from all that comes after the head.

loss_gradients(result, end, trained)     at the head's input and at what lies behind it, as from a loss of ones
gradients_of(end, wanted, cotangent)     J^T v, which the measurement is about
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from netcheck.errors import BackwardError
from netcheck.load.raised import describe
from netcheck.measure.inputs import is_ordinary
from netcheck.measure.plan import is_out_of_memory
from netcheck.measure.precision import real
from netcheck.trace import structure


def gradients_of(
    end: torch.Tensor, wanted: Sequence[torch.Tensor], cotangent: torch.Tensor | None = None, *, again: bool = False
) -> Sequence[torch.Tensor | None]:
    """Those of `end` at the tensors that are wanted; `again`: what backward needs is kept.

    Raises:
        BackwardError: PyTorch's backward raised.
    """
    try:
        return torch.autograd.grad(end, wanted, cotangent, allow_unused=True, retain_graph=again)
    except (Exception, SystemExit) as error:  # of hooks and functions of the user's, too
        if is_out_of_memory(error):
            raise
        raise BackwardError(f"backward raised {describe(error)}") from error


def loss_gradients(
    result: Any, end: torch.Tensor | None, trained: Mapping[str, torch.Tensor]
) -> tuple[torch.Tensor | None, dict[str, torch.Tensor]]:
    """(that of a loss at `end`, those at what it reaches without passing through that, by name).

    The loss is the sum of the first result of forward that has a gradient and is not `end`; nothing is asked of the way before
    `end`, which the measurement goes.

    Raises:
        BackwardError: backward raises from each such result.
    """
    behind = None if end is None else reachable(result, end)
    names = [name for name, value in trained.items() if value.requires_grad and (behind is None or id(value) in behind)]
    first = [end] if end is not None and end.requires_grad else []
    wanted, failure = [*first, *(trained[name] for name in names)], None
    for _, tensor in structure.tensors(result):
        ends_a_loss = tensor.requires_grad and is_ordinary(tensor) and not any(tensor is other for other in wanted)
        if ends_a_loss and wanted:
            try:
                found = [*map(dense, gradients_of(tensor, wanted, torch.ones_like(tensor), again=True))]
            except BackwardError as error:
                failure = failure or error
            else:
                pairs = zip(names, found[len(first) :], strict=True)
                return found[0] if first else None, {name: gradient for name, gradient in pairs if gradient is not None}
    if failure is not None:
        raise failure
    return None, {}


def reachable(result: Any, end: torch.Tensor) -> set[int]:
    """The ids of the leaves that autograd leads to from a result without passing through `end`."""
    tensors = [tensor for _, tensor in structure.tensors(result) if tensor.requires_grad]
    pending = [tensor.grad_fn for tensor in tensors]
    seen, found = {*pending, end.grad_fn}, {id(tensor) for tensor in tensors}
    while pending:
        function = pending.pop()
        if function is None or function is end.grad_fn:
            continue
        variable = getattr(function, "variable", None)
        if variable is not None:
            found.add(id(variable))
        new = [before for before, _ in function.next_functions if before is not None and before not in seen]
        seen.update(new)
        pending += new
    return found


def floating(result: Any) -> list[torch.Tensor]:
    """The floating tensors in the result of forward."""
    return [tensor.detach() for _, tensor in structure.tensors(result) if tensor.is_floating_point() and is_ordinary(tensor)]


def has_no_nan(value: torch.Tensor) -> torch.Tensor:
    """Whether a result holds neither NaN nor infinity; minus infinity is what masks put there."""
    return ~(value.isnan() | value.isposinf()).any()


def is_finite(gradient: torch.Tensor) -> torch.Tensor:
    """Whether all of a gradient is a number: its sum is, which is read faster than every number is asked."""
    numbers = real(gradient)
    return numbers.sum(dtype=torch.promote_types(numbers.dtype, torch.float32)).isfinite()


def dense(gradient: torch.Tensor | None) -> torch.Tensor | None:
    """A gradient as an ordinary tensor: an embedding may give a sparse one."""
    return gradient.to_dense() if gradient is not None and gradient.layout is not torch.strided else gradient
