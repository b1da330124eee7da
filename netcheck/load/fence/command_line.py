"""The command line that a script sees while it is imported: its own name, and nothing behind it.

parser.add_argument("--width", default=32)      args.width is 32
parser.add_argument("--data", required=True)    args.data is an `Absent`: what needs its value raises
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from netcheck.load.absent import Absent
from netcheck.load.fence.askers import asker
from netcheck.load.fence.state import note


@contextmanager
def own_command_line(path: str) -> Iterator[None]:
    """Have `sys.argv` be what a script is started with that is given no arguments, and argparse do with it what it can."""
    before, sys.argv = sys.argv, [path]
    original = argparse.ArgumentParser.parse_known_args
    argparse.ArgumentParser.parse_known_args = forgiving(original)  # type: ignore[method-assign]
    try:
        yield
    finally:
        sys.argv = before
        argparse.ArgumentParser.parse_known_args = original  # type: ignore[method-assign]


def forgiving(parse: Any) -> Any:
    """`parse_known_args` that puts an `Absent` in the place of each argument that only a command line could give."""

    def parse_known_args(parser: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> Any:
        parts: list[Any] = [*parser._actions, *parser._mutually_exclusive_groups]
        wanted = [one for one in parts if one.required]
        for one in wanted:
            one.required = False
        try:
            found = parse(parser, *args, **kwargs)
        finally:
            for one in wanted:
                one.required = True
        missing = [one for one in wanted if hasattr(one, "dest") and getattr(found[0], one.dest, None) is None]
        for one in missing:
            name = one.option_strings[-1] if one.option_strings else one.dest
            setattr(found[0], one.dest, Absent(f"args.{one.dest}", "", f"{name} is not given on a command line"))
        if missing:
            names = ", ".join(one.option_strings[-1] if one.option_strings else one.dest for one in missing)
            who = asker()
            note(who.file, who.line, f"needs {names} of a command line")
        return found

    return parse_known_args
