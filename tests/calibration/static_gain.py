"""Hold the static verdict against networks whose training was measured.

    python tests/calibration/static_gain.py FOLDER

FOLDER has `outcomes.jsonl`, one network a line (`config`, `trains_with_sgd`, `trains_with_adam`), and `nets.py` whose
`make(config)` builds it; inputs are (N, 64). Nothing is trained here. Printed, for "does not train" with each optimizer:
AUC of |static gain|; precision, recall and false-positive rate of |static gain| > 3, and of any static warning or error.
Then the same for the gain measured by a vector-Jacobian product in float64, and how well the two agree.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from tabulate import tabulate
from torch import nn

import netcheck
from netcheck.trace.gain import Network
from netcheck.trace.run import trace

BUDGET = 3.0  # decades
SAMPLES = 32


@dataclass(frozen=True)
class Outcome:
    """One network: what netcheck says of it, and whether it trained."""

    estimated: float  # static gain, decades
    measured: float  # the same by a backward pass
    flagged: bool  # any static warning or error
    trains: dict[str, bool]


def outcomes(folder: Path) -> Iterator[Outcome]:
    """Every network of a folder, checked."""
    nets = imported(folder / "nets.py")
    for line in (folder / "outcomes.jsonl").read_text().splitlines():
        entry = json.loads(line)
        model = nets.make(entry["config"]).train()
        inputs = torch.randn(SAMPLES, 64, generator=torch.Generator().manual_seed(0))
        estimated = Network(trace(model, (inputs,))).estimate().gain
        flagged = not netcheck.check(model, inputs, probe=False).ok
        trains = {"SGD": entry["trains_with_sgd"], "Adam": entry["trains_with_adam"]}
        yield Outcome(estimated, measured_gain(model.double(), inputs.double()), flagged, trains)


def imported(file: Path) -> ModuleType:
    """The module in a file, which need not be on the path."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measured_gain(model: nn.Module, inputs: torch.Tensor) -> float:
    """log10(|J^T v| / |v|) from the input (N, 64) to the head's input, v Gaussian; -60 where nothing arrives."""
    reached: dict[str, torch.Tensor] = {}
    handle = model.head.register_forward_pre_hook(lambda module, args: reached.update(x=args[0]))
    x = inputs.clone().requires_grad_(True)
    model(x)
    handle.remove()
    cotangent = torch.randn(reached["x"].shape, dtype=x.dtype, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(reached["x"], x, cotangent)
    gain = torch.log10(gradient.norm() / cotangent.norm())
    return float(gain.nan_to_num(60.0).clamp(-60, 60))


def auc(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """The probability that a positive has a higher score than a negative; ties count half."""
    high = [s for s, p in zip(scores, positive, strict=True) if p]
    low = [s for s, p in zip(scores, positive, strict=True) if not p]
    wins = sum((a > b) + 0.5 * (a == b) for a in high for b in low)
    return wins / (len(high) * len(low))


def rates(flags: Sequence[bool], bad: Sequence[bool]) -> tuple[float, float, float]:
    """Precision, recall and false-positive rate of flags."""
    caught = sum(f and b for f, b in zip(flags, bad, strict=True))
    return caught / max(1, sum(flags)), caught / sum(bad), (sum(flags) - caught) / (len(bad) - sum(bad))


def row(name: str, optimizer: str, scores: Sequence[float], flags: Sequence[bool], bad: Sequence[bool]) -> list[Any]:
    """One line of the table."""
    return [name, optimizer, auc(scores, bad), *rates(flags, bad)]


def main(folder: str) -> None:
    """Print the tables for one folder."""
    found = list(outcomes(Path(folder)))
    rows = []
    for optimizer in ("SGD", "Adam"):
        bad = [not one.trains[optimizer] for one in found]
        for name in ("estimated", "measured"):
            size = [abs(getattr(one, name)) for one in found]
            rows.append(row(f"|{name} gain| > {BUDGET:g}", optimizer, size, [s > BUDGET for s in size], bad))
        flagged = [one.flagged for one in found]
        rows.append(row("any static warning", optimizer, [float(f) for f in flagged], flagged, bad))
    headers = ("does not train", "optimizer", "AUC", "precision", "recall", "false positives")
    print(tabulate(rows, headers, floatfmt=".3f"))
    finite = [one for one in found if abs(one.measured) < 50]
    pair = torch.tensor([[one.estimated, one.measured] for one in finite])
    print(f"\n{len(found)} networks; correlation of estimate and measurement {torch.corrcoef(pair.T)[0, 1]:.3f}, "
          f"median difference {(pair[:, 0] - pair[:, 1]).abs().median():.2f} decades")  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
