"""`netcheck check`: models in, a report and an exit code out."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netcheck.cli import fixing, watching
from netcheck.cli.completion import complete_file
from netcheck.cli.options import CommandWithSettings
from netcheck.cli.printing import complain, show

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netcheck.findings import Report
    from netcheck.report.stream import Stream
    from netcheck.settings import Settings

STANDARD_OUTPUT = Path("-")  # what --output-file calls it


@click.command(cls=CommandWithSettings, short_help="Check models.")
@click.argument("targets", metavar="[TARGET]...", nargs=-1, shell_complete=complete_file)
@click.option("--config", metavar="FILE", help="Read FILE instead of the closest pyproject.toml with [tool.netcheck].")
@click.option("--isolated", is_flag=True, help="Read no configuration file and no NETCHECK_ variable.")
@click.option("--watch", is_flag=True, help="Check again each time that a file is saved, in a process that stays warm.")
@click.option("--show-settings", is_flag=True, help="Print the settings and where each comes from, and check nothing.")
def check(targets: tuple[str, ...], config: str | None, isolated: bool, watch: bool, show_settings: bool, **options: Any) -> int:
    """Check the models in each TARGET, by default in this folder.

    A TARGET is a file, a directory, file.py:Symbol or package.module:Symbol. Most options can also be set in
    pyproject.toml under [tool.netcheck], and by environment variables such as NETCHECK_SELECT.

    Exit codes: 0 nothing as bad as --fail-on, 1 findings, 2 netcheck could not do what was asked, or fewer models could be
    checked than --require asks for; 130 after Ctrl-C and 143 after SIGTERM, with what was done until then.
    """
    from netcheck import baseline, engine, fix
    from netcheck.launch import launched
    from netcheck.report import output
    from netcheck.report.terminal import wants_colour
    from netcheck.report.text import counted
    from netcheck.rules.base import require_settings
    from netcheck.settings import gather
    from netcheck.worker import Interrupted

    gathered = gather.gather(options, targets=targets or (os.curdir,), config=config, isolated=isolated, environment=os.environ)
    settings = gathered.settings
    if settings.fixes:
        fix.require()
        if watch:
            raise click.UsageError("--watch does not go with --diff and --fix: give one of them.")
    require_settings(settings, gathered.origins)
    if show_settings:
        show(gather.shown(gathered))
        return 0
    if watch:
        return watching.watch(settings)
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
    if settings.fixes and not ended:
        return fixing.fix(reports, settings)
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

    waits = settings.statistics or settings.baseline or settings.write_baseline or settings.add_ignores or settings.fixes
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
