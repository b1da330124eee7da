"""`netcheck --watch`: check, wait until a file is saved, and check again."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from netcheck.cli.printing import complain, show

if TYPE_CHECKING:
    from netcheck.settings import Settings
    from netcheck.worker.warm import Warm

EVERY = 0.1  # seconds between two looks at the files


def watch(settings: Settings) -> int:
    """Show a report now and after each save, until Ctrl-C.

    What has not changed is taken over from the run before; torch is imported once.
    """
    from netcheck.source.saved import stamps
    from netcheck.worker import Interrupted
    from netcheck.worker.warm import Warm

    warm = Warm()
    try:
        while True:
            seen = stamps(settings.targets)
            shown(settings, warm)
            while stamps(settings.targets) == seen:
                time.sleep(EVERY)
    except (KeyboardInterrupt, Interrupted):
        return 130
    finally:
        warm.stop()


def shown(settings: Settings, warm: Warm) -> None:
    """Check once, and show what was found and how long it took; a request that makes no sense now may do so after a save."""
    from netcheck.errors import NetcheckError
    from netcheck.report import output
    from netcheck.report.terminal import wants_colour

    start = time.perf_counter()
    try:
        reports = warm.check(settings)
    except NetcheckError as error:
        complain(f"{error}: {error.help}" if error.help else str(error))
        return
    colour = wants_colour(sys.stdout, settings.colour, os.environ)
    text = output.rendered(reports, settings, colour=colour)
    if settings.output_file is not None:
        output.save(text, settings.output_file)
        text = ""
    seconds = time.perf_counter() - start
    show(f"{text}Checked at {time.strftime('%H:%M:%S')} in {seconds:.1f} s; waiting for a file to be saved.\n\n", colour=colour)
    sys.stdout.flush()
