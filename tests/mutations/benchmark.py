"""How many faults netcheck finds that were put into healthy models, by rule.

    python -m tests.mutations.benchmark [NC9 ...]      prints the table
        --host resnet18 --host perceptron              only in hosts whose names contain one of these
        --places 1                                     random places that are tried in each host, for each fault

A trial is one fault at one random place of one host. A fault that leaves a model unable to run is drawn again
somewhere else; a model that has no place for a fault is no trial.
"""

from __future__ import annotations

import argparse
import gc
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import netcheck
from netcheck import engine
from netcheck.findings import Report, Severity
from netcheck.load.inputs import ExampleInputs
from netcheck.rules.base import StaticRule, registry
from netcheck.settings import Settings
from tests.mutations.faults import Fault, all_faults
from tests.mutations.hosts import hosts
from tests.mutations.subject import Host, NoPlace, Subject

PLACES = 2  # random places that are tried in each host, for each fault
ATTEMPTS = 4  # draws of a place until the model still runs


@dataclass(frozen=True)
class Trial:
    """One fault in one host, and whether the rule found it."""

    fault: Fault
    host: str
    place: str
    found: bool

    def __str__(self) -> str:
        return f"{self.fault.code} {self.fault.style}: {self.host}, {self.place or 'the model'}"


def run(selectors: tuple[str, ...] = ("NC",), into: Iterable[Host] | None = None, places: int = PLACES) -> list[Trial]:
    """Every fault whose rule exists and begins with one of `selectors`, in every host (or in those given)."""
    existing = {rule.code for rule in registry() if isinstance(rule, StaticRule)}
    faults = [f for f in all_faults() if f.code in existing and f.code.startswith(selectors)]
    subjects = hosts() if into is None else into
    return [trial for host in subjects for fault in faults for trial in trials(fault, host, places)]


def trials(fault: Fault, host: Host, places: int) -> Iterator[Trial]:
    """The fault at so many random places of one host; none where the rule speaks of the healthy host."""
    if fault.code in spoken_of(host):
        return
    for number in range(places):
        draw = random.Random(f"{fault.code} {fault.style} {host.name} {number}")
        broken = inject(fault, host, draw)
        if broken is None:
            return
        codes = {finding.code for finding in check(broken, fault.code)}
        yield Trial(fault, host.name, ", ".join(broken.places), fault.code in codes)
        del broken
        gc.collect()  # a graph and its nodes hold each other, and the copy of the host with them


def inject(fault: Fault, host: Host, draw: random.Random) -> Subject | None:
    """A copy of the host with the fault, that still runs; None where there is no place for it."""
    for _ in range(ATTEMPTS):
        subject = host.fresh(draw)
        try:
            fault.inject(subject)
        except NoPlace:
            return None
        if check(subject, "NC003").summary is not None:
            return subject
    return None


def check(subject: Subject, code: str) -> Report:
    """What one rule says of a broken model."""
    report = Report(model=type(subject.model).__name__)
    example = ExampleInputs(subject.args, subject.kwargs, "inputs: given")
    source = engine.Source(lambda: engine.Built(subject.model), lambda model: example)
    return engine.examine(report, source, Settings(select=(code,), probe=False))


def spoken_of(host: Host) -> set[str]:
    """The codes of everything that netcheck says of the healthy host."""
    known = _spoken.get(host.name)
    if known is None:
        args, kwargs = host.example
        known = _spoken[host.name] = {f.code for f in netcheck.check(host.model, args or kwargs, probe=False)}
    return known


_spoken: dict[str, set[str]] = {}


def alarms(host: Host) -> list[str]:
    """The warnings and errors about a healthy host."""
    args, kwargs = host.example
    return [str(finding) for finding in netcheck.check(host.model, args or kwargs, probe=False).at_least(Severity.WARNING)]


def recall(trials: Iterable[Trial]) -> dict[str, tuple[int, int]]:
    """By code: faults found, faults put in."""
    counts: dict[str, tuple[int, int]] = {}
    for trial in trials:
        found, all_ = counts.get(trial.fault.code, (0, 0))
        counts[trial.fault.code] = found + trial.found, all_ + 1
    return dict(sorted(counts.items()))


def table(trials: list[Trial]) -> str:
    """Recall by rule, and what was missed."""
    from tabulate import tabulate

    names = {rule.code: rule.name for rule in registry()}
    rows = [(code, names[code], n, found, found / n) for code, (found, n) in recall(trials).items()]
    total = sum(trial.found for trial in trials)
    rows.append(("all", "", len(trials), total, total / max(1, len(trials))))
    missed = "".join(f"\nmissed: {trial}" for trial in trials if not trial.found)
    return tabulate(rows, ("code", "rule", "faults", "found", "recall"), floatfmt=".2f") + missed


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description="Recall of the rules on faults put into healthy models.")
    parser.add_argument("selectors", nargs="*", default=["NC"], help="beginnings of codes; all rules if none")
    parser.add_argument("--host", action="append", default=[], help="part of a host's name; may be repeated")
    parser.add_argument("--places", type=int, default=PLACES, help="places for each fault in each host")
    options = parser.parse_args()
    chosen = [h for h in hosts() if not options.host or any(part in h.name for part in options.host)]
    print(table(run(tuple(options.selectors), chosen, options.places)))


if __name__ == "__main__":
    main()
