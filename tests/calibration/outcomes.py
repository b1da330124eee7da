"""Train the networks of `networks.py`, and keep whether each trained.

    python -m tests.calibration.outcomes FILE.jsonl FIRST LAST       numbers FIRST to LAST - 1 of each family

A network trains if, with momentum SGD or with Adam at any of some rates, its progress (see `tasks.py`, the mean of the last
20 batches) reaches 0.75 within 300 steps of 64 samples. A run ends there, where its loss is no number, and where
nothing is learned after 150 steps. Lines that a file has are kept: what was interrupted goes on.
"""

from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch

from tests.calibration.networks import FAMILIES, FORMS, Config, build, draw
from tests.calibration.tasks import TASKS

STEPS, SAMPLES, WINDOW = 300, 64, 20
TRAINED = 0.75
LOST = 0.05  # progress, below which a run ends after `PATIENCE` steps
PATIENCE = 150
RATES = {"sgd": (0.1, 0.01, 0.03, 0.001), "adam": (3e-3, 3e-4, 1e-2)}
SMALLER = (1e-4, 1e-5)  # where the smallest of these diverges


def trained(config: Config, optimizer: str, rate: float) -> tuple[float, int]:
    """The progress that a network makes, and after how many steps."""
    model, task = build(config).train(), TASKS[config["task"]]
    generator = torch.Generator().manual_seed(config["seed"])
    parameters = model.parameters()
    descent = torch.optim.SGD(parameters, rate, momentum=0.9) if optimizer == "sgd" else torch.optim.Adam(parameters, rate)
    last: list[float] = []
    for step in range(STEPS):
        inputs, targets = task.batch(FORMS[config["family"]], SAMPLES, generator)
        outputs = model(inputs)
        loss = task.loss(outputs, targets)
        if not math.isfinite(loss.item()):
            return 0.0, step
        last = [*last[1 - WINDOW :], task.progress(outputs.detach(), targets)]
        if len(last) == WINDOW and mean(last) >= TRAINED:
            return mean(last), step
        if step == PATIENCE and mean(last) < LOST:
            return max(0.0, mean(last)), step
        descent.zero_grad()
        loss.backward()
        descent.step()
    return max(0.0, mean(last)), STEPS


def mean(values: list[float]) -> float:
    """Their mean."""
    return sum(values) / len(values)


def best(config: Config, optimizer: str) -> dict[str, Any]:
    """The run that goes furthest: no further rate is tried where one trains."""
    found, diverged = {"progress": -1.0}, False
    for rate in (*RATES[optimizer], *SMALLER):
        if rate in SMALLER and not diverged:
            break
        progress, steps = trained(config, optimizer, rate)
        if rate <= min(RATES[optimizer]):
            diverged = progress == 0 and steps < PATIENCE
        if progress > found["progress"]:
            found = {"progress": round(progress, 4), "rate": rate, "steps": steps}
        if progress >= TRAINED:
            break
    return found


def entries(file: Path) -> list[dict[str, Any]]:
    """The lines of a file, if it is there."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def numbered(first: int, last: int) -> Iterator[tuple[str, Config]]:
    """The networks with these numbers, of each family in turn, and a name for each."""
    for number, family in product(range(first, last), FAMILIES):
        yield f"{family} {number}", draw(family, random.Random(f"{family} {number}"))


def main(file: str, first: str, last: str) -> None:
    """Train a part, and append a line for each network to the file."""
    torch.set_num_threads(1)
    path = Path(file)
    done = {entry["name"] for entry in entries(path)}
    with path.open("a") as kept:
        for name, config in numbered(int(first), int(last)):
            if name not in done:
                outcome = {optimizer: best(config, optimizer) for optimizer in RATES}
                print(json.dumps({"name": name, "config": config, **outcome}), file=kept, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
