"""Running user code: whatever it raises becomes a LoadError that names the user's own line."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from netcheck.errors import LoadError, NetcheckError
from netcheck.figures.unchecked import Reason
from netcheck.findings import LeftOut, Location
from netcheck.load import removed
from netcheck.load.raised import describe, instead, user_line
from netcheck.source.spots import spot

WITHOUT = (
    "netcheck lets the code that it checks write, send, start and train nothing: build the model without that, "
    "or allow all of it (--allow-writes, or allow_writes=True)"
)

ABSENT = re.compile(r" is needed, and (\S+) is not installed$")


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
    told = told_of(doing, error, file, line)
    if told.reason is Reason.BUILD and doing.startswith("importing "):
        told.reason = Reason.IMPORT
    return told


def told_of(doing: str, error: BaseException, file: str, line: int) -> LoadError:
    """The same, whatever was being done."""
    # These need torch, or much of Python's library; the rest of this file is read where nothing is loaded.
    from netcheck.load.absent import lack
    from netcheck.load.fence.state import excuse, refused_place, unbound_by

    refusal = excuse(error)
    if refusal is None and (lacking := lack(error)) is not None:
        place = user_line(error) or Location(file, line)
        return without_package(LoadError(f"{doing}: {lacking}", help=lacking.advice, location=place), lacking.name)
    if refusal is None and (missed := unbound_by(error)) is not None:
        where = f"{spot(missed.file, missed.line)} of {os.path.basename(missed.file)}"
        told = LoadError(
            f"{doing} needs what was left out, {where}: {reason_of(missed)}",
            help="make that line run where netcheck runs",
            location=user_line(error) or Location(file, line),
        )
        return without_what(told, missed)
    if refusal is None:
        place = user_line(error) or Location(file, line)
        told = LoadError(f"{doing} raised {describe(error)}", help=advice(error), location=place)
        return without_package(told, error.name) if isinstance(error, ModuleNotFoundError) else told
    place = refused_place() or user_line(refusal) or Location(file, line)
    return LoadError(f"{doing} was stopped: {refusal}", help=WITHOUT, location=place)


def without_package(told: LoadError, package: str | None) -> LoadError:
    """An error that says that a package is not there, as the reason why a model is not checked."""
    if package:
        told.reason, told.package = Reason.PACKAGE, package.partition(".")[0]
    return told


def without_what(told: LoadError, left: LeftOut) -> LoadError:
    """An error for a statement that was left out: if that was for a package in the end, that is what is missing."""
    from netcheck.load.fence.state import first_cause

    found = ABSENT.search(first_cause(left).reason)
    if found is not None:
        told.help = f"install {found[1]} in the environment that netcheck runs in"
        without_package(told, found[1])
    return told


def reason_of(left: LeftOut) -> str:
    """Why a statement was left out, and in the end."""
    from netcheck.load.fence.state import first_cause

    first = first_cause(left)
    return left.reason if first is left else f"{left.reason}; in the end, {spot(first.file, first.line)} {first.reason}"


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
    return instead(error) or "make the file run by itself first: `python` on it must not raise this"
