"""Running user code: whatever it raises becomes a LoadError that names the user's own line."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from netcheck.errors import LoadError, NetcheckError
from netcheck.findings import Location
from netcheck.load import removed
from netcheck.load.raised import describe, user_line

WITHOUT = (
    "netcheck lets the code that it checks write, send, start and train nothing: build the model without that, "
    "or allow all of it (--allow-writes, or allow_writes=True)"
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
    # These need torch, or much of Python's library; the rest of this file is read where nothing is loaded.
    from netcheck.load.absent import lack
    from netcheck.load.fence.state import excuse, refused_place, unbound_by

    refusal = excuse(error)
    if refusal is None and (lacking := lack(error)) is not None:
        place = user_line(error) or Location(file, line)
        return LoadError(f"{doing}: {lacking}", help=lacking.advice, location=place)
    if refusal is None and (missed := unbound_by(error)) is not None:
        where = f"line {missed.line} of {os.path.basename(missed.file)}"
        text = f"{doing} needs what was left out, {where}: {missed.reason}"
        return LoadError(text, help="make that line run where netcheck runs", location=user_line(error) or Location(file, line))
    if refusal is None:
        place = user_line(error) or Location(file, line)
        return LoadError(f"{doing} raised {describe(error)}", help=advice(error), location=place)
    place = refused_place() or user_line(refusal) or Location(file, line)
    return LoadError(f"{doing} was stopped: {refusal}", help=WITHOUT, location=place)


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
