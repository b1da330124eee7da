"""Hold netcheck's verdict, with its measurements, against networks whose training was measured.

    python tests/calibration/verdict.py FOLDER [PART] [FILE]

FOLDER has `outcomes.jsonl`, one network a line (`config`, `trains_with_sgd`, `trains_with_adam`), and `nets.py` whose
`make(config)` builds it; inputs are (N, 64). Nothing is trained here. PART is `K/N`: every N-th network from the K-th on,
counted from 1. With FILE, each network's outcome is appended to it at once, those that are in it are not checked again, and
the table is that of all in it: so that parts can be checked one after another, and what was interrupted goes on.

A network is flagged if `netcheck.check` has a finding about gradients or collapse at warning or above. Printed, for "does
not train" with each optimizer: precision, recall and false-positive rate of that verdict, on all networks and on each of
two halves (by configuration: networks that differ in their seed alone are in one half); and the AUC of a score made of the
same numbers: |held gain| over its budget, plus what the effective rank lacks, plus a quarter of the unpredictability.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from static_gain import auc, imported, rates
from tabulate import tabulate

import netcheck
from netcheck.figures.gradients import Gradients

ABOUT = ("NC101", "NC102", "NC301", "NC401", "NC501", "NC502", "NC503", "NC6")
BUDGET = 3.0  # decades
SAMPLES = 32
MOST = 8.0  # decades, beyond which a gain is as bad as any


@dataclass(frozen=True)
class Outcome:
    """One network: what netcheck says of it for each optimizer, and whether it trained."""

    number: int  # its line
    flagged: dict[str, bool]
    score: float
    trains: dict[str, bool]
    half: int


def outcome(nets: ModuleType, number: int, line: str) -> Outcome:
    """What netcheck says of one network."""
    inputs = torch.randn(SAMPLES, 64, generator=torch.Generator().manual_seed(0))
    entry = json.loads(line)
    model = nets.make(entry["config"]).train()
    report = netcheck.check(model, inputs, optimizer="sgd", remedies=False)
    bad = bool(warnings_in(report))  # with Adam the same findings are as severe, or less
    return Outcome(
        number,
        {"SGD": bad, "Adam": bad and bool(warnings_in(netcheck.check(model, inputs, optimizer="adam", remedies=False)))},
        score(report.gradients),
        {"SGD": entry["trains_with_sgd"], "Adam": entry["trains_with_adam"]},
        half_of(entry["config"]),
    )


def half_of(config: dict[str, Any]) -> int:
    """0 or 1, the same whatever the seed."""
    text = json.dumps({key: value for key, value in config.items() if key != "seed"}, sort_keys=True)
    return int(hashlib.md5(text.encode()).hexdigest(), 16) % 2


def warnings_in(report: netcheck.Report) -> set[str]:
    """The codes with which a report warns of gradients or collapse."""
    return {finding.code for finding in report.at_least("warning") if finding.code.startswith(ABOUT)}


def written(file: str) -> list[dict[str, Any]]:
    """The outcomes that a file has from an earlier run: none if there is no such file."""
    return [json.loads(line) for line in Path(file).read_text().splitlines()] if Path(file).exists() else []


def score(gradients: Gradients | None) -> float:
    """How bad the measurements look: 0 for a gain of 0 and a full rank."""
    if gradients is None:
        return 0.0
    gain = MOST if math.isnan(gradients.held_gain) else min(abs(gradients.held_gain), MOST)
    rank = 1.0 if gradients.effective_rank is None else gradients.effective_rank
    return gain / BUDGET + 1 - rank + 0.25 * (gradients.unpredictability or 0.0)


def row(name: str, optimizer: str, found: Sequence[Outcome]) -> list[Any]:
    """One line of the table."""
    bad = [not one.trains[optimizer] for one in found]
    said = [one.flagged[optimizer] for one in found]
    return [name, optimizer, len(found), auc([one.score for one in found], bad), *rates(said, bad)]


def main(folder: str, part: str = "1/1", file: str = os.devnull) -> None:
    """Check a part of the networks of a folder, and print the table of all that are known."""
    first, every = map(int, part.split("/"))
    known = [Outcome(**entry) for entry in written(file)]
    done = {one.number for one in known}
    nets = imported(Path(folder) / "nets.py")
    lines = list(enumerate((Path(folder) / "outcomes.jsonl").read_text().splitlines()))
    with Path(file).open("a") as kept:
        for number, line in lines[first - 1 :: every]:
            if number not in done:
                known.append(outcome(nets, number, line))
                print(json.dumps(asdict(known[-1])), file=kept, flush=True)
    print(table(known))


def table(found: Sequence[Outcome]) -> str:
    """Precision, recall and the like, for each optimizer: of all networks and of each half."""
    parts = {"all": found} | {f"half {half}": [one for one in found if one.half == half] for half in (0, 1)}
    rows = [row(name, optimizer, part) for optimizer in ("SGD", "Adam") for name, part in parts.items()]
    headers = ("networks", "does not train with", "number", "AUC", "precision", "recall", "false positives")
    return tabulate(rows, headers, floatfmt=".3f")


if __name__ == "__main__":
    main(*sys.argv[1:])
