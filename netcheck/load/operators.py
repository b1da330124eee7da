"""Operators that a package registers by compiled code, where that code does not load: it was built for another torch.

    import torchvision      RuntimeError: operator torchvision::nms does not exist

The import ends at the first line that describes such an operator, although most models call none of them. Each is declared,
without anything that computes it, and the import runs once more. A model that calls one cannot be checked.
"""

from __future__ import annotations

import re
import sys
import traceback

from torch.library import define

from netcheck.load.fence.state import chain
from netcheck.load.raised import describe
from netcheck.torch_versions import let_register_again

WITHOUT = "{} without its compiled operators: they do not load on this torch"  # in a report, of the line that imports it
UNKNOWN = re.compile(r"operator (\w+::\w+)(?:\.\w+)? does not exist")
ASKED = "custom C++ ops", "_OpNamespace"  # how a package and torch speak of what is not there
declared: dict[str, set[str]] = {}  # the operators by the package that describes them


def declare(error: BaseException) -> str:
    """Declare the operator for want of which an import failed; what imports the package may then run once more.

    Args:
        error: what the import raised.

    Returns:
        The package; "" where an import fails for another reason, or still fails.
    """
    for one in chain(error):
        found = UNKNOWN.search(describe(one)) if isinstance(one, RuntimeError) else None
        package = package_of(one) if found is not None else ""
        if found is not None and package and package not in sys.modules and found[1] not in declared.get(package, ()):
            declared.setdefault(package, set()).add(found[1])
            define(found[1], "() -> ()")
            let_register_again()
            forget(package)
            return package
    return ""


def package_of(error: BaseException) -> str:
    """The package whose code raised: the innermost one that is not torch or Python's own machinery of imports."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in ("", "torch", "importlib", "netcheck"):
            return package
    return ""


def forget(package: str) -> None:
    """Forget the modules of a package whose import did not come to its end: they would find themselves registered already."""
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        del sys.modules[name]


def lacking(error: BaseException) -> str:
    """The package whose compiled operators an exception is about, "" if it is about something else."""
    if not declared:
        return ""
    text, raised_by = describe(error), package_of(error)
    for package, operators in declared.items():
        is_asked = raised_by == package and any(word in text for word in ASKED)
        if is_asked or any(operator in text for operator in operators):
            return package
    return ""
