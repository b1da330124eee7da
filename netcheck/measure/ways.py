"""What would make a training step fit a device: the cheapest changes that bring its peak under the limit.

    fit_of(axes, samples, limit, cost) -> Fit
      +-- Course         what a step holds at each moment, by kind: in mixed precision or not, checkpointed or not
      +-- loads          the same with the parameters, by optimizer and number of devices
      +-- combinations   one change, two, three: those of which no part would do alone

The optimizer is Adam (or AdamW) to begin with. What is cheap: `PRICES`, from what changes nothing in the computation to
what takes more machines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, product

import torch

from netcheck.errors import TraceError
from netcheck.figures.batches import mean_of_means
from netcheck.figures.cost import Cost
from netcheck.figures.fit import Change, Fit, Peak, Way
from netcheck.measure.axes import BatchAxes
from netcheck.measure.blocks import Block, blocks_of
from netcheck.measure.course import Course
from netcheck.measure.moments import Moments
from netcheck.measure.scatter import chunk_sizes
from netcheck.measure.sharding import Sizes, State, loads
from netcheck.torch_versions import BatchNormalization

MOST_WAYS = 6
OPTIMIZERS = ("fused adam", "8-bit adam", "sgd")  # in the place of Adam, the cheapest first
DEVICES = tuple(2**power for power in range(1, 11))
KINDS = ("optimizer", "autocast", "batch", "checkpoint", "fsdp")
# An order, no measure: fused Adam computes the same; mixed precision rounds; small batches take longer by a little,
# checkpoints by a third; SGD has to be tuned anew; more devices cost what they cost.
PRICES = {"fused adam": 0, "autocast": 2, "8-bit adam": 3, "batch": 4, "checkpoint": 5, "sgd": 8, "fsdp": 10}


@dataclass(frozen=True)
class Setup:
    """One way to run a step.

    Attributes:
        samples: that run at once.
        optimizer: its name; see `Sizes.optimizer`.
        autocast, checkpointed: how forward runs.
        devices: that it is sharded over.
        accumulates: whether several such batches make one step.
    """

    samples: int
    optimizer: str = "adam"
    autocast: bool = False
    checkpointed: bool = False
    devices: int = 1
    accumulates: bool = False


def fit_of(axes: BatchAxes, samples: int, limit: int, cost: Cost) -> tuple[Fit, Predictor]:
    """Whether a step on this batch is within the limit, and what would bring it there.

    Args:
        axes: the model with an example of its arguments.
        samples: of the batch.
        limit: bytes.
        cost: of the step, for what is computed again.

    Returns:
        That, and what predicts other steps of the model.

    Raises:
        Exception: forward or backward do not run on fake tensors.
    """
    predictor = Predictor(axes, samples)
    found = Fit(samples, limit, predictor.peak(Setup(samples)))
    if not found.fits:
        found = replace(found, ways=tuple(_Search(predictor, limit, cost).ways())[:MOST_WAYS])
    return found, predictor


class Predictor:
    """The peak of a step, however it is run."""

    def __init__(self, axes: BatchAxes, samples: int) -> None:
        self.axes, self.samples = axes, samples
        self.blocks: list[Block] = blocks_of(axes.model)
        self.sizes = Sizes.of(axes.model, self.blocks)
        self._courses: dict[tuple[bool, bool], Course] = {}
        self._runs: dict[Setup, Moments] = {}

    def course(self, setup: Setup) -> Course:
        """That of its kind."""
        kind = (setup.autocast, setup.checkpointed)
        if kind not in self._courses:
            self._courses[kind] = Course(
                self.axes, self.samples, self.blocks, autocast=setup.autocast, checkpointed=setup.checkpointed
            )
        return self._courses[kind]

    def peak(self, setup: Setup, *, run: bool = False) -> Peak:
        """The most bytes at one moment; with `run` of a run at just this batch, not from a line through others.

        Raises:
            Exception: forward or backward do not run like this.
        """
        key = Setup(setup.samples, autocast=setup.autocast, checkpointed=setup.checkpointed)
        if run and setup.samples != self.samples:
            self._runs[key] = self.course(setup).run_at(setup.samples)
        if key not in self._runs:
            self._runs[key] = self.course(setup).at(setup.samples)
        return highest(self._runs[key], self.state(setup))

    def loads_at(self, setup: Setup) -> list[int]:
        """Bytes that come and go at each moment of a step, the optimizer's step last.

        Raises:
            TraceError: forward does other things at this batch.
        """
        moments, state = self.course(setup).at(setup.samples), self.state(setup)
        passes = [round(gradients + held) for gradients, held, _, _ in loads(moments, state)]
        return [*passes, round(state.update() + left(moments))]

    def bytes_at(self, setup: Setup) -> tuple[int, int]:
        """The most of these in forward and backward, and those of the optimizer's step."""
        *passes, update = self.loads_at(setup)
        return max(passes), update

    def state(self, setup: Setup) -> State:
        """How the model is held."""
        return State(self.sizes, setup.optimizer, setup.devices, setup.accumulates)

    def most_samples(self, setup: Setup, limit: int, most: int) -> int:
        """The most samples at a time, up to `most`, that are within the limit; 0: not one is."""
        least = 0
        while least < most:
            middle = (least + most + 1) // 2
            if self.peak(replace(setup, samples=middle)).nbytes <= limit:
                least = middle
            else:
                most = middle - 1
        return least


def highest(moments: Moments, state: State) -> Peak:
    """The highest moment of forward, backward and the optimizer's step."""
    gradients, held, place, moment = max(loads(moments, state), key=lambda load: load[0] + load[1])
    kept = left(moments)
    optimizer = state.fixed - state.parameters
    if state.update() + kept > gradients + held:
        return peak_of("update", "", state, state.gradients, optimizer, state.update() - state.gradients + kept)
    return peak_of("backward" if place[0] else "forward", moment.path, state, gradients, optimizer, held)


def left(moments: Moments) -> float:
    """Bytes that are held when backward is through: inputs, and outputs that the training loop still knows by name."""
    return next(reversed(moments.values())).held


def peak_of(phase: str, path: str, state: State, gradients: float, optimizer: int, held: float) -> Peak:
    """A peak in whole bytes."""
    total = state.parameters + optimizer + gradients + held
    return Peak(round(total), phase, path, state.parameters, round(gradients), optimizer, round(held))


class _Search:
    def __init__(self, predictor: Predictor, limit: int, cost: Cost) -> None:
        self.predictor, self.limit, self.cost = predictor, limit, cost
        self.model = predictor.axes.model

    def ways(self) -> list[Way]:
        """The cheapest changes that do; more than two at once only where fewer do not."""
        found: dict[tuple[str, ...], tuple[float, Way]] = {}
        for count in (1, 2, 3, 4):
            for kinds in combinations(self.kinds, count):
                if not any(set(less) <= set(kinds) for less in found):
                    way = self.way(kinds)
                    if way is not None:
                        found[kinds] = way
            if found and count > 1:
                break
        return [way for _, way in sorted(found.values(), key=lambda priced: priced[0])]

    @cached_property
    def kinds(self) -> list[str]:
        """The kinds of change that this model knows."""
        return [kind for kind in KINDS if self.possible(kind)]

    def possible(self, kind: str) -> bool:
        """Whether a change can be made, and runs."""
        samples = self.predictor.samples
        if kind == "batch":
            return samples > 1 and bool(self.predictor.axes.batch)
        if kind == "autocast":
            return any(p.dtype is torch.float32 for p in self.model.parameters()) and self.runs(Setup(samples, autocast=True))
        if kind == "checkpoint":
            return bool(self.predictor.blocks) and self.runs(Setup(samples, checkpointed=True))
        return True

    def runs(self, setup: Setup) -> bool:
        """Whether a step can be run like this."""
        try:
            self.predictor.peak(setup)
        except Exception:  # of the user's forward, in another precision or twice
            return False
        return True

    def way(self, kinds: Sequence[str]) -> tuple[float, Way] | None:
        """The cheapest form of these changes that fits, with its price; None if there is none."""
        for setup in self.setups(kinds):
            try:
                fitting = self.fitted(setup) if "batch" in kinds else setup
                if fitting is None:
                    continue
                peak = self.predictor.peak(fitting)
            except TraceError:
                return None
            if peak.nbytes <= self.limit:
                changes = tuple(self.change(kind, fitting) for kind in kinds)
                price = sum(PRICES[fitting.optimizer if kind == "optimizer" else kind] for kind in kinds)
                return price + fitting.devices / DEVICES[-1], Way(changes, peak)
        return None

    def setups(self, kinds: Sequence[str]) -> Iterator[Setup]:
        """The forms of these changes, the cheapest first."""
        devices = DEVICES if "fsdp" in kinds else (1,)
        optimizers = OPTIMIZERS if "optimizer" in kinds else ("adam",)
        for count, optimizer in product(devices, optimizers):
            yield Setup(
                self.predictor.samples,
                optimizer,
                autocast="autocast" in kinds,
                checkpointed="checkpoint" in kinds,
                devices=count,
            )

    def fitted(self, setup: Setup) -> Setup | None:
        """The same in the fewest equal batches that fit, as a run of just these tells; None if not one sample does."""
        whole = self.predictor.samples
        setup = replace(setup, accumulates=True)
        most = self.predictor.most_samples(setup, self.limit, whole - 1)
        while most:
            samples = -(-whole // -(-whole // most))
            found = replace(setup, samples=samples)
            if self.predictor.peak(found, run=True).nbytes <= self.limit:
                return found
            most = samples - 1
        return None

    def change(self, kind: str, setup: Setup) -> Change:
        """A change in words."""
        if kind == "optimizer":
            return Change(kind, *WORDS[setup.optimizer])
        if kind == "autocast":
            return Change(kind, "bfloat16 autocast", "activations are rounded to 8 bits; faster where there are tensor cores")
        if kind == "batch":
            return self.smaller(setup)
        paths = tuple(block.path for block in self.predictor.blocks)
        if kind == "checkpoint":
            more = self.again() / max(1, self.cost.flops)
            return Change(kind, f"checkpoint {listed(paths)}", f"{more:.0%} more operations", paths)
        wrapped = f"fully_shard {listed(paths)}, then the model" if paths else "fully_shard the model"
        cost = f"{setup.devices} devices, and parameters sent twice a step"
        return Change(kind, f"FSDP2 over {setup.devices} devices ({wrapped})", cost, paths, setup.devices)

    def smaller(self, setup: Setup) -> Change:
        """The words for a smaller batch."""
        whole, samples = self.predictor.samples, setup.samples
        cost = "no more operations, in smaller pieces"
        if any(isinstance(module, BatchNormalization) and module.training for module in self.model.modules()):
            cost = f"batch normalization sees {samples} samples and not {whole}"
        pieces = chunk_sizes(whole, -(-whole // samples))
        if pieces[-1] != samples:
            off = mean_of_means(pieces)
            cost += f"; the last has {pieces[-1]}: sum the losses and divide by {whole}, a mean of means is off by {off:.2g}"
        return Change("batch", f"batches of {samples}, {-(-whole // samples)} accumulated", cost, number=samples)

    def again(self) -> int:
        """The operations that checkpointed blocks run once more."""
        prefixes = tuple(f"{block.path}." for block in self.predictor.blocks)
        return sum(row.forward for row in self.cost.layers if f"{row.path}.".startswith(prefixes))


WORDS = {
    "fused adam": ("Adam(fused=True)", "none"),
    "8-bit adam": ("8-bit Adam", "moments are rounded to 8 bits"),
    "sgd": ("SGD with momentum", "another optimizer, to be tuned anew"),
}


def listed(paths: Sequence[str]) -> str:
    """Names in a row, as few words as tell which: "layers.0 to layers.79"."""
    heads = {path.rpartition(".")[0] for path in paths}
    if len(paths) > 3 and len(heads) < len(paths):
        return f"{paths[0]} to {paths[-1]}"
    return " and ".join(part for part in (", ".join(paths[:-1]), *paths[-1:]) if part)
