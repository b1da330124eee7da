"""Fixes as text: what each does, the diff of the files, and what is left to be done by hand.

    net.py:8:22: NC302 bias-before-norm: build the layer with `bias=False` (safe)

    --- a/net.py
    +++ b/net.py
    @@ -5,7 +5,7 @@
    -        self.conv = nn.Conv2d(3, 8, 3)
    +        self.conv = nn.Conv2d(3, 8, 3, bias=False)

    By hand:
    net.py:20:9: NC901 unregistered-module: line 20 builds the list with `make()`

    1 finding would be fixed in 1 file.

`patch -p1` and `git apply` read it as it is: they look for the lines of the diff alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from netcheck.figures.decades import signed
from netcheck.findings import Finding, Report
from netcheck.report.terminal import Painter, printable
from netcheck.report.text import counted, place_text

COLOURS = {"+": "good", "-": "error", "@": "gutter"}


def render(
    reports: Sequence[Report],
    diffs: Sequence[tuple[str, str]],
    left: int,
    structures: Sequence[Sequence[tuple[str, str]]] = (),
    *,
    colour: bool,
    written: bool,
    root: Path | None = None,
) -> str:
    """The text.

    Args:
        reports: whose findings have fixes, or say why not.
        diffs: by file.
        left: findings that may have a fix which was not asked for.
        structures: diffs of what makes another network of it, by file, one list for each.
        colour: whether to use ANSI colours.
        written: whether the files are changed.
        root: directory that paths are shown relative to; None means the current one.
    """
    paint, root = Painter(colour), Path.cwd() if root is None else root
    mended = [found for report in reports for found in report.findings if found.fix is not None and not found.fix.structural]
    fixed = list(dict.fromkeys(line(found, root, paint) for found in mended))
    hands = list(dict.fromkeys(line(found, root, paint) for report in reports for found in report.findings if found.by_hand))
    number = len(mended)
    blocks = ["\n".join(fixed), *("".join(painted(text, paint)).rstrip("\n") for _, text in diffs)]
    blocks += offers(reports, structures, root, paint)
    blocks += ["\n".join([paint("By hand:", "heading"), *hands])] if hands else []
    verb = ("was fixed" if number == 1 else "were fixed") if written else "would be fixed"
    summary = f"{counted(number, 'finding')} {verb} in {counted(len(diffs), 'file')}." if number else "There is nothing to fix."
    more = (
        f" {counted(left, 'finding')} may have a fix that changes what the model computes: --unsafe-fixes tries it."
        if left
        else ""
    )
    return "\n\n".join(filter(None, [*blocks, summary + more])) + "\n"


def offers(
    reports: Sequence[Report], structures: Sequence[Sequence[tuple[str, str]]], root: Path, paint: Painter
) -> Iterator[str]:
    """What makes another network of it: a block of lines that name the findings, and the diffs."""
    if not structures:
        return
    found = [one for report in reports for one in report.findings if one.fix is not None and one.fix.structural]
    yield "\n".join([paint("Offered, and never applied:", "heading"), *dict.fromkeys(line(one, root, paint) for one in found)])
    for each in structures:
        yield from ("".join(painted(text, paint)).rstrip("\n") for _, text in each)


def line(found: Finding, root: Path, paint: Painter) -> str:
    """One finding: its place, its rule, and what is done about it, or why not."""
    where = f"{place_text(found.location, root)}: " if found.location else ""
    style = found.severity.value if found.counts else "faint"
    told = f"by hand, for {found.by_hand}" if found.fix is None else of(found)
    return f"{where}{paint(found.code, style)} {found.name}: {printable(told)}"


def of(found: Finding) -> str:
    """What a fix does, what else it changes, and what it does to the gradient."""
    fix = found.fix
    assert fix is not None
    parts = [f"{fix.title} ({'offered' if fix.structural else 'safe' if fix.safe else 'unsafe'})", fix.note]
    if fix.gain_before is not None and fix.gain_after is not None and abs(fix.gain_after - fix.gain_before) >= 0.05:
        parts.append(f"gain {signed(fix.gain_before, 1)} -> {signed(fix.gain_after, 1)} decades")
    return "; ".join(filter(None, parts))


def painted(diff: str, paint: Painter) -> list[str]:
    """The lines of a diff in their colours."""
    return [
        paint(line.rstrip("\n"), style) + "\n" if (style := COLOURS.get(line[:1])) else line
        for line in diff.splitlines(keepends=True)
    ]
