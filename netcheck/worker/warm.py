"""A worker that is kept from one run to the next, so that torch is imported once: for who checks again and again.

warm = Warm()
warm.check(settings)      seconds, most of them for importing torch
warm.check(settings)      what the check itself takes
warm.stop()
"""

from __future__ import annotations

from dataclasses import replace

from netcheck.findings import Report
from netcheck.settings import Settings
from netcheck.worker import check_targets
from netcheck.worker.child import Worker, WorkerDied
from netcheck.worker.pool import ENGINE, FORKS, ISOLATES, keeping


class Warm:
    """Checks targets in a worker that stays, and that is started anew where it died."""

    def __init__(self) -> None:
        """Begin with none: it is started when something is checked, or by `wake`."""
        self.worker: Worker | None = None

    def wake(self) -> None:
        """Start the worker, if it is not running. A worker ends with the thread that starts it: call this from one that stays."""
        if self.worker is not None and not self.worker.closed and self.worker.process is not None:
            if self.worker.process.poll() is None:
                return
            self.worker.stop()
        if ISOLATES:
            self.worker = Worker(ENGINE, 1, FORKS)
            try:
                self.worker.start()
            except WorkerDied:
                self.worker.stop()
                self.worker = None  # the run will say why

    def check(self, settings: Settings) -> list[Report]:
        """The reports on the targets of the settings.

        Raises:
            UsageError: a target stands for nothing, or the worker does not start.
            Interrupted: the run is to end.
        """
        settings = replace(settings, jobs=1)
        self.wake()
        if self.worker is None:
            return check_targets(settings)
        with keeping(self.worker):
            return check_targets(settings)

    def stop(self) -> None:
        """End the worker."""
        if self.worker is not None:
            self.worker.stop()
            self.worker = None
