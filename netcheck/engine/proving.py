"""A model after an edit of its source, beside the model before it: in one process, on the same inputs, from the same seed.

target.before     texts in the place of files: the source before the edit    -> model, its inputs
target.texts      the source after it                                        -> model, checked on these inputs, and compared
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from netcheck.engine.subjects import loaded_by, specified_inputs
from netcheck.errors import InputError, NetcheckError
from netcheck.figures.sameness import Sameness
from netcheck.findings import Report
from netcheck.settings import Settings
from netcheck.source.overlay import laid_over

if TYPE_CHECKING:
    from torch import nn

    from netcheck.load.inputs import ExampleInputs
    from netcheck.source.targets import Target

Check = Callable[["Target", Settings, "ExampleInputs"], Report]


def check_edited(target: Target, settings: Settings, check: Check) -> Report:
    """Check a model after an edit on the inputs of the model before, and say how far it is from that (`report.sameness`).

    Args:
        target: the model, with the texts after and before.
        settings: the run's settings.
        check: what checks a target on inputs.

    Raises:
        NetcheckError: the model before the edit cannot be built, or has no inputs.
    """
    assert target.before is not None
    before, example, as_project = alive(replace(target, texts=target.before, before=None), settings)
    forget_the_users()
    edited = replace(target, before=None)
    apart = compared(before, edited, settings, example, as_project=as_project)
    del before
    forget_the_users()  # what was compared is not as its code left it
    report = check(edited, settings, example)
    report.sameness = apart
    return report


def alive(target: Target, settings: Settings) -> tuple[nn.Module, ExampleInputs, bool]:
    """A model, its inputs, and whether there are only such for it as its project builds it."""
    from netcheck.load import fence
    from netcheck.load.untouched import untouched

    settings, entry = settings.of_model(target.file, target.symbol, target.module)
    chosen = entry is not None or settings.inputs or settings.input_from
    with laid_over(target.texts), fence.closed(writes=settings.allow_writes):
        for as_project in (False, True):
            loaded = loaded_by(target, settings, entry, as_project=as_project)
            try:
                with untouched():
                    return loaded.model, specified_inputs(loaded.model, settings, [loaded.namespace]), as_project
            except InputError:
                if chosen or as_project:
                    raise
    raise AssertionError("one of both ways returns or raises")


def compared(before: nn.Module, target: Target, settings: Settings, example: ExampleInputs, *, as_project: bool) -> Sameness:
    """How far the edited model is from the one before."""
    from netcheck.load import fence
    from netcheck.measure.sameness import sameness

    settings, entry = settings.of_model(target.file, target.symbol, target.module)
    try:
        with laid_over(target.texts), fence.closed(writes=settings.allow_writes):
            after = loaded_by(target, settings, entry, as_project=as_project).model
            return sameness(before, after, example.args, example.kwargs)
    except NetcheckError as error:
        return Sameness(problem=str(error))


def forget_the_users() -> None:
    """Have the modules of the user's imported anew: they were made of the source before the edit."""
    from netcheck.load import modules
    from netcheck.load.raised import is_installed

    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name in modules.given_modules or name.partition(".")[0] == "netcheck" or not isinstance(file, str):
            continue
        if os.path.isfile(file) and not is_installed(file):
            del sys.modules[name]
