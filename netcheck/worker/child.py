"""The parent's side of one worker: starts it, sends it targets, watches what becomes of them."""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from netcheck.errors import UsageError
from netcheck.figures.unchecked import Reason
from netcheck.findings import Evidence, Report
from netcheck.source.targets import Target
from netcheck.worker import outcome, processes
from netcheck.worker.frames import BrokenFrameError, Command, Frames, send
from netcheck.worker.limits import Limits

START_SECONDS = 300.0  # for importing torch from a cold disk
GRACE_SECONDS = 5.0  # for a worker to say that its child is gone
ANSWER_SECONDS = 0.5  # for a child to say where it stands before it is killed
TAIL = 16 * 1024  # bytes kept of what a child printed
MEASURING = ("probe", "remedies")  # phases after which only figures are missing
POLL = 0.05  # seconds between two looks at its memory
EVERY = 10  # of these looks, one is at what it started as well


def new_path() -> str:
    """Where a folder for temporary files is to be made: known before it is there, should a signal come in between."""
    return os.path.join(tempfile.gettempdir(), f"netcheck-{secrets.token_hex(8)}")


class WorkerDied(Exception):
    """The worker process is gone, or does not answer."""


@dataclass
class Trace:
    """What is known of a target while it is checked."""

    pid: int = 0
    status: int | None = None  # as waitpid gives it, once the child has ended
    report: Report | None = None
    known: list[Report] = field(default_factory=list)  # what the child knew last, if it has said anything
    phase: str = ""
    stopped: str = ""  # why we ended it: "time" or "memory"
    peak: int = 0  # bytes resident
    broken: bool = False  # something else wrote into the pipe for results
    faults: bytearray = field(default_factory=bytearray)
    frames: Frames = field(default_factory=Frames)


class Worker:
    """One worker process, started when it is first needed and again after it died."""

    def __init__(self, check: str, jobs: int, forks: bool) -> None:
        """Prepare a worker that checks with `check` beside `jobs` - 1 others."""
        self.check = check
        self.jobs = jobs
        self.forks = forks
        self.process: subprocess.Popen[bytes] | None = None
        self.mark = self.scratch = ""
        self.tail = bytearray()
        self.closed = False

    def start(self) -> None:
        """Start the process and wait until it has imported torch.

        Raises:
            WorkerDied: it ended instead.
        """
        self.mark = secrets.token_hex(16)
        self.scratch = new_path()  # for what torch writes when it is imported
        os.mkdir(self.scratch, 0o700)
        self.tail.clear()
        pipes = [os.pipe() for _ in range(5)]
        (commands, self.commands), *from_child = pipes
        theirs = [commands, *(write for _, write in from_child[:3])]
        self.control, self.results, self.faults, self.output = (read for read, _ in from_child)
        output = from_child[3][1]
        arguments = [*map(str, theirs), str(int(self.forks)), self.check, self.scratch]
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "netcheck.worker", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=theirs,
                env=self.environment(),
                start_new_session=True,
            )
        finally:
            for fd in (*theirs, output):
                os.close(fd)
        for fd in (self.control, self.results, self.faults, self.output):
            os.set_blocking(fd, False)
        self.control_frames = Frames()
        deadline = time.monotonic() + START_SECONDS
        while True:
            for kind, _ in self.pump(deadline, Trace()):
                if kind == "ready":
                    return

    def environment(self) -> dict[str, str]:
        """The environment of the worker: marked, able to import this netcheck, and fair to what else runs on the machine.

        Where cores are busy, threads that wait by spinning make a probe of a small net ten times as long.
        """
        environment = {**os.environ, processes.MARK: self.mark}
        if root := processes.checkout():
            paths = [environment.get("PYTHONPATH", ""), root]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        environment.setdefault("OMP_WAIT_POLICY", "passive")
        if self.jobs > 1:
            environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // self.jobs)))
        return environment

    def run(self, target: Target, settings: Any, limits: Limits, on_phase: Callable[[str], None]) -> Report:
        """Check one target; always gives a report.

        Raises:
            UsageError: the worker itself cannot be started.
        """
        try:
            if self.process is None:
                self.start()
        except WorkerDied as error:
            lines = self.tail.decode("utf-8", "replace").strip().splitlines()
            self.stop()
            raise UsageError(f"the worker process does not start: {lines[-1] if lines else error}") from error
        started = time.monotonic()
        self.tail.clear()
        trace = Trace()
        scratch = new_path()
        try:
            os.mkdir(scratch, 0o700)
            send(self.commands, Command(target, settings, limits.memory, scratch, os.getcwd()))
            self.watch(trace, started, limits, on_phase)
        except (WorkerDied, BrokenPipeError):
            self.drain(trace)
            self.stop()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        seconds = time.monotonic() - started
        if trace.report is None:
            fault = self.post_mortem(target, trace, seconds, limits)
            measuring = bool(trace.stopped) and trace.phase in MEASURING
            trace.report = outcome.completed(trace.known, fault, measuring=measuring, ignored=getattr(settings, "ignore", ()))
            trace.report.seconds = seconds
        return trace.report

    def watch(self, trace: Trace, started: float, limits: Limits, on_phase: Callable[[str], None]) -> None:
        """Follow a child until its worker says that it is gone; end it when it goes over a limit.

        Raises:
            WorkerDied: the worker went with it, or does not answer any more.
        """
        deadline = started + limits.seconds
        looks = 0
        while trace.status is None:
            now = time.monotonic()
            for kind, value in self.pump(now + POLL, trace, patient=True):
                if kind == "started":
                    trace.pid = value
                elif kind == "ended":
                    trace.status = value
                elif kind == "phase":
                    trace.phase = str(value)
                    on_phase(trace.phase)
            if trace.report is not None and not trace.stopped:
                deadline = min(deadline, time.monotonic() + GRACE_SECONDS)
            if trace.status is not None:
                break
            looks += 1
            trace.peak = max(trace.peak, self.memory(trace.pid, everything=looks % EVERY == 0))
            over_time, over_memory = time.monotonic() > deadline, trace.peak > limits.memory
            if over_time and trace.stopped:
                raise WorkerDied("it does not answer")
            if over_time or (over_memory and not trace.stopped):
                trace.stopped = "memory" if over_memory else "time"
                self.end_child(trace)
                deadline = time.monotonic() + GRACE_SECONDS
        self.drain(trace)

    def memory(self, pid: int, everything: bool) -> int:
        """The bytes resident in a child, and in what it started if `everything`."""
        if not pid:
            return 0
        if not everything or self.process is None:
            return processes.resident(pid)
        return sum(processes.resident(one) for one in processes.marked(self.mark) if one != self.process.pid)

    def end_child(self, trace: Trace) -> None:
        """Ask a child where it stands, then kill it and its group."""
        if not trace.pid:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(trace.pid, signal.SIGUSR1)
        until = time.monotonic() + ANSWER_SECONDS
        written = -1
        while time.monotonic() < until and (not trace.faults or len(trace.faults) > written):
            written = len(trace.faults)  # it comes in pieces: wait until no more come
            with contextlib.suppress(WorkerDied):
                self.pump(time.monotonic() + POLL, trace, patient=True)
        processes.kill_group(trace.pid)

    def pump(self, deadline: float, trace: Trace, patient: bool = False) -> list[tuple[str, Any]]:
        """Read what has come until `deadline`; the messages among it.

        Raises:
            WorkerDied: the pipes are closed; or, unless `patient`, the deadline has passed.
        """
        if self.closed:
            raise WorkerDied("it is being ended")
        messages: list[tuple[str, Any]] = []
        with selectors.DefaultSelector() as selector:
            for fd in (self.control, self.results, self.output, self.faults):
                selector.register(fd, selectors.EVENT_READ)
            ready = selector.select(max(0.0, deadline - time.monotonic()))
        if not ready and not patient:
            raise WorkerDied("it does not answer")
        for key, _ in sorted(ready, key=lambda pair: pair[0].fd == self.control):  # results before the end
            messages += self.take(key.fd, trace)
        return messages

    def take(self, fd: int, trace: Trace) -> list[tuple[str, Any]]:
        """Read one pipe once."""
        try:
            data = os.read(fd, 1 << 20)
        except BlockingIOError:
            return []
        if not data:
            raise WorkerDied("it ended")
        if fd == self.control:
            return list(self.control_frames.feed(data))
        if fd == self.results:
            return self.take_results(data, trace)
        if fd == self.faults:
            trace.faults += data[: TAIL - len(trace.faults)]
        else:
            self.tail += data
            del self.tail[:-TAIL]
        return []

    def take_results(self, data: bytes, trace: Trace) -> list[tuple[str, Any]]:
        """Messages from the child, which may write anything."""
        phases: list[tuple[str, Any]] = []
        if trace.broken:
            return phases
        try:
            for message in trace.frames.feed(data):
                kind, value = message
                if kind == "report" and isinstance(value, Report):
                    trace.report = value
                elif kind == "known" and isinstance(value, Report):
                    trace.known[:] = [value]
                elif kind == "phase":
                    phases.append((kind, value))
        except (BrokenFrameError, TypeError, ValueError):
            trace.broken = True
        return phases

    def drain(self, trace: Trace) -> None:
        """Read what is left in the pipes of a child that has ended."""
        for fd in (self.results, self.faults, self.output):
            with contextlib.suppress(WorkerDied, OSError):
                while True:
                    data = os.read(fd, 1 << 20)
                    if not data:
                        break
                    if fd == self.results:
                        self.take_results(data, trace)
                    elif fd == self.faults:
                        trace.faults += data[: TAIL - len(trace.faults)]
                    else:
                        self.tail += data
                        del self.tail[:-TAIL]

    def post_mortem(self, target: Target, trace: Trace, seconds: float, limits: Limits) -> Report:
        """The report on a target whose child sent none."""
        faults = trace.faults.decode("utf-8", "replace")
        ran = Evidence(round(seconds, 3), "s", f"it ran {seconds:.1f} s", limits.seconds)
        phase = f" (phase: {trace.phase})" if trace.phase else ""
        if trace.stopped == "time":
            text = f"it ran {seconds:.1f} s, the limit is {limits.seconds:g} s"
            evidence = Evidence(round(seconds, 3), "s", text, limits.seconds)
            what = f"did not end within {limits.seconds:g} s{phase}"
            help = "end the loop, or give it more time with --timeout"
            return outcome.crash_report(target, what, help, evidence, faults, Reason.TIME)
        if trace.stopped == "memory":
            gib = 2.0**30
            text = f"it held {trace.peak / gib:.2f} GiB, the limit is {limits.memory / gib:.2f} GiB"
            evidence = Evidence(trace.peak, "B", text, limits.memory)
            what = f"took more than {limits.memory / gib:.2f} GiB of memory{phase}"
            help = "build a smaller model, or give it more memory with --memory"
            return outcome.crash_report(target, what, help, evidence, faults, Reason.MEMORY)
        status = "took its worker with it" if trace.status is None else processes.describe_status(trace.status)
        if trace.broken:
            status += ", after writing into descriptors that are not its own"
        what = f"the process {status}{phase}"
        return outcome.crash_report(target, what, self.last_words(), ran, faults)

    def last_words(self) -> str:
        """Advice after a crash, with the last line that the process printed."""
        lines = [line.strip() for line in self.tail.decode("ascii", "ignore").splitlines() if line.strip()]
        last = f'; the last thing that it printed is "{lines[-1][:200]}"' if lines else ""
        return f"run the file by itself to see why{last}"

    def interrupt(self) -> None:
        """End the process from another thread; the thread that runs it then sees it die and cleans up."""
        self.closed = True
        process = self.process
        if process is not None and process.poll() is None:
            processes.kill_group(process.pid)

    def stop(self) -> None:
        """End the process and everything that it started, and collect it."""
        process, self.process = self.process, None
        if process is not None:
            processes.kill_group(process.pid)
            process.wait()
            processes.kill_marked(self.mark)
        if self.scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)
        if process is None:
            return
        for fd in (self.commands, self.control, self.results, self.faults, self.output):
            with contextlib.suppress(OSError):
                os.close(fd)
