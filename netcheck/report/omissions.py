"""Which lines were not let do what they do, in one line; and that a file trains while it is imported, in another.

not installed: gym, wandb; a stand-in is in the place of each
left out: line 31 (torch.save writes trained.pt), line 40 (trains)
trains when it is imported, at line 40: put that under `if __name__ == "__main__":`
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from netcheck.findings import LeftOut, Report
from netcheck.report.terminal import shorten
from netcheck.source.spots import spot

MOST = 12  # lines that are named
ABSENT = " is not installed"
GUARD = 'if __name__ == "__main__":'


def lines(report: Report) -> Iterator[tuple[str, str]]:
    """Pairs of a label and a text; none where nothing was left out."""
    if report.unshown:
        yield "not shown", report.unshown
    if not report.left_out:
        return
    own = os.path.normpath(report.target.rpartition(":")[0] or report.target)
    absent = dict.fromkeys(one.reason.removesuffix(ABSENT) for one in report.left_out if is_package(one))
    if absent:
        yield "not installed", f"{', '.join(absent)}; a stand-in is in the place of each"
    places = [f"{place(one, own)} ({shorten(one.reason, 100)})" for one in report.left_out if not is_package(one)]
    more = f" and {len(places) - MOST} more" if len(places) > MOST else ""
    if places:
        yield "left out", ", ".join(places[:MOST]) + more
    if trains := [place(one, own) for one in report.left_out if one.trains]:
        more = f" and {len(trains) - 1} more" if len(trains) > 1 else ""
        yield "trains when it is imported", f"{trains[0]}{more}; put that under `{GUARD}`"


def is_package(one: LeftOut) -> bool:
    """Whether a line imports a package that is not installed."""
    return one.reason.endswith(ABSENT) and " " not in one.reason.removesuffix(ABSENT)


def place(one: LeftOut, own: str) -> str:
    """A line of the target's own file, or of another one."""
    if not one.file:
        return "a library"
    is_own = one.file == own or one.file.endswith(os.sep + own.lstrip(os.pardir + os.sep))
    where = spot(one.file, one.line)
    return where if is_own else f"{os.path.basename(one.file)} {where}"
