"""What the runs of shards gave, put together, and how far that is from what the whole batch gave.

loss = Loss(cotangents, axes)               <c, y> of one run, a mean over its samples
joined_outputs(shards, axes, weights)       y_0, y_1 ... side by side
difference(ours, theirs)                    ||ours - theirs|| / ||theirs||
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

Axes = Sequence[int | None]  # of each output, the dimension that holds the batch; None: it has none


@dataclass(frozen=True)
class Result:
    """What one run gave: the floating-point tensors of the output, and a gradient by parameter."""

    outputs: list[torch.Tensor]
    gradients: dict[str, torch.Tensor]
    unused: tuple[str, ...] = ()

    def gradients_differ(self, others: Mapping[str, torch.Tensor]) -> float:
        """How far gradients of another run are from these, over the parameters that both have."""
        names = [name for name in self.gradients if name in others]
        return difference([others[name] for name in names], [self.gradients[name] for name in names])


@dataclass(frozen=True)
class Loss:
    """<c, y> for one random cotangent c, a mean over samples where the output has a batch.

    Attributes:
        cotangents: one for each output of the whole batch, of its shape.
        axes: the batch dimension of each; its size is a multiple or a fraction of the batch where forward folds others into it.
        samples: of the whole batch.
    """

    cotangents: Sequence[torch.Tensor]
    axes: Axes
    samples: int

    def __call__(self, outputs: Sequence[torch.Tensor], start: int, size: int) -> torch.Tensor | None:
        """Of the outputs for `size` samples from `start` on; None if none of them has a gradient."""
        terms = []
        for output, cotangent, axis in zip(outputs, self.cotangents, self.axes, strict=True):
            if output.requires_grad:
                part = cotangent if axis is None else self.part(cotangent, axis, start, output)
                if part is not None and part.shape == output.shape:
                    terms.append((part.to(output.device) * output).sum() / (1 if axis is None else size))
        return torch.stack(terms).sum() if terms else None

    def part(self, cotangent: torch.Tensor, axis: int, start: int, output: torch.Tensor) -> torch.Tensor | None:
        """The cotangent for the output of the samples from `start` on; None if these do not begin on a row of the output."""
        first, beside = divmod(start * cotangent.shape[axis], self.samples)
        if beside or output.dim() != cotangent.dim() or first + output.shape[axis] > cotangent.shape[axis]:
            return None
        return cotangent.narrow(axis, first, output.shape[axis])


def batch_axis(whole: torch.Tensor, parts: Sequence[torch.Tensor]) -> int | None:
    """The dimension in which the parts lie side by side in the whole; None if there is none."""
    for axis, size in enumerate(whole.shape):
        rest = {(*t.shape[:axis], *t.shape[axis + 1 :]) for t in (whole, *parts) if t.dim() == whole.dim()}
        if len(rest) == 1 and all(t.dim() == whole.dim() for t in parts) and sum(t.shape[axis] for t in parts) == size:
            return axis
    return None


def joined_outputs(
    shards: Sequence[Sequence[torch.Tensor]], batch: Sequence[int | None], weights: Sequence[float]
) -> list[torch.Tensor]:
    """The shards' outputs as one batch's; what has no batch, as a loss, is averaged by samples."""
    joined = []
    for parts, axis in zip(zip(*shards, strict=True), batch, strict=True):
        if axis is not None:
            joined.append(torch.cat(list(parts), dim=axis))
        elif len({part.shape for part in parts}) == 1:
            joined.append(sum_of(parts, weights))
        else:
            joined.append(parts[0])
    return joined


def sum_of(tensors: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
    """The weighted sum."""
    total = tensors[0] * weights[0]
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        total.add_(tensor, alpha=weight)
    return total


def gradient_difference(shards: Sequence[Result], weights: Sequence[float], whole: Result) -> float:
    """The relative difference of the shards' weighted gradients from the whole batch's, over all parameters."""
    mine, theirs = [], []
    for name, gradient in whole.gradients.items():
        parts = [(shard.gradients[name], w) for shard, w in zip(shards, weights, strict=True) if name in shard.gradients]
        mine.append(sum_of(*zip(*parts, strict=True)) if parts else torch.zeros_like(gradient))
        theirs.append(gradient)
    return difference(mine, theirs)


def difference(ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor]) -> float:
    """||ours - theirs|| / ||theirs|| over all tensors; infinite where shapes differ or values are not finite in one alone."""
    numerator, denominator = 0.0, 0.0
    for one, other in zip(ours, theirs, strict=True):
        one, other = one.detach(), other.detach()
        if one.shape != other.shape:
            return float("inf")
        off, size = float(torch.dist(one, other)), float(torch.linalg.vector_norm(other))
        if not (math.isfinite(off) and math.isfinite(size)):  # rare, and several times slower
            finite = other.isfinite()
            if not torch.equal(one.isfinite(), finite):
                return float("inf")
            off, size = float(torch.dist(one[finite], other[finite])), float(torch.linalg.vector_norm(other[finite]))
        numerator, denominator = numerator + off**2, denominator + size**2
    return float((numerator / denominator) ** 0.5) if denominator else float(numerator > 0)
