"""What netcheck measures of the networks whose outcomes are known, beside whether they trained.

    python -m tests.calibration.features OUTCOMES.jsonl FEATURES.jsonl      a line a network; lines that are there are kept

Each network is checked as a user would check it: built by its configuration, on one batch of its own task.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

import netcheck
from netcheck.findings import Report, Severity
from tests.calibration.networks import FORMS, Config, build
from tests.calibration.outcomes import SAMPLES, TRAINED, entries
from tests.calibration.tasks import TASKS

GRADIENTS = ("NC1", "NC3", "NC4", "NC5", "NC6")  # the rules that speak of gradients


def checked(config: Config, *, remedies: bool = True, passes: int = 3) -> Report:
    """A network as the rules about gradients see it, on one batch of its own task."""
    model = build(config).train()
    inputs, _ = TASKS[config["task"]].batch(FORMS[config["family"]], SAMPLES, torch.Generator().manual_seed(config["seed"]))
    return netcheck.check(model, inputs, device="cpu", remedies=remedies, seeds=passes, select=GRADIENTS)


def features(config: Config) -> dict[str, Any]:
    """The measurements of one network, and the codes of the warnings and errors about its gradients."""
    report = checked(config, remedies=False, passes=1)
    found: dict[str, Any] = {"warned": [one.code for one in report.at_least(Severity.WARNING) if one.code.startswith(GRADIENTS)]}
    if (measured := report.gradients) is not None and report.graph is not None:
        found |= {
            "gain": float(measured.gain),
            "held": float(measured.held_gain),
            "rank": measured.effective_rank,
            "differing": measured.between_sample_variance,
            "unpredictability": measured.unpredictability,
            "homogeneity": measured.homogeneity,
            "recurrent": measured.recurrent,
            "range": measured.range,
            "depth": report.summary.depth if report.summary else 0,
            "plain": report.summary.plain_depth if report.summary else 0,
            "dead": max(measured.dead.values(), default=0.0),
            "static": float(report.graph.diagnosis.gain),
        }
    return found


def main(outcomes: Path, target: Path) -> None:
    """Check every network of a file of outcomes."""
    known = {entry["name"] for entry in entries(target)}
    with target.open("a") as file:
        for entry in entries(outcomes):
            if entry["name"] in known:
                continue
            trained = {name: entry[name]["progress"] >= TRAINED for name in ("sgd", "adam")}
            row = {"name": entry["name"], "family": entry["config"]["family"], **trained, **features(entry["config"])}
            file.write(json.dumps(row) + "\n")
            file.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
