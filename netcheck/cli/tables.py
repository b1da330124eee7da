"""`netcheck summary`: the table of layers."""

from __future__ import annotations

import os
from dataclasses import replace

import click

from netcheck.cli.completion import complete_file
from netcheck.cli.printing import show


@click.command(short_help="Show the layers of a model, and what they cost.")
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True, shell_complete=complete_file)
@click.option("--input", "inputs", metavar="SPEC", multiple=True, help="Example input, as for `netcheck check`.")
@click.option("--batch-size", type=click.INT, metavar="N", help="Tell the cost of a batch of N samples.")
@click.option(
    "--format", type=click.Choice(["text", "markdown", "json"]), default="text", help="How to write it.  [default: text]"
)
def summary(targets: tuple[str, ...], inputs: tuple[str, ...], batch_size: int | None, format: str) -> int:
    """Show the layers of the models in each TARGET: class, output shape, parameters, multiply-adds; and their sums.

    Nothing is judged or measured: the model runs once without computing anything. The exit code is 2 if no model could be run.
    """
    from netcheck import worker
    from netcheck.report import summary as table
    from netcheck.settings import gather

    given = {"probe": False, "inputs": inputs, "batch_size": batch_size}
    settings = gather.gather(given, targets=targets, environment=os.environ).settings
    settings = replace(settings, format="json", select=("NC0",), extend_select=(), ignore=(), require="none")
    reports = worker.check_targets(settings)
    show(table.render(reports, format=format))
    return 0 if any(report.network is not None for report in reports) else 2
