"""The rules on whole stacks of layers, in styles of code that their own examples do not have; and what only looks alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netcheck
from tests.rules.checking import net

VECTORS, IMAGES = (8, 64), (4, 8, 8, 8)


def linear(n_in: int = 64, n_out: int = 64, *, gain: float = 1.0, bias: float = 0.0) -> nn.Linear:
    """A layer with std * sqrt(fan_in) = gain."""
    layer = nn.Linear(n_in, n_out)
    nn.init.normal_(layer.weight, std=gain / n_in**0.5)
    nn.init.constant_(layer.bias, bias)
    return layer


def deep(step: Callable[[nn.Module, Tensor], Tensor], layers: Any, head: int = 64) -> nn.Module:
    """A loop over layers in forward, and a head."""

    def forward(self: Any, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = step(layer, x)
        return self.head(x.flatten(1))

    return net(forward, layers=nn.ModuleList(layers), head=nn.Linear(head, 10))


def weights(count: int, gain: float, n: int = 64) -> nn.ParameterList:
    """Bare matrices."""
    return nn.ParameterList(nn.Parameter(torch.randn(n, n) * gain / n**0.5) for _ in range(count))


def functional(step: Callable[[Tensor, Tensor], Tensor], count: int, gain: float) -> nn.Module:
    """A model without submodules: matrices and functions."""

    def forward(self: Any, x: Tensor) -> Tensor:
        for weight in self.weights:
            x = step(x, weight)
        return x @ self.last

    return net(forward, weights=weights(count, gain), last=nn.Parameter(torch.randn(64, 10) / 8))


def crelu(x: Tensor) -> Tensor:
    """Both signs, rectified, side by side."""
    return torch.cat((x.clamp(min=0), x.neg().clamp(min=0)), 1)


class Repeated(nn.Module):
    """One layer, called many times."""

    def __init__(self, layer: nn.Module, times: int, act: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.times, self.act, self.head = layer, times, act, nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.times):
            x = self.act(self.layer(x))
        return self.head(x)


def mirrored(n: int = 32) -> nn.Linear:
    layer, half = nn.Linear(2 * n, n), nn.init.orthogonal_(torch.empty(n, n))
    layer.weight.data = torch.cat((half, -half), 1)
    return layer


def plain_conv(n: int = 8) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n, n, 3, padding=1, bias=False), nn.BatchNorm2d(n), nn.ReLU())


def filled(value: float, layer: nn.Module) -> nn.Module:
    nn.init.constant_(layer.weight, value)
    return layer


def residual(step: Callable[[Any, Tensor], Tensor], count: int, **parts: Callable[[], nn.Module]) -> nn.Module:
    """Blocks with one forward, a head."""
    blocks = [net(step, **{name: build() for name, build in parts.items()}) for _ in range(count)]
    return nn.Sequential(*blocks, nn.Linear(64, 10))


def encoder(**options: Any) -> nn.Module:
    return nn.TransformerEncoder(
        nn.TransformerEncoderLayer(64, 4, 64, batch_first=True, **options), 6, enable_nested_tensor=False
    )


def tanh_gain() -> nn.Linear:
    return linear(gain=5 / 3)


ROOT2 = 2**0.5
BAD: list[tuple[str, str, Callable[[], nn.Module], tuple[int, ...]]] = [
    ("NC101", "torch.tanh in a loop", lambda: deep(lambda f, x: torch.tanh(f(x)), [tanh_gain() for _ in range(120)]), VECTORS),
    ("NC101", "bare matrices, x.tanh()", lambda: functional(lambda x, w: (x @ w).tanh(), 120, 5 / 3), VECTORS),
    ("NC101", "one layer called 130 times", lambda: Repeated(tanh_gain(), 130, torch.tanh_), VECTORS),
    (
        "NC101",
        "a squashing function of its own",
        lambda: deep(lambda f, x: torch.erf(f(x)), [linear(gain=ROOT2) for _ in range(120)]),
        VECTORS,
    ),
    ("NC102", "bare matrices, x.sigmoid()", lambda: functional(lambda x, w: (x @ w).sigmoid(), 9, 1.0), VECTORS),
    ("NC102", "hard sigmoid", lambda: deep(lambda f, x: F.hardsigmoid(f(x)), [linear() for _ in range(9)]), VECTORS),
    ("NC102", "one layer called nine times", lambda: Repeated(linear(), 9, torch.sigmoid_), VECTORS),
    (
        "NC301",
        "sums in place",
        lambda: residual(
            lambda s, x: s.two(s.one(F.relu(x)).relu_()).add_(x),
            45,
            one=lambda: linear(gain=ROOT2),
            two=lambda: linear(gain=ROOT2),
        ),
        VECTORS,
    ),
    (
        "NC301",
        "SiLU, and torch.add",
        lambda: residual(
            lambda s, x: torch.add(x, s.two(F.silu(s.one(F.silu(x))))),
            60,
            one=lambda: linear(gain=1.7),
            two=lambda: linear(gain=1.7),
        ),
        VECTORS,
    ),
    (
        "NC301",
        "a norm at the entrance only",
        lambda: nn.Sequential(
            nn.LayerNorm(64),
            residual(
                lambda s, x: x + s.two(F.relu(s.one(F.relu(x)))),
                45,
                one=lambda: linear(gain=ROOT2),
                two=lambda: linear(gain=ROOT2),
            ),
        ),
        VECTORS,
    ),
    ("NC301", "bare matrices", lambda: functional(lambda x, w: x + F.relu(F.relu(x) @ w) @ w.T, 60, ROOT2), VECTORS),
    (
        "NC401",
        "norms and ReLUs as functions",
        lambda: deep(lambda f, x: F.relu(F.layer_norm(f(x), (64,))), [linear(gain=ROOT2) for _ in range(34)]),
        VECTORS,
    ),
    (
        "NC401",
        "group norms",
        lambda: nn.Sequential(
            *[nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU()) for _ in range(32)],
            nn.Flatten(),
            nn.Linear(512, 4),
        ),
        IMAGES,
    ),
    (
        "NC401",
        "skips that lead around nothing",
        lambda: nn.Sequential(
            *[
                net(
                    lambda s, x: F.relu(s.norm(s.conv(x))) + 0 * x.detach(),
                    conv=nn.Conv2d(8, 8, 3, padding=1),
                    norm=nn.BatchNorm2d(8),
                )
                for _ in range(32)
            ],
            nn.Flatten(),
            nn.Linear(512, 4),
        ),
        IMAGES,
    ),
    ("NC501", "bare matrices far too small", lambda: functional(lambda x, w: (x @ w).relu(), 12, 0.4), VECTORS),
    ("NC501", "too large", lambda: deep(lambda f, x: F.leaky_relu(f(x), 0.1), [linear(gain=3.0) for _ in range(12)]), VECTORS),
    (
        "NC502",
        "zeros in bare matrices",
        lambda: net(
            lambda s, x: F.relu(F.relu(x @ s.a) @ s.b) @ s.c,
            a=nn.Parameter(torch.randn(64, 32)),
            b=nn.Parameter(torch.zeros(32, 32)),
            c=nn.Parameter(torch.randn(32, 4)),
        ),
        VECTORS,
    ),
    (
        "NC502",
        "ones in a depthwise pair",
        lambda: nn.Sequential(filled(1.0, nn.Conv2d(8, 16, 1)), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.Flatten(), nn.LazyLinear(4)),
        IMAGES,
    ),
    (
        "NC502",
        "an LSTM of zeros",
        lambda: net(
            lambda s, x: s.head(s.mid(s.rnn(x.unflatten(1, (8, 8)))[0][:, -1])),
            head=nn.Linear(16, 2),
            mid=nn.Linear(16, 16),
            rnn=(lambda r: [nn.init.zeros_(p) for p in r.parameters()] and r)(nn.LSTM(8, 16, batch_first=True)),
        ),
        VECTORS,
    ),
    (
        "NC503",
        "a helper function",
        lambda: deep(lambda f, x: crelu(f(x)), [nn.utils.parametrizations.orthogonal(nn.Linear(64, 32)) for _ in range(24)]),
        VECTORS,
    ),
    (
        "NC503",
        "bare matrices",
        lambda: net(
            lambda s, x: crelu(_fold(s.w, x)) @ s.last,
            w=nn.ParameterList(nn.Parameter(torch.randn(64, 32) / 8) for _ in range(24)),
            last=nn.Parameter(torch.randn(64, 10) / 8),
        ),
        VECTORS,
    ),
    ("NC503", "mirrored with the wrong sign", lambda: deep(lambda f, x: crelu(f(x)), [_doubled() for _ in range(24)]), VECTORS),
    (
        "NC503",
        "stacked and flattened",
        lambda: deep(
            lambda f, x: (lambda z: torch.stack((F.relu(z), F.relu(-z)), -1))(f(x)).flatten(1),
            [linear(64, 32) for _ in range(24)],
        ),
        VECTORS,
    ),
    (
        "NC503",
        "torch.concat of keyword arguments",
        lambda: deep(
            lambda f, x: torch.concat(tensors=(F.relu(f.y), F.relu(-f.y)), dim=-1) if setattr(f, "y", f(x)) is None else x,
            [linear(64, 32) for _ in range(24)],
        ),
        VECTORS,
    ),
    ("NC907", "rounded to integers", lambda: net(lambda s, x: s.f(x).round().long(), f=nn.Linear(64, 4)), VECTORS),
    ("NC907", "a Python number", lambda: net(lambda s, x: float(s.f(x).detach().sum()), f=nn.Linear(64, 4)), VECTORS),
    (
        "NC201",
        "functional, on one-dimensional maps",
        lambda: nn.Sequential(
            nn.Conv1d(8, 16, 3),
            net(lambda s, x: F.dropout(F.relu(x), 0.3, s.training)),
            nn.Conv1d(16, 16, 3),
            nn.ReLU(),
            nn.Conv1d(16, 16, 3),
            nn.Flatten(),
            nn.LazyLinear(4),
        ),
        (4, 8, 64),
    ),
    (
        "NC201",
        "a mask by comparison",
        lambda: nn.Sequential(
            nn.Conv2d(8, 8, 3),
            net(lambda s, x: x * (torch.rand_like(x) > 0.4) / 0.6 if s.training else x),
            nn.Conv2d(8, 8, 3),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3),
            nn.Flatten(),
            nn.LazyLinear(4),
        ),
        IMAGES,
    ),
]
GOOD: list[tuple[str, str, Callable[[], nn.Module], tuple[int, ...]]] = [
    (
        "NC101",
        "tanh in residual branches",
        lambda: residual(lambda s, x: x + 0.1 * torch.tanh(s.one(x)), 100, one=lambda: linear(gain=1.0)),
        VECTORS,
    ),
    (
        "NC101",
        "a deep LSTM",
        lambda: net(
            lambda s, x: s.head(s.rnn(x.unflatten(1, (8, 8)))[0][:, -1]),
            rnn=nn.LSTM(8, 16, num_layers=8, batch_first=True),
            head=nn.Linear(16, 2),
        ),
        VECTORS,
    ),
    (
        "NC102",
        "attention gates",
        lambda: residual(lambda s, x: x + torch.sigmoid(s.one(x)) * s.two(x), 20, one=linear, two=linear),
        VECTORS,
    ),
    (
        "NC102",
        "sigmoids side by side",
        lambda: net(
            lambda s, x: s.head(sum(torch.sigmoid(f(x)) for f in s.towers)),
            head=nn.Linear(64, 3),
            towers=nn.ModuleList(linear() for _ in range(10)),
        ),
        VECTORS,
    ),
    (
        "NC301",
        "post-norm transformer layers",
        lambda: nn.Sequential(nn.Unflatten(1, (1, 64)), encoder(), nn.Linear(64, 4)),
        VECTORS,
    ),
    ("NC301", "a few blocks", lambda: residual(lambda s, x: x + s.one(F.relu(x)), 5, one=lambda: linear(gain=ROOT2)), VECTORS),
    (
        "NC401",
        "gated skips (highway)",
        lambda: residual(
            lambda s, x: (lambda g: g * F.relu(s.one(x)) + (1 - g) * x)(torch.sigmoid(s.two(x))),
            34,
            one=lambda: linear(gain=ROOT2),
            two=lambda: linear(gain=1.0),
        ),
        VECTORS,
    ),
    (
        "NC401",
        "pre-norm transformer layers",
        lambda: nn.Sequential(nn.Unflatten(1, (1, 64)), encoder(norm_first=True), nn.Linear(64, 4)),
        VECTORS,
    ),
    ("NC501", "well initialized bare matrices", lambda: functional(lambda x, w: (x @ w).relu(), 12, ROOT2), VECTORS),
    (
        "NC501",
        "default layers behind norms",
        lambda: deep(lambda f, x: F.relu(F.layer_norm(f(x), (64,))), [nn.Linear(64, 64) for _ in range(12)]),
        VECTORS,
    ),
    (
        "NC503",
        "ReLU of one sign twice",
        lambda: deep(lambda f, x: torch.cat((F.relu(f(x)), F.relu(f(x))), 1), [linear(64, 32, gain=ROOT2) for _ in range(24)]),
        VECTORS,
    ),
    (
        "NC503",
        "mirrored input by input, for signs that alternate",
        lambda: deep(
            lambda f, x: torch.relu((lambda z: torch.stack((z, -z), -1))(f(x))).flatten(1), [alternating() for _ in range(24)]
        ),
        VECTORS,
    ),
    ("NC503", "mirrored in a helper", lambda: deep(lambda f, x: crelu(f(x)), [mirrored() for _ in range(24)]), VECTORS),
    ("NC907", "a loss inside forward", lambda: net(lambda s, x: s.f(x).square().mean(), f=nn.Linear(64, 4)), VECTORS),
    ("NC907", "a tuple with a mask", lambda: net(lambda s, x: (s.f(x), x > 0), f=nn.Linear(64, 4)), VECTORS),
    ("NC907", "soft argmax", lambda: net(lambda s, x: s.f(x).softmax(-1) @ torch.arange(4.0), f=nn.Linear(64, 4)), VECTORS),
]


def alternating(n: int = 32) -> nn.Linear:
    layer, half = nn.Linear(2 * n, n), nn.init.orthogonal_(torch.empty(n, n))
    layer.weight.data = torch.stack((half, -half), -1).flatten(1)
    return layer


def _fold(matrices: Any, x: Tensor) -> Tensor:
    for weight in list(matrices)[:-1]:
        x = crelu(x @ weight)
    return x @ list(matrices)[-1]


def _doubled() -> nn.Linear:
    """[W, W]: it undoes the two signs instead of putting them together."""
    layer, half = nn.Linear(64, 32), nn.init.orthogonal_(torch.empty(32, 32))
    layer.weight.data = torch.cat((half, half), 1)
    return layer


def codes(build: Callable[[], nn.Module], shape: tuple[int, ...], code: str) -> set[str]:
    torch.manual_seed(0)
    model, x = build(), torch.randn(shape)
    if any(isinstance(part, nn.modules.lazy.LazyModuleMixin) for part in model.modules()):
        model(x)
    report = netcheck.check(model, x, probe=False, select=[code])
    assert report.summary is not None, str(report)
    return {finding.code for finding in report}


def named(cases: list[Any]) -> list[Any]:
    return [pytest.param(*case, id=f"{case[0]}-{case[1]}") for case in cases]


@pytest.mark.parametrize(("code", "title", "build", "shape"), named(BAD))
def test_a_fault_is_found(code: str, title: str, build: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    assert code in codes(build, shape, code)


@pytest.mark.parametrize(("code", "title", "build", "shape"), named(GOOD))
def test_what_looks_alike_is_left_alone(code: str, title: str, build: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    assert code not in codes(build, shape, code)
