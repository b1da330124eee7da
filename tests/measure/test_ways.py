"""What would make a step fit: predicted peaks against what torch holds in real steps, and the changes that are proposed.

The oracle is `LiveMemory`, which knows nothing of netcheck, and for FSDP2 PyTorch's own FSDPMemTracker in real processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.utils.checkpoint import checkpoint

import netcheck
from netcheck.errors import UsageError
from netcheck.figures.cost import Cost
from netcheck.measure.axes import BatchAxes
from netcheck.measure.blocks import blocks_of, stack_of
from netcheck.measure.fit import cost_on_device
from netcheck.measure.ranks import run_ranks
from netcheck.measure.sharding import Sizes
from netcheck.measure.ways import Predictor, Setup, fit_of, listed
from netcheck.settings.devices import MEBIBYTES, memory_of
from netcheck.torch_versions import without_onednn
from netcheck.trace import trace
from tests.measure.live_memory import LiveMemory
from tests.measure.networks import NETWORKS, Llama, ResNet, UNet, VisionTransformer

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "adam": lambda parameters: torch.optim.Adam(parameters, foreach=True),  # as on accelerators
    "fused adam": lambda parameters: torch.optim.Adam(parameters, fused=True),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9, foreach=True),
}


def real_peak(model: nn.Module, batch: torch.Tensor, setup: Setup, limit: float = float("inf")) -> int:
    """The most bytes that torch's tensors take in a second step, by real computation.

    Raises:
        MemoryError: they take more than the limit at any moment.
    """
    if setup.checkpointed:
        for block in blocks_of(model):
            block.module.forward = again(block.module.forward)  # type: ignore[method-assign]
    optimizer = OPTIMIZERS[setup.optimizer](model.parameters())
    pieces = batch.split(setup.samples)
    for piece in pieces:
        one_pass(model, piece, setup)
    optimizer.step()
    optimizer.zero_grad()
    memory = Limited(limit)
    state = [t for entry in optimizer.state.values() for t in entry.values() if isinstance(t, torch.Tensor) and t.dim()]
    for tensor in (*model.parameters(), *model.buffers(), *state):
        memory.follow(tensor)
    # The loader hands over one piece after the other.
    with memory:
        train(model, [piece.clone for piece in pieces], setup, optimizer)
    return memory.peak


def train(model: nn.Module, pieces: Sequence[Callable[[], torch.Tensor]], setup: Setup, optimizer: torch.optim.Optimizer) -> None:
    """One step, in which the last batch and its output are known by name until the end."""
    for piece in pieces:
        kept = one_pass(model, piece(), setup)
        if piece is not pieces[-1]:
            del kept
    optimizer.step()


def one_pass(model: nn.Module, batch: torch.Tensor, setup: Setup) -> Any:
    with without_onednn(), torch.autocast("cpu", torch.bfloat16, enabled=setup.autocast):
        output = model(batch)
    with without_onednn():
        output.backward(torch.ones_like(output))
    return batch, output


def again(forward: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: checkpoint(forward, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)


class Limited(LiveMemory):
    """A device with so many bytes: what goes beyond them fails."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def follow(self, tensor: torch.Tensor) -> None:
        super().follow(tensor)
        if self.now > self.limit:
            raise MemoryError(f"{self.now} of {self.limit} bytes")


KINDS = {
    "float32": {},
    "autocast": {"autocast": True},
    "checkpointed": {"checkpointed": True},
    "accumulated": {"accumulates": True},
    "all": {"autocast": True, "checkpointed": True, "accumulates": True},
    "fused": {"optimizer": "fused adam"},
    "sgd": {"optimizer": "sgd"},
}


def predicted(name: str, kind: str) -> tuple[Predictor, Setup, torch.Tensor]:
    torch.manual_seed(0)
    network = NETWORKS[name]
    model, batch = network.build(), network.batch()
    samples = len(batch) // 2 if "accumulates" in KINDS[kind] else len(batch)
    return Predictor(BatchAxes(model, (batch,), {}), len(batch)), Setup(samples, **KINDS[kind]), batch  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_peak_is_what_torch_holds(name: str, kind: str) -> None:
    predictor, setup, batch = predicted(name, kind)
    peak = predictor.peak(setup).nbytes
    assert peak == pytest.approx(real_peak(NETWORKS[name].build(), batch, setup), rel=0.01)


@pytest.mark.parametrize("kind", ["float32", "autocast", "checkpointed", "accumulated"])
@pytest.mark.parametrize("name", ["mlp", "tied", "encoder", "experts", "llama"])
def test_the_peak_is_what_the_allocator_gives(name: str, kind: str) -> None:
    """Without convolutions, whose libraries take workspaces, torch's allocator counts the same."""
    predictor, setup, batch = predicted(name, kind)
    model = predictor.axes.model
    if setup.checkpointed:
        for block in predictor.blocks:
            block.module.forward = again(block.module.forward)  # type: ignore[method-assign]
    optimizer = OPTIMIZERS["adam"](model.parameters())
    for piece in batch.split(setup.samples):
        one_pass(model, piece, setup)
    optimizer.step()
    optimizer.zero_grad()
    state = predictor.state(setup)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        train(model, [piece.clone for piece in batch.split(setup.samples)], setup, optimizer)
    now, peak = 0, 0
    for event in profile.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    for block in predictor.blocks:
        vars(block.module).pop("forward", None)
    assert predictor.peak(setup).nbytes == pytest.approx(peak + state.fixed, rel=0.03)


@pytest.mark.parametrize("kind", ["float32", "autocast", "checkpointed", "fused", "sgd"])
@pytest.mark.parametrize("name", ["mlp", "resnet", "u-net", "tied", "experts"])
def test_what_is_said_to_fit_does_and_one_sample_more_does_not(name: str, kind: str) -> None:
    predictor, setup, batch = predicted(name, kind)
    grown = batch.repeat(4, *[1] * (batch.dim() - 1))
    limit = int(1.02 * predictor.peak(Setup(len(batch) + len(batch) // 2, **KINDS[kind])).nbytes)  # type: ignore[arg-type]
    most = predictor.most_samples(setup, limit, len(grown))
    assert len(batch) < most < len(grown)
    build = NETWORKS[name].build
    assert real_peak(build(), grown[:most], Setup(most, **KINDS[kind]), limit) <= limit  # type: ignore[arg-type]
    with pytest.raises(MemoryError):
        real_peak(build(), grown[: most + 1], Setup(most + 1, **KINDS[kind]), limit)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["resnet", "u-net", "tied", "experts", "vision transformer"])
def test_the_accumulated_batch_that_is_proposed_fits_and_one_sample_more_does_not(name: str) -> None:
    predictor, _, batch = predicted(name, "float32")
    grown = batch.repeat(8, *[1] * (batch.dim() - 1))
    predictor = Predictor(predictor.axes, 4 * len(batch))
    setup = Setup(predictor.samples, accumulates=True)
    limit = predictor.peak(Setup(predictor.samples)).nbytes * 7 // 10
    most = predictor.most_samples(setup, limit, predictor.samples)
    assert 1 < most < predictor.samples
    build = NETWORKS[name].build
    fitting, larger = (Setup(samples, accumulates=True) for samples in (most, most + 1))
    assert real_peak(build(), grown[: 2 * most], fitting, limit) <= limit
    with pytest.raises(MemoryError):
        real_peak(build(), grown[: 2 * (most + 1)], larger, limit)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [2, 4])
@pytest.mark.parametrize("name", ["mlp", "resnet", "vision transformer", "tied", "u-net", "experts", "llama"])
def test_a_rank_of_fsdp_holds_what_fsdp_mem_tracker_counts(name: str, devices: int, tmp_path: Path) -> None:
    predictor, _, batch = predicted(name, "float32")

    def tracked(rank: int) -> int:
        from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker
        from torch.distributed.fsdp import fully_shard

        dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), devices), rank=rank, world_size=devices)
        model = predictor.axes.model
        for block in blocks_of(model):
            fully_shard(block.module)
        fully_shard(model)
        optimizer = OPTIMIZERS["adam"](model.parameters())
        tracker = FSDPMemTracker(model, optimizer)
        tracker.track_inputs((batch,))
        with tracker:
            for _ in range(2):
                output = model(batch)
                output.backward(torch.ones_like(output))
                del output
                optimizer.step()
                optimizer.zero_grad()
                tracker.reset_mod_stats()
        (snapshot,) = tracker.get_tracker_snapshot("peak").values()
        dist.barrier()
        dist.destroy_process_group()
        return int(snapshot["Total"])

    outcomes = run_ranks(tracked, devices, seconds=120)
    assert [outcome.failure for outcome in outcomes] == [""] * devices
    found = predictor.peak(Setup(len(batch), devices=devices)).nbytes
    for outcome in outcomes:
        assert found == pytest.approx(outcome.value, rel=0.05)


@pytest.mark.parametrize(("samples", "kind"), [(2, "float32"), (5, "float32"), (3, "autocast"), (4, "checkpointed")])
def test_a_deep_model_is_told_from_a_few_of_its_blocks(samples: int, kind: str) -> None:
    from netcheck.measure.moments import step_moments
    from netcheck.measure.sharding import loads

    model, ids = NETWORKS["llama"].build(), torch.randint(300, (2, 32))
    predictor = Predictor(BatchAxes(model, (ids,), {}), 2)
    stack = stack_of(model, predictor.blocks)
    assert stack is not None
    assert stack.length == 13
    setup = Setup(samples, **KINDS[kind])  # type: ignore[arg-type]
    whole = step_moments(
        model,
        (torch.zeros(samples, 32, dtype=torch.long),),
        {},
        predictor.blocks,
        autocast=setup.autocast,
        checkpointed=setup.checkpointed,
    )
    highest = max(gradients + held for gradients, held, _, _ in loads(whole, predictor.state(setup)))
    assert max(predictor.loads_at(setup)[:-1]) == pytest.approx(highest, rel=1e-3)
    assert len(list(model.layers)) == 13  # type: ignore[arg-type]


def test_seventy_billion_parameters_are_answered_for_in_ten_seconds() -> None:
    with torch.device("meta"):
        model = Llama()
    axes = BatchAxes(model, (torch.zeros(1, 2048, dtype=torch.long),), {})
    start = time.process_time()
    found, _ = fit_of(axes, 1, 80 * 2**30, no_cost())
    assert time.process_time() - start < 10
    assert not found.fits
    assert found.peak.parameters == 4 * sum(p.numel() for p in model.parameters())
    assert any(change.kind == "fsdp" and change.number >= 16 for way in found.ways for change in way.changes)


def no_cost() -> Cost:
    return Cost(1, 1, 2, 0, 0, 0, {})


def fit(model: nn.Module, batch: torch.Tensor, samples: int, share: float) -> Any:
    axes = BatchAxes(model, (batch,), {})
    limit = int(share * Predictor(axes, samples).peak(Setup(samples)).nbytes)
    cost = cost_on_device(trace(model, (batch,)), (batch,), {}, samples=samples, device_memory=limit)
    return cost.fit


def test_ways_are_under_the_limit_and_none_has_a_part_that_would_do() -> None:
    found = fit(VisionTransformer(), torch.randn(8, 3, 32, 32), 32, 0.5)
    assert not found.fits
    assert found.ways
    kinds = [{change.kind for change in way.changes} for way in found.ways]
    assert all(way.peak.nbytes <= found.limit for way in found.ways)
    assert not any(one < other for one in kinds for other in kinds)


def test_a_step_with_room_is_said_to_fit() -> None:
    found = fit(VisionTransformer(), torch.randn(8, 3, 32, 32), 8, 1.0)
    assert found.fits
    assert found.ways == ()
    assert found.peak.phase in ("forward", "backward", "update")


def test_a_smaller_batch_says_what_batch_normalization_sees() -> None:
    found = fit(ResNet(), torch.randn(8, 3, 64, 64), 32, 0.8)
    (change,) = next(way.changes for way in found.ways if way.changes[0].kind == "batch" and len(way.changes) == 1)
    assert change.cost == f"batch normalization sees {change.number} samples and not 32"


def test_the_peak_names_its_module() -> None:
    found = fit(UNet(), torch.randn(8, 3, 32, 32), 8, 0.9)
    assert found.peak.phase in ("forward", "backward")
    assert found.peak.path.startswith(("up1", "head"))


def test_the_model_is_as_it_was() -> None:
    model, batch = NETWORKS["llama"].build(), NETWORKS["llama"].batch()
    before = {name: (id(t), t.clone()) for name, t in model.state_dict(keep_vars=True).items()}
    names = [name for name, _ in model.named_modules()]
    random = torch.get_rng_state()
    Predictor(BatchAxes(model, (batch,), {}), 2).peak(Setup(2, autocast=True, checkpointed=True))
    assert [name for name, _ in model.named_modules()] == names
    assert torch.equal(torch.get_rng_state(), random)
    for name, tensor in model.state_dict(keep_vars=True).items():
        assert id(tensor) == before[name][0]
        assert torch.equal(tensor, before[name][1])
        assert tensor.grad is None
    assert not any(vars(module).get("forward") or module._forward_hooks for module in model.modules())


class Counts(nn.Module):
    """Needs the values of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x) if x.sum() > 0 else -self.fc(x)


def test_a_forward_that_needs_values_is_told_from_its_operations() -> None:
    model, x = Counts(), torch.ones(4, 8)
    found = cost_on_device(trace(model, (x,)), (x,), {}, device_memory=2**20)
    assert found.fit is None
    assert found.device_memory == 2**20
    assert found.largest_batch is not None


def test_eight_bit_adam_keeps_a_byte_for_each_moment_and_scales() -> None:
    model = nn.Linear(256, 64, bias=False)
    sizes = Sizes.of(model, [])
    assert sizes.optimizer("8-bit adam", 1) == 2 * (256 * 64 + 4 * 64)
    assert sizes.optimizer("8-bit adam", 64) == 8 * 256  # what is small stays in float32


def test_frozen_parameters_have_no_gradient_and_no_state() -> None:
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))
    model[0].requires_grad_(False)
    predictor = Predictor(BatchAxes(model, (torch.zeros(2, 64),), {}), 2)
    assert predictor.sizes.trained(1) == 4 * 65 * 64
    assert predictor.peak(Setup(2)).optimizer == 2 * 4 * 65 * 64


@pytest.mark.parametrize(
    ("paths", "text"),
    [
        ((), ""),
        (("a",), "a"),
        (("a", "b"), "a and b"),
        (("x.0", "x.1", "x.2", "x.3"), "x.0 to x.3"),
    ],
)
def test_blocks_are_named_in_few_words(paths: tuple[str, ...], text: str) -> None:
    assert listed(paths) == text


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("A100-80GB", "A100-80GB"),
        ("RTX 4090", "RTX 4090"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("4090", "RTX 4090"),
        ("h200", "H200"),
        ("Tesla T4", "T4"),
        ("NVIDIA A100-SXM4-80GB", "A100-80GB"),
    ],
)
def test_devices_are_known_by_name(name: str, device: str) -> None:
    assert memory_of(name) == MEBIBYTES[device] * 2**20


def test_the_memory_may_be_a_name_and_an_unknown_one_is_refused() -> None:
    model, x = nn.Linear(4, 4), torch.zeros(2, 4)
    report = netcheck.check(model, x, probe=False, device_memory="T4")
    assert report.cost is not None
    assert report.cost.device_memory == 15360 * 2**20
    with pytest.raises(UsageError, match="nor a device that is known"):
        netcheck.check(model, x, device_memory="T5")


def test_the_report_says_what_would_make_it_fit() -> None:
    model, x = VisionTransformer(), torch.randn(8, 3, 32, 32)
    peak = Predictor(BatchAxes(model, (x,), {}), 8).peak(Setup(8)).nbytes
    text = str(netcheck.check(model, x, probe=False, device_memory=peak // 2))
    assert "what would make it fit, the cheapest first:" in text
    assert "checkpoint blocks.0 to blocks.3" in text
