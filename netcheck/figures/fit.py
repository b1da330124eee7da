"""What would make a training step fit a device: plain data. Imports no torch.

Fit
  +-- Peak        the most bytes at one moment, and where that is
  +-- Way         changes that bring it under the limit, with the peak that is left
        +-- Change
Inference         what it takes to be used and not trained
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peak:
    """The most bytes that one training step holds at one moment.

    Attributes:
        nbytes: how many; what libraries take for themselves while they compute is not in it.
        phase: "forward", "backward" or "update" (the optimizer's step).
        path: of the module that runs then; "" outside of any.
        parameters, gradients, optimizer, activations: what holds them; parameters with buffers, activations with inputs
            and everything that lives for a moment.
    """

    nbytes: int
    phase: str
    path: str
    parameters: int
    gradients: int
    optimizer: int
    activations: int


@dataclass(frozen=True, slots=True)
class Inference:
    """What a model takes to be used and not trained.

    Attributes:
        samples: at a time.
        context: tokens that the cache holds of each sample; 0 where nothing is cached.
        weights: bytes of parameters and buffers.
        cache: bytes of the keys and values of all attention layers, for so many samples and tokens.
        working: the most bytes of inputs and activations at one moment of forward, without gradients.
        limit: bytes of the device; None where nobody said.
        most_context: tokens for which the cache still fits; None without a cache or a limit.
    """

    samples: int
    context: int
    weights: int
    cache: int
    working: int
    limit: int | None = None
    most_context: int | None = None

    @property
    def nbytes(self) -> int:
        """All of it."""
        return self.weights + self.cache + self.working


@dataclass(frozen=True, slots=True)
class Change:
    """One change to the way a model is trained.

    Attributes:
        kind: "optimizer", "autocast", "batch", "checkpoint" or "fsdp".
        what: the change, as a phrase.
        cost: what it costs, as a phrase.
        modules: paths of the modules that it is about: those to checkpoint, or to wrap.
        number: samples of a smaller batch, or devices to shard over; 0 where there is no number.
    """

    kind: str
    what: str
    cost: str
    modules: tuple[str, ...] = ()
    number: int = 0


@dataclass(frozen=True, slots=True)
class Way:
    """Changes that together make a step fit; without any one of them it does not."""

    changes: tuple[Change, ...]
    peak: Peak


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a step fits, and what would make it.

    Attributes:
        samples: of the batch.
        limit: bytes that the device has.
        peak: of the step as built, in the model's own precision, with Adam.
        ways: the cheapest first; () where it fits, or nothing that is known would do.
    """

    samples: int
    limit: int
    peak: Peak
    ways: tuple[Way, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether the step as built is within the limit."""
        return self.peak.nbytes <= self.limit
