"""`netcheck server`: a language server on standard input and output."""

from __future__ import annotations

import click


@click.command(short_help="Show findings in an editor, each time that a file is saved.")
def server() -> int:
    """Serve the language server protocol on standard input and output. Needs the extra `server` (pygls)."""
    from netcheck.server import serve

    serve()
    return 0
