"""Variants of what the rules about cost look for, and of what they must leave alone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netcheck
from netcheck.findings import Finding, Severity
from netcheck.trace.windows import Window
from netcheck.trace.work import work_of_layers

Build = Callable[[], nn.Module]


def findings(model: nn.Module, *shape: int, rule: str, memory: str | None = None) -> list[Finding]:
    report = netcheck.check(model, torch.randn(*shape), select=[rule], device_memory=memory)
    assert report.summary is not None, str(report)
    return [found for found in report if found.code == rule]


class Function(nn.Module):
    """A model from a function of its input and two convolutions."""

    def __init__(self, forward: Callable[[Function, torch.Tensor], torch.Tensor], kernel: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, kernel, padding=kernel // 2)
        self.second = nn.Conv2d(3, 3, 1, stride=2)
        self.way = forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.way(self, x)


# ---- windows, against the convolution itself ------------------------------------------------------------------------


@pytest.mark.parametrize(("padding", "dilation"), [(0, 1), (1, 1), (2, 1), (2, 2), (0, 3)])
def test_windows_look_where_convolutions_do(padding: int, dilation: int) -> None:
    for size, kernel, stride in product([1, 2, 3, 5, 8], [1, 2, 3, 5], [1, 2, 3]):
        window = Window(kernel, stride, padding, dilation)
        if window.outputs(size) == 0:
            assert size + 2 * padding < window.extent
            continue
        x = torch.ones(1, 1, size, requires_grad=True)
        weight = torch.ones(1, 1, kernel, requires_grad=True)
        y = F.conv1d(x, weight, stride=stride, padding=padding, dilation=dilation)
        y.sum().backward()
        assert x.grad is not None
        assert weight.grad is not None
        assert window.outputs(size) == y.shape[2]
        assert window.seen(size) == set(x.grad[0, 0].nonzero().flatten().tolist())
        assert window.live_taps(size) == weight.grad.count_nonzero()


# ---- NC803 ----------------------------------------------------------------------------------------------------------

SHRUNKEN: dict[str, tuple[Build, tuple[int, ...], Severity]] = {
    "a kernel of three on one step": (
        lambda: nn.Sequential(nn.MaxPool1d(8), nn.Conv1d(4, 4, 3, padding=1), nn.Flatten(), nn.Linear(4, 2)),
        (2, 4, 8),
        Severity.INFO,
    ),
    "a kernel of five on one step": (
        lambda: nn.Sequential(nn.MaxPool1d(8), nn.Conv1d(4, 4, 5, padding=2), nn.Flatten(), nn.Linear(4, 2)),
        (2, 4, 8),
        Severity.WARNING,
    ),
    "padding called same": (
        lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 3, 3, padding="same"), nn.Flatten()),
        (2, 3, 9, 9),
        Severity.WARNING,
    ),
    "holes wider than the map": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=8, dilation=8), nn.Flatten(), nn.Linear(4 * 64, 3)),
        (2, 3, 8, 8),
        Severity.INFO,
    ),
    "both branches step over the same positions": (
        lambda: Function(lambda m, x: (lambda h: m.second(h) + F.avg_pool2d(h, 1, 2))(m.first(x))),
        (2, 3, 8, 8),
        Severity.WARNING,
    ),
    "a stride of a function": (
        lambda: Function(lambda m, x: F.conv2d(m.first(x), torch.ones(2, 3, 2, 2), None, 3)),
        (2, 3, 11, 11),
        Severity.WARNING,
    ),
}

WHOLE: dict[str, tuple[Build, tuple[int, ...]]] = {
    "a shortcut beside an addition": (lambda: Function(lambda m, x: (lambda h: m.second(h) + h[:, :, ::2, ::2])(m.first(x))),
                                      (2, 3, 8, 8)),
    "a row left over at the border": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.MaxPool2d(2)),
                                      (2, 3, 12, 12)),
    "a large kernel on a small map": (lambda: nn.Sequential(nn.Conv2d(3, 4, 7, padding=3), nn.Flatten(), nn.Linear(64, 2)),
                                      (2, 3, 4, 4)),
    "squeeze and excitation": (lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 3, 1), nn.Sigmoid()), (2, 3, 8, 8)),
    "keys that are pooled beside a way around": (
        lambda: Function(lambda m, x: x + m.second(m.first(x)).mean((2, 3), keepdim=True)), (2, 3, 8, 8)),
    "pooling one pixel": (lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.MaxPool2d(3, 1, 1)), (2, 3, 8, 8)),
}  # fmt: skip


@pytest.mark.parametrize("name", SHRUNKEN)
def test_a_shrunken_map_is_found(name: str) -> None:
    build, shape, severity = SHRUNKEN[name]
    found = findings(build(), *shape, rule="NC803")
    assert [each.severity for each in found] == [severity]


@pytest.mark.parametrize("name", WHOLE)
def test_a_map_that_is_read_is_not(name: str) -> None:
    build, shape = WHOLE[name]
    assert findings(build(), *shape, rule="NC803") == []


# ---- NC804 ----------------------------------------------------------------------------------------------------------


def conv(kernel: int, **options: int) -> nn.Conv2d:
    return nn.Conv2d(3, 3, kernel, **options)


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: nn.Sequential(conv(3), nn.ReLU(), conv(3)), 5),
        (lambda: nn.Sequential(conv(3, stride=2), nn.ReLU(), conv(3)), 7),
        (lambda: nn.Sequential(conv(3), nn.MaxPool2d(2), conv(3)), 8),
        (lambda: nn.Sequential(conv(3, dilation=4), nn.BatchNorm2d(3), conv(1)), 9),
        (lambda: Function(lambda m, x: x + m.first(F.relu(m.first(x)))), 5),
        (lambda: Function(lambda m, x: torch.cat([x, m.first(x)], 1), kernel=7), 7),
    ],
)
def test_receptive_fields_by_hand(build: Build, field: int) -> None:
    (found,) = findings(build(), 2, 3, 32, 32, rule="NC804")
    assert f"sees {field}x{field} of an input of 32x32" in found.message
    assert found.severity is Severity.INFO


@pytest.mark.parametrize(
    "build",
    [
        lambda: Function(lambda m, x: m.first(x) * m.first(x).mean((2, 3), keepdim=True)),
        lambda: Function(lambda m, x: m.first(x).flatten(2).softmax(-1)),
        lambda: nn.Sequential(conv(3), nn.GroupNorm(1, 3), conv(3)),
        lambda: nn.Sequential(conv(31, padding=15), conv(3, padding=1)),
        lambda: nn.Sequential(conv(3), nn.AdaptiveAvgPool2d(4), nn.Upsample(scale_factor=8)),
        lambda: nn.Sequential(nn.Flatten(2), nn.Linear(1024, 16), nn.ReLU()),
    ],
)
def test_what_sees_everything_is_not_found(build: Build) -> None:
    assert findings(build(), 2, 3, 32, 32, rule="NC804") == []


# ---- NC801, NC802 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("memory", "severity"),
    [("64MiB", Severity.ERROR), ("100MiB", Severity.WARNING), ("600MiB", None), (None, None)],
)
def test_memory_at_its_limits(memory: str | None, severity: Severity | None) -> None:
    found = findings(nn.Sequential(nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 2048)), 4, 2048, rule="NC801",
                     memory=memory)  # fmt: skip
    assert [each.severity for each in found] == ([severity] if severity else [])


def test_the_way_out_names_the_batch_that_fits() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.Flatten(),
                          nn.Linear(8 * 256, 4))  # fmt: skip
    (found,) = findings(model, 512, 3, 16, 16, rule="NC801", memory="10MiB")
    assert found.help == "cheapest: bfloat16 autocast; else batches of 256, 2 accumulated"


def test_one_wide_layer_among_narrow_ones() -> None:
    layers: list[nn.Module] = [layer for _ in range(6) for layer in (nn.Linear(256, 256), nn.ReLU())]
    assert findings(nn.Sequential(*layers), 2, 256, rule="NC802") == []
    wide = nn.Sequential(nn.Linear(8192, 256), nn.ReLU(), *layers)
    found = findings(wide, 64, 8192, rule="NC802")
    assert [each.evidence.unit for each in found] == ["share of parameters", "share of FLOPs"]
    assert all(each.modules == ("0",) and each.severity is Severity.INFO for each in found)
    assert findings(wide[:5], 64, 8192, rule="NC802") == []  # in three layers one is always the largest


@pytest.mark.parametrize(
    "layers",
    [
        lambda: nn.Sequential(nn.Conv2d(3, 96, 3, padding=1), nn.Conv2d(96, 96, 5, padding=2), nn.Conv2d(96, 8, 1),
                              nn.Conv2d(8, 8, 1)),
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 64, 9, stride=2), nn.Conv2d(64, 8, 1),
                              nn.Conv2d(8, 8, 1)),
        lambda: Function(lambda self, x: self.second(F.conv2d(self.first(x), self.weight))),
    ],
    ids=["convolution", "transposed", "few layers"],
)  # fmt: skip
def test_shapes_tell_the_flops_of_weight_layers(layers: Build) -> None:
    model = layers()
    if isinstance(model, Function):
        model.weight = nn.Parameter(torch.randn(3, 3, 5, 5))
    report = netcheck.check(model, torch.randn(2, 3, 16, 16), select=["NC802"])
    assert report.graph is not None
    assert report.cost is not None
    assert sum(work_of_layers(report.graph).values()) == report.cost.forward
