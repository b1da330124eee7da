"""`netcheck init`: how models are built, written into pyproject.toml."""

from __future__ import annotations

import os

import click

from netcheck.cli.completion import complete_file
from netcheck.cli.printing import complain, show


@click.command(short_help="Write down how models are built that need arguments.")
@click.argument("targets", metavar="[TARGET]...", nargs=-1, shell_complete=complete_file)
@click.option("--config", metavar="FILE", help="Write into FILE instead of the closest pyproject.toml.")
def init(targets: tuple[str, ...], config: str | None) -> int:
    """Write into pyproject.toml how the models in each TARGET are built, where their classes need arguments.

    What the project's source does not show is assumed: correct it there. TARGET is "." if none is given.
    """
    from netcheck import worker
    from netcheck.report.text import counted
    from netcheck.settings import gather, initial

    targets = targets or (os.curdir,)
    named = config if config and os.path.isfile(config) else None
    gathered = gather.gather({"probe": False}, targets=targets, config=named, environment=os.environ)
    file = config or os.path.join(gathered.settings.root or os.curdir, initial.NAME)
    written, left = initial.write(worker.check_targets(gathered.settings), file)
    show(f"Wrote {counted(len(written), 'model')} into {os.path.relpath(file)}.\n")
    for report in left:
        show(f"{report.target} was built as {report.construction}\n")
        complain(f"{report.target} takes what no configuration file can hold: write a function that returns it")
    return 0
