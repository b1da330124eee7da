"""The probe against autograd's own Jacobians, formulas, and nets built by hand."""

from __future__ import annotations

import gc
import math
import random
import weakref
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netcheck
from netcheck.errors import ProbeError
from netcheck.figures.gradients import Gradients
from netcheck.load.randomness import seeded
from netcheck.measure import passes, plan
from netcheck.measure.gradients import probe
from netcheck.measure.passes import Stage
from netcheck.measure.summary import homogeneity
from netcheck.trace.run import trace
from tests.trace.replay import module


class Witness:
    """Keeps what it is told in forward. A list would be put back as it was; what slots hold is not followed."""

    __slots__ = ("told",)

    def __init__(self) -> None:
        self.told: list[Any] = []

    def note(self, value: Any) -> None:
        self.told.append(value)


def measured(model: nn.Module, *args: torch.Tensor, **options: Any) -> Gradients:
    return probe(trace(model, args), args, device="cpu", **options)


def stack(*widths: int, activation: type[nn.Module] = nn.Identity, scale: float = 1.0) -> nn.Sequential:
    """Linear layers of these widths with an activation after each but the last, weights at `scale`/sqrt(fan_in)."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layer = nn.Linear(fan_in, fan_out)
        nn.init.normal_(layer.weight, std=scale / fan_in**0.5)
        layers += [layer, activation()]
    return nn.Sequential(*layers[:-1])


# ---- gains ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_the_gain_of_a_linear_stack_is_that_of_its_singular_values(scale: float) -> None:
    model = stack(48, 40, 56, 40, 7, scale=scale)
    product = torch.linalg.multi_dot([model[k].weight.detach().double() for k in (4, 2, 0)])
    singular = torch.linalg.svdvals(product)
    # E|J^T v|^2 / E|v|^2 of a Gaussian v is the mean square of all 40 singular values
    expected = 0.5 * math.log10(float(singular.square().sum()) / product.shape[0])
    assert measured(model, torch.randn(4, 48)).gain == pytest.approx(expected, abs=0.03)


def test_the_gain_of_a_scaled_isometry_is_exact() -> None:
    model = stack(16, 16, 16, 16, 4)
    for layer in (model[0], model[2], model[4]):
        nn.init.orthogonal_(layer.weight, gain=0.1)
    found = measured(model, torch.randn(4, 16))
    assert found.gain == pytest.approx(-3.0, abs=1e-5)
    assert found.gain_spread < 1e-5
    assert found.slope is not None
    assert found.slope.per_layer == pytest.approx(-1.0, abs=1e-5)
    assert found.slope.fit == pytest.approx(1.0)
    assert found.range == pytest.approx(2.0, abs=1e-5)


class Keeps(nn.Module):
    """A model that keeps what it met, so that a test can differentiate the same function again."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


@pytest.mark.parametrize(
    "body",
    [
        lambda: stack(6, 12, 12, activation=nn.Tanh),
        lambda: nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(inplace=True), nn.Linear(12, 12)),
        lambda: nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 2, 3, padding=1), nn.GELU(), nn.Flatten()),
    ],
    ids=["tanh", "batch norm, in place", "convolution"],
)
def test_the_gain_is_that_of_the_full_jacobian(body: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    model = Keeps(body(), nn.Linear(12, 3))
    monkeypatch.setattr(plan, "SAMPLES", 5)
    seen: list[passes.Outcome] = []
    inputs: list[torch.Tensor] = []
    backward = Stage.backward

    def spy(stage: Stage, end: Any, result: Any, starts: Any, *rest: Any) -> passes.Outcome:
        inputs[:] = [start.detach() for start in starts]
        seen[:] = [backward(stage, end, result, starts, *rest)]
        return seen[0]

    monkeypatch.setattr(Stage, "backward", spy)
    args = (torch.randn(5, 6),)
    found = probe(trace(model, args), args, device="cpu", passes=1)
    (x,), cotangent = inputs, seen[0].cotangent
    whole = torch.autograd.functional.jacobian(model.double().body, x)  # (5, 12, 5, 6)
    expected = torch.einsum("no,noij->ij", cotangent, whole)
    assert found.gain == pytest.approx(float(torch.log10(expected.norm() / cotangent.norm())), abs=1e-4)


def test_token_ids_start_at_their_embedding() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(16, 16, bias=False)
    nn.init.orthogonal_(layer.weight, gain=0.01)
    model = nn.Sequential(nn.Embedding(50, 16), layer, nn.Linear(16, 50))
    found = measured(model, torch.randint(0, 3, (4, 9)))
    assert found.gain == pytest.approx(-2.0, abs=1e-5)
    assert found.fresh_inputs


class Frozen(nn.Module):
    """Reads a table of vectors that does not learn."""

    def __init__(self, reader: nn.Module, width: int) -> None:
        super().__init__()
        self.table, self.reader, self.head = nn.Embedding.from_pretrained(torch.randn(30, 16)), reader, nn.Linear(width, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        value = self.reader(self.table(ids))
        return self.head(value[1][-1] if isinstance(value, tuple) else value.mean(1))


@pytest.mark.parametrize(
    ("reader", "width"), [(nn.GRU(16, 8, batch_first=True), 8), (nn.Linear(16, 8), 8), (nn.Identity(), 16)], ids=repr
)
def test_a_table_that_is_frozen_is_no_place_where_a_gradient_should_arrive(reader: nn.Module, width: int) -> None:
    found = measured(Frozen(reader, width), torch.randint(0, 30, (8, 5)))
    assert abs(found.gain) < 1.5


def test_a_head_that_starts_at_zero_is_healthy() -> None:
    model = stack(16, 16, 16, 4)
    nn.init.zeros_(model[-1].weight)
    assert abs(measured(model, torch.randn(4, 16)).gain) < 1


def test_a_gain_beyond_float32_is_measured() -> None:
    model = stack(8, *[8] * 12, 4)
    for layer in model[::2]:
        nn.init.orthogonal_(layer.weight, gain=1e-5)
    assert measured(model, torch.randn(4, 8)).gain == pytest.approx(-60.0, abs=1e-3)


def test_nothing_arrives_through_zeros() -> None:
    model = stack(8, 8, 8, 4)
    nn.init.zeros_(model[2].weight)
    found = measured(model, torch.randn(4, 8))
    assert found.gain == -math.inf
    assert found.gain_spread == 0.0


def test_a_node_s_gradient_is_the_chain_rule_s() -> None:
    model = stack(8, 8, 8, 8, 4)
    for layer in (model[0], model[2], model[4]):
        nn.init.orthogonal_(layer.weight, gain=0.5)
    norms = [node.gradient_norm for node in measured(model, torch.randn(4, 8)).profile if node.is_weight_layer]
    assert norms[:3] == pytest.approx([0.25, 0.5, 1.0])
    assert norms[3] is None


# ---- units, samples, steps ------------------------------------------------------------------------------------------


def test_dead_units_are_counted() -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    with torch.no_grad():
        model[0].bias[:5] = -1e3
        model[0].bias[5:] = 1e3
    assert measured(model, torch.randn(4, 8)).dead == {"_1": pytest.approx(5 / 16)}


@pytest.mark.parametrize("channels_last", [False, True])
def test_dead_channels_of_a_large_map_are_counted(channels_last: bool) -> None:
    conv = nn.Conv2d(3, 8, 3)
    with torch.no_grad():
        conv.bias[:2], conv.bias[2:] = -1e3, 1e3
    model = nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    assert measured(model, torch.randn(2, 3, 40, 40)).dead == {"_1": pytest.approx(0.25)}


@pytest.mark.parametrize(("activation", "point"), [(nn.Tanh, 1.82), (nn.Hardtanh, 1.0), (nn.Sigmoid, 3.64)])
def test_saturation_is_where_the_slope_is_a_tenth(activation: type[nn.Module], point: float) -> None:
    layer = nn.Linear(4, 8, bias=False)
    nn.init.zeros_(layer.weight)
    layer.bias = nn.Parameter(torch.tensor([0.0, 0.9 * point, -0.9 * point, 1.1 * point, -1.1 * point, 9, -9, 0.1]))
    model = nn.Sequential(layer, activation(), nn.Linear(8, 2))
    (node,) = [node for node in measured(model, torch.randn(4, 4)).profile if node.kind == "activation"]
    assert node.saturated == pytest.approx(4 / 8)


def test_the_rank_of_the_head_s_input() -> None:
    wide = measured(nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 4)), torch.randn(4, 64))
    line = measured(nn.Sequential(nn.Linear(64, 1), nn.Linear(1, 64), nn.Linear(64, 4)), torch.randn(4, 64))
    assert wide.effective_rank is not None
    assert wide.effective_rank > 0.5
    assert line.effective_rank == pytest.approx(0.0, abs=1e-6)


def test_the_variance_between_samples() -> None:
    layer = nn.Linear(8, 8)
    nn.init.orthogonal_(layer.weight)
    nn.init.constant_(layer.bias, 100.0)
    share = measured(nn.Sequential(layer, nn.Linear(8, 2)), torch.randn(4, 8)).between_sample_variance
    assert share == pytest.approx(1e-4, rel=0.2)


def test_a_linear_net_is_predictable_and_a_deep_one_is_not() -> None:
    assert measured(stack(16, 16, 4), torch.randn(4, 16)).unpredictability == pytest.approx(0.0, abs=1e-4)
    deep = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU()) for _ in range(50)], nn.Linear(64, 4))
    turned = measured(deep, torch.randn(4, 64)).unpredictability
    assert turned is not None
    assert turned > 0.3


def test_homogeneity_is_the_spread_of_relative_gradients() -> None:
    model = stack(16, 16, 16, 16, 16, 4)
    for layer in model[::2]:
        nn.init.orthogonal_(layer.weight)
    found = measured(model, torch.randn(8, 16))
    logs = torch.tensor([math.log10(p.relative) for p in found.parameters if p.name.endswith("weight")])
    low, high = torch.quantile(logs, torch.tensor([0.1, 0.9])).tolist()
    assert found.homogeneity == pytest.approx(high - low, abs=1e-5)
    assert found.homogeneity is not None
    assert found.homogeneity < 0.3


def test_parameters_that_are_cut_off() -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.unused = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(4, 4)
            self.scale = nn.Parameter(torch.ones(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(x).detach() * self.scale.data)

    assert measured(Detached(), torch.randn(4, 4)).unreached == ("scale", "first.weight", "first.bias")


@pytest.mark.parametrize(
    ("forward", "all_learn"),
    [
        (lambda self, x: self.head(self.body(x).relu()), True),
        (lambda self, x: self.head(self.body(x).relu()) + 0.0 * self.head(x), True),
        (lambda self, x: self.head((self.body(x) * 0.0 + x).relu()), False),
        (lambda self, x: self.head(self.body(x * torch.tensor([0.0] + [1.0] * 5)).relu()), False),
        (lambda self, x: self.head(x), False),
    ],
    ids=["all", "another factor", "a weight", "a field", "a layer that is not used"],
)
def test_whether_all_weights_and_fields_have_a_gradient(forward: Callable[..., torch.Tensor], all_learn: bool) -> None:
    model = module(forward, body=nn.Linear(6, 6), head=nn.Linear(6, 6))
    assert measured(model, torch.randn(4, 6)).all_learn is all_learn


def test_the_first_operation_that_makes_a_nan_is_named() -> None:
    class Logarithm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.exp(torch.log(self.first(x))))

    found = measured(Logarithm(), torch.randn(4, 4))
    assert (found.first_nonfinite, found.nonfinite_pass) == ("log", "forward")


def test_a_gradient_that_is_not_finite_is_found_on_the_way_back() -> None:
    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.sqrt(self.first(x) * 0))

    found = measured(Root(), torch.randn(4, 4))
    assert (found.first_nonfinite, found.nonfinite_pass) == ("sqrt", "backward")


def test_given_inputs_are_used_where_random_ones_make_no_sense() -> None:
    class Logarithm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.log(x))

    found = measured(Logarithm(), torch.rand(4, 4) + 1)
    assert found.first_nonfinite is None
    assert not found.fresh_inputs


def test_every_pass_has_its_own_initialization_if_the_model_can_be_built() -> None:
    args = (torch.randn(4, 16),)
    graph = trace(stack(16, 16, 4), args)

    def rebuild(seed: int) -> nn.Module:
        with seeded(seed):
            return nn.Sequential(nn.Linear(16, 16), nn.Identity(), nn.Linear(16, 4))

    found = probe(graph, args, device="cpu", rebuild=rebuild)
    assert found.fresh_initialization
    assert found.gain_spread > 1e-6
    assert probe(graph, args, device="cpu", rebuild=rebuild) == found
    in_parallel = probe(graph, args, device="cpu", rebuild=lambda seed: nn.DataParallel(rebuild(seed)))
    assert in_parallel == found
    other = probe(graph, args, device="cpu", rebuild=lambda seed: nn.Linear(16, 4))
    assert not other.fresh_initialization
    assert other.conditions.startswith("3 passes of 32 samples, float")


# ---- the same, whatever it is wrapped in ----------------------------------------------------------------------------


def test_wrappers_change_nothing() -> None:
    model = stack(16, 16, 16, 4, activation=nn.Tanh)
    x = torch.randn(4, 16)
    plain = measured(model, x)
    assert measured(nn.DataParallel(model), x) == plain
    assert measured(torch.compile(model), x) == plain


# ---- nothing is touched ---------------------------------------------------------------------------------------------


class Messy(nn.Module):
    """A model whose forward changes itself in every way there is."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.drop, self.head = (
            nn.Linear(8, 8),
            nn.BatchNorm1d(8),
            nn.Dropout(),
            nn.Linear(8, 2),
        )
        self.register_buffer("count", torch.zeros(()))
        self.history: list[torch.Tensor] = []
        self.error: BaseException | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += 1
        x = self.drop(self.norm(self.first(x)))
        self.history.append(x)
        random.random()
        if self.error is not None and len(self.history) > 0 and not isinstance(x, torch._subclasses.FakeTensor):
            raise self.error
        x += torch.randn_like(x)
        return self.head(x)


@pytest.fixture
def messy() -> Iterator[Messy]:
    """A model with gradients, of which nothing may have changed afterwards."""
    torch.manual_seed(0)
    model = Messy()
    model(torch.randn(4, 8)).sum().backward()
    model.history.clear()
    model.eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    grads = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    own = [id(p) for p in model.parameters()]
    hooks = [dict(module._forward_hooks) for module in model.modules()]
    dtype, torch_state, python_state = torch.get_default_dtype(), torch.get_rng_state(), random.getstate()
    yield model
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), grads, strict=True) if p.grad is not None)
    assert [id(p) for p in model.parameters()] == own
    assert [dict(module._forward_hooks) for module in model.modules()] == hooks
    assert model.history == []
    assert not any(module.training for module in model.modules())
    assert torch.get_default_dtype() is dtype
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert random.getstate() == python_state
    assert torch.is_grad_enabled()


def test_nothing_is_touched(messy: Messy) -> None:
    x = torch.zeros(4, 8)
    report = netcheck.check(messy, x)
    assert report.gradients is not None
    assert torch.equal(x, torch.zeros(4, 8))


@pytest.mark.parametrize("error", [RuntimeError("in mid-pass"), KeyboardInterrupt()])
def test_nothing_is_touched_when_forward_raises(messy: Messy, error: BaseException) -> None:
    messy.error = error
    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            netcheck.check(messy, torch.zeros(4, 8))
    else:
        report = netcheck.check(messy, torch.zeros(4, 8))
        assert [f.code for f in report if f.code == "NC006"]
        assert report.summary is not None
    messy.error = None


def test_nothing_is_touched_when_the_backward_pass_is_interrupted(messy: Messy, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(torch.autograd, "grad", interrupt)
        with pytest.raises(KeyboardInterrupt):
            netcheck.check(messy, torch.zeros(4, 8))


def test_a_pass_leaves_no_memory_behind() -> None:
    held = Witness()

    class Held(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            held.note(weakref.ref(self.weight))
            return torch.tanh(super().forward(x))

    model = nn.Sequential(Held(8, 8), Held(8, 8), nn.Linear(8, 2))
    own = {id(parameter) for parameter in model.parameters()}
    measured(model, torch.randn(4, 8))
    gc.collect()
    assert held.told
    assert all(reference() is None or id(reference()) in own for reference in held.told)


# ---- what cannot be done --------------------------------------------------------------------------------------------


def test_out_of_memory_halves_the_batch_and_says_so() -> None:
    class Large(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.shape[0] > 8:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(x)

    found = measured(Large(*stack(8, 8, 2)), torch.randn(4, 8))
    assert found.batch == 8
    assert found.remarks == (
        "out of memory with 32 samples: 16 used", "out of memory with 16 samples: 8 used",
    )  # fmt: skip


def test_a_model_that_knows_its_batch_size_keeps_it() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(8, 8), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.first(x).view(3, 8))

    assert measured(Fixed(), torch.randn(3, 8)).batch == 3


def test_a_model_without_values_cannot_be_probed() -> None:
    with torch.device("meta"):
        model = stack(8, 8, 2)
    report = netcheck.check(model, torch.randn(4, 8))
    assert report.gradients is None
    (finding,) = [f for f in report if f.code == "NC006"]
    assert "meta device" in finding.message
    assert report.summary is not None


def test_too_much_work_is_refused_or_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    args = (torch.randn(4, 64),)
    graph = trace(stack(64, 64, 64, 4), args)
    monkeypatch.setattr(plan, "CPU_WORK", 2e6)
    found = probe(graph, args, device="cpu")
    assert found.remarks == (f"{found.passes} passes of {found.batch} samples, since more would take long on a CPU",)
    assert found.batch is not None
    assert found.batch < 32
    monkeypatch.setattr(plan, "CPU_LIMIT", 1e4)
    with pytest.raises(ProbeError, match="too much for a CPU"):
        probe(graph, args, device="cpu")


def test_samples_that_tell_nothing_more_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netcheck.measure.plan.CPU_WORK", 3 * 2 * 64 * 64 * 14)
    assert measured(nn.Linear(64, 64), torch.randn(4, 64)).batch == 8  # 14 were affordable, in one pass


def test_a_device_that_is_not_there_is_a_finding() -> None:
    report = netcheck.check(stack(8, 8, 2), torch.randn(4, 8), device="cuda:77")
    assert [f.code for f in report if f.code == "NC006"]


def test_functions_are_measured_like_modules() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.ParameterList(nn.Parameter(torch.eye(8) * 0.1) for _ in range(3))
            self.head = nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for weight in self.weights:
                x = F.linear(x, weight)
            return self.head(x)

    assert measured(Functional(), torch.randn(4, 8)).gain == pytest.approx(-3.0, abs=1e-6)


# ---- following a real run -------------------------------------------------------------------------------------------


class Mixed(nn.Module):
    """Modules called twice, functions, operators, methods, an in-place activation, a custom autograd function."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.shared, self.norm = nn.Linear(8, 16), nn.Linear(16, 16), nn.BatchNorm1d(16)
        self.act, self.attention = nn.ReLU(inplace=True), nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm(self.first(x)))
        for _ in range(2):
            x = x + F.gelu(self.shared(x)) * 0.5
        x = torch.stack([x, Halved.apply(x)], 1)
        x, _ = self.attention(x, x, x)
        return self.head(x.mean(1).tanh())


class Halved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x / 2

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient / 2


def test_a_followed_run_measures_what_a_recorded_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, x = Mixed(), torch.randn(4, 8)
    followed = measured(model, x)
    monkeypatch.setattr(Stage, "follow", lambda *rest: None)
    recorded = measured(model, x)
    names = {node.node for node in followed.profile}
    assert names == {node.node for node in recorded.profile}
    assert len(names) > 10
    assert followed == recorded


def test_following_writes_no_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stage, "record", lambda *rest: pytest.fail("the run was recorded"))
    torch.manual_seed(0)
    assert measured(Mixed(), torch.randn(4, 8)).profile


def test_a_run_that_goes_another_way_is_recorded() -> None:
    class Sized(nn.Module):
        """Takes another way with more than four samples."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(8, 8), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.relu(self.first(x))
            return self.head(torch.relu(x) if x.shape[0] > 4 else x)

    found = measured(Sized(), torch.randn(4, 8))
    assert found.batch == 32
    assert math.isfinite(found.gain)
    assert [node.is_weight_layer for node in found.profile].count(True) == 2


# ---- the user's own tensors -----------------------------------------------------------------------------------------


def test_parameters_are_shared_where_forward_leaves_them_alone() -> None:
    met = Witness()

    class Looks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(8, 8), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if not isinstance(x, torch._subclasses.FakeTensor):
                met.note(self.body.weight.data_ptr())
            return self.head(self.body(x))

    model = Looks().double()
    measured(model, torch.randn(4, 8, dtype=torch.float64))
    assert model.body.weight.data_ptr() in met.told


@pytest.mark.parametrize("kind", ["clipping embedding", "in-place update"])
def test_parameters_that_forward_writes_to_stay_as_they_were(kind: str) -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Embedding(9, 8, max_norm=0.1) if kind == "clipping embedding" else nn.Linear(8, 8)
            self.head = nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if kind == "in-place update":
                with torch.no_grad():
                    self.first.weight.clamp_(-0.01, 0.01)
            return self.head(self.first(x))

    torch.manual_seed(0)
    model = Writes().double()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.randint(9, (4, 5)) if kind == "clipping embedding" else torch.randn(4, 8, dtype=torch.float64)
    assert measured(model, x).profile
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# ---- kinds of models ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_model_of_half_precision(dtype: torch.dtype) -> None:
    model = stack(32, 32, 32, 32, 4, activation=nn.Tanh)
    expected = measured(model, torch.randn(4, 32)).gain
    found = measured(model.to(dtype), torch.randn(4, 32).to(dtype))
    assert found.gain == pytest.approx(expected, abs=0.05)
    assert all(parameter.dtype is dtype for parameter in model.parameters())


def test_a_model_that_returns_its_loss_is_probed_through_it() -> None:
    class Loss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = stack(16, 16, 16, 4)

        def forward(self, x: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
            logits = self.body(x)
            return {"loss": F.cross_entropy(logits, target), "logits": logits}

    model = Loss()
    for layer in (model.body[0], model.body[2]):
        nn.init.orthogonal_(layer.weight, gain=0.1)
    found = measured(model, torch.randn(8, 16), torch.randint(4, (8,)))
    assert found.gain == pytest.approx(-2.0, abs=1e-5)
    assert found.unreached == ()


def test_sparse_gradients_of_an_embedding() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(5000, 16, sparse=True), nn.Linear(16, 16), nn.Linear(16, 4))
    dense_model = nn.Sequential(nn.Embedding(5000, 16), nn.Linear(16, 16), nn.Linear(16, 4))
    dense_model.load_state_dict(model.state_dict())
    x = torch.randint(5000, (4, 7))
    sparse, dense = (measured(one, x).parameters[0] for one in (model, dense_model))
    assert sparse.relative == pytest.approx(dense.relative)
    assert dense.relative > 0


def test_a_silu_behind_a_norm_that_starts_at_zero_is_not_dead() -> None:
    norm = nn.BatchNorm1d(16)
    nn.init.zeros_(norm.weight)
    for activation, dead in ((nn.SiLU(), {}), (nn.ReLU(), {"_2": 1.0})):
        model = nn.Sequential(nn.Linear(8, 16), norm, activation, nn.Linear(16, 4))
        assert measured(model, torch.randn(4, 8)).dead == dead


def test_a_layer_scale_holds_nothing_against_the_weights_behind_it() -> None:
    class Block(nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.layer, self.scale = nn.Linear(16, 16), nn.Parameter(torch.full((16,), scale))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.scale * torch.relu(self.layer(x))

    torch.manual_seed(0)
    blocks = [Block(1.0 if number % 2 else 1e-6) for number in range(8)]
    found = measured(nn.Sequential(*blocks, nn.Linear(16, 4)), torch.randn(8, 16))
    assert found.homogeneity is not None
    assert found.homogeneity < 2
    assert max(p.relative for p in found.parameters if p.name == "0.layer.weight") < 1e-4


def test_what_rounding_leaves_of_a_gradient_is_no_gradient() -> None:
    """A head behind one tower of two: the other's gradient cancels, but for the last digits."""
    relative = [1.0, 0.5, 0.2, 0.1, 1e-17, 3e-18, 2e-17]
    assert homogeneity(relative, torch.finfo(torch.float64).eps) == pytest.approx(0.819, abs=1e-3)
    assert homogeneity([1.0, 1e-3, 1e-6], torch.finfo(torch.float32).eps) == pytest.approx(4.8)


class WantsItsInputsGradient(nn.Module):
    """Sets `requires_grad` of a view of its input, as speech models do to checkpoint layers that are not trained."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.first, self.head = kind, nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x[:, None]
        if self.kind == "assigned":
            rows.requires_grad = True
        elif self.kind == "called":
            rows = rows.requires_grad_(True)
        elif self.kind == "forbidden":
            rows.requires_grad_(False)
        return self.head(torch.relu(self.first(rows[:, 0])))


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("kind", ["assigned", "called", "forbidden"])
def test_forward_may_set_whether_its_input_requires_a_gradient(
    kind: str, recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if recorded:
        monkeypatch.setattr(Stage, "follow", lambda *arguments: None)
    else:
        monkeypatch.delattr(Stage, "record")
    torch.manual_seed(0)
    plain, setting, x = WantsItsInputsGradient("not at all"), WantsItsInputsGradient(kind), torch.randn(4, 8)
    setting.load_state_dict(plain.state_dict())
    assert measured(setting, x).gain == measured(plain, x).gain
    assert not x.requires_grad
    assert "NC006" not in {found.code for found in netcheck.check(setting, x, device="cpu").findings}


def test_forward_may_freeze_a_parameter() -> None:
    """What is a leaf in the probe, too, is set as forward says, and as before afterwards."""

    class Freezes(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self[0].weight.requires_grad_(False)
            return super().forward(x)

    model = Freezes(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    assert "0.weight" not in {one.name for one in measured(model, torch.randn(4, 8)).parameters}
    assert model[0].weight.requires_grad


@pytest.mark.parametrize("drawn", [random.random, lambda: torch.rand([]), np.random.uniform], ids=["Python", "torch", "NumPy"])
def test_a_way_taken_by_chance_is_taken_again(drawn: Callable[[], Any]) -> None:
    class Skips(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(12))
            self.heads = nn.ModuleList(nn.Linear(8, 3) for _ in range(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                if drawn() < 0.5:
                    x = x + torch.tanh(layer(x))
            return self.heads[int(3 * drawn())](x)  # type: ignore[no-any-return]

    for seed in range(3):
        report = netcheck.check(Skips, torch.randn(4, 8), device="cpu", seed=seed)
        assert report.gradients is not None
        assert "NC006" not in {found.code for found in report}
