"""Measuring on the user's own batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import netcheck
from netcheck.engine import check_target
from netcheck.settings import Settings
from netcheck.source.targets import Target


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))


def loader(offset: float = 0.0, **options: Any) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(48, 8, generator=generator) + offset, torch.randint(3, (48,), generator=generator)
    return DataLoader(TensorDataset(x, y), batch_size=16, **options)


def test_a_loader_gives_the_inputs_and_the_labels_are_left_out() -> None:
    report = netcheck.check(net(), loader(shuffle=True), device="cpu")
    assert report.inputs == "float32 (16, 8), from the DataLoader"
    assert report.gradients is not None
    assert (report.gradients.batch, report.gradients.passes) == (16, 3)
    assert not report.gradients.fresh_inputs
    assert "inputs as given" in report.gradients.conditions


def test_what_is_measured_is_the_data() -> None:
    """Far to one side of zero the samples look alike to the head; a Gaussian in their place would not."""
    near, far = (netcheck.check(net(), loader(offset), device="cpu").gradients for offset in (0.0, 1e4))
    assert near is not None
    assert far is not None
    assert near.between_sample_variance is not None
    assert far.between_sample_variance is not None
    assert far.between_sample_variance < 1e-6 < 1e-2 < near.between_sample_variance


def test_each_pass_has_a_batch_of_its_own() -> None:
    one, other = ([(torch.full((4, 8), value), None)] for value in (1.0, 2.0))
    first = netcheck.check(net(), one * 3, device="cpu", seeds=1)
    assert first.summary is None  # a list is one argument, as before
    rms = [netcheck.check(net(), iter(data), device="cpu", seeds=1).gradients for data in (one, other)]
    both = netcheck.check(net(), iter(one + other), device="cpu", seeds=2).gradients
    assert both is not None
    assert all(found is not None for found in rms)
    low, high = (found.profile[0].rms for found in rms if found is not None)
    assert low < both.profile[0].rms < high


def test_a_dict_gives_what_forward_takes() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = net()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.body(x)

    batches = iter([{"x": torch.randn(16, 8), "label": torch.zeros(16)}])
    assert netcheck.check(Named(), batches, device="cpu").inputs == "x float32 (16, 8), from the list_iterator"


def test_the_random_number_generator_does_not_notice() -> None:
    before = torch.get_rng_state()
    netcheck.check(net, loader(shuffle=True), device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [(iter(()), "gives no batch"), ((1 / 0 for _ in "x"), "raised ZeroDivisionError"), (3, "inputs cannot be a int")],
)
def test_data_that_gives_nothing_is_a_finding(data: Any, sentence: str) -> None:
    report = netcheck.check(net(), data, device="cpu")
    assert [finding.code for finding in report] == ["NC004"]
    assert sentence in report.findings[0].message


SOURCE = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))

def batches():
    return iter([(torch.ones(16, 8), torch.zeros(16)), (torch.ones(16, 8), torch.zeros(16))])
"""


def test_a_name_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "data_and_net.py"
    file.write_text(SOURCE)
    target = Target(file=str(file), symbol="Net")
    report = check_target(target, Settings(input_from=f"{file}:batches", device="cpu", seeds=2))
    assert report.inputs == "float32 (16, 8), from the list_iterator"
    assert report.gradients is not None
    assert not report.gradients.fresh_inputs
    missing = check_target(target, Settings(input_from=f"{file}:nothing"))
    assert [finding.code for finding in missing] == ["NC004"]
    with pytest.raises(netcheck.UsageError, match="write file"):
        Settings(input_from="loader")
