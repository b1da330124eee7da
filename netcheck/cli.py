"""The command line: arguments in, exit code out.

    netcheck [check] TARGET...        check models
    netcheck init [TARGET]...         write into pyproject.toml how models are built that need arguments
    netcheck rule CODE|NAME|--all     the documentation of a rule
    netcheck rules                    all rules, as a table
    netcheck explain [TERM]           what a word of the reports means

What a bad request gets is one sentence on standard error and exit code 2. Everything but click is imported
when a command runs, so that `--help` and `--version` cost no more than click.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.shell_completion import CompletionItem

import netcheck

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netcheck.findings import Report
    from netcheck.report.stream import Stream
    from netcheck.settings import Settings
    from netcheck.settings.options import Option


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

    return [CompletionItem(page.name, help=page.short) for page in manual.terms() if page.name.startswith(incomplete.lower())]


STANDARD_OUTPUT = Path("-")  # what --output-file calls it


GROUPS = {  # of the options of `check`, as --help shows them; the last has the rest
    "Targets": ("exclude", "inputs", "input_from", "weights"),
    "Rules": ("select", "extend_select", "ignore", "baseline", "write_baseline", "add_ignores"),
    "Report": ("format", "output_file", "statistics", "verbose", "quiet", "colour", "fail_on", "require", "exit_zero"),
    "Gradients": ("probe", "device", "dtype", "seeds", "seed", "remedies", "optimizer"),
    "Cost and devices": ("batch_size", "devices", "device_memory"),
    "Running": ("jobs", "timeout", "memory", "cache", "cache_dir", "allow_writes"),
    "Settings": ("config", "isolated", "show_settings"),
}


class Commands(click.Group):
    """A group whose command `check` may be left out, and whose errors are one sentence."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `check` in front of arguments that start with neither a command nor an option of this group."""
        own = {*self.commands, *(name for option in self.get_params(ctx) for name in option.opts)}
        return super().parse_args(ctx, args if not args or args[0] in own else ["check", *args])

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
@click.version_option(netcheck.__version__, "-V", "--version", prog_name="netcheck", message="%(prog)s %(version)s")
def cli() -> None:
    """A linter for neural networks.

    netcheck runs a PyTorch model once without computing anything and says what in it will train badly, where,
    why, and what to write instead; then it measures the model's gradients to see whether that is true.
    `netcheck model.py` is short for `netcheck check model.py`; `netcheck check --help` lists the options.

    It executes the code that it checks.
    """


class CommandWithSettings(click.Command):
    """A command that has every option of `Settings` with a flag. They are only made for who looks at them."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own parameters, after the flags of the settings."""
        if not any(parameter.name == "select" for parameter in self.params):
            from netcheck.settings import OPTIONS

            self.params[1:1] = [flag(one) for one in OPTIONS.values() if one.flags]
        return super().get_params(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options by group: forty in one list are hard to read."""
        options = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        records = {option.name: option.get_help_record(ctx) for option in options}
        groups = {title: [records.pop(name) for name in names] for title, names in GROUPS.items()}
        [*_, last] = groups.values()
        last += records.values()
        for title, rows in groups.items():
            with formatter.section(title):
                formatter.write_dl([row for row in rows if row is not None])


def flag(one: Option) -> click.Option:
    """The click option for one field of `Settings`; what is not given on the command line is None or ()."""
    from netcheck.settings.options import Choice, File, Number, Switch, Whole

    kind = one.kind
    names = [*one.flags, one.name]
    more: dict[str, Any] = {"metavar": one.metavar or None, "multiple": kind.many}
    if isinstance(kind, Switch):
        names[0] += f"/{kind.off}" if kind.off else ""
        more = {"is_flag": True}
    elif isinstance(kind, Choice):
        more["type"] = click.Choice(kind.choices)
    elif isinstance(kind, File):
        more["type"] = click.Path()
    elif isinstance(kind, Whole | Number):
        more["type"] = click.INT if isinstance(kind, Whole) else click.FLOAT
    if one.metavar == "RULES":
        more["shell_complete"] = complete_rules
    # The default is shown, not set: what the command line does not say, the configuration file may.
    shown = "" if one.default is None or isinstance(kind, Switch) or kind.many else kind.write(one.default).strip('"')
    text = one.help + (f"  [default: {shown}]" if shown else "")
    return click.Option(names, default=None, help=text, **more)


@cli.command(cls=CommandWithSettings, short_help="Check models.")
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True, shell_complete=complete_file)
@click.option("--config", metavar="FILE", help="Read FILE instead of the closest pyproject.toml with [tool.netcheck].")
@click.option("--isolated", is_flag=True, help="Read no configuration file and no NETCHECK_ variable.")
@click.option("--show-settings", is_flag=True, help="Print the settings and where each comes from, and check nothing.")
def check(targets: tuple[str, ...], config: str | None, isolated: bool, show_settings: bool, **options: Any) -> int:
    """Check the models in each TARGET.

    A TARGET is a file, a directory, file.py:Symbol or package.module:Symbol. Most options can also be set in
    pyproject.toml under [tool.netcheck], and by environment variables such as NETCHECK_SELECT.

    Exit codes: 0 nothing as bad as --fail-on, 1 findings, 2 netcheck could not do what was asked, or fewer models could be
    checked than --require asks for; 130 after Ctrl-C and 143 after SIGTERM, with what was done until then.
    """
    from netcheck import baseline, engine
    from netcheck.launch import launched
    from netcheck.report import output
    from netcheck.report.terminal import wants_colour
    from netcheck.report.text import counted
    from netcheck.rules.base import require_settings
    from netcheck.settings import gather
    from netcheck.worker import Interrupted

    gathered = gather.gather(options, targets=targets, config=config, isolated=isolated, environment=os.environ)
    settings = gathered.settings
    require_settings(settings, gathered.origins)
    if show_settings:
        show(gather.shown(gathered))
        return 0
    launch = launched()
    stream = None if launch is not None and launch.rank else stream_for(settings)
    ended = 0
    try:
        with ended_by_signals():
            reports = watched(settings, stream)
    except Interrupted as stop:
        reports, ended = stop.reports, 143 if isinstance(stop.__cause__, Terminated) else 130
        if settings.write_baseline or settings.add_ignores or not worth_showing(reports, settings):
            return ended
    if launch is not None and launch.rank:  # the first of the processes that torchrun started reports for all
        for found in (found for report in reports for found in report if found.code.startswith("NC0")):
            if found.severity == "error":
                complain(f"in process {launch.rank} of torchrun: {found.message} ({found.code})")
        return 0
    if settings.write_baseline:
        count = baseline.write(reports, settings)
        show(f"Wrote {counted(count, 'finding')} into {baseline.path_of(settings)}.\n")
        return 0
    if settings.add_ignores:
        return add_ignores(reports, settings)
    if stream is not None:
        stream.close(reports)
    elif settings.output_file not in (None, STANDARD_OUTPUT):
        output.save(output.rendered(reports, settings, colour=bool(settings.colour)), settings.output_file)
    else:
        colour = wants_colour(sys.stdout, settings.colour, os.environ)
        show(output.rendered(reports, settings, colour=colour), colour=colour)
    code = ended or engine.exit_code(reports, settings)
    if ended:
        done = sum(not report.interrupted for report in reports)
        complain(f"ended before all was done: {done} of {len(reports)} are checked")
    if launch is not None and code:
        complain(f"what torchrun says next is about the exit code, {code}: with --exit-zero it says nothing")
    return code


def add_ignores(reports: Sequence[Report], settings: Settings) -> int:
    """Write comments that suppress what would fail the run; 1 if a finding cannot have one, 2 if a file cannot be written."""
    from netcheck.report.text import counted, place_text
    from netcheck.source.annotate import NO_PLACE, add_comments

    done, left = add_comments([found for report in reports for found in report.at_least(settings.fail_on)])
    for found, why in left:
        where = f"{place_text(found.location, Path.cwd())}: " if found.location else ""
        complain(f"{where}{found.code} ({found.name}) {why}")
    show(f"Added comments for {len(done)} of {counted(len(done) + len(left), 'finding')}.\n")
    return max((1 if why == NO_PLACE else 2 for _, why in left), default=0)


class Terminated(KeyboardInterrupt):
    """SIGTERM: the run is to end as after Ctrl-C."""


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Have SIGTERM raise `Terminated`, so that what was done is shown and what was started ended."""

    def terminate(*_: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def worth_showing(reports: Sequence[Report], settings: Settings) -> bool:
    """Whether to report on a run that was ended: if anything was checked, or a program waits for a whole document."""
    done = any(report.summary is not None or report.findings for report in reports)
    return done or settings.format in ("json", "json-lines", "sarif", "junit") or settings.output_file is not None


def stream_for(settings: Settings) -> Stream | None:
    """What writes the report on each model as soon as it is there; None where all are needed first."""
    from netcheck.report.stream import Stream
    from netcheck.report.terminal import wants_colour
    from netcheck.settings import STREAMED

    waits = settings.statistics or settings.baseline or settings.write_baseline or settings.add_ignores
    if waits or settings.format not in STREAMED or settings.output_file not in (None, STANDARD_OUTPUT):
        return None
    colour = wants_colour(sys.stdout, settings.colour, os.environ)
    return Stream(settings, lambda text: show(text, colour=colour), colour=colour)


def watched(settings: Settings, stream: Stream | None) -> list[Report]:
    """Check; show reports as they come, and on standard error what is going on, if that is a terminal."""
    from netcheck import progress, worker
    from netcheck.report.progress import ProgressLine, watches

    with ExitStack() as stack:
        if settings.quiet or not watches(sys.stderr):
            stack.enter_context(progress.reading(stream) if stream else nullcontext())
            return worker.check_targets(settings)
        line = stack.enter_context(ProgressLine(sys.stderr))

        def show_report(report: Report, total: int) -> None:
            line.clear()
            if stream is not None:
                stream(report, total)

        stack.enter_context(progress.reading(show_report))
        return worker.check_targets(settings, lambda e: line(e.target.name, e.phase, e.number, e.total))


@cli.command(short_help="Write down how models are built that need arguments.")
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


@cli.command(short_help="Print the documentation of a rule.")
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


@cli.command(short_help="List all rules.")
def rules() -> None:
    """List all rules: code, name, highest severity, and what they look for."""
    from netcheck.report import rules as documentation
    from netcheck.rules import base

    show(documentation.catalogue(base.registry()))


@cli.command(short_help="Say what a word of the reports means.")
@click.argument("term", metavar="[TERM]", required=False, shell_complete=complete_term)
def explain(term: str | None) -> None:
    """Say what TERM means (gain, decades, "effective rank", ...), or a rule by its code; without a TERM, list all terms."""
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


def show(text: str, *, colour: bool = False) -> None:
    """Write to standard output, whatever signs its encoding lacks.

    Raises:
        UsageError: it cannot be written to, as where a disk is full.
    """
    from netcheck.errors import UsageError
    from netcheck.report.terminal import encodable

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        click.echo(encodable(text, sys.stdout.encoding), file=sys.stdout, nl=False, color=colour)
    except BrokenPipeError:
        raise  # click ends quietly: `netcheck ... | head`
    except OSError as error:
        give_up_output()
        raise UsageError(f"cannot write to standard output: {error.strerror or error}") from error


def give_up_output() -> None:
    """Let what is still to be written vanish, so that nothing complains of it once more when Python ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def complain(sentence: str) -> int:
    """Say on standard error what is wrong with a request; returns the exit code for it."""
    from netcheck.report.terminal import printable

    click.echo(f"netcheck: {printable(sentence)}", err=True)
    return 2
