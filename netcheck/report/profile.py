"""The gradient on its way through the net, drawn: one block a weight layer, its height the log of the gradient's norm.

gradient: ▁▁▂▂▃▄▅▅▆▇█  10^−5.0 at layers.0 ... 10^0.0 at layers.20
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from netcheck.figures.decades import Decades, signed
from netcheck.report.columns import in_columns
from netcheck.report.terminal import printable, shorten

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients, NodeProfile

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 60  # blocks at most: beyond, neighbouring layers share one
LEAST = 1.0  # decades that the blocks span at least, so that noise looks flat


def lines(gradients: Gradients) -> list[str]:
    """What a report says of the gradients under a model's findings: the profile, the numbers, the conditions."""
    found = []
    reached = [one for one in gradients.profile if one.is_weight_layer and one.gradient_norm]
    layers = [one for one in reached if math.isfinite(one.gradient_norm or 0.0)]
    if len(layers) > 1:
        first, last = layers[0], layers[-1]
        ends = f"{power(first)} at {name_of(first)} ... {power(last)} at {name_of(last)}"
        found.append(f"  gradient: {drawn([decades(one) for one in layers])}  {ends}")
    if len(layers) < len(reached):
        found.append(f"  gradient: NaN or infinite at {len(reached) - len(layers)} of {len(reached)} weight layers")
    found.append(f"  gain: {numbers(gradients)}")
    found.append(f"  measured: {gradients.conditions}")
    found += [f"  note: {printable(remark)}" for remark in gradients.remarks]
    return found


def numbers(gradients: Gradients) -> str:
    """The end-to-end gain, and what else one number says: "−5.0 decades (−0.25 a weight layer), effective rank 0.10"."""
    parts = [str(Decades(gradients.gain)) + ("" if math.isnan(gradients.gain) else " decades")]
    if gradients.slope is not None:
        parts[0] += f" ({Decades(gradients.slope.per_layer).text(2)} a weight layer)"
    if gradients.pooled:
        parts.append(f"{Decades(-gradients.pooled)} of it by averaging over positions, which is not held against it")
    if gradients.homogeneity is not None:
        parts.append(f"|g|/|w| within {number(gradients.homogeneity, '.1f')} decades")
    if gradients.effective_rank is not None:
        parts.append(f"effective rank {number(gradients.effective_rank, '.2f')}")
    return ", ".join(parts)


def drawn(logs: Sequence[float]) -> str:
    """Numbers as blocks, the highest at the top of the scale."""
    share = max(1, math.ceil(len(logs) / WIDTH))
    groups = [logs[start : start + share] for start in range(0, len(logs), share)]
    means = [sum(group) / len(group) for group in groups]
    top = max(means)
    bottom = min(*means, top - LEAST)
    steps = len(BLOCKS) - 1
    return "".join(BLOCKS[round((mean - bottom) / (top - bottom) * steps)] for mean in means)


def decades(one: NodeProfile) -> Decades:
    """Of a gradient's norm; 0 of none."""
    return Decades.of(one.gradient_norm) if one.gradient_norm else Decades(0.0)


def power(one: NodeProfile) -> str:
    """A gradient's norm as a power of ten."""
    return f"10^{decades(one).text(1, plus='')}"


def number(value: float, form: str) -> str:
    """A number in some form, or in a word where it is none."""
    return f"{value:{form}}" if math.isfinite(value) else signed(value, 0)


def name_of(one: NodeProfile) -> str:
    """What a person finds the operation by."""
    return printable(shorten(one.path or one.operation))


def table(profile: Sequence[NodeProfile]) -> str:
    """Every operation that was measured, one row each."""
    rows = [
        (
            name_of(one),
            printable(shorten(one.operation)),
            number(one.mean, ".2g"),
            number(one.rms, ".2g"),
            share(one.dead),
            share(one.saturated),
            "" if one.gradient_rms is None else number(one.gradient_rms, ".1e"),
            "" if not one.gradient_norm else decades(one).text(2),
        )
        for one in profile
    ]
    headers = ("module", "operation", "mean", "rms", "dead", "saturated", "gradient rms", "norm, decades")
    return in_columns(rows, headers, right=headers[2:])


def share(value: float | None) -> str:
    """A share as a percentage; nothing for none."""
    return number(value, ".0%") if value else ""
