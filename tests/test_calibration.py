"""The networks of the calibration, and what the advice of a report makes of them."""

from __future__ import annotations

import pytest

from tests.calibration.advice import ELSE, advised, first_advice
from tests.calibration.features import checked
from tests.calibration.networks import Config, build

STACK: Config = {
    "family": "mlp", "task": "waves", "seed": 0, "activation": "tanh", "init": "small", "depth": 16, "width": 32,
    "norm": "none", "after": False, "skip": "none",
}  # fmt: skip
CELL: Config = {
    "family": "recurrent", "task": "waves", "seed": 0, "activation": "tanh", "init": "default", "depth": 1, "width": 16,
    "norm": "none", "skip": "none", "cell": "by hand", "read": "last", "spread": 1,
}  # fmt: skip


def test_a_vanishing_stack_is_advised_other_weights_first() -> None:
    assert first_advice(checked(STACK), STACK) == "init"


def test_a_healthy_one_is_advised_nothing() -> None:
    healthy = advised(STACK | {"depth": 4}, "saturation")
    assert first_advice(checked(healthy), healthy) is None


@pytest.mark.parametrize("change", [*ELSE, "saturation", "no norm + no skip"])
def test_a_change_makes_another_network(change: str) -> None:
    after = advised(STACK, change)
    assert after != STACK
    assert str(build(after)) != str(build(STACK)) or change in ("init", "no skip")


def test_a_cell_by_hand_is_normalized_in_each_step() -> None:
    assert "LayerNorm" in str(build(advised(CELL, "no norm")))
    assert advised(CELL, "no skip") == CELL
