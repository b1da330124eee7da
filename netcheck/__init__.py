"""netcheck: a linter for neural networks.

    import netcheck

    report = netcheck.check(model)      # an nn.Module, its class, or a function that builds one
    print(report)
    netcheck.assert_clean(model)        # in a test

Importing netcheck imports neither torch nor click: plain data aside, each public name is imported when it is first used
(PEP 562).
"""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from netcheck.findings import Evidence, Finding, Location, Report, Severity, Verdict

if TYPE_CHECKING:
    from netcheck.api import assert_clean, infer_inputs, rules, trace, watch
    from netcheck.engine import check
    from netcheck.errors import InputError, LoadError, NeedsArguments, NetcheckError, TraceError, UsageError

__version__ = "0.1.0"

__all__ = [
    "Evidence",
    "Finding",
    "InputError",
    "LoadError",
    "Location",
    "NeedsArguments",
    "NetcheckError",
    "Report",
    "Severity",
    "TraceError",
    "UsageError",
    "Verdict",
    "__version__",
    "assert_clean",
    "check",
    "infer_inputs",
    "rules",
    "trace",
    "watch",
]

HOMES = {
    "netcheck.api": ("assert_clean", "infer_inputs", "rules", "trace", "watch"),
    "netcheck.engine": ("check",),
    "netcheck.errors": (
        "InputError",
        "LoadError",
        "NeedsArguments",
        "NetcheckError",
        "TraceError",
        "UsageError",
    ),
}
Report.presentation = staticmethod(partial(import_module, "netcheck.report.presentation"))
HOME_OF = {name: home for home, names in HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in HOME_OF:
        raise AttributeError(f"module 'netcheck' has no attribute {name!r}")
    value = getattr(import_module(HOME_OF[name]), name)
    return globals().setdefault(name, value)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class CallablePackage(ModuleType):
    """`netcheck.trace` and `netcheck.rules`: packages that are called as functions of the API."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        api = import_module("netcheck.api")
        return getattr(api, self.__name__.rpartition(".")[2])(*args, **kwargs)


class Netcheck(ModuleType):
    """This module. Importing a package inside it sets its name here, over a function of the same name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("rules", "trace") and isinstance(value, ModuleType):
            value.__class__ = CallablePackage
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = Netcheck
