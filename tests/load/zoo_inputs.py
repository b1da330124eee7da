"""How often inputs are inferred for public models, and how fast: `python -m tests.load.zoo_inputs torchvision timm transformers`.

The conventions (dummy_inputs, default_cfg, config) are switched off: only forward and the weights' shapes tell.
Models are built on the meta device where that works, so nothing is allocated.
"""

from __future__ import annotations

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
    seconds: float
    answer: str
    found: bool


def measure(name: str, build: Callable[[], nn.Module]) -> Row:
    """Build one model and infer its inputs."""
    torch.manual_seed(0)
    model = build()
    started = time.perf_counter()
    try:
        answer, found = infer_inputs(model, conventions=False).description, True
    except InputError as error:
        answer, found = str(error), False
    return Row(name, time.perf_counter() - started, answer, found)


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
        found = sum(row.found for row in rows)
        late = [row.name for row in rows if row.seconds > 3]
        times = sorted(row.seconds for row in rows) or [0.0]
        print(
            f"== {zoo}: {found}/{len(rows)} = {100 * found / max(1, len(rows)):.1f} %, median {times[len(times) // 2]:.2f} s, over 3 s: {late}\n"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
