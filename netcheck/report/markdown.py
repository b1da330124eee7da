"""A comment on a pull request, in GitHub's and GitLab's Markdown.

    <!-- netcheck -->                            by which a bot finds its own comment again
    ## netcheck: 1 error, 2 warnings
    ### `TanhStack` in `model.py:TanhStack`
    The first layers get 1/10,000 of ...         what anybody understands
    <details><summary><b>error NC501</b> poor-init: ...</summary>    source, evidence, help: to unfold
    ...
    Checked 2 models, 66 operations.

Names come from the user's code and must neither format the comment nor call people: signs that Markdown reads are
written as entities, mentions, references and links are cut by an empty comment, and code stands between fences longer
than any in it. A comment may have 65,536 characters: findings beyond the room are counted, not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from netcheck.findings import Finding, Report
from netcheck.report import headline, selection, suggestion, text
from netcheck.report.excerpt import excerpt
from netcheck.report.isolation import isolated
from netcheck.report.terminal import Painter, printable, shorten

LONGEST = 60_000  # characters: some room is left for what a bot adds
MOST_OF_REST = 80  # characters that say how many findings did not fit
# What makes a mention, a reference or a link: cut behind its first sign. What formats: written as an entity.
SIGNS = re.compile(
    r"(?P<link>[@#!%](?=\w)|:(?=//)|\b(?:www|GH|mailto)(?=[.:-]))|[\\`*_\[\]<>|~&$\"']|^\s*[-+=/>#]|^\s*\d+[.)]",
    re.IGNORECASE | re.MULTILINE,
)
PLAIN = Painter(False)


@isolated
def render(reports: Sequence[Report], *, verbose: bool = False, statistics: bool = False, root: Path | None = None) -> str:
    """All reports as one comment.

    Args:
        reports: one a model.
        verbose: also show cleared findings.
        statistics: show how often each rule found something, and not each finding.
        root: directory that paths are shown relative to; None means the current one.
    """
    root = Path.cwd() if root is None else root
    head = f"<!-- netcheck -->\n## netcheck: {escape(text.tally(reports, PLAIN))}"
    last = text.closing(reports, PLAIN, root, verbose=False).splitlines()
    closing = "\n\n".join(escape(shorten(line, 1000)) for line in last)
    if statistics:
        return "\n\n".join([head, table(reports), closing]) + "\n"
    room = LONGEST - len(head) - len(closing) - MOST_OF_REST
    blocks: list[str] = []
    left_out = 0
    for is_finding, block in body(reports, root, verbose=verbose):
        if left_out or len(block) + 2 > room:
            left_out += is_finding
        else:
            blocks.append(block)
            room -= len(block) + 2
    if left_out:
        blocks.append(f"*{text.counted(left_out, 'more finding')} did not fit into one comment.*")
    return "\n\n".join([head, *blocks, closing]) + "\n"


def body(reports: Sequence[Report], root: Path, *, verbose: bool) -> Iterator[tuple[bool, str]]:
    """The headings of models with findings, a first sentence, and the findings: pairs (whether it is a finding, Markdown)."""
    firsts = {id(report): headline.headline(report) for report in reports}
    previous = None
    for report, found in selection.entries(reports, cleared=verbose):
        if report is not previous:
            target = text.display_path(report.target, root)
            is_file = report.target == report.model
            where = f" in {code(target)}" if target and not is_file else ""
            yield False, f"### {code(target if is_file else text.name_of(report.model))}{where}"
            if first := firsts[id(report)]:
                yield False, inline(str(first))
            previous = report
        yield True, finding(found, root)


def finding(found: Finding, root: Path) -> str:
    """One finding as a section that unfolds."""
    label = f"<b>{found.severity.value} {found.code}</b>" if found.counts else f"{found.severity.value} {found.code} (cleared)"
    message = escape(shorten(" ".join(found.message.splitlines()), 1000))
    parts = [f"<details><summary>{label} {found.name}: {message}</summary>"]
    if found.location:
        parts.append(code(text.place_text(found.location, root)))
        if lines := excerpt(found.location, root, PLAIN, found.severity.value):
            parts.append(block("\n".join(lines), "text"))
    for name, note in text.notes(found, root, verbose=False):
        first, *rest = text.printable_lines(shorten(note, 4000))
        more = [block("\n".join(line.strip() for line in rest), "text")] if rest and name == "also at" else []
        flowing = [first] if more else [first, *(line.strip() for line in rest)]
        parts += [f"**{name}**: " + "  \n".join(inline(line) for line in flowing), *more]
    if said := suggestion.note(found):
        parts.append(f"**fix**: {inline(printable(said))}")
    if change := suggestion.diff(found, root):
        parts.append(block(change.rstrip("\n"), "diff"))
    return "\n\n".join([*parts, f"**more**: {code(selection.documentation_of(found.code))}", "</details>"])


def table(reports: Sequence[Report]) -> str:
    """How often each rule found something."""
    rows = [
        f"| {one.findings} | {one.models} | {one.severity.value} | {one.code} | {one.name} |"
        for one in selection.statistics(reports)
    ]
    return "\n".join(["| findings | models | severity | code | rule |", "|---:|---:|---|---|---|", *rows])


def inline(line: str) -> str:
    """A line of ours: what stands between backticks is code, the rest is text."""
    parts = line.split("`")
    if len(parts) % 2 == 0:  # a backtick without its partner
        return escape(line)
    return "".join(code(part) if index % 2 else escape(part) for index, part in enumerate(parts) if part)


def escape(line: str) -> str:
    """Text that Markdown shows as it is, and in which nobody is mentioned and nothing is a link."""
    return SIGNS.sub(lambda match: f"{match[0]}<!-- -->" if match["link"] else entities(match[0]), printable(line))


def entities(signs: str) -> str:
    """Punctuation as HTML entities; letters, digits and spaces stay."""
    return "".join(c if c.isalnum() or c.isspace() else f"&#{ord(c)};" for c in signs)


def code(name: str) -> str:
    """A name as code."""
    name = printable(name)
    fence = "`" * (longest_run(name) + 1)
    padding = " " if name.startswith("`") or name.endswith("`") or not name.strip() else ""
    return f"{fence}{padding}{name}{padding}{fence}"


def block(lines: str, language: str) -> str:
    """Lines of code."""
    fence = "`" * max(3, longest_run(lines) + 1)
    return f"{fence}{language}\n{lines}\n{fence}"


def longest_run(line: str) -> int:
    """The length of the longest run of backticks."""
    return max(map(len, re.findall("`+", line)), default=0)
