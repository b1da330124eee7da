"""NC507 on tensors of every sort: what is counted, where it is said to be, and what it costs."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

import netcheck
from netcheck.findings import Finding

NAN, INF = float("nan"), float("inf")


def found_in(model: nn.Module, *inputs: torch.Tensor) -> list[Finding]:
    return list(netcheck.check(model, inputs, select=["NC507"], probe=False))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn])
def test_one_nan_is_counted_in_any_precision(dtype: torch.dtype) -> None:
    model = nn.Linear(64, 10)
    constants = torch.full((100,), 400.0)
    constants[17] = NAN
    model.register_buffer("constants", constants.to(dtype))
    [finding] = found_in(model, torch.randn(4, 64))
    assert finding.evidence.value == 1
    assert finding.modules == ("constants",)
    assert "1 of 100 elements of constants are NaN" in finding.message


def test_several_tensors_are_one_finding_that_counts_them_all() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))
    with torch.no_grad():
        model[0].weight[0] = NAN
        model[1].running_var[3] = INF
        model[2].bias[1] = -INF
    [finding] = found_in(model, torch.randn(4, 8))
    assert finding.evidence.value == 8 + 1 + 1
    assert finding.modules == ("0.weight", "1.running_var", "2.bias")
    assert finding.count == 3
    assert "and 2 more tensors" in finding.message


def test_a_tied_tensor_is_counted_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = nn.Embedding(20, 8), nn.Linear(8, 20, bias=False)
            self.head.weight = self.embedding.weight
            self.embedding.weight.data[3, 3] = INF

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.head(self.embedding(ids))

    [finding] = found_in(Tied(), torch.randint(20, (4, 6)))
    assert (finding.evidence.value, finding.count) == (1, 1)


def test_the_place_is_the_line_that_made_the_tensor() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(8, 8)
            self.scale = nn.Parameter(torch.ones(8) / 0)  # this line

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.body(x) * self.scale

    [finding] = found_in(Net(), torch.randn(4, 8))
    assert finding.location is not None
    with open(__file__) as source:
        assert "# this line" in source.readlines()[finding.location.line - 1]


def test_infinities_with_a_purpose_are_left_alone() -> None:
    model = nn.Linear(8, 4)
    model.register_buffer("causal", torch.full((6, 6), -INF).triu(1) + torch.arange(6.0))  # with ALiBi
    model.register_buffer("best", torch.tensor([INF]))
    assert not found_in(model, torch.randn(4, 8))
    model.register_buffer("broken", torch.tensor([1.0, INF]))
    assert found_in(model, torch.randn(4, 8))


def test_a_parameter_of_minus_infinity_is_no_mask() -> None:
    model = nn.Linear(8, 4)
    model.bias.data.fill_(-INF)
    assert found_in(model, torch.randn(4, 8))


def test_integers_sparse_and_empty_tensors_are_no_matter() -> None:
    model = nn.Linear(8, 4)
    model.register_buffer("count", torch.tensor(3))
    model.register_buffer("empty", torch.empty(0, 5))
    model.register_buffer("sparse", torch.eye(4).to_sparse())
    assert not found_in(model, torch.randn(4, 8))


def test_reading_a_hundred_million_weights_takes_little_longer_than_adding_them() -> None:
    from netcheck.rules.initialization.non_finite_weights import is_finite

    weight = torch.zeros(100_000_000)
    start = time.process_time()
    weight.sum()
    sum_seconds = time.process_time() - start
    start = time.process_time()
    assert is_finite(weight)
    assert time.process_time() - start < 20 * sum_seconds
    weight[-1] = NAN
    assert not is_finite(weight)


@pytest.mark.parametrize("shape", [(300, 200), (97, 1021), (512, 64, 3, 3), (40, 4096), (2304, 768)])
def test_no_row_or_column_of_a_large_matrix_is_overlooked(shape: tuple[int, ...]) -> None:
    from netcheck.rules.initialization.non_finite_weights import pieces

    numbers = torch.arange(torch.Size(shape).numel()).view(shape)
    read = pieces(numbers).reshape(-1)
    length = numbers[0].numel()
    assert len((read // length).unique()) == shape[0]
    assert len((read % length).unique()) == length


def test_a_row_of_a_model_too_large_to_be_read_whole_is_found() -> None:
    model = nn.Sequential(nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 10))
    with torch.no_grad():
        model[0].weight[1234] = NAN
    [finding] = found_in(model, torch.randn(2, 4096))
    assert finding.evidence.value == 4096
    with torch.no_grad():
        model[0].weight[1234] = 0
        model[0].weight[:, 77] = INF
    assert found_in(model, torch.randn(2, 4096))[0].evidence.value == 4096
