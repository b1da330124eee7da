"""`netcheck rule`, `netcheck rules` and `netcheck explain`: what to read."""

from __future__ import annotations

import os
import shutil
import sys

import click

from netcheck.cli.completion import complete_rule, complete_term
from netcheck.cli.printing import show


@click.command(short_help="Print the documentation of a rule.")
@click.argument("rule", metavar="CODE|NAME", required=False, shell_complete=complete_rule)
@click.option("--all", "everything", is_flag=True, help="Print the documentation of all rules.")
@click.option(
    "--format",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    help="How to write it.  [default: text]",
)
def rule(rule: str | None, everything: bool, format: str) -> None:
    """Print the documentation of a rule: what it looks for, why, and what to write instead."""
    from netcheck.report import rule_json, rule_text
    from netcheck.report import rules as documentation
    from netcheck.report.terminal import wants_colour
    from netcheck.rules import base

    if (rule is None) != everything:
        raise click.UsageError("name one rule by its code or its name, or give --all.")
    chosen = base.registry() if rule is None else [base.find(rule)]
    if format == "text":
        colour = wants_colour(sys.stdout, None, os.environ)
        columns = shutil.get_terminal_size((rule_text.WIDEST, 24)).columns
        show(rule_text.pages(chosen, colour=colour, columns=columns), colour=colour)
    else:
        show(documentation.pages(chosen) if format == "markdown" else rule_json.render(chosen))


@click.command(short_help="List all rules.")
def rules() -> None:
    """List all rules: code, name, highest severity, and what they look for."""
    from netcheck.report import rules as documentation
    from netcheck.rules import base

    show(documentation.catalogue(base.registry()))


@click.command(short_help="Say what a word of the reports means.")
@click.argument("term", metavar="[TERM]", required=False, shell_complete=complete_term)
def explain(term: str | None) -> None:
    """Say what TERM means (gain, decades, "effective rank", ...), how something is used (settings, formats, ...), or what a rule
    looks for, by its code; without a TERM, list all.
    """
    from netcheck.report import manual, rule_text
    from netcheck.report import rules as documentation
    from netcheck.report.terminal import wants_colour
    from netcheck.rules import base

    if term is None:
        show(manual.catalogue())
        return
    about = next((documentation.page(one) for one in base.registry() if term.lower() in (one.code.lower(), one.name)), None)
    colour = wants_colour(sys.stdout, None, os.environ)
    columns = shutil.get_terminal_size((rule_text.WIDEST, 24)).columns
    show(rule_text.written(about or manual.find(term).text, colour=colour, columns=columns), colour=colour)
