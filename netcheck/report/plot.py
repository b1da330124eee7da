"""The gradient on its way through the net, as a plot. Needs matplotlib: `pip install 'torch-netcheck[plot]'`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from netcheck.errors import NetcheckError
from netcheck.report import profile

if TYPE_CHECKING:
    from netcheck.findings import Report

MOST_NAMES = 12  # layers that are named along the axis


def gradients(report: Report, axes: Any = None) -> Any:
    """Draw the gradient's norm at every weight layer, on a log scale, the input on the left.

    Args:
        report: of a check that has run the model for real.
        axes: matplotlib's, to draw into; None makes a figure.

    Returns:
        The axes.

    Raises:
        NetcheckError: nothing was measured, or matplotlib is not installed.
    """
    if report.gradients is None:
        raise NetcheckError(
            f"no gradients of {report.model} were measured", help="check it with probe=True, which is the default"
        )
    reached = [one for one in report.gradients.profile if one.is_weight_layer and one.gradient_norm]
    layers = [one for one in reached if math.isfinite(one.gradient_norm or 0.0)]
    if axes is None:
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise NetcheckError("matplotlib is not installed", help="pip install 'torch-netcheck[plot]'") from error
        axes = pyplot.figure().add_subplot()
    numbers = range(1, len(layers) + 1)
    axes.semilogy(numbers, [one.gradient_norm for one in layers], marker="o", markersize=3)
    axes.axhline(1.0, color="grey", linewidth=0.8, linestyle=":")
    step = -(-len(layers) // MOST_NAMES) or 1
    axes.set_xticks(list(numbers)[::step], [profile.name_of(one) for one in layers[::step]], rotation=45, ha="right")
    axes.set_xlabel("weight layers, from the input to the head")
    axes.set_ylabel("norm of the gradient, for a norm of 1 at the head's input")
    title = f"{report.model}: gain {report.gradients.held_gain} decades"
    if len(layers) < len(reached):
        title += f"\nNaN or infinite at {len(reached) - len(layers)} of {len(reached)} weight layers"
    axes.set_title(title)
    return axes
