"""The static gain against what a backward pass measures, and against what theory says of nets without values."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

import netcheck
from netcheck.figures.gradients import held
from netcheck.trace import trace
from netcheck.trace.behaviour import Activation
from netcheck.trace.budget import diagnose
from netcheck.trace.gain import Network


class CReLU(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.relu(), (-x).relu()], 1)


class ConcatenatedFirst(nn.Module):
    """CReLU, one rectifier for both signs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(torch.cat([x, -x], dim=1))


class Stacked(nn.Module):
    """CReLU whose signs alternate."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(torch.stack([x, -x], dim=-1)).flatten(1)


class Maxout(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(1, (-1, 2)).amax(2)


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.branch(x)


def stack(activation: Callable[[], nn.Module], given: int = 128, made: int = 128, depth: int = 8) -> nn.Sequential:
    parts = [part for _ in range(depth) for part in (nn.Linear(given, made), activation())]
    return nn.Sequential(*parts, nn.Linear(given, 10))


def normed() -> nn.Sequential:
    parts = [p for _ in range(8) for p in (nn.Linear(128, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU())]
    return nn.Sequential(*parts, nn.Linear(128, 10))


class Highway(nn.Module):
    """A gate that starts nearly closed hands the rest of its input on (Srivastava et al. 2015)."""

    def __init__(self, width: int, activation: type[nn.Module], reversed_by: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.layer, self.gate = nn.Linear(width, width), nn.Linear(width, width)
        self.activation, self.rest = activation(), reversed_by
        nn.init.constant_(self.gate.bias, -1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = torch.sigmoid(self.gate(x))
        return gate * self.activation(self.layer(x)) + self.rest(gate) * x


def highway(activation: type[nn.Module], rest: Callable[[torch.Tensor], torch.Tensor]) -> nn.Sequential:
    return nn.Sequential(*(Highway(128, activation, rest) for _ in range(10)), nn.Linear(128, 10))


class Squared(nn.Module):
    """Its output is of the fourth power of its input: eight of them, of the 65,536th."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.left(x) * self.right(x)
        return x * x


NETS = {
    "linear": lambda: stack(nn.Identity),
    "ReLU": lambda: stack(nn.ReLU),
    "tanh": lambda: stack(nn.Tanh),
    "sigmoid": lambda: stack(nn.Sigmoid),
    "GELU": lambda: stack(nn.GELU),
    "CReLU": lambda: stack(CReLU, 128, 64),
    "rectified after concatenation": lambda: stack(ConcatenatedFirst, 128, 64),
    "rectified after stacking": lambda: stack(Stacked, 128, 64),
    "maxout": lambda: stack(Maxout, 64, 128),
    "batch norm": normed,
    "highway, 1 - gate": lambda: highway(nn.ReLU, lambda gate: 1 - gate),
    "highway, rsub": lambda: highway(nn.Tanh, lambda gate: torch.rsub(gate, 1)),
    "residual": lambda: nn.Sequential(*(Residual(128) for _ in range(6)), nn.Linear(128, 10)),
}


def measured(model: nn.Sequential, x: torch.Tensor) -> float:
    """log10 of |J^T v| / |v| from the input of the last layer to the first layer's input, over several v."""
    x = x.clone().requires_grad_()
    hidden = model[:-1](x)
    squares = []
    for _ in range(8):
        cotangent = torch.randn_like(hidden)
        (gradient,) = torch.autograd.grad(hidden, x, cotangent, retain_graph=True)
        squares.append(float(gradient.square().sum() / cotangent.square().sum()))
    return 0.5 * math.log10(sum(squares) / len(squares))


@pytest.mark.parametrize("name", NETS)
def test_the_estimate_is_what_a_backward_pass_measures(name: str) -> None:
    torch.manual_seed(0)
    model = NETS[name]()
    x = torch.randn(256, model[0].in_features if isinstance(model[0], nn.Linear) else 128)
    estimated = Network(trace(model, (x,))).estimate().gain
    assert estimated == pytest.approx(measured(model, x), abs=0.35)


@pytest.mark.parametrize("name", ["linear", "ReLU", "tanh", "CReLU", "maxout"])
def test_a_net_without_values_counts_as_initialized_for_its_activation(name: str) -> None:
    with torch.device("meta"):
        model = NETS[name]()
    x = torch.empty(4, model[0].in_features, device="meta")
    assert diagnose(trace(model, (x,))).gain == pytest.approx(0.0, abs=0.35)


def test_a_gain_beyond_what_a_float_holds_is_bounded() -> None:
    model = nn.Sequential(*(Squared(16) for _ in range(12)), nn.Linear(16, 4))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=4.0)
    assert diagnose(trace(model, (torch.randn(4, 16),))).gain > 100


class Squeeze(nn.Module):
    """A block whose branch is scaled channel by channel (Hu et al. 2018), as people write it: with `expand_as`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU())
        self.gate = nn.Sequential(nn.Linear(channels, channels // 4), nn.ReLU(), nn.Linear(channels // 4, channels), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.branch(x)
        scale = self.gate(y.mean((2, 3)))[:, :, None, None]
        return torch.relu(y * scale.expand_as(y) + x)


def test_what_gives_only_its_shape_gets_no_gradient() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*(Squeeze(32) for _ in range(12)), nn.Conv2d(32, 10, 1))
    x = torch.randn(16, 32, 8, 8)
    assert Network(trace(model, (x,))).estimate().gain == pytest.approx(measured(model, x), abs=0.35)


def pooled(positions: int, head: nn.Module) -> tuple[nn.Module, torch.Tensor]:
    """Two convolutions, an average over all positions and a classifier; tanh keeps the map from being of one sign."""
    body = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.Tanh(), nn.Conv2d(32, 32, 3, padding=1), nn.Tanh())
    return nn.Sequential(body, head, nn.Flatten(), nn.Linear(32, 10)), torch.randn(2, 3, positions, positions)


class AttentionPool(nn.Module):
    """softmax(w x) x over the tokens of a map."""

    def __init__(self) -> None:
        super().__init__()
        self.weigh = nn.Linear(32, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(2).transpose(1, 2)  # (N, T, C)
        return (self.weigh(x).softmax(1).transpose(1, 2) @ x).squeeze(1)


@pytest.mark.parametrize("head", [nn.AdaptiveAvgPool2d(1), AttentionPool()], ids=["average", "attention"])
def test_averaging_over_many_positions_is_not_held_against_a_net(head: nn.Module) -> None:
    nets = [pooled(positions, head) for positions in (8, 32, 128)]
    gains = [diagnose(trace(model, (x,))).gain for model, x in nets]
    assert gains[1:] == pytest.approx([gains[0]] * 2, abs=0.05)
    model, x = pooled(128, head)
    forgiven = Network(trace(model, (x,))).forgiven
    assert forgiven == pytest.approx(math.log10(128 / 8))
    report = netcheck.check(model, x)
    assert report.gradients is not None
    assert report.gradients.pooled == pytest.approx(forgiven)
    assert report.gradients.held_gain == pytest.approx(report.gradients.gain + forgiven)


@pytest.mark.parametrize(
    ("gain", "pooled", "expected"),
    [(-5.0, 1.0, -4.0), (-0.3, 0.9, 0.0), (2.4, 0.6, 2.4), (-math.inf, 0.6, -math.inf), (0.0, 0.0, 0.0)],
)
def test_what_pooling_takes_is_given_back_but_makes_no_growth(gain: float, pooled: float, expected: float) -> None:
    assert held(gain, pooled) == expected


# ---- what the sweep asks of an activation -----------------------------------------------------------------------------


@pytest.mark.parametrize("function", [torch.relu, torch.tanh, nn.GELU(), nn.Hardtanh()])
@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.7, 0.99, 1.0])
def test_the_overlap_of_two_samples_is_the_integral_over_both(
    function: Callable[[torch.Tensor], torch.Tensor], correlation: float
) -> None:
    z = torch.linspace(-7, 7, 1401, dtype=torch.float64)  # variance 1 and mean 0.5 are not rounded
    weights = torch.exp(-(z**2) / 2)
    weights = weights / weights.sum()
    other = correlation * z[:, None] + math.sqrt(1 - correlation**2) * z[None, :]  # (1401, 1401)
    expected = float(weights @ (function(z + 0.5)[:, None] * function(other + 0.5)) @ weights)
    assert Activation(function).overlap(1.0, 0.5, correlation) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("positive", "share", "variance"), [(1.0, 0.5, 0.3), (0.2, 0.3, 5.0), (3.0, 1.0, 1e-4)])
def test_the_moments_of_a_rectified_stream_are_those_of_samples(positive: float, share: float, variance: float) -> None:
    generator = torch.Generator().manual_seed(0)
    stream, branch, drawn = torch.randn(3, 1_000_000, generator=generator, dtype=torch.float64)
    stream = stream.abs() * math.sqrt(positive / share) * (drawn < torch.distributions.Normal(0, 1).icdf(torch.tensor(share)))
    z = stream + branch * math.sqrt(variance)  # (1000000,)
    second, mean, slope = Activation(torch.relu).moments_after_rectified_sum(positive, share, variance)
    assert second == pytest.approx(float(z.clamp(min=0).square().mean()), rel=0.01)
    assert mean == pytest.approx(float(z.clamp(min=0).mean()), rel=0.01)
    assert slope == pytest.approx(float((z > 0).double().mean().sqrt()), rel=0.01)
