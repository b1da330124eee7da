"""The command line: arguments in, exit code out.

    netcheck [check] [TARGET]...      check models
    netcheck summary TARGET...        the layers of models, and what they cost
    netcheck diff OLD NEW             two models side by side
    netcheck init [TARGET]...         write into pyproject.toml how models are built that need arguments
    netcheck rule CODE|NAME|--all     the documentation of a rule
    netcheck rules                    all rules, as a table
    netcheck server                   a language server, for editors
    netcheck explain [TERM]           what a word of the reports means

What a bad request gets is one sentence on standard error and exit code 2. Everything but click is imported
when a command runs, so that `--help` and `--version` cost no more than click.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

import netcheck
from netcheck.cli import checking, comparing, documents, initial, serving, tables
from netcheck.cli.completion import complete_file
from netcheck.cli.options import GROUPS
from netcheck.cli.printing import complain, show

__all__ = ["GROUPS", "cli", "show"]


class Commands(click.Group):
    """A group whose command `check` may be left out, and whose errors are one sentence."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `check` in front of arguments that start with neither a command nor an option of this group, and where none are."""
        own = {*self.commands, *(name for option in self.get_params(ctx) for name in option.opts)}
        is_known = args[0] in own if args else ctx.resilient_parsing  # of an empty line that is being completed, any may come
        return super().parse_args(ctx, args if is_known else ["check", *args])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What may follow the first word: a command, and what may follow `check`, which may be left out."""
        checking = self.commands["check"]
        inner = click.Context(checking, info_name="check", parent=ctx)
        arguments = complete_file(inner, checking.params[0], incomplete)
        options = checking.shell_complete(inner, incomplete) if incomplete.startswith("-") else arguments
        return [*super().shell_complete(ctx, incomplete), *options]

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run, and exit with 0, 1 or 2; 130 after Ctrl-C."""
        from netcheck.errors import NetcheckError

        kwargs["standalone_mode"] = False
        try:
            code = super().main(*args, **kwargs)
        except click.ClickException as error:
            code = complain(error.format_message())
        except NetcheckError as error:
            code = complain(f"{error}: {error.help}" if error.help else str(error))
        except click.Abort:
            code = 130
        sys.exit(code)


@click.group(
    cls=Commands,
    subcommand_metavar="[check] [TARGET]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(netcheck.__version__, "-V", "--version", prog_name="netcheck", message="%(prog)s %(version)s")
def cli() -> None:
    """A linter for neural networks.

    netcheck runs a PyTorch model once without computing anything and says what in it will train badly, where,
    why, and what to write instead; then it measures the model's gradients to see whether that is true.
    `netcheck model.py` is short for `netcheck check model.py`, `netcheck` for this folder; `netcheck check --help` lists the
    options.

    It executes the code that it checks.
    """


for command in (
    checking.check,
    tables.summary,
    comparing.diff,
    initial.init,
    documents.rule,
    documents.rules,
    documents.explain,
    serving.server,
):
    cli.add_command(command)
