"""One attempt to record forward: on fake tensors, or on copies of the real ones.

attempt_fake      nothing is computed or allocated; with `hear_all` if a tensor got past the recorder
attempt_real      on copies, on the model's own device: if forward needs values that fake tensors do not have
materialized      a lazy model: a copy of it, initialized by one real run
"""

from __future__ import annotations

import copy
import inspect
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch import nn

from netcheck.errors import TraceError
from netcheck.load.held import changing_only_itself, substituted
from netcheck.load.modes import set_training
from netcheck.load.untouched import silent_fakes
from netcheck.torch_versions import FakeTensor
from netcheck.trace import fakes, places, structure
from netcheck.trace.calls import VALUE_NEEDED
from netcheck.trace.fakes import Fakes
from netcheck.trace.record import Recorder, Unannounced
from netcheck.trace.recording import Failure

REAL_RUN_LIMIT = 16 * 2**30  # bytes of parameters and buffers above which forward is not run on real tensors


def attempt_fake(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    hear_all: bool = False,
    training: bool | None = None,
    device: torch.device | None = None,
    started: Callable[[Recorder], None] | None = None,
) -> Recorder:
    """Record forward on fake tensors: shapes and dtypes without values.

    Args:
        model: as for `trace`.
        args: positional arguments of forward.
        kwargs: keyword arguments of forward.
        hear_all: also hear operations that no torch function announces.
        training: as for `trace`.
        device: pretend that the model and its inputs are there; None: where they are.
        started: called with the recorder before forward runs, for who wants to see how far it came.

    Raises:
        TraceError: forward raised, or a parameter cannot be faked (some quantized and sparse layouts).
    """
    own = Fakes()
    place = device or device_of(model)
    try:
        with (
            silent_fakes(),
            substituted(model, lambda tensor: own.make(tensor, device)) as census,
            set_mode(model, training),
        ):
            recorder = Recorder(census, fakes=own)
            if started is not None:
                started(recorder)
            own_args, own_kwargs = structure.rebuild((args, kwargs), lambda tensor: own.make(tensor, place))
            modes = (own.mode, Unannounced(recorder)) if hear_all else (own.mode,)
            run_recorded(model, recorder, own_args, own_kwargs, modes=modes, examples=(args, kwargs))
    except (NotImplementedError, RuntimeError) as error:  # from fake(): this tensor cannot be faked
        raise TraceError(f"{type(model).__name__} holds a tensor that cannot be faked: {error}") from error
    return recorder


def attempt_real(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    hear_all: bool = False,
    training: bool | None = None,
) -> Recorder:
    """Record forward on real tensors: copies of the model's own, on its device."""
    device = device_of(model)
    with substituted(model, own_copy) as census, set_mode(model, training):
        recorder = Recorder(census)
        own_args, own_kwargs = structure.rebuild((args, kwargs), lambda tensor: own_copy(tensor).to(device or tensor.device))
        modes = (Unannounced(recorder),) if hear_all else ()
        run_recorded(model, recorder, own_args, own_kwargs, modes=modes)
    return recorder


def newly_registered(model: nn.Module, recorder: Recorder) -> set[int]:
    """The modules that forward has registered."""
    return {id(module) for module in model.modules()} - recorder.recording.census.registered


def kept_by_another_call(
    model: nn.Module, found: set[int], args: Sequence[Any], kwargs: Mapping[str, Any], modes: Sequence[Any]
) -> set[int]:
    """Those of some modules that the model still has when it is called again: built once, and not in every call."""
    with suppress(Exception), torch.no_grad(), ExitStack() as stack:
        for mode in modes:
            stack.enter_context(mode)
        model(*args, **kwargs)
        return found & {id(module) for module in model.modules()}
    return set()


def run_recorded(
    model: nn.Module,
    recorder: Recorder,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    modes: Sequence[Any] = (),
    examples: tuple[Sequence[Any], Mapping[str, Any]] = ((), {}),
) -> Any:
    """Run forward under `recorder`, from its placeholders to its output; gradients are on, whatever the caller's mode.

    `modes` are entered around forward (fake tensors); `examples` are the real arguments behind fake ones.

    Raises:
        TraceError: forward raised.
    """
    real = dict(argument_names(model, *examples))
    for name, value in argument_names(model, args, kwargs):
        recorder.placeholder(name, value, real.get(name))
    try:
        with torch.enable_grad(), ExitStack() as stack:
            for mode in modes:
                stack.enter_context(mode)
            stack.enter_context(recorder.running())
            result = recorder.call_module(model, tuple(args), dict(kwargs))
            if isinstance(result, Iterator):  # a forward with `yield`: it has not run yet
                result = list(result)
            recorder.output(result)
        if found := newly_registered(model, recorder):
            recorder.recording.adopted = kept_by_another_call(model, found, args, kwargs, modes)
    except (Exception, SystemExit) as error:
        raise cannot_run(model, error, recorder.failure) from error
    return result


def argument_names(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The name of each argument as forward's signature has it; `*args` are numbered."""
    try:
        parameters = list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):  # a ScriptModule's forward has none
        parameters = []
    plain = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "input")
    for index, value in enumerate(args):
        yield (plain[index].name if index < len(plain) else f"{rest}_{index}"), value
    yield from kwargs.items()


def cannot_run(model: nn.Module, error: BaseException, failure: Failure | None) -> TraceError:
    """Say which operation raised what, on which shapes, in which line of the user's code."""
    reason = str(error).strip().splitlines()
    what = f"raised {type(error).__name__}: {reason[0]}" if reason else f"raised {type(error).__name__}"
    help = (
        "run the model on an example yourself; if its input has another shape or type, pass that: "
        "`netcheck.check(model, inputs)` or `--input 2x3x224x224`"
    )
    if isinstance(error, VALUE_NEEDED):
        what = "needs the value of a tensor that has none, since the model is on the meta device or too large to run,"
        help = "check a small configuration of the same architecture, with its parameters on a real device"
    if failure is not None and failure.error is error:
        where = f" in {failure.operation}({failure.arguments})"
        location, module = places.called(failure.code, failure.instruction), failure.path
    else:
        where, location, module = "", places.raised(error), ""
    at = f" of module '{module}'" if module else ""
    return TraceError(
        f"forward of {type(model).__name__} {what}{where}{at}",
        help=help,
        location=location,
        module=module,
    )


def materialized(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> nn.Module:
    """The model itself; of a model with lazy layers, a copy whose parameters have taken their shapes from the input.

    Those of layers that forward does not come to are empty in the copy: nothing can be asked of a tensor without a shape.
    """
    members = (*model.parameters(), *model.buffers())
    if not any(nn.parameter.is_lazy(member) for member in members):
        return model
    # A lazy buffer cannot be copied by deepcopy, which takes these in its place.
    lazy: Any = nn.parameter.UninitializedBuffer
    fresh = {id(m): lazy(device=m.device, dtype=m.dtype) for m in members if isinstance(m, lazy)}
    twin = copy.deepcopy(model, fresh)
    with changing_only_itself(twin), torch.no_grad():
        try:
            result = twin(*structure.rebuild(args, torch.clone), **structure.rebuild(kwargs, torch.clone))
            if isinstance(result, Iterator):  # a forward with `yield` has not run yet
                deque(result, maxlen=0)
        except (Exception, SystemExit) as error:
            raise cannot_run(model, error, None) from error
        for member in (*twin.parameters(), *twin.buffers()):
            if nn.parameter.is_lazy(member):
                member.materialize((0,))
    return twin


def overrides_train(module: nn.Module) -> bool:
    """Whether a class of the user's decides itself what `train()` and `eval()` do."""
    return type(module).train not in (nn.Module.train, torch.jit.ScriptModule.train)


@contextmanager
def set_mode(model: nn.Module, training: bool | None) -> Iterator[None]:
    """Call `model.train(training)`; `substituted` around this undoes it, but for compiled modules' own flags."""
    if training is None:
        yield
        return
    scripted = [module for module in model.modules() if isinstance(module, torch.jit.ScriptModule)]
    compiled = [(module, module.training) for module in scripted]
    try:
        try:
            set_training(model, training)
        except (Exception, SystemExit) as error:  # the user's own train()
            raise cannot_run(model, error, None) from error
        yield
    finally:
        for module, before in compiled:
            module.train(before)


# ---- tensors to run on ----------------------------------------------------------------------------------------------


def own_copy(tensor: torch.Tensor) -> torch.Tensor:
    """A copy with its own memory: forward may write to it."""
    twin = tensor.detach().clone()
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(twin, requires_grad=tensor.requires_grad)
    return twin.requires_grad_(tensor.requires_grad)


def device_of(model: nn.Module) -> torch.device | None:
    """The device of the model's first parameter or buffer, where its inputs belong; None without either."""
    first = next(iter((*model.parameters(), *model.buffers())), None)
    if first is None:
        return None
    return fakes.device_of(first)


def can_run_for_real(model: nn.Module) -> bool:
    """Whether the model has values, and few enough to copy."""
    members = (*model.parameters(), *model.buffers())
    if any(isinstance(member, FakeTensor) or member.is_meta for member in members):
        return False
    return sum(member.numel() * member.element_size() for member in members) <= REAL_RUN_LIMIT
