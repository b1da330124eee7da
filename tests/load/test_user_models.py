"""Inputs are inferred for models as people write them, and the real model runs on them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from netcheck.load.inputs import infer_inputs
from tests.load.user_models import MODELS, Case


def tensors(value):
    if isinstance(value, dict):
        return [leaf for entry in value.values() for leaf in tensors(entry)]
    if isinstance(value, (list, tuple)):
        return [leaf for entry in value for leaf in tensors(entry)]
    return [value]


@pytest.mark.parametrize("case", MODELS, ids=lambda case: case.name)
def test_inputs_fit_and_have_the_natural_shape(case: Case):
    torch.manual_seed(0)
    model = case.build()
    inputs = infer_inputs(model)
    model(*inputs.args, **inputs.kwargs)
    shapes = [tuple(leaf.shape) if isinstance(leaf, Tensor) else () for leaf in tensors([*inputs.args, *inputs.kwargs.values()])]
    wanted = [found if shape is None else shape for shape, found in zip(case.shapes, shapes, strict=False)]
    assert shapes[: len(wanted)] == wanted, inputs.description
