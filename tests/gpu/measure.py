"""What netcheck does on an accelerator, as figures: one run of at most six minutes on a machine that has one.

    python3 tests/gpu/measure.py --out figures.json          every section, the most important first
    python3 tests/gpu/measure.py --only memory --device cpu  one of them, on a stand-in

    measure.py +-- a process for each section (tests/gpu/sections.py), which may take so many seconds and may crash
                     figures["gain"] = ...      written to a file at once: they stay, whatever happens next
               +-- figures.json, written after each section: {"device": ..., "sections": {name: {seconds, figures, failure}}}

A failure stops nothing; the first one is printed in full, the others in a line. Exits with 1 if there was one.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 360.0  # for everything
MOST_OUTPUT = 8000  # characters of what a section that failed has printed
STOPPED = -1000  # no exit code
START_SECONDS = 20.0  # that a process takes to import torch, on top of what its section may take


class Figures(MutableMapping[str, Any]):
    """Figures by name, which are in a file as soon as they are known."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.known: dict[str, Any] = {}

    def __setitem__(self, name: str, figure: Any) -> None:
        self.known[name] = figure
        self.file.write_text(json.dumps(self.known, default=str))

    def __getitem__(self, name: str) -> Any:
        return self.known[name]

    def __delitem__(self, name: str) -> None:
        del self.known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)


def run_section(name: str, device: str, file: Path) -> int:
    """Run one section in this process; what it raises goes to stderr."""
    sys.path.insert(0, str(ROOT))
    from tests.gpu.sections import SECTIONS

    try:
        SECTIONS[name].run(Figures(file), device)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def in_process(name: str, device: str, seconds: float, script: Path) -> dict[str, Any]:
    """What a section comes to, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="netcheck-gpu-") as folder:
        file = Path(folder, "figures.json")
        command = [sys.executable, str(script), "--section", name, "--device", device, "--figures", str(file)]
        start = time.monotonic()
        failure = ""
        code, output = ended(command, seconds)
        if code:
            failure = f"{output[-MOST_OUTPUT:]}\n" + (
                f"exit code {code}" if code != STOPPED else f"did not end in {seconds:.0f} s"
            )
        figures = json.loads(file.read_text()) if file.exists() else {}
        return {"seconds": round(time.monotonic() - start, 1), "figures": figures, "failure": failure}


def ended(command: Sequence[str], seconds: float) -> tuple[int, str]:
    """The exit code of a process, `STOPPED` where it had to be stopped, and what it printed; what it started ends with it."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = STOPPED
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        return code, output.read().decode("utf-8", "replace")


def measure(budgets: Mapping[str, float], device: str, out: Path | None, script: Path, most: float = MOST_SECONDS) -> bool:
    """Run sections one after the other; whether none failed."""
    end = time.monotonic() + most
    found: dict[str, Any] = {"device": device, "sections": {}}
    failed = False
    for name, budget in budgets.items():
        seconds = min(budget + START_SECONDS, end - time.monotonic())
        if seconds <= 0:
            result: dict[str, Any] = {"seconds": 0.0, "figures": {}, "failure": "no time was left for it"}
        else:
            result = in_process(name, device, seconds, script)
        found["sections"][name] = result
        if out is not None:
            write(out, found)
        print(told(name, result, in_full=not failed), flush=True)
        failed = failed or bool(result["failure"])
    return not failed


def write(out: Path, found: Any) -> None:
    """Write the file of figures, which is whole at any moment."""
    unfinished = out.with_name(out.name + ".part")
    unfinished.write_text(json.dumps(found, indent=1))
    os.replace(unfinished, out)


def told(name: str, result: Mapping[str, Any], *, in_full: bool) -> str:
    """A section for whoever watches."""
    head = f"== {name}: {'FAILED' if result['failure'] else 'ok'}, {result['seconds']} s"
    lines = [f"   {figure}: {json.dumps(value)}" for figure, value in result["figures"].items()]
    failure = result["failure"].rstrip()
    if failure and not in_full:
        failure = failure.splitlines()[-1]
    return "\n".join(filter(None, [head, *lines, failure]))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, help="where to write the figures, as JSON")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a stand-in")
    parser.add_argument("--only", nargs="+", default=[], help="these sections")
    parser.add_argument("--seconds", type=float, default=MOST_SECONDS, help="for everything")
    parser.add_argument("--section", help=argparse.SUPPRESS)
    parser.add_argument("--figures", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.section:
        return run_section(chosen.section, chosen.device, chosen.figures)
    sys.path.insert(0, str(ROOT))
    from tests.gpu.budgets import BUDGETS

    budgets = {name: seconds for name, seconds in BUDGETS.items() if not chosen.only or name in chosen.only}
    return 0 if measure(budgets, chosen.device, chosen.out, Path(__file__), chosen.seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
