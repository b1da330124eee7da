"""What `netcheck init` writes: how models were built that nobody gave arguments for, to be corrected there.

# as train.py:40 does; num_classes assumed
[[tool.netcheck.model]]
target = "src/net.py:Net"
kwargs = { width = 64, num_classes = 10 }
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence

from netcheck.atomic import replace_file
from netcheck.errors import UsageError
from netcheck.findings import Report
from netcheck.settings.models import lines

NAME = "pyproject.toml"


def write(reports: Sequence[Report], file: str) -> tuple[list[Report], list[Report]]:
    """Add an entry for each model that was built from what netcheck found out.

    Args:
        reports: of a run.
        file: the configuration file; it is made if it is not there.

    Returns:
        The reports whose models have an entry now, and those whose arguments no configuration file can hold.

    Raises:
        UsageError: the file cannot be read or written, or cannot have such entries.
    """
    built = [report for report in reports if report.construction is not None]
    written = [report for report in built if report.construction is not None and report.construction.kwargs is not None]
    before = read(file)
    entries = "\n".join(entry(report, os.path.dirname(os.path.abspath(file))) for report in written)
    if entries:
        text = f"{before.rstrip()}\n\n{entries}".lstrip("\n")
        require_valid(text, file)
        try:
            replace_file(file, text.encode())
        except OSError as error:
            raise UsageError(f"cannot write {file}: {error.strerror or error}") from error
    return written, [report for report in built if report not in written]


def read(file: str) -> str:
    """The text of a configuration file, "" if there is none."""
    try:
        with open(file, encoding="utf-8-sig") as opened:
            return opened.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {file}: {error}") from error


def entry(report: Report, root: str) -> str:
    """The lines for one model."""
    construction = report.construction
    assert construction is not None
    assert construction.kwargs is not None
    head, _, symbol = report.target.rpartition(":")
    name = os.path.relpath(head, root).replace(os.sep, "/") if os.path.lexists(head) else head
    how = str(construction).removeprefix(construction.call).lstrip(", ")
    return f"# {how}\n{lines(f'{name}:{symbol}', (), construction.kwargs)}\n"


def require_valid(text: str, file: str) -> None:
    """Refuse to write what would be no TOML.

    Raises:
        UsageError: the file has something under tool.netcheck that no entry can be added to.
    """
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"cannot add [[tool.netcheck.model]] to {file}: {error}") from error
