"""Whatever inference runs, the model and the process are bit for bit as before."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.errors import InputError
from netcheck.load.held import substituted
from netcheck.load.inputs import infer_inputs

CALLS: list[int] = []
SEEN: dict[str, int] = {}


class Restless(nn.Module):
    """Its forward changes whatever it can reach."""

    def __init__(self, *, by_value: bool, fails: bool):
        super().__init__()
        self.by_value, self.fails = by_value, fails
        self.conv, self.norm, self.drop = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)
        self.register_buffer("steps", torch.zeros(()))
        self.hidden, self.history, self.cache = None, [], {"n": 0}
        self.stray, self.listed = torch.ones(4), [torch.ones(2), nn.Linear(2, 2)]

    def forward(self, image):
        CALLS.append(1)
        SEEN["n"] = SEEN.get("n", 0) + 1
        random.random(), np.random.rand(), torch.rand(3)
        torch.manual_seed(5)
        torch.set_default_dtype(torch.float64)
        print("noise")
        x = self.norm(self.conv(image))
        if self.by_value and x.abs().sum().item() < 0:
            return x
        self.steps += 1
        self.stray.add_(1)
        self.listed[0].mul_(3)
        self.listed.append(x)
        self.history.append(x)
        self.cache["n"] += 1
        self.cache["x"] = x
        self.hidden = x
        self.extra = nn.Linear(2, 2)
        x.sum().backward(retain_graph=True)
        with torch.no_grad():
            self.conv.weight.mul_(0.5)
        self.conv.weight.requires_grad_(False)
        self.drop.eval()
        if self.fails:
            raise ValueError("17")
        return self.drop(x)


def state_of(model: Restless):
    """Everything that a person could look at."""
    return {
        "state": copy.deepcopy(model.state_dict()),
        "ids": {name: id(tensor) for name, tensor in (*model.named_parameters(), *model.named_buffers())},
        "grads": {name: id(parameter.grad) for name, parameter in model.named_parameters()},
        "requires": {name: parameter.requires_grad for name, parameter in model.named_parameters()},
        "training": {name: module.training for name, module in model.named_modules()},
        "hooks": {name: dict(module._forward_hooks) for name, module in model.named_modules()},
        "names": {name: list(vars(module)) for name, module in model.named_modules()},
        "plain": (model.hidden, list(map(id, model.history)), dict(model.cache), len(model.listed)),
        "stray": (model.stray.tolist(), model.listed[0].tolist(), model.listed[1].weight.tolist()),
        "globals": (list(CALLS), dict(SEEN)),
        "torch": (torch.get_rng_state().tolist(), torch.get_default_dtype(), torch.is_grad_enabled()),
        "python": (random.getstate(), np.random.get_state()[1].tolist()),
    }


def assert_same(before, after):
    assert before.keys() == after.keys()
    for part in before.keys() - {"state"}:
        assert before[part] == after[part], part
    for name, tensor in before["state"].items():
        assert torch.equal(tensor, after["state"][name]), name


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("by_value", [False, True], ids=["fake", "real"])
@pytest.mark.parametrize("fails", [False, True], ids=["runs", "raises"])
def test_nothing_is_touched(by_value: bool, fails: bool, training: bool, capsys):
    torch.manual_seed(0)
    model = Restless(by_value=by_value, fails=fails).train(training)
    outputs: list[object] = []
    model.conv.register_forward_hook(lambda module, args, output: outputs.append(output))
    model.norm.weight.grad = torch.full((4,), 7.0)
    before = state_of(model)
    grad = model.norm.weight.grad.clone()
    if fails:
        with pytest.raises(InputError):
            infer_inputs(model, seconds=1.0)
    else:
        infer_inputs(model)
    after = state_of(model)
    assert torch.equal(model.norm.weight.grad, grad)
    assert_same(before, after)
    assert outputs == []
    assert "noise" not in capsys.readouterr().out


def test_a_lazy_model_stays_lazy():
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(2))
    infer_inputs(model)
    assert isinstance(model[0], nn.LazyConv2d)
    assert isinstance(model[2], nn.LazyLinear)
    assert all(torch.nn.parameter.is_lazy(parameter) for parameter in model.parameters())
    model(torch.ones(2, 3, 8, 8))  # its own first batch still decides
    assert model[2].in_features == 4 * 36


def test_what_a_subclass_of_dict_hides_is_put_back():
    class Odd(dict):
        def __getitem__(self, key):
            raise KeyError("never")

    model = nn.Linear(2, 2)
    model.odd = Odd(a=torch.ones(2))
    with substituted(model, torch.zeros_like):
        assert dict(model.odd.items())["a"].sum() == 0
    assert dict(model.odd.items())["a"].sum() == 2


def test_a_model_that_draws_gets_the_same_inputs_each_time():
    model = nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.5))
    torch.manual_seed(1)
    first = infer_inputs(model).args[0]
    torch.manual_seed(2)
    assert torch.equal(infer_inputs(model).args[0], first)


def test_tied_and_parametrized_weights_survive():
    model = nn.Sequential(nn.Embedding(9, 4), nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), nn.Linear(4, 9))
    model[2].weight = model[0].weight
    inputs = infer_inputs(model)
    assert model[2].weight is model[0].weight
    assert F.softmax(model(*inputs.args), -1).shape == (2, 16, 9)
