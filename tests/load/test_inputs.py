"""Inputs that are given, and what is said of those that are not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import netcheck
from netcheck.errors import InputError
from netcheck.load.inputs import as_specs, given, infer_inputs, parse_specs


def test_specs_become_tensors_in_their_order():
    inputs = parse_specs(["2x3", "ids=long[5,9]:4x16", "long:2", "mask=bool:2x16", "t=double:scalar", "k=value:3"])
    x, counts = inputs.args
    assert x.shape == (2, 3)
    assert x.dtype == torch.float32
    assert counts.dtype == torch.int64
    assert set(inputs.kwargs) == {"ids", "mask", "t", "k"}
    assert 5 <= inputs.kwargs["ids"].min() <= inputs.kwargs["ids"].max() < 9
    assert inputs.kwargs["mask"].all()
    assert inputs.kwargs["t"].shape == ()
    assert inputs.kwargs["k"] == 3
    assert inputs.description.startswith("inputs: float32 (2, 3), int64 (2,), ids int64 (4, 16)")


def test_a_name_given_twice_is_refused():
    with pytest.raises(InputError, match="'x' is given twice"):
        parse_specs(["x=2", "x=3"])


def test_specs_leave_the_generator_alone():
    before = torch.get_rng_state()
    first, second = parse_specs(["2x3"]), parse_specs(["2x3"])
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.args[0], second.args[0])


def test_given():
    x, y = torch.ones(2), torch.zeros(2)
    assert given(x).args == (x,)
    assert given((x, y)).args == (x, y)
    assert given([x, y]).args == ([x, y],)
    assert given({"x": x}).kwargs == {"x": x}
    assert given({"x": x}).description == "inputs: x float32 (2,), as given"


@pytest.mark.parametrize("inputs", [3, "2x3", None, {1: 2}, iter([1])])
def test_other_types_are_refused(inputs: object):
    with pytest.raises(InputError) as raised:
        given(inputs)
    assert raised.value.help


def test_the_description_says_what_the_inputs_rest_on():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    description = infer_inputs(model).description
    assert description == "inputs: input float32 (2, 3, 224, 224), inferred from 0's 3 input channels"


def test_token_ids_stay_below_the_vocabulary():
    inputs = infer_inputs(nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 2)))
    (ids,) = inputs.args
    assert ids.max() < 7
    assert len(ids.unique()) > 2


def test_what_cannot_be_inferred_is_said_with_a_way_out():
    class Never(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x):
            raise RuntimeError("needs a graph with 17 nodes")

    with pytest.raises(InputError) as raised:
        infer_inputs(Never())
    assert "needs a graph with 17 nodes" in str(raised.value)
    assert "tries" in str(raised.value)
    assert "--input 2x3x224x224" in raised.value.help
    assert "netcheck_inputs()" in raised.value.help


def test_a_module_without_forward():
    with pytest.raises(InputError, match="has no forward"):
        infer_inputs(nn.ModuleList([nn.Linear(2, 2)]))


def test_a_module_that_takes_nothing():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.p = nn.Parameter(torch.ones(3))

        def forward(self):
            return self.p * 2

    inputs = infer_inputs(Constant())
    assert (inputs.args, inputs.kwargs) == ((), {})


def test_a_forward_that_never_ends_costs_no_more_than_the_time_allowed():
    class Endless(nn.Module):
        def forward(self, x):
            while True:
                x = x + 1

    with pytest.raises(InputError, match="time allowed"):
        infer_inputs(Endless(), seconds=0.3)


def test_a_system_exit_in_forward_ends_nothing():
    class Exits(nn.Module):
        def forward(self, x):
            raise SystemExit(3)

    with pytest.raises(InputError, match="SystemExit"):
        infer_inputs(Exits())


def test_a_model_without_values_gets_real_inputs():
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 30 * 30, 2))
    (x,) = infer_inputs(model).args
    assert x.shape == (2, 3, 32, 32)
    assert x.device.type == "cpu"


def test_a_mask_of_unknown_meaning_hides_no_row_wholly():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x, mask):
            scores = self.fc(x) @ x.transpose(1, 2)
            return scores.masked_fill(mask[:, None, :] == 0, float("-inf")).softmax(-1)

    model = Masked()
    inputs = infer_inputs(model)
    assert not model(*inputs.args, **inputs.kwargs).isnan().any()
    x, mask = inputs.args
    assert not model(x, ~mask).isnan().any()


def test_where_nothing_works_the_line_that_raised_is_named():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            raise ValueError("not today")

    with pytest.raises(InputError, match="not today") as caught:
        infer_inputs(Net())
    place = caught.value.location
    assert place is not None
    assert place.file == __file__
    assert "not today" in Path(__file__).read_text().splitlines()[place.line - 1]


def test_without_a_dtype_an_input_has_that_of_the_weights():
    inputs = parse_specs(["2x3", "float:2x3", "long:2"], torch.bfloat16)
    assert [tensor.dtype for tensor in inputs.args] == [torch.bfloat16, torch.float32, torch.int64]


@pytest.mark.parametrize(
    "specs",
    [
        ["2x3x8x8"],
        ["ids=long[0,9]:2x16", "mask=bool:2x16"],
        ["half:2x8", "scale=value:3"],
        ["t=double:scalar", "mode=value:fast"],
    ],
)
def test_inputs_are_written_as_they_are_given(specs: list[str]) -> None:
    example = parse_specs(specs)
    again = parse_specs(as_specs(example))
    described = [str(value.shape) + str(value.dtype) if isinstance(value, torch.Tensor) else value for value in example.args]
    assert described == [str(v.shape) + str(v.dtype) if isinstance(v, torch.Tensor) else v for v in again.args]
    assert list(example.kwargs) == list(again.kwargs)


def test_a_list_of_tensors_cannot_be_written() -> None:
    assert as_specs(given(([torch.ones(2)],))) == []


class TakesAnArray(nn.Module):
    """A policy as one writes it for an environment that gives NumPy arrays."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(4, 16), nn.Linear(16, 2)

    def forward(self, state: Any) -> torch.Tensor:
        return self.head(torch.relu(self.inner(torch.from_numpy(state).float())))


def test_a_tensor_stands_for_an_array_that_nobody_gave() -> None:
    before = torch.from_numpy
    report = netcheck.check(TakesAnArray(), devices=2)
    assert report.ok
    assert report.gradients is not None
    assert report.batches is not None
    assert report.batches.equal
    assert torch.from_numpy is before


def test_a_tensor_that_was_given_is_no_array() -> None:
    report = netcheck.check(TakesAnArray(), torch.randn(2, 4))
    assert [finding.code for finding in report.findings] == ["NC003"]


class TakesOne(nn.Module):
    """Written for a single sample, as the first attention of many a tutorial."""

    def __init__(self) -> None:
        super().__init__()
        self.key, self.query = nn.Linear(8, 16), nn.Linear(8, 16)

    def forward(self, steps: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        scores = self.key(steps).view(-1, 16) @ self.query(last).view(16)
        return torch.bmm(scores.softmax(0).view(1, 1, -1), steps)


class FlattensOne(nn.Module):
    """The same by mistake."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).relu().amax((2, 3)).view(1, 8))


def test_one_sample_where_no_more_pass() -> None:
    report = netcheck.check(TakesOne(), probe=False)
    steps = int(re.match(r"steps float32 \(1, (\d+), 8\)", report.inputs)[1])
    assert steps <= 4096
    assert not [finding for finding in report.findings if finding.code in ("NC003", "NC004")]


def test_what_takes_one_sample_alone_is_told_so() -> None:
    found = netcheck.check(FlattensOne()).findings
    assert [finding.code for finding in found if finding.counts] == ["NC704"]


@pytest.mark.parametrize(("dim", "rank"), [(-1, 2), (1, 2), (2, 3)])
def test_a_split_along_an_axis_asks_for_as_many(dim: int, rank: int) -> None:
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(30, 10), nn.Linear(30, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            one, other = torch.split(x, 30, dim=dim)
            return torch.cat([self.a(one), self.b(one)], dim=-1) if other.numel() else one

    (x,) = infer_inputs(Halves()).args
    assert x.dim() == rank
    assert x.shape[dim] > 30
