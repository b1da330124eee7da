"""A language server: findings in the editor, each time that a file is saved. Needs pygls (extra `server`).

    editor                                   netcheck server
      didOpen, didSave  ----- stdio ------>  check the file, in a worker that stays
      squiggles         <------------------  publishDiagnostics: range, severity, code, message and help

The models of a file are checked with the settings of its project. What was not saved is not checked: the file is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import netcheck
from netcheck.errors import NetcheckError, UsageError
from netcheck.findings import Finding, Location, Report, Severity
from netcheck.report.places import in_file, place_of
from netcheck.report.selection import documentation_of
from netcheck.settings import gather
from netcheck.worker.warm import Warm

if TYPE_CHECKING:
    from lsprotocol.types import Diagnostic, Range
    from pygls.lsp.server import LanguageServer

MOST_RELATED = 5  # further places of one finding


def serve() -> None:
    """Serve on standard input and output until the editor ends it.

    Raises:
        UsageError: pygls is not installed.
    """
    try:
        server = made(Warm())
    except ImportError as error:
        raise UsageError("the language server needs pygls", help="pip install 'pygls>=2'") from error
    server.start_io()


def made(warm: Warm) -> LanguageServer:
    """The server. Its handlers run in the thread that serves, which is the one that the worker lives by."""
    from lsprotocol import types
    from pygls.lsp.server import LanguageServer
    from pygls.uris import to_fs_path

    server = LanguageServer("netcheck", netcheck.__version__)
    published: dict[str, set[str]] = {}  # by document, the files for which its check has published something

    def publish(uri: str) -> None:
        file = to_fs_path(uri)
        if file is None or not file.endswith((".py", ".ipynb")):
            return
        by_file = diagnostics(check(file, warm, server), Path(os.path.dirname(file)))
        by_uri = {
            uri if os.path.realpath(name) == os.path.realpath(file) else Path(name).as_uri(): v for name, v in by_file.items()
        }
        for other in {uri, *by_uri, *published.get(uri, ())}:
            found = types.PublishDiagnosticsParams(uri=other, diagnostics=by_uri.get(other, []))
            server.text_document_publish_diagnostics(found)
        published[uri] = set(by_uri)

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: types.DidOpenTextDocumentParams) -> None:
        publish(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(params: types.DidSaveTextDocumentParams) -> None:
        publish(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        for other in {params.text_document.uri, *published.pop(params.text_document.uri, set())}:
            server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri=other, diagnostics=[]))

    @server.feature(types.SHUTDOWN)
    def ended(params: None) -> None:
        warm.stop()

    return server


def check(file: str, warm: Warm, server: LanguageServer) -> list[Report]:
    """The reports on the models of a file; what makes no sense is told in the editor's log."""
    from lsprotocol import types

    try:
        settings = gather.gather({}, targets=(file,), environment=os.environ).settings
        return warm.check(settings)
    except NetcheckError as error:
        text = f"netcheck: {error}{f': {error.help}' if error.help else ''}"
        server.window_log_message(types.LogMessageParams(type=types.MessageType.Error, message=text))
        return []


def diagnostics(reports: Sequence[Report], root: Path) -> dict[str, list[Diagnostic]]:
    """The findings that count, by the absolute path of the file that each stands in."""
    found: dict[str, list[Diagnostic]] = {}
    for report in reports:
        for one in report.findings:
            place = place_of(one, report)
            if one.counts and place is not None and not place.file.startswith("<"):
                found.setdefault(os.path.abspath(root / place.file), []).append(
                    diagnostic(one, in_file(place, root), report, root)
                )
    return found


def diagnostic(found: Finding, place: Location, report: Report, root: Path) -> Diagnostic:
    """One finding as an editor shows it."""
    from lsprotocol import types

    severities = {
        Severity.ERROR: types.DiagnosticSeverity.Error,
        Severity.WARNING: types.DiagnosticSeverity.Warning,
        Severity.INFO: types.DiagnosticSeverity.Information,
    }
    parts = [f"{report.model}: {found.message}", found.evidence.text, found.help, documentation_of(found.code)]
    return types.Diagnostic(
        range=range_of(place),
        severity=severities[found.severity],
        code=found.code,
        source="netcheck",
        message="\n".join(filter(None, parts)),
        related_information=[
            types.DiagnosticRelatedInformation(
                types.Location(Path(os.path.abspath(root / other.file)).as_uri(), range_of(in_file(other, root))), "also here"
            )
            for other in related(found)
        ],
    )


def related(found: Finding) -> Iterator[Location]:
    """The further places of a finding that are files."""
    return (other for other in found.locations[1 : 1 + MOST_RELATED] if not other.file.startswith("<"))


def range_of(place: Location) -> Range:
    """A place as the protocol has it: lines and characters from 0."""
    from lsprotocol import types

    start = types.Position(max(0, place.line - 1), max(0, place.column - 1))
    line = (place.end_line or place.line) - 1
    column = place.end_column - 1 if place.end_column else start.character + 1
    return types.Range(start, types.Position(max(0, line), max(0, column)))
