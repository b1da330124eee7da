"""How often inputs are inferred for public models, and how fast: `python -m tests.load.zoo_inputs timm`.

The conventions (dummy_inputs, default_cfg, config) are switched off: only forward and the weights' shapes
tell. Zoos: torchvision, timm, transformers; `transformers:Bert` runs those with Bert in their names.
Models are built on the meta device where that works, so nothing is allocated.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from netcheck.errors import InputError
from netcheck.load.inputs import infer_inputs
from tests.load.zoo_models import timm_models, torchvision_models, transformers_models

ZOOS: dict[str, Callable[[], Iterator[tuple[str, Callable[[], nn.Module]]]]] = {
    "torchvision": torchvision_models,
    "timm": timm_models,
    "transformers": transformers_models,
}


@dataclass
class Row:
    """What came of one model."""

    name: str
    seconds: float  # by the wall clock
    cpu_seconds: float  # of this thread, whatever else the machine does
    answer: str
    found: bool


def measure(name: str, build: Callable[[], nn.Module]) -> Row:
    """Build one model and infer its inputs."""
    torch.manual_seed(0)
    model = build()
    started, cpu = time.perf_counter(), time.thread_time()
    try:
        answer, found = infer_inputs(model, conventions=False).description, True
    except InputError as error:
        answer, found = str(error), False
    return Row(name, time.perf_counter() - started, time.thread_time() - cpu, answer, found)


def measure_all(zoo: str, only: str = "") -> list[Row]:
    """Every model of a zoo whose name holds `only`."""
    return [measure(name, build) for name, build in ZOOS[zoo]() if only in name]


def main(zoos: list[str]) -> None:
    """Print a line for each model, and the share that was found."""
    for chosen in zoos or list(ZOOS):
        zoo, _, only = chosen.partition(":")
        rows = []
        for name, build in ZOOS[zoo]():
            if only in name:
                rows.append(row := measure(name, build))
                print(
                    f"{'' if row.found else 'FAILED '}{row.name:45s} {row.seconds:6.2f} s  {row.answer}",
                    flush=True,
                )
        print(summary(zoo, rows) + "\n")


def summary(zoo: str, rows: list[Row]) -> str:
    """One line: the share that was found, the times."""
    found, late = sum(row.found for row in rows), [row.name for row in rows if row.seconds > 3]
    median = statistics.median(row.seconds for row in rows) if rows else 0.0
    slowest = max((row.cpu_seconds for row in rows), default=0.0)
    share = 100 * found / max(1, len(rows))
    times = f"median {median:.2f} s, most CPU {slowest:.2f} s, over 3 s: {late}"
    return f"== {zoo}: {found}/{len(rows)} = {share:.1f} %, {times}"


if __name__ == "__main__":
    main(sys.argv[1:])
