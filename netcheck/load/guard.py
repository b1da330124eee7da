"""Running user code: whatever it raises becomes a LoadError that names the user's own line."""

from __future__ import annotations

import os
import signal
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from netcheck.errors import LoadError, NetcheckError
from netcheck.findings import Location
from netcheck.load import removed

INSTALLED = tuple(
    os.path.realpath(path) + os.sep
    for path in {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    if path
)
OWN = os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + os.sep


WITHOUT = (
    "netcheck lets the code that it checks write, send, start and train nothing: build the model without that, "
    "or allow all but training (--allow-writes, or allow_writes=True)"
)


class NotAModel(LoadError):
    """What a target names is no model: a class that is no nn.Module, a factory of something else."""


@contextmanager
def user_code(doing: str, file: str, line: int = 1) -> Iterator[None]:
    """Turn what the block raises into a LoadError.

    Args:
        doing: the beginning of the sentence: "importing model.py".
        file: the file to blame where no line of user code is in the traceback.
        line: the line to blame there.

    Raises:
        LoadError: the block raised anything, SystemExit included; but Ctrl-C goes through.
    """
    try:
        yield
    except NetcheckError:
        raise
    except KeyboardInterrupt as error:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            raise  # a person pressed Ctrl-C; in a worker that signal is ignored, so there the file raised it
        raise load_error(doing, error, file, line) from error
    except BaseException as error:
        raise load_error(doing, error, file, line) from error


def load_error(doing: str, error: BaseException, file: str, line: int) -> LoadError:
    """The LoadError for what user code raised."""
    from netcheck.load.absent import lack
    from netcheck.load.fence.state import excuse, refused_place, unbound_by

    refusal = excuse(error)
    if refusal is None and (lacking := lack(error)) is not None:
        place = user_line(error) or Location(file, line)
        return LoadError(f"{doing}: {lacking}", help=f"give what is missing: {lacking.advice}", location=place)
    if refusal is None and (missed := unbound_by(error)) is not None:
        where = f"line {missed.line} of {os.path.basename(missed.file)}"
        text = f"{doing} needs what was left out, {where}: {missed.reason}"
        return LoadError(text, help="make that line run where netcheck runs", location=user_line(error) or Location(file, line))
    if refusal is None:
        place = user_line(error) or Location(file, line)
        return LoadError(f"{doing} raised {describe(error)}", help=advice(error), location=place)
    place = refused_place() or user_line(refusal) or Location(file, line)
    return LoadError(f"{doing} was stopped: {refusal}", help=WITHOUT, location=place)


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


@lru_cache(maxsize=8192)
def is_installed(path: str) -> bool:
    """Whether a file belongs to Python, an installed package or netcheck."""
    real = os.path.realpath(path)
    return real.startswith((*INSTALLED, OWN)) or f"{os.sep}site-packages{os.sep}" in real


def advice(error: BaseException) -> str:
    """What to do about an exception."""
    if gone := removed.cause(error):
        return f"{gone}; or run netcheck in the environment that the code was written for"
    if isinstance(error, ModuleNotFoundError) and error.name:
        return (
            f"install {error.name.partition('.')[0]} in the environment that netcheck runs in, "
            "or run netcheck from the folder that the import is relative to"
        )
    if isinstance(error, SystemExit):
        return 'put what is only for running the file as a script under `if __name__ == "__main__":`'
    if isinstance(error, MemoryError):
        return "build a smaller model, or raise the memory limit"
    if isinstance(error, RecursionError):
        return "end the recursion: a function or class calls itself without a case that stops"
    return "make the file run by itself first: `python` on it must not raise this"
