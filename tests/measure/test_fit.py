"""Which batch fits: the figures at other batches, and the batch at the border."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import netcheck
from netcheck.measure.axes import BatchAxes
from netcheck.measure.cost import cost
from netcheck.measure.fit import cost_on_device, most_samples
from netcheck.measure.size import Size
from netcheck.torch_versions import version
from netcheck.trace import trace
from tests.zoo import declare_torchvision_operators


def build() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))


def test_another_batch_costs_what_its_inputs_cost() -> None:
    model, x, large = build(), torch.randn(2, 3, 8, 8), torch.randn(11, 3, 8, 8)
    found = cost_on_device(trace(model, (x,)), (x,), {}, samples=11)
    assert found == cost(trace(model, (large,)), (large,))
    assert found.batch_size == 11


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_largest_batch_fits_and_one_more_does_not(optimizer: str) -> None:
    model, x, limit = build(), torch.randn(2, 3, 8, 8), 2_000_000
    graph = trace(model, (x,))
    found = cost_on_device(graph, (x,), {}, device_memory=limit)
    assert found.device_memory == limit
    assert found.largest_batch is not None
    samples = found.largest_batch[optimizer]
    assert samples > 10
    assert cost_on_device(graph, (x,), {}, samples=samples, device_memory=limit).memory[optimizer].peak <= limit
    assert cost_on_device(graph, (x,), {}, samples=samples + 1, device_memory=limit).memory[optimizer].peak > limit


def test_nothing_fits_where_the_optimizer_does_not() -> None:
    model, x = nn.Linear(1000, 1000), torch.randn(1, 1000)
    found = cost_on_device(trace(model, (x,)), (x,), {}, device_memory=13_000_000)
    assert found.largest_batch is not None
    assert found.largest_batch["sgd"] > 0
    assert found.largest_batch["adam"] == 0


def test_a_model_that_runs_at_one_batch_only_has_no_largest() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x).view(2, 2, 2)

    x = torch.randn(2, 4)
    found = cost_on_device(trace(Fixed(), (x,)), (x,), {}, device_memory=2**30)
    assert found.largest_batch is None


def test_only_what_holds_the_batch_is_resized() -> None:
    batch: dict[str, Any] = {
        "x": torch.zeros(4, 3),
        "scale": torch.tensor(2.0),
        "table": torch.zeros(7, 3),
        "n": 4,
    }
    (new,) = BatchAxes(nn.Identity(), (batch,), {}).resized(9)[0]
    assert new["x"].shape == (9, 3)
    assert new["scale"] is batch["scale"]
    assert new["table"] is batch["table"]
    assert new["n"] == 4


def test_the_border_is_exact() -> None:
    line = [(30, 50)]  # 10 + 10 a sample
    assert most_samples(2, line, 100) == 9
    assert most_samples(2, line, 99) == 8
    assert most_samples(2, line, 5) == 0
    assert most_samples(2, line, -1) == 0
    assert most_samples(2, [*line, (28, 52), (90, 90)], 100) == 8  # 4 + 12 a sample
    assert most_samples(2, [*line, (110, 110)], 100) == 0


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("limit", [64 * 2**20, 2**30])
def test_the_largest_batch_is_not_told_from_where_the_weights_count_most(optimizer: str, limit: int) -> None:
    model = nn.Sequential(*[layer for _ in range(3) for layer in (nn.Linear(1000, 1000), nn.ReLU())])
    x = torch.randn(2, 1000)
    graph = trace(model, (x,))
    largest = cost_on_device(graph, (x,), {}, device_memory=limit).largest_batch
    assert largest is not None
    samples = largest[optimizer]
    assert cost_on_device(graph, (x,), {}, samples=samples, device_memory=limit).memory[optimizer].peak <= limit
    assert cost_on_device(graph, (x,), {}, samples=samples + 1, device_memory=limit).memory[optimizer].peak > limit


def test_a_report_holds_the_cost() -> None:
    report = netcheck.check(build(), torch.randn(2, 3, 8, 8), batch_size=8, device_memory="1GiB")
    assert report.cost is not None
    assert report.cost.batch_size == 8
    assert report.cost.flops == report.cost.forward + report.cost.backward > 0
    assert report.cost.peak_bytes > report.cost.saved_bytes > 0
    assert "largest batch in 1.0 GiB" in str(report)
    assert report.to_dict()["cost"]["saved_bytes"] == report.cost.saved_bytes


def test_a_cost_that_cannot_be_told_is_said() -> None:
    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x.view(2, 2, 4))

    report = netcheck.check(Square(), torch.randn(4, 4), batch_size=3)
    assert report.cost is None
    assert "the cost of training could not be told: TraceError" in report.skipped[0]


def test_nobody_works_the_cost_out_before_somebody_asks() -> None:
    model = nn.Sequential(*(layer for _ in range(6) for layer in (nn.Linear(8, 8), nn.ReLU())))
    report = netcheck.check(model, torch.randn(2, 8))
    assert report.known_cost is None
    assert report.cost is not None
    assert report.known_cost is report.cost


def test_a_plain_report_has_no_cost_that_nobody_asked_for() -> None:
    report = netcheck.check(nn.Linear(8, 8), torch.randn(2, 8))
    report.become_plain()
    assert report.cost is None


def test_the_cost_is_that_of_the_mode_that_is_judged() -> None:
    model = nn.Sequential(nn.Linear(64, 64), nn.Dropout(0.5), nn.Linear(64, 64))
    x = torch.randn(4, 64)
    trained = netcheck.check(model, x).cost
    judged = netcheck.check(model.eval(), x).cost
    assert trained == judged
    assert not model.training


class Experts(nn.Module):
    """Each token goes to one of four experts: which, its values tell."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.gate = nn.Linear(16, 4)
        self.experts = nn.Parameter(torch.randn(4, 16, 32))
        self.head = nn.Linear(32, 50)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embedding(ids).flatten(0, 1)  # (N T, 16)
        choice = self.gate(x).argmax(-1)
        order = choice.argsort()
        ends = (choice == torch.arange(4)[:, None]).sum(1).cumsum(0).to(torch.int32)
        if int(ends[-1]) != len(x):  # a value that fake tensors do not have
            raise ValueError("a token without an expert")
        y = torch._grouped_mm(x[order], self.experts, offs=ends)
        return self.head(y[order.argsort()].relu()).view(*ids.shape, -1)


def experts() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    return Experts(), torch.randint(0, 50, (2, 7))


def test_a_forward_that_needs_values_is_run_at_another_batch() -> None:
    model, ids = experts()
    graph = trace(model, (ids,))
    assert graph.tensors == "real"
    found = cost_on_device(graph, (ids,), {}, samples=9)
    assert found.uncounted == found.scaled_from == ()
    large = torch.randint(0, 50, (9, 7))
    assert found == cost(trace(model, (large,)), (large,))
    assert found.forward == 2 * 63 * (16 * 4 + 16 * 32 + 32 * 50)


def test_a_batch_that_takes_too_much_to_run_is_carried_on_from_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = experts()
    exact = netcheck.check(model, ids, batch_size=64, probe=False).cost
    monkeypatch.setattr(Size, "affordable", lambda *_: 8)
    report = netcheck.check(model, ids, batch_size=64, probe=False, device_memory="1GiB")
    found = report.cost
    assert exact is not None
    assert found is not None
    assert found.batch_size == 64
    assert found.scaled_from == (2, 4)
    assert (found.forward, found.backward) == (exact.forward, exact.backward)
    assert found.saved_bytes == pytest.approx(exact.saved_bytes, rel=0.01)
    assert found.peak_bytes == pytest.approx(exact.peak_bytes, rel=0.01)
    assert sum(row.forward for row in found.layers) == found.forward
    assert found.largest_batch is not None
    assert found.largest_batch["adam"] > 64
    assert "carried on from batches of 2 and 4" in str(report)


@pytest.mark.skipif(version() < (2, 12), reason="torch counts no FLOPs of grouped queries until 2.11")
def test_a_mixture_of_experts_of_transformers_costs_at_any_batch() -> None:
    declare_torchvision_operators()
    transformers = pytest.importorskip("transformers")
    config = transformers.MixtralConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, num_local_experts=4, max_position_embeddings=64, use_cache=False,
    )  # fmt: skip
    model = transformers.MixtralForCausalLM(config)
    report = netcheck.check(model, torch.randint(0, 64, (2, 8)), batch_size=8, probe=False)
    assert report.cost is not None
    assert report.cost.batch_size == 8
    assert report.cost.uncounted == ()
    small = netcheck.check(model, torch.randint(0, 64, (2, 8)), probe=False).cost
    assert small is not None
    assert report.cost.flops == 4 * small.flops
