"""The plot holds the numbers that were measured."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

import netcheck

matplotlib = pytest.importorskip("matplotlib")
pytest.importorskip("matplotlib.figure")
matplotlib.use("Agg")


def report(**options: bool) -> netcheck.Report:
    torch.manual_seed(0)
    model = nn.Sequential(*[nn.Sequential(nn.Linear(16, 16), nn.Tanh()) for _ in range(20)], nn.Linear(16, 4))
    return netcheck.check(model, torch.randn(4, 16), device="cpu", **options)


def test_the_line_is_the_profile() -> None:
    measured = report()
    axes = measured.plot_gradients()
    assert measured.gradients is not None
    norms = [one.gradient_norm for one in measured.gradients.profile if one.is_weight_layer and one.gradient_norm]
    assert list(axes.lines[0].get_ydata()) == norms
    assert len(norms) == 20
    assert axes.get_yscale() == "log"
    assert len(axes.get_xticklabels()) <= 12
    assert axes.get_xticklabels()[0].get_text() == "0.0"
    assert "decades" in axes.get_title()


def test_axes_that_are_given_are_drawn_into() -> None:
    axes = matplotlib.figure.Figure().add_subplot()
    assert report().plot_gradients(axes) is axes


def test_without_a_measurement_there_is_nothing_to_plot() -> None:
    with pytest.raises(netcheck.NetcheckError, match="no gradients of Sequential were measured"):
        report(probe=False).plot_gradients()


def test_without_matplotlib_it_says_what_to_install() -> None:
    code = """
import sys; sys.modules["matplotlib"] = None
import netcheck, torch
from torch import nn
found = netcheck.check(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), torch.randn(4, 4))
try:
    found.plot_gradients()
except netcheck.NetcheckError as error:
    print(error, "|", error.help)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "matplotlib is not installed | pip install 'torch-netcheck[plot]'\n"
