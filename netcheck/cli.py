"""The command line: arguments in, exit code out.

    netcheck [check] TARGET...        check models
    netcheck rule CODE|NAME|--all     the documentation of a rule
    netcheck rules                    all rules, as a table

What a bad request gets is one sentence on standard error and exit code 2. Everything but click is imported
when a command runs, so that `--help` and `--version` cost no more than click.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

import netcheck


class Commands(click.Group):
    """A group whose command `check` may be left out, and whose errors are one sentence."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `check` in front of arguments that start with neither a command nor an option of this group."""
        own = {*self.commands, *(name for option in self.get_params(ctx) for name in option.opts)}
        return super().parse_args(ctx, args if not args or args[0] in own else ["check", *args])

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run, and exit with 0, 1 or 2; 130 after Ctrl-C."""
        from netcheck.errors import NetcheckError

        kwargs["standalone_mode"] = False
        try:
            code = super().main(*args, **kwargs)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.ctx.get_help() if error.ctx else error.message)
            code = 2
        except click.ClickException as error:
            code = complain(error.format_message())
        except NetcheckError as error:
            code = complain(f"{error}: {error.help}" if error.help else str(error))
        except click.Abort:
            code = 130
        sys.exit(code)


@click.group(
    cls=Commands,
    subcommand_metavar="[check] TARGET...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(
    netcheck.__version__, "-V", "--version", prog_name="netcheck", message="%(prog)s %(version)s"
)
def cli() -> None:
    """A linter for neural networks.

    netcheck runs a PyTorch model once without computing anything and says what in it will train badly, where,
    why, and what to write instead; then it measures the model's gradients to see whether that is true.
    `netcheck model.py` is short for `netcheck check model.py`.

    It executes the code that it checks.
    """


@cli.command(short_help="Check models.")
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@click.option(
    "--input",
    "inputs",
    metavar="SPEC",
    multiple=True,
    help="Example input, such as 8x3x32x32 or ids=long:2x16; once for each argument of forward. "
    "By default they are inferred.",
)
@click.option(
    "--select",
    metavar="RULES",
    multiple=True,
    help="Run these rules alone: codes (NC501), beginnings of codes (NC5) or names (poor-init), "
    "with commas between.",
)
@click.option(
    "--extend-select", metavar="RULES", multiple=True, help="Run these rules on top of the selected."
)
@click.option(
    "--ignore",
    metavar="RULES",
    multiple=True,
    help="Leave these rules out. The longer selector wins over a shorter.",
)
@click.option(
    "--format",
    type=click.Choice("text full concise json json-lines github sarif junit markdown".split()),
    default="text",
    show_default=True,
    help="How to write the report; full is another name for text.",
)
@click.option(
    "--statistics", is_flag=True, help="Show how often each rule found something, and not each finding."
)
@click.option(
    "--output-file", metavar="FILE", type=click.Path(path_type=Path), help="Write the report to FILE."
)
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "info"]),
    default="warning",
    show_default=True,
    help="The least severity that makes the exit code 1.",
)
@click.option("--exit-zero", is_flag=True, help="Exit with 0 whatever is found.")
@click.option(
    "--probe/--no-probe",
    default=True,
    help="Run the model forward and backward for real and measure its gradients, or do not. Default: --probe.",
)
@click.option(
    "--device",
    metavar="DEVICE",
    default="auto",
    show_default=True,
    help="Where to run it: auto (cuda, then mps, then cpu), cpu, mps, cuda or cuda:N.",
)
@click.option(
    "--seeds",
    metavar="K",
    type=int,
    default=3,
    show_default=True,
    help="Make K passes, each with fresh inputs and, where the model can be built anew, fresh weights.",
)
@click.option(
    "--optimizer",
    type=click.Choice(["sgd", "adam"]),
    default="sgd",
    show_default=True,
    help="What the model will be trained with. Adam forgives a gradient's scale in part.",
)
@click.option(
    "--batch-size",
    metavar="N",
    type=int,
    help="Tell the cost for a batch of N samples. By default for the example input's.",
)
@click.option(
    "--device-memory",
    metavar="SIZE",
    help="Memory of the device, such as 24GiB: training must fit it. By default the accelerator's own.",
)
@click.option(
    "--timeout",
    metavar="S",
    type=float,
    default=300.0,
    show_default=True,
    help="Seconds that a target may take.",
)
@click.option(
    "-j",
    "--jobs",
    metavar="N",
    type=int,
    default=1,
    show_default=True,
    help="Check so many targets at a time.",
)
@click.option(
    "--seed",
    metavar="N",
    type=int,
    default=0,
    show_default=True,
    help="Start the random number generators from N before a model is built or probed.",
)
@click.option("-v", "--verbose", is_flag=True, help="Also show the layers, every place and cleared findings.")
@click.option("-q", "--quiet", is_flag=True, help="Show findings and nothing else.")
@click.option(
    "--color/--no-color",
    "colour",
    default=None,
    help="Colour the report, or do not. By default as NO_COLOR and FORCE_COLOR say, else on a terminal.",
)
def check(**options: Any) -> int:
    """Check the models in each TARGET.

    A TARGET is a file, a directory, file.py:Symbol or package.module:Symbol.

    Exit codes: 0 nothing as bad as --fail-on, 1 findings, 2 netcheck could not do what was asked.
    """
    from netcheck import engine, worker
    from netcheck.report import output
    from netcheck.report.terminal import wants_colour
    from netcheck.settings import Settings

    settings = Settings.from_options(**options)
    reports = worker.check_targets(settings)
    if settings.output_file is not None:
        output.save(output.rendered(reports, settings, colour=bool(settings.colour)), settings.output_file)
    else:
        colour = wants_colour(sys.stdout, settings.colour, os.environ)
        show(output.rendered(reports, settings, colour=colour), colour=colour)
    return engine.exit_code(reports, settings)


@cli.command(short_help="Print the documentation of a rule.")
@click.argument("rule", metavar="CODE|NAME", required=False)
@click.option("--all", "everything", is_flag=True, help="Print the documentation of all rules.")
def rule(rule: str | None, everything: bool) -> None:
    """Print the documentation of a rule: what it looks for, why, and what to write instead."""
    from netcheck.report import rules as documentation
    from netcheck.rules import base

    if (rule is None) != everything:
        raise click.UsageError("name one rule by its code or its name, or give --all.")
    show(documentation.pages(base.registry() if rule is None else [base.find(rule)]))


@cli.command(short_help="List all rules.")
def rules() -> None:
    """List all rules: code, name, highest severity, and what they look for."""
    from netcheck.report import rules as documentation
    from netcheck.rules import base

    show(documentation.catalogue(base.registry()))


def show(text: str, *, colour: bool = False) -> None:
    """Write to standard output, whatever signs its encoding lacks."""
    from netcheck.report.terminal import encodable

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    click.echo(encodable(text, sys.stdout.encoding), file=sys.stdout, nl=False, color=colour)


def complain(sentence: str) -> int:
    """Say on standard error what is wrong with a request; returns the exit code for it."""
    from netcheck.report.terminal import printable

    click.echo(f"netcheck: {printable(sentence)}", err=True)
    return 2
