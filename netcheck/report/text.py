"""The report that a person reads.

    TanhStack (examples/lecture/tanh_stack.py:TanhStack)
      The first layers get 1/100,000 of the gradient that the last one gets, and will hardly learn: its weights ...
      inputs: float32 2x64, inferred from layers.0

    error[NC501] poor-init: the gradient loses 5.0 decades on its way through 20 tanh layers
      --> examples/lecture/tanh_stack.py:12:46
       |
    12 |         self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(20)])
       |                                      ^^^^^^^^^^^^^^^^^
       |
       = modules: layers.0 ... layers.19 (20)
       = also at: examples/lecture/tanh_stack.py:17:17  x = torch.tanh(layer(x))
       = evidence: static gain -5.0 decades over 20 weight layers, budget +-3.0
       = help: initialize with nn.init.xavier_uniform_(layer.weight, gain=5/3)

      gradient: ▁▁▂▂▃▃▄▅▅▆▇▇█  10^−5.0 at layers.0 ... 10^0.0 at layers.19
      gain: −5.0 decades (−0.25 a weight layer), effective rank 0.10
      measured: 3 passes of 32 samples, float64 on cpu, seed 0

    In these words (more: `netcheck explain decades`):
      decades  Powers of ten: ...
    More about a finding: `netcheck rule NC501`

    Checked 1 model, 42 operations: 1 error.

    render() +-- model() +-- finding() +-- excerpt() and notes()
             |           +-- layers(), profile.table()
             +-- to_read(), closing()

Everything comes from plain data: a report that was made in another process renders like one made in this.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from netcheck.findings import Finding, Layer, Location, Report, Severity, Verdict, by_importance
from netcheck.report import batches, cost, headline, manual, omissions, profile, selection
from netcheck.report.columns import in_columns
from netcheck.report.excerpt import excerpt, gutter_width, printed, shown_place
from netcheck.report.isolation import isolated, isolated_one
from netcheck.report.terminal import Painter, printable, shorten
from netcheck.source.spots import cell_line

MOST_PLACES = 3  # other locations of one finding that are listed without --verbose
MOST_NAMES = 5  # of what was skipped, failed or not understood that are listed without --verbose

VERDICTS = {
    Verdict.CONFIRMED: "confirmed: a fact of this model, not an estimate",
    Verdict.CLEARED: "cleared: measured to do no harm here, so it does not fail the run",
}


@isolated
def render(
    reports: Sequence[Report],
    *,
    colour: bool,
    verbose: bool = False,
    quiet: bool = False,
    root: Path | None = None,
) -> str:
    """All reports as text that ends with a newline, or "" if there is nothing to say.

    Args:
        reports: one a model.
        colour: whether to use ANSI colours.
        verbose: also show cleared findings, all places of a finding and the table of layers.
        quiet: show findings and nothing else.
        root: directory that paths are shown relative to, and that relative paths start from; None means the
            current directory.
    """
    paint = Painter(colour)
    root = Path.cwd() if root is None else root
    blocks = [section(report, paint, root, verbose=verbose, quiet=quiet) for report in reports]
    if not quiet:
        blocks += [to_read(blocks, reports, paint), closing(reports, paint, root, verbose=verbose)]
    return "\n\n".join(filter(None, blocks)) + "\n" if any(blocks) else ""


def to_read(texts: Iterable[str], reports: Iterable[Report], paint: Painter) -> str:
    """What the terms in these texts mean, and where there is more about the findings; "" if there is nothing to explain."""
    worst = next(iter(selection.worst_first(reports)), None)
    more = "" if worst is None else f"More about a finding: `{selection.documentation_of(worst.finding.code)}`"
    return paint("\n".join(filter(None, (manual.glossary(texts), more))), "faint")


@isolated_one
def section(report: Report, paint: Painter, root: Path, *, verbose: bool, quiet: bool) -> str:
    """All that is said of one model; "" for nothing."""
    return "\n\n".join(model(report, paint, root, verbose=verbose, quiet=quiet))


def model(report: Report, paint: Painter, root: Path, *, verbose: bool, quiet: bool) -> list[str]:
    """The blocks about one model: its header, its layers if verbose, its findings, the gradient's way through it."""
    findings = [f for f in by_importance(report.findings) if f.counts or verbose]
    if not findings and (quiet or report.summary is None) and not report.unshown:
        return []  # what was skipped is said at the end
    blocks = [header(report, paint, root, clean=not findings, quiet=quiet, verbose=verbose)]
    measured = [] if quiet or report.gradients is None else ["\n".join(profile.lines(report.gradients))]
    if not findings and measured:
        blocks = ["\n".join(blocks + measured)]
    if verbose and report.summary and report.summary.layers:
        blocks.append(layers(report.summary.layers, root))
    if verbose and report.cost and report.cost.layers:
        blocks.append(cost.table(report.cost))
    if verbose and report.gradients is not None and report.gradients.profile:
        blocks.append(profile.table(report.gradients.profile))
    grouped = [(f, []) for f in findings] if verbose else selection.by_cause(findings)
    shown = [finding(f, paint, root, verbose=verbose, parts=parts) for f, parts in grouped]
    return [*blocks, *shown, *(measured if shown else [])]


def header(report: Report, paint: Painter, root: Path, *, clean: bool, quiet: bool, verbose: bool = False) -> str:
    """The model's name and target, what anybody understands, its inputs, and its size."""
    target = display_path(report.target, root)
    # A file without a model that could be told is its own name.
    name = paint(target if report.target == report.model else name_of(report.model), "heading")
    title = f"{name} ({target})" if target and report.target != report.model else name
    if quiet:
        return title
    lines = [f"{title}: {paint('no findings', 'good')}" if clean else title]
    if first := headline.headline(report):
        lines.append(f"  {paint(printable(str(first)), 'heading')}")
    if verbose:
        lines += [f"  {paint('well:', 'good')} {line}" for line in headline.well(report)]
    if report.construction:
        lines.append(f"  built as {printable(str(report.construction))}")
    if report.wrapped:
        lines.append(f"  checked {printable(report.wrapped)}")
    if report.inputs:
        lines.append(f"  inputs: {printable(report.inputs)}")
    if report.summary:
        s = report.summary
        shortest = f" ({s.plain_depth} on the shortest way)" if s.plain_depth != s.depth else ""
        size = f"{counted(s.weight_layers, 'weight layer')}, {counted(s.parameters, 'parameter')}"
        lines.append(f"  traced: {counted(s.operations, 'operation')}, {size}, depth {s.depth}{shortest}")
    known = report.cost if verbose else report.known_cost
    if known and (verbose or known.device_memory or known.inference):
        lines.append(f"  {cost.line(known)}")
        lines += [f"  {line}" for line in cost.fit_lines(known.fit)] if known.fit else []
        lines += [f"  {cost.inference_line(known.inference)}"] if known.inference else []
    lines += [f"  {label}: {printable(told)}" for label, told in omissions.lines(report)]
    if report.known_batches:
        lines += [f"  {printable(line)}" for line in batches.lines(report.known_batches, verbose=verbose)]
    return "\n".join(lines)


def finding(found: Finding, paint: Painter, root: Path, *, verbose: bool, parts: Sequence[Finding] = ()) -> str:
    """One finding: what, where, the source, and the notes under it; `parts`: the further patterns that belong to it."""
    style = found.severity.value if found.counts else "faint"
    label = paint(f"{found.severity.value}[{found.code}]", style)
    first, *rest = printable_lines(found.message)
    lines = [f"{label} {paint(f'{found.name}: {first}', 'heading')}", *(f"    {line}" for line in rest)]
    gutter = 1
    if found.location:
        gutter = gutter_width(found.location, root)
        lines.append(f"{' ' * gutter}{paint('-->', 'gutter')} {place_text(found.location, root)}")
        lines += excerpt(found.location, root, paint, style)
    between = "; " if found.severity is Severity.INFO else "\n"  # what is well inside the budget takes one line
    also = [("also", between.join(f"{part.code} {part.name}: {part.message}" for part in parts))] if parts else []
    for name, text in [*notes(found, root, verbose=verbose), *also]:
        opening = f"{' ' * gutter} {paint('=', 'gutter')} {paint(name + ':', 'label')} "
        indent = " " * (gutter + 5 + len(name))
        first, *rest = printable_lines(text)
        lines += [opening + first, *(f"{indent}{line}".rstrip() for line in rest)]
    return "\n".join(lines)


def notes(found: Finding, root: Path, *, verbose: bool) -> Iterable[tuple[str, str]]:
    """What is said under the source excerpt, as pairs of a label and a text of one or more lines."""
    modules = [module for module in found.modules if module]
    if modules:
        yield ("module" if len(modules) == 1 else "modules"), abbreviate(modules)
    elif found.count > 1:
        yield "count", f"{found.count} times"
    others = found.locations[1:] if verbose else found.locations[1 : 1 + MOST_PLACES]
    if others:
        left_out = len(found.locations) - 1 - len(others)
        more = [f"and {counted(left_out, 'more place')} (--verbose shows all)"] if left_out else []
        yield "also at", "\n".join([*(place_with_code(place, root) for place in others), *more])
    if found.evidence.text:
        yield "evidence", found.evidence.text
    if found.verdict in VERDICTS:
        yield "verdict", VERDICTS[found.verdict]
    if found.help:
        yield "help", found.help
    if found.belongs_to:
        yield "belongs to", found.belongs_to


@isolated
def summing_up(reports: Sequence[Report], paint: Painter, root: Path, *, verbose: bool) -> str:
    """`closing`, whatever the reports hold."""
    return closing(reports, paint, root, verbose=verbose)


def closing(reports: Sequence[Report], paint: Painter, root: Path, *, verbose: bool) -> str:
    """The last lines: how much was checked, what was found, what was not checked and why, what not understood."""
    traced = [report.summary for report in reports if report.summary]
    operations = sum(summary.operations for summary in traced)
    checked = f"{counted(len(traced), 'model')}, {counted(operations, 'operation')}"
    left = selection.not_checked(reports)
    number = counted(sum(len(group.reports) for group in left), "model")
    also = f"; {paint(f'{number} not checked', 'warning')}" if left else ""
    found = left or any(report.findings for report in reports)
    lines = [f"Checked {checked}: {tally(reports, paint)}{also}." if traced or found else "There was no model to check."]
    lines += unchecked(left, root, verbose=verbose)
    if known := sum(len(report.known) for report in reports):
        lines.append(f"Left out {counted(known, 'finding')} that the baseline knows.")
    if suppressed := sum(found.counts for report in reports for found in report.suppressed):
        lines.append(f"Suppressed {counted(suppressed, 'finding')} by comments in the source.")
    skipped = [
        f"{name_of(display_path(report.target or report.model, root))} ({printable(reason)})"
        for report in reports
        if report.unchecked is None
        for reason in report.skipped
    ]
    if skipped:
        lines.append(f"Skipped {listed(skipped, verbose=verbose)}.")
    lines += [
        f"Not shown of {name_of(display_path(report.target or report.model, root))}: {printable(report.unshown)}."
        for report in reports
        if report.unshown
    ]
    if unknown := Counter(name for summary in traced for name in summary.unknown):
        counts = unknown.most_common()
        names = [f"{name_of(name)} ({n} times)" if n > 1 else name_of(name) for name, n in counts]
        total = unknown.total()
        verb = "was" if total == 1 else "were"
        fact = f"{counted(total, 'operation')} {verb} not understood by any rule"
        lines.append(f"{fact}: {listed(names, verbose=verbose)}.")
    return "\n".join(lines)


def unchecked(groups: Sequence[selection.Group], root: Path, *, verbose: bool) -> list[str]:
    """What was not checked, by reason, and the one thing to do about most of it."""
    if not groups:
        return []
    first = groups[0]
    shown = [
        f"{group.reason} ({len(group.reports):,}): "
        + listed([name_of(display_path(one.target or one.model, root)) for one in group.reports], verbose=verbose)
        for group in groups
    ]
    more = counted(len(first.reports), "more model" if len(groups) > 1 else "model")
    return [f"Not checked: {'; '.join(shown)}.", f"To check {more}: {printable(first.advice)}."]


def listed(names: Sequence[str], *, verbose: bool) -> str:
    """Names with commas between, the first few unless verbose."""
    shown = names if verbose else names[:MOST_NAMES]
    more = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
    return ", ".join(shown) + more


def tally(reports: Sequence[Report], paint: Painter) -> str:
    """How many findings of each severity: "2 errors, 1 warning"."""
    findings = [f for report in reports for f in report.findings]
    counts = Counter(f.severity for f in findings if f.counts)
    parts = [
        paint(f"{n} info" if severity is Severity.INFO else counted(n, severity.value), severity.value)
        for severity in reversed(Severity)
        if (n := counts[severity])
    ]
    if cleared := sum(not f.counts for f in findings):
        parts.append(f"{cleared} cleared")
    return ", ".join(parts) or paint("no findings", "good")


def layers(rows: Sequence[Layer], root: Path) -> str:
    """The table of layers, one row an operation."""
    cells = [
        (
            name_of(row.path) or "(root)",
            name_of(row.operation),
            name_of(row.kind),
            "?" if row.shape is None else "x".join(map(str, row.shape)) or "scalar",
            f"{row.parameters:,}" if row.parameters else "",
            place_text(row.place, root) if row.place else "",
            printable(row.note),
        )
        for row in rows
    ]
    headers = ("module", "operation", "kind", "output", "parameters", "place", "note")
    return in_columns(cells, headers, right=("parameters",))


def abbreviate(modules: Sequence[str]) -> str:
    """Module paths in few words: "blocks.0.fc ... blocks.19.fc (20)" for a run whose numbers count up."""
    if len(modules) <= 3:
        return ", ".join(map(name_of, modules))
    groups: dict[tuple[str, ...], list[str]] = {}
    for module in modules:
        groups.setdefault(tuple(re.split(r"\d+", module)), []).append(module)
    parts = []
    for members in groups.values():
        if len(members) > 3:
            parts.append(f"{name_of(members[0])} ... {name_of(members[-1])} ({len(members)})")
        else:
            parts += map(name_of, members)
    if len(parts) <= 6:
        return ", ".join(parts)
    return f"{', '.join(parts[:3])} ... {parts[-1]} ({len(modules)} in all)"


def place_text(place: Location, root: Path) -> str:
    """`file:line:column`, the file relative to `root` where it lies below it; of a notebook `file, cell 3, line 9`."""
    file = display_path(place.file, root)
    here = cell_line(str(root / place.file), place.line)
    return f"{file}:{place.line}:{place.column}" if here is None else f"{file}, cell {here.cell}, line {here.number}"


def place_with_code(place: Location, root: Path) -> str:
    """A place and the line that stands there."""
    shown, lines = shown_place(place, root)
    code = lines[shown.line - 1].strip() if 1 <= shown.line <= len(lines) else ""
    text = shorten("".join(printed(code)), 80)
    return f"{place_text(place, root)}  {text}".rstrip()


def display_path(file: str, root: Path) -> str:
    """A file, or a target that starts with one, as shown: relative to `root` if it lies below it."""
    if os.path.isabs(file):
        relative = os.path.relpath(file, root) if os.path.splitdrive(file)[0] == os.path.splitdrive(root)[0] else file
        file = file if relative.startswith(os.pardir) else relative
    return printable(shorten(file, 200))


def name_of(text: str) -> str:
    """A name from the user's code, on one line and not endless."""
    return printable(shorten(text))


def printable_lines(text: str) -> list[str]:
    """The lines of a text of ours that may quote the user's; at least one."""
    return [printable(line) for line in text.splitlines()] or [""]


def counted(number: int, noun: str) -> str:
    """A number and its noun, in the plural where it needs one."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
