"""Inputs that a model offers by itself."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from torch import nn

from netcheck.errors import InputError
from netcheck.load.inputs import infer_inputs


class Net(nn.Module):
    def __init__(self, **offers):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        for name, value in offers.items():
            setattr(self, name, value)

    def forward(self, image, scale=1.0):
        return self.conv(image) * scale


@pytest.fixture
def beside_net(monkeypatch):
    """Put a `netcheck_inputs` beside the class."""

    def put(function):
        monkeypatch.setattr(sys.modules[__name__], "netcheck_inputs", function, raising=False)

    return put


def test_netcheck_inputs_comes_first(beside_net):
    beside_net(lambda: torch.ones(1, 3, 9, 9))
    inputs = infer_inputs(Net(example_input_array=torch.ones(1, 3, 8, 8)))
    assert inputs.args[0].shape == (1, 3, 9, 9)
    assert "from netcheck_inputs() in" in inputs.description


def test_netcheck_inputs_that_raises(beside_net):
    beside_net(lambda: 1 / 0)
    with pytest.raises(InputError, match=r"netcheck_inputs\(\) in .* raised ZeroDivisionError"):
        infer_inputs(Net())


def test_netcheck_inputs_that_draws_leaves_the_generator_alone(beside_net):
    beside_net(lambda: torch.randn(2, 3, 9, 9))
    model = Net()
    before = torch.get_rng_state()
    infer_inputs(model)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("array", "args", "kwargs"),
    [
        (torch.ones(1, 3, 8, 8), 1, set()),
        ((torch.ones(1, 3, 8, 8), 2.0), 2, set()),
        ({"image": torch.ones(1, 3, 8, 8), "scale": 2.0}, 0, {"image", "scale"}),
    ],
)
def test_example_input_array_as_lightning_reads_it(array, args, kwargs):
    inputs = infer_inputs(Net(example_input_array=array))
    assert (len(inputs.args), set(inputs.kwargs)) == (args, kwargs)
    assert "example_input_array" in inputs.description


def test_an_empty_example_input_array_is_none():
    assert "inferred" in infer_inputs(Net(example_input_array=None)).description


def test_dummy_inputs_count_only_if_forward_takes_them_and_runs():
    fits, misnamed, fails = torch.ones(1, 3, 8, 8), torch.ones(1, 4), torch.ones(1, 5, 8, 8)
    assert "dummy_inputs" in infer_inputs(Net(dummy_inputs={"image": fits})).description
    assert "inferred" in infer_inputs(Net(dummy_inputs={"input_ids": misnamed})).description
    assert "inferred" in infer_inputs(Net(dummy_inputs={"image": fails})).description


@pytest.mark.parametrize("name", ["default_cfg", "pretrained_cfg"])
def test_input_size_of_a_configuration(name: str):
    for settings in ({"input_size": (3, 48, 64)}, types.SimpleNamespace(input_size=(3, 48, 64))):
        inputs = infer_inputs(Net(**{name: settings}))
        assert inputs.args[0].shape == (2, 3, 48, 64)
        assert f"from the model's {name}" in inputs.description


@pytest.mark.parametrize(("size", "shape"), [(48, (48, 48)), ([48, 64], (48, 64))])
def test_image_size_of_a_configuration(size, shape):
    inputs = infer_inputs(Net(config=types.SimpleNamespace(image_size=size, num_channels=3)))
    assert inputs.args[0].shape == (2, 3, *shape)


def test_a_configuration_that_does_not_fit_is_passed_over():
    assert "inferred" in infer_inputs(Net(default_cfg={"input_size": (4, 48, 48)})).description


def test_conventions_can_be_switched_off():
    inputs = infer_inputs(Net(example_input_array=torch.ones(1, 3, 8, 8)), conventions=False)
    assert inputs.args[0].shape == (2, 3, 224, 224)
