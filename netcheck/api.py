"""The functions that netcheck offers beside `check`, each a few lines over the package that does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netcheck.rules.base import Rule, registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from netcheck.measure.live import Change, Watch
    from netcheck.trace.graph import ModelGraph


def trace(model: Any, inputs: Any = None) -> ModelGraph:
    """Run `model` once on fake tensors and return what it does as a graph with kinds, shapes and places.

    Args:
        model: an nn.Module, its class, or a function without arguments that builds one.
        inputs: a tensor, a tuple (*args), a dict (**kwargs), or None to infer them.

    Raises:
        LoadError: the class or the function raises, or builds no nn.Module.
        InputError: no inputs were given and none could be inferred.
        TraceError: forward raised, or did something that cannot be recorded.
    """
    from netcheck import engine
    from netcheck.load import fence
    from netcheck.load.untouched import untouched
    from netcheck.measure.accelerators import drivers_at_rest

    with untouched(), fence.closed(), drivers_at_rest():
        module = engine.instance(model)
        example = engine.example_inputs(module, inputs)
        return engine.traced(module, example.args, example.kwargs)


def infer_inputs(model: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Example inputs on which `model` runs, as (args, kwargs): what `check` would use where none are given.

    Raises:
        LoadError: the class or the function raises, or builds no nn.Module.
        InputError: none could be inferred; the sentence says what was tried.
    """
    from netcheck import engine
    from netcheck.load import fence
    from netcheck.load.untouched import untouched
    from netcheck.measure.accelerators import drivers_at_rest

    with untouched(), fence.closed(), drivers_at_rest():
        example = engine.example_inputs(engine.instance(model), None)
        return example.args, example.kwargs


def assert_clean(model: Any, inputs: Any = None, **options: Any) -> None:
    """Check `model` as `netcheck.check` does; unless it is clean, raise an AssertionError with the report.

    Findings of severity info do not count.
    """
    from netcheck.engine import check

    __tracebackhide__ = True  # pytest shows the test's line, not this one
    report = check(model, inputs, **options)
    if not report.ok:
        raise AssertionError(f"netcheck found faults in {report.model}\n\n{report}")


def watch(model: Any, every: int = 500, tell: Callable[[Change], None] | None = None) -> Watch:
    """Look at a model every N steps while it is trained, and tell once of what begins and ends: see `engine.watching.watch`."""
    from netcheck.engine.watching import watch as begin

    return begin(model, every, tell)


def rules() -> tuple[Rule, ...]:
    """Every rule, by code: each has `.code`, `.name`, `.severity` and `.summary`."""
    return registry()
