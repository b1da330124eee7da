"""A parameter that is never initialized is NaN while netcheck builds the model, whatever lay in memory before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import netcheck
from netcheck import engine
from netcheck.load.modules import import_file
from netcheck.load.unwritten import unwritten_is_nan

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.Tensor(4, 8)), nn.Parameter(torch.empty(4))
        self.register_buffer("room", torch.empty(4, 4))

    def forward(self, x):
        return nn.functional.linear(x, self.weight, self.bias)

model = Net()
"""


class Unwritten(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(8))
        self.register_buffer("room", torch.empty(3, 8))
        self.layer = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x * self.scale)


def test_what_is_never_initialized_is_seen_each_time() -> None:
    report = netcheck.check(Unwritten, torch.randn(4, 8), probe=False)
    (found,) = [found for found in report if found.code == "NC507"]
    assert found.message.startswith("8 of 8 elements of scale are NaN, as memory is that nobody has written to:")


def test_a_model_that_its_file_builds_is_seen_too(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(NET)
    model = import_file(str(file)).model
    assert model.weight.isnan().all()
    assert model.bias.isnan().all()
    assert "NC507" in {found.code for found in engine.check(model, torch.randn(4, 8), probe=False)}


@pytest.mark.parametrize("before", [(False, False), (True, True), (True, False)])
def test_the_mode_is_afterwards_as_before(before: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])
    try:
        with unwritten_is_nan():
            assert torch.empty(3).isnan().all()
        after = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
        assert after == before
    finally:
        torch.use_deterministic_algorithms(False)


def test_what_torch_itself_builds_is_initialized() -> None:
    with unwritten_is_nan():
        layers = [nn.Linear(3, 3), nn.Conv2d(3, 3, 3), nn.LSTM(3, 3), nn.MultiheadAttention(4, 2), nn.BatchNorm1d(3)]
    assert all(parameter.isfinite().all() for layer in layers for parameter in layer.parameters())
