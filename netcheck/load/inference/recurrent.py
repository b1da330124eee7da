"""What a recurrent layer says of the state that it is given.

lstm(x, h)     x (2, 16, 8), h (2, 8)              ->  Demand("state", h, want ((1, 2, 32), (1, 2, 32)))
lstm(x, zeros) x (16, 2, 8), zeros (1, 64, 32)     ->  Demand("batch", x, have 2, want 64)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from netcheck.load.inference.calls import Follows, Origin
from netcheck.load.inference.demands import Demand


def asked_of_state(module: nn.Module, args: tuple[Any, ...], recorder: Follows) -> Iterator[Demand]:
    """What a recurrent layer wants of the state that it is given: two tensors for an LSTM, each of one shape."""
    if len(args) < 2 or not isinstance(args[0], Tensor) or not isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return
    x, state, by = args[0], args[1], type(module).__name__
    states = state if isinstance(state, (tuple, list)) else [state]
    if not any(isinstance(one, Tensor) for one in states):
        return  # None: zeros
    sizes = expected(module, x)
    first = recorder.origin(states[0])
    follows = recorder.origin(x)
    sequence_first = getattr(module, "batch_first", True) is False and x.dim() == 3
    is_known = follows is not None and first is not None and recorder.is_batch(first.axis(1))
    if sequence_first and is_known and x.shape[1] != x.shape[0] == state[0].shape[-2]:
        yield Demand("swap", follows, 0, 1, by=by)
    if isinstance(module, (nn.LSTM, nn.LSTMCell)) and first is not None and isinstance(state, Tensor):
        yield Demand("state", first, None, sizes, by=by)
        return
    for tensor, size in zip(states, sizes, strict=False):
        origin = recorder.origin(tensor)
        if not isinstance(tensor, Tensor) or tuple(tensor.shape) == size:
            continue
        if origin is not None:
            yield Demand("state", origin, None, (size,), by=by)
        elif is_batch_of(follows, recorder) and tensor.dim() == len(size) > 1:
            yield Demand("batch", follows, size[-2], tensor.shape[-2], by=by)  # zeros for a batch that forward has written down


def is_batch_of(follows: Origin | None, recorder: Follows) -> bool:
    """Whether one of the axes of what a recurrent layer is given is the batch."""
    return follows is not None and any(recorder.is_batch(axis) for axis in follows.axes)


def expected(module: nn.RNNBase | nn.RNNCellBase, x: Tensor) -> tuple[tuple[int, ...], ...]:
    """The shapes of the state of a recurrent layer, for an input: those of a batch of sequences, or of a cell's samples."""
    if isinstance(module, nn.RNNCellBase):
        return ((x.shape[0], module.hidden_size),) * 2 if x.dim() == 2 else ()
    if x.dim() != 3:
        return ()
    sizes = [module.get_expected_hidden_size(x, None)]
    if isinstance(module, nn.LSTM):
        sizes.append(module.get_expected_cell_size(x, None))
    return tuple(sizes)
