"""Reports with everything in them, from plain data."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from netcheck.figures.batches import Batches, Comparison, Input, Operation, Shard
from netcheck.figures.cost import Cost, LayerCost, Memory
from netcheck.figures.gradients import Gradients, NodeProfile, Slope
from netcheck.findings import Evidence, Finding, Layer, Location, Report, Severity, Summary, Verdict

SOURCE = """\
class TanhStack(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(20)])

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x
"""


def gradients(layers: int = 20, **changes: object) -> Gradients:
    """What a probe would measure on that many tanh layers: the gradient grows by half a decade a layer."""
    profile = []
    for i in range(layers):
        norm = 10 ** (0.5 * (i - layers + 1))
        linear = NodeProfile(f"layers_{i}", f"layers.{i}", "nn.Linear", "linear", 0.0, 0.6, None, None, norm / 8, norm, True)
        tanh = NodeProfile(f"tanh_{i}", "", "torch.tanh", "activation", 0.0, 0.5, None, 0.25, norm / 8, norm, False)
        profile += [linear, tanh]
    values = {
        "gain": -0.5 * layers,
        "gain_spread": 0.1,
        "profile": tuple(profile),
        "parameters": (),
        "homogeneity": 4.0,
        "effective_rank": 0.1,
        "between_sample_variance": 0.2,
        "unpredictability": None,
        "slope": Slope(-0.5, 0.99, layers),
        "range": 9.5,
        "first_nonfinite": None,
        "device": "cpu",
        "dtype": "float64",
        "batch": 32,
        "passes": 3,
        "seed": 0,
    }
    return Gradients(**{**values, **changes})  # type: ignore[arg-type]


def cost(**changes: object) -> Cost:
    """A step of two samples, with Adam's update as the peak."""
    mib = 2**20
    memory = {
        "sgd": Memory(10 * mib, 10 * mib, 10 * mib, 40 * mib, 10 * mib),
        "adam": Memory(10 * mib, 10 * mib, 20 * mib, 15 * mib, 10 * mib),
    }
    layers = tuple(LayerCost(f"layers.{i}", "nn.Linear", 10**9, 2 * 10**9, mib, (i + 1) * mib) for i in range(20))
    values = {
        "batch_size": 2,
        "forward": 10**9,
        "backward": 2 * 10**9,
        "parameters": 10 * mib,
        "trainable": 10 * mib,
        "saved_bytes": 30 * mib,
        "memory": memory,
        "device_memory": 50 * mib,
        "largest_batch": {"sgd": 3, "adam": 2},
        "layers": layers,
    }
    return Cost(**{**values, **changes})  # type: ignore[arg-type]


def batches(**changes: object) -> Batches:
    """A batch of 5 over 3 devices of which two get two samples; a batch normalization mixes them."""
    values = {
        "batch_size": 5,
        "devices": 3,
        "shards": tuple(Shard(i, n, ((n, 64),), memory=cost().memory) for i, n in enumerate((2, 2, 1))),
        "inputs": (Input("x", (5, 64), 0),),
        "mixing": (Operation("norm", "nn.BatchNorm1d", "normalization", "batch", "layers.3"),),
        "comparison": Comparison(5, "float64", 0.25, 0.5, 0.5, engine="replicas on the CPU"),
    }
    return Batches(**{**values, **changes})  # type: ignore[arg-type]


def report(folder: Path, **changes: object) -> Report:
    """A deep tanh net with a finding of each kind, measured and costed; its source is written into `folder`."""
    file = folder / "model.py"
    file.write_text(SOURCE)
    built = Location(str(file), 4, 38, 4, 55, function="TanhStack.__init__")
    called = Location(str(file), 8, 17, 8, 37, function="TanhStack.forward")
    modules = tuple(f"layers.{i}" for i in range(20))
    poor = Finding(
        "NC501",
        "poor-init",
        Severity.ERROR,
        "the gradient loses 10 decades",
        "initialize with `nn.init.xavier_uniform_(layer.weight, gain=5/3)`\nor: skips",
        Evidence(-10.0, "decades", "measured gain −10.0 decades, budget ±3", 3.0),
        verdict=Verdict.CONFIRMED,
        modules=modules,
        locations=(built, called),
        count=20,
    )
    bias = Finding(
        "NC302",
        "bias-before-norm",
        Severity.INFO,
        "a bias",
        "bias=False",
        Evidence(1.0, "layers", "1 layer"),
        modules=("head",),
    )
    cleared = Finding(
        "NC401",
        "no-skip-connection",
        Severity.WARNING,
        "no skips",
        "add some",
        Evidence(1.0, "", ""),
        verdict=Verdict.CLEARED,
    )
    layers: list[Layer] = []
    for module in modules:
        layers += [
            Layer(module, "nn.Linear", "linear", (2, 64), 4160, built),
            Layer("", "torch.tanh", "activation", (2, 64), 0, called),
        ]
    layers.append(Layer("head", "nn.Linear", "linear", (2, 4), 260, built))
    values = {
        "model": "TanhStack",
        "findings": [poor, bias, cleared],
        "summary": Summary(41, 21, 83460, 21, 21, layers=tuple(layers)),
        "inputs": "x float32 (2, 64), inferred",
        "target": f"{file}:TanhStack",
        "gradients": gradients(),
        "known_batches": batches(),
        "known_cost": cost(),
    }
    return Report(**{**values, **changes})  # type: ignore[arg-type]


def with_floats(value: Any, number: float) -> Any:
    """A dataclass of measurements with `number` for each of its floats."""
    changed = {one.name: number for one in fields(value) if isinstance(getattr(value, one.name), float)}
    return replace(value, **changed)


def measured(number: float) -> Gradients:
    """Measurements of which nothing is a number."""
    plain = gradients(3)
    profile = tuple(with_floats(replace(one, dead=0.5, saturated=0.5), number) for one in plain.profile)
    slope = with_floats(plain.slope, number)
    return with_floats(replace(plain, profile=profile, slope=slope, unpredictability=0.5), number)


def without_numbers(folder: Path, number: float) -> Report:
    """A report in which every float is `number`, which is none."""
    split = batches()
    shards = tuple(replace(shard, loss=number) for shard in split.shards)
    split = replace(split, shards=shards, comparison=with_floats(split.comparison, number))
    evidence = Evidence(number, "decades", f"{number} decades", number)
    finding = Finding("NC601", "vanishing-gradient", Severity.ERROR, "it is not finite", "mend it", evidence)
    return report(folder, gradients=measured(number), known_batches=split, findings=[finding], seconds=number)
