"""What user code raised: what it says, and the user's own line.

ValueError("size 3, not 4")  ->  "ValueError: size 3, not 4", Location("net.py", 12, function="Net.forward")
"""

from __future__ import annotations

import difflib
import os
import re
import sysconfig
import traceback
from functools import lru_cache
from types import ModuleType

from netcheck.findings import Location

INSTALLED = tuple(
    os.path.realpath(path) + os.sep
    for path in {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    if path
)
FLOAT_SIZE = re.compile(
    r"must be tuple of ints, ?(but|not) .*\bfloat|float' object cannot be interpreted as an integer|of type 'float'$"
)
OWN = os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + os.sep


def describe(error: BaseException) -> str:
    """The type and first line of an exception, whatever its `__str__` does."""
    try:
        text = str(error).strip()
    except BaseException:
        text = ""
    first = text.splitlines()[0] if text else ""
    if len(first) > 300:
        first = first[:300] + " ..."
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def place_text(error: BaseException) -> str:
    """The innermost place that an exception passed: "poor_init.py:57"."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "an unknown place"


def by_netcheck(error: BaseException) -> bool:
    """Whether an exception was raised in netcheck's own code, not in what it calls."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and os.path.realpath(frames[-1].filename).startswith(OWN)


def user_line(error: BaseException) -> Location | None:
    """The last line of user code in a traceback: not of an installed package, not of netcheck."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return Location(error.filename, error.lineno, max(1, error.offset or 1))
    found = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        path = frame.f_code.co_filename
        if not path.startswith("<") and not is_installed(path):
            found = Location(path, line, function=frame.f_code.co_qualname.removesuffix("<module>"))
    return found


def instead(error: BaseException | None) -> str:
    """What to write where code names what is not there, or gives a float for a size; "" for other errors."""
    if isinstance(error, TypeError) and FLOAT_SIZE.search(str(error)):
        return "write `//` where a size is divided: in Python 3 `/` gives a float, of whole numbers, too"
    if isinstance(error, KeyError) and "module name can't contain" in str(error):
        return "name the module without a dot: torch refuses dots in names since 0.4"
    holder = error.obj if isinstance(error, AttributeError) else None
    if isinstance(holder, ModuleType) and error is not None:
        name = str(getattr(error, "name", ""))
        alike = {known.lower(): known for known in reversed(dir(holder))}
        close = difflib.get_close_matches(name.lower(), alike, 1, 0.8)
        return f"write {holder.__name__}.{alike[close[0]]}" if close else f"define or import {name}"
    return f"define or import {error.name}" if isinstance(error, NameError) and error.name else ""


@lru_cache(maxsize=8192)
def is_installed(path: str) -> bool:
    """Whether a file belongs to Python, an installed package or netcheck."""
    real = os.path.realpath(path)
    return real.startswith((*INSTALLED, OWN)) or f"{os.sep}site-packages{os.sep}" in real
