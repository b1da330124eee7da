"""Trace a model: run it on fake tensors, or on real ones where their values matter.

trace(model, args, kwargs) -> ModelGraph
  +-- materialized      a lazy model: a copy of it, initialized by one real run
  +-- attempt_fake      nothing is computed or allocated; with `hear_all` if a tensor got past the recorder
  +-- attempt_real      on copies, on the model's own device: if forward needs values that fake tensors do not have
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from netcheck.errors import TraceError
from netcheck.load.randomness import seed_all
from netcheck.load.untouched import untouched
from netcheck.load.wrappers import unwrapped
from netcheck.trace.attempts import attempt_fake, attempt_real, can_run_for_real, materialized
from netcheck.trace.graph import ModelGraph
from netcheck.trace.record import Recorder
from netcheck.trace.selftest import require_hearing

SEED = 0  # what forward's own draws begin from


def trace(
    model: nn.Module,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    training: bool | None = None,
    seed: int = SEED,
) -> ModelGraph:
    """Record what `model(*args, **kwargs)` does as a graph.

    Args:
        model: any module; wrappers (DataParallel, DistributedDataParallel, torch.compile) are looked through.
        args: positional arguments of forward: tensors, or containers of tensors at any nesting.
        kwargs: keyword arguments of forward.
        training: record it as after `model.train(training)`; None: in its present mode.
        seed: what forward's own draws begin from.

    Returns:
        The graph. What forward draws, and the way that it takes by chance, is the same each time. The model, its state and
        all random number generators are bit for bit as before.

    Raises:
        TraceError: forward raised; the error names the operation, its arguments' shapes and the user's line.
        UsageError: this torch does not tell of all that must be heard.
    """
    require_hearing()
    with untouched():
        return _traced(unwrapped(model), tuple(args), dict(kwargs or {}), training, seed)


def _traced(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool | None, seed: int) -> ModelGraph:
    model = materialized(model, args, kwargs)

    def attempt(kind: Callable[..., Recorder], **options: bool) -> Recorder:
        seed_all(seed)
        return kind(model, args, kwargs, training=training, **options)

    try:
        recorder = attempt(attempt_fake)
        if recorder.recording.lost:
            recorder = attempt(attempt_fake, hear_all=True)
        if not recorder.needs_values:
            return ModelGraph(model, recorder.recording, tensors="fake", example=(args, kwargs), again=again)
        error = TraceError(
            f"forward of {type(model).__name__} needs the values of tensors, which cannot be had here",
            help="check a small configuration of the same architecture, with its parameters on a real device",
        )
    except TraceError as failure:
        error = failure
    if not can_run_for_real(model):
        raise error
    recorder = attempt(attempt_real)
    if recorder.recording.lost:
        recorder = attempt(attempt_real, hear_all=True)
    return ModelGraph(model, recorder.recording, tensors="real", example=(args, kwargs), again=again)


def again(graph: ModelGraph, training: bool) -> ModelGraph:
    """The graph of the same call in the other mode."""
    return trace(graph.model, *graph.example, training=training)
