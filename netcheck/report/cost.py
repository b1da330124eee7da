"""What a training step costs, for a person: one line, what would make it fit, and a table by layer.

cost: 24.4 GFLOPs and 82.3 MiB of saved activations a step of 2 samples, 516.1 MiB at the peak with Adam
"""

from __future__ import annotations

from netcheck.figures.cost import Cost
from netcheck.figures.fit import Fit, Inference, Way
from netcheck.report.columns import in_columns
from netcheck.report.terminal import printable, shorten

NAMES = {"sgd": "SGD", "adam": "Adam"}


def line(cost: Cost) -> str:
    """The cost in one line."""
    batch = f" of {counted(cost.batch_size)}" if cost.batch_size else ""
    parts = [
        f"cost: {flops(cost.flops)} and {size(cost.saved_bytes)} of saved activations a step{batch}",
        f"{size(cost.peak_bytes)} at the peak with Adam",
    ]
    if cost.device_memory and cost.largest_batch:
        fits = " or ".join(f"{samples:,} with {NAMES[name]}" for name, samples in cost.largest_batch.items())
        parts.append(f"largest batch in {size(cost.device_memory)}: {fits}")
    if cost.scaled_from:
        parts.append(f"carried on from batches of {' and '.join(map(str, cost.scaled_from))}")
    if cost.uncounted:
        parts.append(f"{len(cost.uncounted):,} operations not counted")
    return ", ".join(parts)


def fit_lines(fit: Fit) -> list[str]:
    """Whether a step fits the device, where its peak is, and what would make it fit."""
    peak = fit.peak
    parts = ("parameters", "gradients", "optimizer", "activations")
    held = ", ".join(f"{part} {size(getattr(peak, part))}" for part in parts)
    verdict = "fits" if fit.fits else "does not fit"
    lines = [f"{size(peak.nbytes)} at the peak, {moment(fit)}: {verdict} into {size(fit.limit)} ({held})"]
    if fit.ways:
        lines += ["what would make it fit, the cheapest first:", *(f"  {way_text(way)}" for way in fit.ways)]
    elif not fit.fits:
        lines.append("no change that is known makes it fit: a smaller model does, or one of which less is trained")
    return lines


def inference_line(used: Inference) -> str:
    """What the model takes to be used."""
    cache = f"cache of {used.context:,} tokens {size(used.cache)}, " if used.cache else ""
    held = f"weights {size(used.weights)}, {cache}working {size(used.working)}"
    text = f"to be used on {counted(used.samples)}: {size(used.nbytes)} ({held})"
    if used.limit is None:
        return text
    text += f": {'fits' if used.nbytes <= used.limit else 'does not fit'} into {size(used.limit)}"
    return text if used.most_context is None else f"{text}, which holds {used.most_context:,} tokens"


def moment(fit: Fit) -> str:
    """When the peak is reached, and where."""
    if fit.peak.phase == "update":
        return "in the optimizer's step"
    return f"in {fit.peak.phase}" + (f" at {printable(shorten(fit.peak.path))}" if fit.peak.path else "")


def way_text(way: Way) -> str:
    """One way to fit: the peak that it leaves, what to change, and what that costs."""
    changes = "; ".join(f"{printable(change.what)} ({change.cost})" for change in way.changes)
    return f"{size(way.peak.nbytes)}: {changes}"


def table(cost: Cost) -> str:
    """The table by layer: FLOPs, parameters, and activations that are saved for backward."""
    rows = [
        (
            printable(shorten(row.path)) or "(root)",
            printable(shorten(row.operation)),
            flops(row.forward) if row.forward else "",
            flops(row.backward) if row.backward else "",
            size(row.parameters) if row.parameters else "",
            size(row.saved) if row.saved else "",
        )
        for row in cost.layers
    ]
    headers = ("module", "operation", "forward", "backward", "parameters", "saved")
    return in_columns(rows, headers, right=headers[2:])


def counted(samples: int) -> str:
    """A number of samples."""
    return f"{samples:,} sample{'' if samples == 1 else 's'}"


def flops(number: float) -> str:
    """A number of FLOPs with three digits: "24.4 GFLOPs"."""
    return scaled(number, 1000, ("", "K", "M", "G", "T", "P", "E")) + "FLOPs"


def size(number: float) -> str:
    """A number of bytes: "82.3 MiB"."""
    return scaled(number, 1024, ("", "Ki", "Mi", "Gi", "Ti", "Pi")) + "B"


def scaled(number: float, base: int, prefixes: tuple[str, ...]) -> str:
    """A number, a space and the largest prefix that leaves something in front of the point."""
    power = 0
    while number >= base and power < len(prefixes) - 1:
        number, power = number / base, power + 1
    return f"{number:,.1f} {prefixes[power]}" if power else f"{number:,.0f} "
