"""SARIF 2.1.0, the format of code scanning (OASIS standard, 2023, with errata 01).

    runs[0].tool.driver.rules      the rules that found something: their documentation in help.markdown, a precision
    runs[0].results                the findings that count, worst first: level, rank, place, message, fingerprint;
                                   then those that comments in the source suppress, marked as such
    runs[0].invocations            what could not be checked, as notifications; how many models, as properties

Paths are relative to the repository (`%SRCROOT%`). The rank of a result, from 0 to 100, is 80 for an error, 50 for a
warning and 20 for an info, and 15 more where the verdict is "confirmed". The precision of a rule, which code scanning
sorts by, is "very-high" if all that it found here is confirmed, else "high". A fingerprint is made of the rule, the
model, the first module path and the text of the line, so that it stays the same when lines move.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import netcheck
from netcheck.findings import Finding, Location, Report, Severity, Verdict
from netcheck.report import omissions, suggestion
from netcheck.report import rules as documentation
from netcheck.report.excerpt import shown_place
from netcheck.report.isolation import isolated
from netcheck.report.json import plain
from netcheck.report.places import in_file, in_repository, place_of, repository_of, uri
from netcheck.report.selection import Entry, Group, not_checked, worst_first
from netcheck.report.terminal import printable_text
from netcheck.rules import base

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
PROBLEMS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "recommendation"}
RANKS = {Severity.ERROR: 80.0, Severity.WARNING: 50.0, Severity.INFO: 20.0}
CONFIRMED_RANK = 15.0
MOST_NAMES = 50  # modules and further places of one result


@isolated
def render(reports: Sequence[Report], *, root: Path | None = None) -> str:
    """All reports as one SARIF log with one run.

    Args:
        reports: one a model.
        root: the directory that relative paths start from; None means the current one.
    """
    root = Path.cwd() if root is None else root
    return json.dumps(log(reports, root), indent=2, allow_nan=False) + "\n"


def log(reports: Sequence[Report], root: Path) -> dict[str, Any]:
    """The whole document."""
    found = [
        *worst_first(reports),
        *(Entry(one, hidden) for one in reports for hidden in one.suppressed if hidden.counts),
    ]
    codes = sorted({entry.finding.code for entry in found})
    driver = {
        "name": "netcheck",
        "version": netcheck.__version__,
        "semanticVersion": netcheck.__version__,
        "shortDescription": {"text": "A linter for neural networks."},
        "rules": [descriptor(code, [e.finding for e in found if e.finding.code == code]) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "invocations": [invocation(reports)],
        "originalUriBaseIds": {"SRCROOT": {"uri": f"file://{uri(repository_of(root).as_posix())}/"}},
        "columnKind": "unicodeCodePoints",
        "results": [result(entry, codes.index(entry.finding.code), root) for entry in found],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def descriptor(code: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """A rule, with its documentation."""
    rule = base.find(code)
    confirmed = all(found.verdict is Verdict.CONFIRMED for found in findings)
    page = doubled(printable_text(documentation.page(rule)))
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": doubled(rule.summary)},
        "fullDescription": {"text": doubled(rule.summary)},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": LEVELS[rule.severity], "rank": RANKS[rule.severity]},
        "properties": {
            "precision": "very-high" if confirmed else "high",
            "problem.severity": PROBLEMS[rule.severity],
            "tags": ["neural-network"],
        },
    }


def invocation(reports: Sequence[Report]) -> dict[str, Any]:
    """How the run went: it was successful if every model that was found could be checked."""
    notes = [
        {"level": "note", "message": {"text": message_text(f"{report.target or report.model}: {reason}")}}
        for report in reports
        for reason in (*report.skipped, *(f"{label}: {told}" for label, told in omissions.lines(report)))
    ]
    left = not_checked(reports)
    notes += [{"level": "warning", "message": {"text": message_text(sentence(group))}} for group in left]
    counts = {"unchecked": {group.reason.key: len(group.reports) for group in left}} if left else {}
    successful = not any(report.interrupted or (report.summary is None and not report.ok) for report in reports)
    made = {"executionSuccessful": successful, "toolExecutionNotifications": notes}
    return {**made, "properties": counts} if counts else made


def sentence(group: Group) -> str:
    """Which models were not checked for one reason, and what to do about it."""
    names = ", ".join(one.target or one.model for one in group.reports[:MOST_NAMES])
    more = f" and {len(group.reports) - MOST_NAMES} more" if len(group.reports) > MOST_NAMES else ""
    return f"Not checked ({group.reason}): {names}{more}. To check them: {group.advice}."


def result(entry: Entry, rule: int, root: Path) -> dict[str, Any]:
    """One finding; `rule` is its rule's place in the driver's list."""
    report, found = entry
    place = place_of(found, report)
    parts = [f"{report.model}: {found.message}", found.evidence.text, found.help and f"Help: {found.help}"]
    names = [".".join(filter(None, (report.model, module))) for module in found.modules[:MOST_NAMES]]
    location: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": printable_text(n)} for n in names or [report.model]]}
    if physical := physical_location(place, root):
        location["physicalLocation"] = physical
    others = [physical_location(other, root) for other in found.locations[1 : 1 + MOST_NAMES]]
    made = {
        "ruleId": found.code,
        "ruleIndex": rule,
        "level": LEVELS[found.severity],
        "rank": RANKS[found.severity] + (CONFIRMED_RANK if found.verdict is Verdict.CONFIRMED else 0.0),
        "message": {"text": message_text("\n\n".join(filter(None, parts)))},
        "locations": [location],
        "relatedLocations": [
            {"id": number, "physicalLocation": other, "message": {"text": "also here"}}
            for number, other in enumerate(filter(None, others), 1)
        ],
        "occurrenceCount": max(1, found.count),
        "partialFingerprints": {"netcheck/v1": fingerprint(report, found, root)},
        "fixes": list(fixes(found, root)),
        "suppressions": [{"kind": "inSource"}] if any(found is hidden for hidden in report.suppressed) else [],
        "properties": {
            "model": printable_text(report.model),
            "verdict": found.verdict.value,
            "evidence": plain(found.evidence.value),
            "unit": found.evidence.unit,
            "limit": plain(found.evidence.limit),
        },
    }
    return {key: value for key, value in made.items() if value != []}


def physical_location(place: Location | None, root: Path) -> dict[str, Any] | None:
    """A place in a file, relative to the repository if it lies in it; None for what is no file."""
    if place is None or not place.file or place.file.startswith("<"):
        return None
    place = in_file(place, root)
    inside = in_repository(place.file, root)
    if inside is not None:
        artifact = {"uri": uri(inside), "uriBaseId": "SRCROOT"}
    else:
        path = Path(place.file).as_posix()
        artifact = {"uri": f"file://{uri(path)}" if path.startswith("/") else uri(path)}
    region = {"startLine": max(1, place.line), "startColumn": max(1, place.column)}
    if place.end_line is not None:
        region["endLine"] = max(place.line, place.end_line)
    if place.end_column is not None:
        region["endColumn"] = place.end_column
    return {"artifactLocation": artifact, "region": region}


def fixes(found: Finding, root: Path) -> Iterator[dict[str, Any]]:
    """What mends a finding, where that was tried: what code scanning offers to write."""
    if found.fix is None or not found.fix.edits:
        return
    changes = []
    for file, ranges in suggestion.replacements(found, root):
        made = [(physical_location(place, root), content) for place, content in ranges]
        replaced = [
            {"deletedRegion": where["region"], "insertedContent": {"text": content}}
            for where, content in made
            if where is not None
        ]
        where = physical_location(Location(file, 1), root)
        if where is not None:
            changes.append({"artifactLocation": where["artifactLocation"], "replacements": replaced})
    yield {"description": {"text": message_text(suggestion.summary(found.fix))}, "artifactChanges": changes}


def fingerprint(report: Report, found: Finding, root: Path) -> str:
    """What stays the same about a finding when lines above it come and go."""
    place = place_of(found, report)
    shown, lines = shown_place(place, root) if place else (None, [])
    code = lines[shown.line - 1].strip() if shown and 1 <= shown.line <= len(lines) else ""
    file = (in_repository(place.file, root) if place else None) or ""
    parts = (found.code, file, report.model, *found.modules[:1], code)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:32]


def doubled(text: str) -> str:
    """`text` as a message string, in which single braces hold arguments."""
    return text.replace("{", "{{").replace("}", "}}")


def message_text(text: str) -> str:
    """A text with the user's names as a message string, in which `[text](target)` would be a link."""
    return doubled(printable_text(text)).replace("](", "] (")
