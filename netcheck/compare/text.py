"""A comparison for a person: as text, and as Markdown for a pull request.

Net (HEAD~1) and Net (now)
  before: The first layers get 1/10,000 of the gradient ...
  now:    Nothing to worry about: gradients keep their size from end to end.

                 before     now  change
gain, decades      −4.0    +0.1    +4.1
...
layers that changed, gradient by layer, findings that came (+) and went (−)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from netcheck.compare.comparison import Comparison, Figure, Gain
from netcheck.compare.layers import Change
from netcheck.figures.decades import Decades
from netcheck.findings import Finding
from netcheck.report import markdown as marks
from netcheck.report.columns import in_columns
from netcheck.report.terminal import Painter, printable, shorten
from netcheck.report.text import abbreviate, counted

MOST = 20  # rows of one table: beyond, they are counted
SIGNS = {"added": "+", "removed": "−", "changed": "~"}
NUMBERS = ("", "before", "now", "change")
LAYERS = ("", "layer", "before", "now")
GAINS = ("gradient (decades) at", "before", "now", "change")

Table = Callable[[Sequence[Sequence[str]], Sequence[str], Sequence[str]], str]


def render(comparisons: Sequence[Comparison], alone: Sequence[str], *, colour: bool) -> str:
    """All comparisons as text; `alone` says which models have no partner."""
    paint = Painter(colour)
    blocks = [block for one in comparisons for block in as_text(one, paint)]
    return "\n\n".join([*blocks, *filter(None, ["\n".join(map(printable, alone))])]) + "\n"


def as_text(one: Comparison, paint: Painter) -> Iterator[str]:
    """The blocks of one comparison."""
    yield "\n".join(
        [
            paint(f"{printable(one.old)} and {printable(one.new)}", "heading"),
            f"  before: {printable(one.said_old)}",
            f"  now:    {printable(one.said_new)}",
        ]
    )
    if not one.is_same:
        yield from tables(one, in_columns)
    if lines := [told(found, sign, paint) for found, sign in came_and_went(one)]:
        yield "\n".join(lines)
    yield closing(one)


def as_markdown(comparisons: Sequence[Comparison], alone: Sequence[str]) -> str:
    """All comparisons as one comment on a pull request."""
    blocks = ["<!-- netcheck diff -->\n## netcheck: what the change does"]
    for one in comparisons:
        blocks += [f"### {marks.code(one.old)} → {marks.code(one.new)}"]
        blocks += [f"**before**: {marks.inline(one.said_old)}  \n**now**: {marks.inline(one.said_new)}"]
        blocks += [] if one.is_same else list(tables(one, piped))
        findings = [
            f"- **{sign}** {found.severity.value} {found.code} {found.name}: {message(found)}" for found, sign in listed(one)
        ]
        blocks += ["\n".join(findings)] if findings else []
        blocks += [marks.escape(closing(one))]
    return "\n\n".join([*blocks, *map(marks.escape, alone)]) + "\n"


def listed(one: Comparison) -> list[tuple[Finding, str]]:
    """The findings that came and went, with words for their signs."""
    return [(found, {"+": "new", "−": "gone"}[sign]) for found, sign in came_and_went(one)]


def message(found: Finding) -> str:
    """The fact as Markdown."""
    return marks.escape(shorten(" ".join(found.message.splitlines()), 500))


def tables(one: Comparison, table: Table) -> Iterator[str]:
    """The numbers, the layers that changed, and the gradient by layer."""
    if shown := numbers(one):
        yield table(shown, NUMBERS, NUMBERS[1:])
    if shown := layers(one):
        yield cut(table(shown[:MOST], LAYERS, ()), len(shown))
    if shown := gains(one):
        yield cut(table(shown[:MOST], GAINS, GAINS[1:]), len(shown))


def numbers(one: Comparison) -> list[tuple[str, ...]]:
    """The rows of numbers that are known of either."""
    return [number(each) for each in one.figures if each.shown_old or each.shown_new]


def layers(one: Comparison) -> list[tuple[str, ...]]:
    """The rows of operations."""
    return [layer(each) for each in one.layers]


def gains(one: Comparison) -> list[tuple[str, ...]]:
    """The rows of gradients."""
    return [gain(each) for each in one.gains]


def cut(table: str, count: int) -> str:
    """A table, and how many rows it leaves out."""
    return f"{table}\nand {count - MOST} more" if count > MOST else table


def piped(rows: Sequence[Sequence[str]], headers: Sequence[str], right: Sequence[str] = ()) -> str:
    """A table in Markdown."""
    rule = ["---:" if header in right else "---" for header in headers]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headers, rule, *([marks.escape(cell) for cell in row] for row in rows)))


def number(one: Figure) -> tuple[str, ...]:
    """A row of numbers."""
    return one.name, one.shown_old, one.shown_new, one.change


def layer(one: Change) -> tuple[str, ...]:
    """A row of operations."""
    paths = [path for path in one.paths if path]
    count = f" ({len(one.paths)})" if len(one.paths) > 1 and not paths else ""
    return SIGNS[one.kind], (abbreviate(paths) if paths else "(model)") + count, printable(one.old), printable(one.new)


def gain(one: Gain) -> tuple[str, ...]:
    """A row of gradients, in decades of their norm."""
    shown = ["" if value is None else Decades(value).text(1) for value in (one.old, one.new)]
    change = "" if one.old is None or one.new is None else Decades(one.new - one.old).text(1)
    return printable(shorten(one.path)), *shown, change


def came_and_went(one: Comparison) -> list[tuple[Finding, str]]:
    """The findings that are not in both, with a sign."""
    return [*((found, "+") for found in one.came), *((found, "−") for found in one.went)]


def told(found: Finding, sign: str, paint: Painter) -> str:
    """A finding on a line."""
    label = paint(f"{found.severity.value}[{found.code}]", found.severity.value if sign == "+" else "good")
    return f"{sign} {label} {found.name}: {printable(shorten(' '.join(found.message.splitlines()), 300))}"


def closing(one: Comparison) -> str:
    """What became of the findings, in one line."""
    if one.is_same:
        return "Nothing that netcheck looks at differs."
    stayed = f", {len(one.stayed)} stayed" if one.stayed else ""
    return f"{counted(len(one.came), 'finding')} came, {len(one.went)} went{stayed}."
