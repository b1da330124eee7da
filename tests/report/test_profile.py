"""The gradient's profile as a person and a program read it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from netcheck.figures.gradients import Gradients, NodeProfile, ParameterProfile, Slope
from netcheck.findings import Report, Summary
from netcheck.report import json as json_report
from netcheck.report import profile, text


def layer(number: int, norm: float | None) -> NodeProfile:
    return NodeProfile(f"n{number}", f"layers.{number}", "nn.Linear", "linear", 0.1, 1.0, None, None, norm, norm, True)


GRADIENTS = Gradients(
    gain=-3.0,
    gain_spread=0.2,
    profile=(*(layer(k, 10.0 ** (k - 3)) for k in range(4)), layer(4, None)),
    parameters=(ParameterProfile("layers.0.weight", 1e-3, 1e-2),),
    homogeneity=2.4,
    effective_rank=0.5,
    between_sample_variance=0.9,
    unpredictability=0.01,
    slope=Slope(-1.0, 1.0, 4),
    range=3.0,
    first_nonfinite=None,
    device="cpu",
    dtype="float64",
    batch=32,
    passes=3,
    seed=0,
    remarks=("fewer samples than asked",),
)


def report(gradients: Gradients) -> Report:
    return Report("Net", summary=Summary(1, 1, 1, 1, 1), gradients=gradients)


def test_the_profile_stands_under_the_header_with_its_numbers_and_conditions() -> None:
    shown = text.render([report(GRADIENTS)], colour=False)
    assert "  gradient: ▁▃▆█  10^−3.0 at layers.0 ... 10^0.0 at layers.3\n" in shown
    assert "  gain: −3.0 decades (−1.00 a weight layer), |g|/|w| within 2.4 decades, effective rank 0.50\n" in shown
    assert "  measured: 3 passes of 32 samples, float64 on cpu, seed 0\n" in shown
    assert "  note: fewer samples than asked\n" in shown


def test_what_is_level_looks_level() -> None:
    assert profile.drawn([0.0, 0.01, -0.01]) == "███"
    assert len(profile.drawn([float(k) for k in range(500)])) <= profile.WIDTH


def test_nothing_that_arrives_is_said_so() -> None:
    shown = "\n".join(profile.lines(replace(GRADIENTS, gain=-math.inf, profile=(), slope=None)))
    assert "gain: −∞ decades" in shown
    assert "gradient:" not in shown


def test_the_table_of_layers_is_verbose() -> None:
    assert "gradient rms" not in text.render([report(GRADIENTS)], colour=False)
    verbose = text.render([report(GRADIENTS)], colour=False, verbose=True)
    assert "gradient rms" in verbose
    (row,) = [line for line in verbose.splitlines() if line.startswith("layers.1 ")]
    assert row.split() == ["layers.1", "nn.Linear", "0.1", "1", "1.0e-02", "−2.00"]


def test_json_has_every_number_and_strict_ones() -> None:
    entry = json.loads(json_report.render([report(replace(GRADIENTS, gain=-math.inf))]))["models"][0]["gradients"]
    assert entry["gain"] == "-Infinity"
    assert entry["profile"][0]["gradient_norm"] == 1e-3
    assert entry["slope"] == {"per_layer": -1.0, "fit": 1.0, "layers": 4}
    for key in (*entry, *entry["profile"][0], *entry["parameters"][0]):
        assert key in (json_report.__doc__ or "")
