"""Hold netcheck's verdict against small networks at PyTorch's own initialization: train them, and see which it warned of.

    python tests/calibration/small_nets.py [FILE]

Networks as a student would write them: fully connected (4 to 8 layers of 16 to 128 units) and convolutional (4 to 10 layers
of 8 or 16 channels), without normalization or skips, with six activations; inputs are (N, 3, 16, 16), ten smooth
random images, shifted and with noise, as classes. A network counts as trained if SGD with momentum 0.9, at a rate of 0.1
or 0.01, brings the accuracy over ten batches of 64 to 0.85 within 200 steps. Takes a few minutes. With FILE, each
outcome is appended to it at once, and networks that are in it are not trained again.

Printed: precision and recall of all warnings about gradients and collapse, then for each code how many of the networks that
it warns of trained. These networks show false alarms: the size of their gradients is bad, but not bad enough.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise, product
from pathlib import Path

import torch
import torch.nn.functional as F
from static_gain import rates
from tabulate import tabulate
from torch import nn
from verdict import warnings_in, written

import netcheck

ACTIVATIONS = {kind.__name__: kind for kind in (nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.ELU, nn.Tanh)}
SIZE, CLASSES = 16, 10
TRAINED = 0.85


@dataclass(frozen=True)
class Config:
    """One network."""

    convolutional: bool
    activation: str
    width: int
    depth: int  # weight layers, the head among them


@dataclass(frozen=True)
class Outcome:
    """What netcheck warns of, and whether the network trained."""

    config: Config
    codes: tuple[str, ...]
    accuracy: float


def configs() -> Iterator[Config]:
    """All networks."""
    for depth, width, activation in product((4, 5, 6, 8), (16, 32, 64, 128), ACTIVATIONS):
        yield Config(False, activation, width, depth)
    for depth, width, activation in product((4, 6, 8, 10), (8, 16), ACTIVATIONS):
        yield Config(True, activation, width, depth)


def build(config: Config) -> nn.Sequential:
    """A network at its first initialization; the same at every call."""
    torch.manual_seed(0)
    activation = ACTIVATIONS[config.activation]
    if not config.convolutional:
        sizes = [3 * SIZE**2, *[config.width] * (config.depth - 1)]
        layers = [part for n, m in pairwise(sizes) for part in (nn.Linear(n, m), activation())]
        return nn.Sequential(nn.Flatten(), *layers, nn.Linear(config.width, CLASSES))
    parts: list[nn.Module] = []
    channels, last = 3, config.depth - 1
    for number in range(last):
        wider = config.width * (2 if number >= last // 2 else 1)
        parts += [nn.Conv2d(channels, wider, 3, padding=1), activation()]
        parts += [nn.AvgPool2d(2)] if number in (last // 3, 2 * last // 3) else []
        channels = wider
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(channels * (SIZE // 4) ** 2, CLASSES))


def data(samples: int = 2048) -> tuple[torch.Tensor, torch.Tensor]:
    """Standardized images (samples, 3, 16, 16) and their classes (samples,)."""
    random = torch.Generator().manual_seed(3)
    prototypes = F.interpolate(torch.randn(CLASSES, 3, 6, 6, generator=random), size=SIZE + 4, mode="bilinear")
    labels = torch.randint(CLASSES, (samples,), generator=random)
    shifts = torch.randint(5, (samples, 2), generator=random).tolist()
    images = torch.stack(
        [prototypes[label, :, i : i + SIZE, j : j + SIZE] for label, (i, j) in zip(labels.tolist(), shifts, strict=True)]
    )
    images = images + 0.5 * torch.randn(images.shape, generator=random)
    return (images - images.mean()) / images.std(), labels


def trained(config: Config, images: torch.Tensor, labels: torch.Tensor, rate: float, steps: int = 200) -> float:
    """The best accuracy over ten batches; stops at what counts as trained, and at chance halfway."""
    model = build(config).train()
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    random = torch.Generator().manual_seed(1)
    recent: list[float] = []
    best = 0.0
    for step in range(steps):
        chosen = torch.randint(len(images), (64,), generator=random)
        output = model(images[chosen])
        loss = F.cross_entropy(output, labels[chosen])
        if not torch.isfinite(loss) or best >= TRAINED or (step > steps // 2 and best < 2 / CLASSES):
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recent = [*recent, float((output.argmax(1) == labels[chosen]).float().mean())][-10:]
        best = max(best, sum(recent) / 10)
    return best


def outcome(config: Config, images: torch.Tensor, labels: torch.Tensor) -> Outcome:
    """One network, checked and trained."""
    inputs = torch.randn(32, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    report = netcheck.check(build(config).train(), inputs, optimizer="sgd", remedies=False)
    accuracy = 0.0
    for rate in (0.1, 0.01):
        accuracy = max(accuracy, trained(config, images, labels, rate))
        if accuracy >= TRAINED:
            break
    return Outcome(config, tuple(sorted(warnings_in(report))), accuracy)


def table(found: list[Outcome]) -> str:
    """The figures."""
    bad = [one.accuracy < TRAINED for one in found]
    precision, recall, _ = rates([bool(one.codes) for one in found], bad)
    codes = sorted({code for one in found for code in one.codes})
    rows = [
        [code, sum(code in one.codes for one in found), sum(code in one.codes and one.accuracy >= TRAINED for one in found)]
        for code in codes
    ]
    head = f"{len(found)} networks, {sum(bad)} did not train; precision {precision:.3f}, recall {recall:.3f}"
    return f"{head}\n{tabulate(rows, headers=['warning', 'networks', 'of these trained'])}"


def main(file: str = os.devnull) -> None:
    """Check and train all networks, and print the table."""
    known = [Outcome(Config(**entry["config"]), tuple(entry["codes"]), entry["accuracy"]) for entry in written(file)]
    done = {one.config for one in known}
    images, labels = data()
    with Path(file).open("a") as kept:
        for config in configs():
            if config not in done:
                known.append(outcome(config, images, labels))
                print(json.dumps(asdict(known[-1])), file=kept, flush=True)
    print(table(known))


if __name__ == "__main__":
    main(*sys.argv[1:])
