"""Standard output and standard error, whatever they can take."""

from __future__ import annotations

import io
import os
import sys

import click


def show(text: str, *, colour: bool = False) -> None:
    """Write to standard output, whatever signs its encoding lacks.

    Raises:
        UsageError: it cannot be written to, as where a disk is full.
    """
    from netcheck.errors import UsageError
    from netcheck.report.terminal import encodable

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        click.echo(encodable(text, sys.stdout.encoding), file=sys.stdout, nl=False, color=colour)
    except BrokenPipeError:
        raise  # click ends quietly: `netcheck ... | head`
    except OSError as error:
        give_up_output()
        raise UsageError(f"cannot write to standard output: {error.strerror or error}") from error


def give_up_output() -> None:
    """Let what is still to be written vanish, so that nothing complains of it once more when Python ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def complain(sentence: str) -> int:
    """Say on standard error what is wrong with a request; returns the exit code for it."""
    from netcheck.report.terminal import printable

    click.echo(f"netcheck: {printable(sentence)}", err=True)
    return 2
