"""The probe runs every model in the types that it has, whatever they are, and leaves these as they were."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from netcheck.figures.gradients import Gradients, ParameterProfile
from netcheck.measure.gradients import probe
from netcheck.measure.plan import OWN_TYPES
from netcheck.trace.run import trace
from tests.trace.replay import module

X = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
Forward = Callable[[Any, torch.Tensor], torch.Tensor]


def measured(forward: Forward, **members: Any) -> Gradients:
    """What is measured of a net that runs `forward` between two linear layers."""

    def whole(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.after(forward(self, self.before(x)))  # type: ignore[no-any-return]

    torch.manual_seed(0)
    model = module(whole, before=nn.Linear(8, 8), after=nn.Linear(8, 3), **members)
    before = {name: (id(value), value.dtype) for name, value in model.named_parameters()}
    found = probe(trace(model, (X,)), (X,), device="cpu")
    assert {name: (id(value), value.dtype) for name, value in model.named_parameters()} == before
    return found


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_layer_in_another_precision_keeps_it(dtype: torch.dtype) -> None:
    part = nn.Linear(8, 8)
    plain = measured(lambda self, x: self.part(x), part=part)
    found = measured(lambda self, x: self.part(x.to(dtype)).float(), part=copy.deepcopy(part).to(dtype))
    assert found.own_types
    assert OWN_TYPES in found.remarks
    assert {"part.weight", "before.weight"} <= {parameter.name for parameter in found.parameters if parameter.gradient_rms > 0}
    assert not plain.own_types
    assert found.gain == pytest.approx(plain.gain, abs=0.1)  # of the same weights, rounded; another cotangent


def test_a_model_that_casts_to_the_type_of_all_its_weights() -> None:
    model = module(lambda self, x: self.part(x.half()).tanh(), part=nn.Linear(8, 8).half())
    found = probe(trace(model, (X,)), (X,), device="cpu")
    assert found.own_types
    assert found.dtype == "float16"


def test_a_complex_parameter_is_as_two_real_ones() -> None:
    def of_one(self: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.irfft(torch.fft.rfft(x) * self.spectrum, n=8)

    def of_two(self: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.irfft(torch.fft.rfft(x) * torch.view_as_complex(self.spectrum), n=8)

    parts = torch.ones(5, 2)
    one = measured(of_one, spectrum=nn.Parameter(torch.view_as_complex(parts)))
    two = measured(of_two, spectrum=nn.Parameter(parts.clone()))
    assert one.gain == pytest.approx(two.gain)
    for name in ("gradient_rms", "relative"):
        assert getattr(of(one, "spectrum"), name) == pytest.approx(getattr(of(two, "spectrum"), name))


def of(found: Gradients, name: str) -> ParameterProfile:
    """What was measured of one parameter."""
    return next(parameter for parameter in found.parameters if parameter.name == name)


PARTS: list[tuple[str, Forward, dict[str, Any]]] = [
    ("no columns", lambda self, x: torch.cat([x, self.part(x)], -1), {"part": nn.Linear(8, 0)}),
    ("no rows", lambda self, x: x + self.part(x[:0]).sum(), {"part": nn.Linear(8, 8)}),
    ("nothing", lambda self, x: x + self.part.sum(), {"part": nn.Parameter(torch.empty(0))}),
    ("sparse buffer", lambda self, x: (self.part @ x.mT).mT, {"part": torch.eye(8).to_sparse_coo()}),
    ("sparse rows", lambda self, x: torch.eye(len(x)).to_sparse_csr() @ x, {}),
    ("quantized value", lambda self, x: x + torch.quantize_per_tensor(x.detach(), 0.1, 0, torch.qint8).dequantize(), {}),
]


@pytest.mark.parametrize(("forward", "members"), [case[1:] for case in PARTS], ids=[case[0] for case in PARTS])
def test_parts_that_are_no_plain_array_of_numbers(forward: Forward, members: dict[str, Any]) -> None:
    found = measured(forward, **members)
    assert found.gain > -3  # decades
    assert "before.weight" in {parameter.name for parameter in found.parameters}
