"""What a shell completes: files, codes and names of rules, terms."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


def complete_file(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell, which knows the files."""
    return [CompletionItem(incomplete, type="file")]


def complete_rule(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The rules whose code or name begins so."""
    from netcheck.rules.base import registry

    names = [(name, rule.summary) for rule in registry() for name in (rule.code, rule.name)]
    return [CompletionItem(name, help=summary) for name, summary in names if name.lower().startswith(incomplete.lower())]


def complete_rules(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The last of several rules with commas between."""
    before, comma, last = incomplete.rpartition(",")
    found = complete_rule(ctx, parameter, last)
    return [CompletionItem(f"{before}{comma}{item.value}", help=item.help) for item in found]


def complete_term(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The terms whose name begins so."""
    from netcheck.report import manual

    pages = (*manual.terms(), *manual.guides())
    return [CompletionItem(page.name, help=page.short) for page in pages if page.name.startswith(incomplete.lower())]
