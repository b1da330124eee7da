"""Costs against torch itself: its FLOP counter, the tensors that it saves, the memory that it holds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from netcheck.figures.cost import Cost
from netcheck.measure import replay
from netcheck.measure.cost import cost
from netcheck.measure.operation import saved_tensors
from netcheck.torch_versions import without_onednn
from netcheck.trace import trace
from tests.gpus import needs_gpus
from tests.measure.live_memory import training_peak
from tests.trace.replay import module
from tests.zoo import declare_torchvision_operators


class InPlace(nn.Module):
    """Views, in-place operations, and one memory saved by several."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8 * 64, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.relu_(self.norm(self.conv(x)))
        h = (h + 1).mul_(2)
        first, second = h.chunk(2, 1)
        h = torch.cat([first.sigmoid() * second.tanh(), F.gelu(second)], 1)
        h[:, 0] = 1.0
        return self.head(F.dropout(h, 0.3).flatten(1))


class Tied(nn.Module):
    """One weight used twice, and a mask made on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.norm = nn.LayerNorm(16)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        h = self.embedding(ids)
        mask = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).triu(1)
        h = self.norm(h + self.attention(h, h, h, attn_mask=mask, need_weights=False)[0])
        return h @ self.embedding.weight.t()


class Branches(nn.Module):
    """A branch without gradient, a recurrent layer, and a result that nobody uses."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 12, num_layers=2, batch_first=True)
        self.teacher = nn.Linear(12, 4).requires_grad_(False)
        self.student = nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, _ = self.lstm(x)
        with torch.no_grad():
            goal = self.teacher(h).softmax(-1)
        return (self.student(h).log_softmax(-1) * goal).sum(-1)


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], torch.Tensor]]] = {
    "mlp": (
        lambda: nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 3)),
        lambda: torch.randn(4, 10),
    ),
    "in place": (InPlace, lambda: torch.randn(2, 3, 8, 8)),
    "tied": (Tied, lambda: torch.randint(0, 50, (2, 7))),
    "branches": (Branches, lambda: torch.randn(2, 5, 8)),
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, groups=1), nn.SELU(), nn.Conv2d(8, 8, 3, groups=8), nn.ConvTranspose2d(8, 4, 2, 2),
            nn.GroupNorm(2, 4), nn.MaxPool2d(2), nn.PReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Softmax(1),
        ),
        lambda: torch.randn(2, 3, 12, 12),
    ),
    "encoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 3),
        lambda: torch.randn(2, 6, 16),
    ),
}  # fmt: skip


def saved_by_torch(model: nn.Module, *inputs: torch.Tensor) -> int:
    """Bytes that a real forward keeps for backward, what the model itself holds left out."""
    own = {t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers())}
    with without_onednn(), saved_tensors() as kept:  # as netcheck counts
        model(*inputs)
    storages = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in kept}
    return sum(nbytes for key, nbytes in storages.items() if key not in own)


def flops_by_torch(model: nn.Module, *inputs: torch.Tensor) -> tuple[int, int]:
    """FLOPs of a real forward and backward. Its table lacks the CPU's attention kernel: do without that."""
    attention = nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH)
    with attention, without_onednn(), FlopCounterMode(display=False) as counter:
        output = model(*inputs)
        forward = counter.get_total_flops()
        output.sum().backward()
        return forward, counter.get_total_flops() - forward


def cost_of(name: str) -> tuple[nn.Module, torch.Tensor, Cost]:
    torch.manual_seed(0)
    build, example = MODELS[name]
    model, x = build(), example()
    return model, x, cost(trace(model, (x,)), (x,))


@pytest.mark.parametrize("name", MODELS)
def test_saved_bytes_are_those_of_a_real_run(name: str) -> None:
    model, x, found = cost_of(name)
    assert found.uncounted == ()
    assert found.saved_bytes == saved_by_torch(model, x) > 0


@pytest.mark.parametrize("name", ["mlp", "in place", "branches", "convolutions"])
def test_flops_are_those_of_torch(name: str) -> None:
    model, x, found = cost_of(name)
    assert (found.forward, found.backward) == flops_by_torch(model, x)


@pytest.mark.parametrize("name", MODELS)
def test_the_layers_sum_up_to_the_whole(name: str) -> None:
    model, _, found = cost_of(name)
    assert sum(row.forward for row in found.layers) == found.forward
    assert sum(row.backward for row in found.layers) == found.backward
    assert sum(row.saved for row in found.layers) == found.saved_bytes
    held = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    assert sum(row.parameters for row in found.layers) == held


def test_a_linear_layer_by_hand() -> None:
    model, x = nn.Sequential(nn.Linear(10, 20), nn.Linear(20, 5)), torch.randn(4, 10)
    found = cost(trace(model, (x,)), (x,))
    assert found.batch_size == 4
    assert found.forward == 2 * 4 * (10 * 20 + 20 * 5)
    assert found.backward == 2 * 4 * (10 * 20 + 2 * 20 * 5)  # the first layer's input needs no gradient
    assert found.saved_bytes == 4 * (4 * 10 + 4 * 20)
    assert found.parameters == found.trainable == 4 * (10 * 20 + 20 + 20 * 5 + 5)
    assert [row.path for row in found.layers] == ["0", "1"]
    assert found.memory["sgd"].optimizer == found.parameters
    assert found.memory["adam"].optimizer == 2 * found.parameters


def test_a_product_of_groups_is_counted_whatever_the_groups_are() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        ends = torch.tensor([1, 3, 6], dtype=torch.int32)
        y: torch.Tensor = torch._grouped_mm(self.first(x), self.experts, offs=ends)
        return y.relu()

    model = module(forward, first=nn.Linear(8, 8), experts=nn.Parameter(torch.randn(3, 8, 16)))
    x = torch.randn(6, 8)
    found = cost(trace(model, (x,)), (x,))
    assert found.uncounted == ()
    assert found.forward == 2 * 6 * (8 * 8 + 8 * 16)
    assert found.backward == 2 * 6 * (8 * 8 + 2 * 8 * 16)
    assert found.saved_bytes == saved_by_torch(model, x) - 3 * 4  # where the groups end


def test_frozen_parameters_need_neither_gradient_nor_optimizer() -> None:
    model, x = nn.Sequential(nn.Linear(10, 20), nn.Linear(20, 5)), torch.randn(4, 10)
    model[0].requires_grad_(False)
    found = cost(trace(model, (x,)), (x,))
    assert found.trainable == 4 * (20 * 5 + 5)
    assert found.memory["adam"].gradients == found.trainable
    assert found.backward == 2 * 4 * 20 * 5
    assert found.saved_bytes == 4 * 4 * 20


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, 0.01, momentum=0.9, foreach=True),
    "adam": lambda parameters: torch.optim.Adam(parameters, foreach=True),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", ["wide", "deep", "convolutions"])
def test_the_peak_is_what_torch_holds(name: str, optimizer: str) -> None:
    build: dict[str, tuple[Callable[[], nn.Module], torch.Tensor]] = {
        "wide": (lambda: nn.Sequential(nn.Linear(512, 1024), nn.ReLU(), nn.Linear(1024, 512)), torch.randn(4, 512)),
        "deep": (
            lambda: nn.Sequential(*[layer for _ in range(12) for layer in (nn.Linear(64, 64), nn.GELU())], nn.Linear(64, 1)),
            torch.randn(2000, 64),
        ),
        "convolutions": (
            lambda: nn.Sequential(
                nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3),
                nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
            ),
            torch.randn(8, 3, 64, 64),
        ),
    }  # fmt: skip
    model, x = build[name][0](), build[name][1]
    estimate = cost(trace(model, (x,)), (x,)).memory[optimizer].peak
    assert estimate == pytest.approx(training_peak(model, x, OPTIMIZERS[optimizer]), rel=0.1)


def resnet(samples: int, pixels: int) -> tuple[nn.Module, torch.Tensor]:
    declare_torchvision_operators()
    from torchvision.models import resnet50

    return resnet50(), torch.randn(samples, 3, pixels, pixels)


def encoder(samples: int, width: int) -> tuple[nn.Module, torch.Tensor]:
    layer = nn.TransformerEncoderLayer(width, 8, 4 * width, batch_first=True)
    return nn.TransformerEncoder(layer, 6), torch.randn(samples, 128, width)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("name", "size"), [("resnet", (2, 64)), ("resnet", (8, 96)), ("encoder", (1, 256)), ("encoder", (16, 128))]
)
def test_the_peak_of_whole_architectures_is_what_torch_holds(name: str, size: tuple[int, int], optimizer: str) -> None:
    torch.manual_seed(0)
    model, x = {"resnet": resnet, "encoder": encoder}[name](*size)
    estimate = cost(trace(model, (x,)), (x,)).memory[optimizer].peak
    held = training_peak(model, x, OPTIMIZERS[optimizer])
    print(f"{name} {size} {optimizer}: {estimate / 2**20:.1f} MiB estimated, {held / 2**20:.1f} held, {estimate / held:.3f}")
    assert estimate == pytest.approx(held, rel=0.1)


@needs_gpus(1)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("name", "size"), [("resnet", (32, 224)), ("resnet", (128, 224)), ("encoder", (64, 512)), ("encoder", (8, 1024))]
)
def test_the_peak_is_what_cuda_allocates(name: str, size: tuple[int, int], optimizer: str) -> None:
    model, x = {"resnet": resnet, "encoder": encoder}[name](*size)
    estimate = cost(trace(model, (x,)), (x,)).memory[optimizer].peak
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    model, x = model.cuda(), x.cuda()
    algorithm = OPTIMIZERS[optimizer](model.parameters())
    for _ in range(2):
        loss = model(x).square().mean()
        torch.cuda.reset_peak_memory_stats()  # after the first forward: kernels that are only tried out are gone
        loss.backward()
        algorithm.step()
        algorithm.zero_grad()
    allocated = torch.cuda.max_memory_allocated() - before
    print(f"{name} {size} {optimizer}: {estimate / 2**20:.1f} MiB estimated, {allocated / 2**20:.1f} allocated")
    assert estimate == pytest.approx(allocated, rel=0.1)


def test_operations_that_are_alike_are_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[Any] = []
    original = replay.profiled

    def counted(*args: Any, **options: Any) -> Any:
        runs.append(args[1])
        return original(*args, **options)

    monkeypatch.setattr(replay, "profiled", counted)
    model, x = MODELS["encoder"][0](), MODELS["encoder"][1]()
    assert isinstance(model, nn.TransformerEncoder)
    graph = trace(model, (x,))
    cost(graph, (x,))
    assert 0 < len(runs) < len(graph.nodes) / 2


def test_what_cannot_run_on_fake_tensors_is_named() -> None:
    class Selects(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.first(x)
            return self.second(h[h.sum(1) > 0])

    x = torch.randn(16, 4)
    found = cost(trace(Selects(), (x,)), (x,))
    assert len(found.uncounted) == 1
    assert found.uncounted[0].endswith("in Selects")
    assert [row.path for row in found.layers] == ["first", "second"]
    assert found.layers[1].forward > 0


def test_the_model_and_the_random_state_are_left_alone() -> None:
    model, x = InPlace(), torch.randn(2, 3, 8, 8)
    graph = trace(model, (x,))
    before = {name: (tensor, tensor.clone()) for name, tensor in model.state_dict(keep_vars=True).items()}
    state = torch.get_rng_state()
    cost(graph, (x,))
    assert torch.equal(state, torch.get_rng_state())
    for name, tensor in model.state_dict(keep_vars=True).items():
        assert tensor is before[name][0]
        assert torch.equal(tensor, before[name][1])
        assert tensor.grad is None


def test_resnet_50_saves_what_it_saves_in_a_real_run_to_the_byte() -> None:
    declare_torchvision_operators()
    from torchvision.models import resnet50

    model, x = resnet50(), torch.randn(2, 3, 64, 64)
    found = cost(trace(model, (x,)), (x,))
    assert found.saved_bytes == saved_by_torch(model, x)
    assert (found.forward, found.backward) == flops_by_torch(model, x)


LLAMA = """
from tests.zoo import declare_torchvision_operators; declare_torchvision_operators()
import resource, time, torch
from transformers import LlamaConfig, LlamaForCausalLM
from netcheck.measure import replay
from netcheck.measure.cost import cost
from netcheck.torch_versions import without_onednn
from netcheck.trace import trace
config = LlamaConfig(vocab_size=32000, hidden_size=8192, intermediate_size=28672, num_hidden_layers=80,
                     num_attention_heads=64, num_key_value_heads=8, use_cache=False)
with torch.device("meta"):
    model = LlamaForCausalLM(config)
ids = torch.zeros(1, 2048, dtype=torch.long)
trace(model, (ids,))
start = time.process_time()
graph = trace(model, (ids,))
traced = time.process_time() - start
found = cost(graph, (ids,))
print((time.process_time() - start - traced) / traced, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
      found.parameters, found.forward, len(found.uncounted))
"""


@pytest.mark.slow
def test_llama_70b_costs_less_than_a_second_trace_and_1_5_gigabytes() -> None:
    """As CPU time; a trace takes 1.4 s, the cost 0.65 s."""
    run = subprocess.run(
        [sys.executable, "-c", LLAMA],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    traces, memory, parameters, forward, uncounted = map(float, run.stdout.split())
    assert traces < 1
    assert memory < 1.5e9
    assert parameters == pytest.approx(4 * 69e9, rel=0.01)
    assert forward == pytest.approx(2 * 69e9 * 2048, rel=0.06)  # and attention
    assert uncounted == 0
