"""Plausible results for calls that ask a fake tensor for its values.

Only shapes matter here, so where a model is too large to compute with (or has no values, on the meta device),
a mask is taken to let everything through, a comparison to be false, a count to be one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from netcheck.load.inference.calls import Call

UNKNOWN = object()


def imagine(call: Call, func: Callable[..., Any]) -> Any:
    """What the call may have returned; UNKNOWN if nothing plausible is known."""
    make = RESULTS.get(call.name)
    try:
        if make is not None:
            return make(call)
        args, kwargs = with_numbers(call.args), with_numbers(call.kwargs)
        return func(*args, **kwargs)
    except Exception:  # an unusual way to call it
        return UNKNOWN


def with_numbers(value: Any) -> Any:
    """The same arguments with ones for the tensors among the sizes, in a list or alone."""
    if isinstance(value, Tensor) and value.dim() == 0 and not value.is_floating_point():
        return 1
    if isinstance(value, dict):
        return {key: with_numbers(entry) for key, entry in value.items()}
    if type(value) in (tuple, list):
        return type(value)(with_numbers(entry) for entry in value)
    return value


def number(call: Call) -> Any:
    """One, or false, as the dtype has it."""
    dtype = call.args[0].dtype
    return False if dtype is torch.bool else 1.0 if dtype.is_floating_point else 1


def listed(call: Call) -> Any:
    """A nested list of that number."""
    value: Any = number(call)
    for size in reversed(call.args[0].shape):
        value = [value] * size
    return value


def nonzero(call: Call) -> Any:
    """The indices of as many entries as there are rows."""
    x = call.args[0]
    rows = x.shape[0] if x.dim() else 1
    if call.kwargs.get("as_tuple") or call.name == "where":
        return tuple(x.new_zeros(rows, dtype=torch.int64) for _ in range(max(1, x.dim())))
    return x.new_zeros((rows, x.dim()), dtype=torch.int64)


def where(call: Call) -> Any:
    """Only the form with a condition alone asks for values."""
    return nonzero(call) if len(call.args) == 1 else UNKNOWN


def masked(call: Call) -> Any:
    """Everything passes a mask."""
    x, index = call.args
    parts = index if isinstance(index, tuple) else (index,)
    mask = parts[0]
    if not isinstance(mask, Tensor) or mask.dtype is not torch.bool:
        return UNKNOWN
    kept = x.reshape(-1, *x.shape[mask.dim() :])
    return kept[(slice(None), *parts[1:])] if len(parts) > 1 else kept


def selected(call: Call) -> Any:
    """Everything passes a mask, flattened."""
    return call.args[0].reshape(-1)


def unchanged(call: Call) -> Any:
    """As many as there were."""
    return call.args[0].clone()


def grouped_product(call: Call) -> Any:
    """(tokens, inner) by (experts, inner, outer), each token with its own expert: (tokens, outer)."""
    a, b = call.args[:2]
    return a.new_empty((*a.shape[:-1], b.shape[-1]))


RESULTS: dict[str, Callable[[Call], Any]] = {
    "item": number,
    "__bool__": lambda call: False,
    "is_nonzero": lambda call: False,
    "__int__": lambda call: 1,
    "__index__": lambda call: 1,
    "__float__": lambda call: 1.0,
    "tolist": listed,
    "equal": lambda call: True,
    "allclose": lambda call: True,
    "nonzero": nonzero,
    "argwhere": nonzero,
    "where": where,
    "__getitem__": masked,
    "masked_select": selected,
    "repeat_interleave": unchanged,
    "unique": unchanged,
    "bincount": lambda call: call.args[0].new_zeros(max(2, call.kwargs.get("minlength", 0)), dtype=torch.int64),
}
STRICTER_ON_FAKES: dict[str, Callable[[Call], Any]] = {
    "_grouped_mm": grouped_product,
    "grouped_mm": grouped_product,
}
"""Calls whose fake kernels refuse what real ones compute."""
