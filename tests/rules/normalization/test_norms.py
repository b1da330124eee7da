"""NC302 to NC305 in other styles of code than the rules' own examples, and their claims held to autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netcheck.findings import Severity
from netcheck.rules.base import StaticRule
from netcheck.rules.normalization.bias_before_norm import BiasBeforeNorm
from netcheck.rules.normalization.norm_over_one_value import NormOverOneValue
from netcheck.rules.normalization.norm_twice import NormTwice
from netcheck.rules.normalization.shared_batchnorm import SharedBatchnorm
from tests.rules.checking import findings, net


def conv(forward: Any, **members: nn.Module) -> nn.Module:
    """A convolution with a bias, whatever follows, and a head."""
    return net(lambda self, x: self.head(forward(self, self.conv(x)).relu().flatten(1)), conv=nn.Conv2d(3, 4, 3),
               head=nn.LazyLinear(2), **members)  # fmt: skip


def vectors(forward: Any, **members: nn.Module) -> nn.Module:
    """A linear layer with a bias, whatever follows, and a head."""
    return net(
        lambda self, x: self.head(forward(self, self.layer(x))),
        layer=nn.Linear(8, 8),
        head=nn.Linear(8, 2),
        **members,
    )


def frozen(module: nn.Module) -> nn.Module:
    """A module in eval mode inside a model that trains."""
    module.train = lambda mode=True: nn.Module.train(module, False)  # type: ignore[method-assign]
    return module.eval()


IMAGES, VECTORS = (4, 3, 8, 8), (4, 8)
LOST = {
    "average pooling": (conv(lambda s, x: s.norm(F.avg_pool2d(x, 2)), norm=nn.BatchNorm2d(4)), IMAGES),
    "upsampling": (conv(lambda s, x: s.norm(F.interpolate(x, scale_factor=2)), norm=nn.BatchNorm2d(4)), IMAGES),
    "flattened positions": (conv(lambda s, x: s.norm(x.flatten(2)), norm=nn.BatchNorm1d(4)), IMAGES),
    "two norms of one value": (
        conv(lambda s, x: s.norm(x) + s.other(x), norm=nn.BatchNorm2d(4), other=nn.InstanceNorm2d(4)),
        IMAGES,
    ),
    "an affine instance norm": (conv(lambda s, x: s.norm(x), norm=nn.InstanceNorm2d(4, affine=True)), IMAGES),
    "transposed convolution": (
        net(lambda s, x: s.head(s.norm(s.up(x)).relu()), up=nn.ConvTranspose2d(3, 4, 2, 2), norm=nn.BatchNorm2d(4),
            head=nn.Conv2d(4, 1, 1)),
        IMAGES,
    ),
    "vectors": (vectors(lambda s, x: torch.tanh(s.norm(x)), norm=nn.BatchNorm1d(8)), VECTORS),
}  # fmt: skip
KEPT = {
    "padded average pooling": (
        conv(lambda s, x: s.norm(F.avg_pool2d(x, 3, 1, 1)), norm=nn.BatchNorm2d(4)),
        IMAGES,
    ),
    "mixed channels": (
        conv(lambda s, x: s.norm(x.transpose(1, 2).reshape(4, 4, 6, 6)), norm=nn.BatchNorm2d(4)),
        IMAGES,
    ),
    "dropout between": (conv(lambda s, x: s.norm(F.dropout(x, 0.1)), norm=nn.BatchNorm2d(4)), IMAGES),
    "frozen norm": (conv(lambda s, x: s.norm(x), norm=frozen(nn.BatchNorm2d(4))), IMAGES),
    "another use": (conv(lambda s, x: s.norm(x) * x.sigmoid(), norm=nn.BatchNorm2d(4)), IMAGES),
    "layer norm": (vectors(lambda s, x: F.gelu(s.norm(x)), norm=nn.LayerNorm(8)), VECTORS),
}


def bias_gradient(model: nn.Module, shape: tuple[int, ...]) -> float:
    """The largest gradient of the first layer's bias, over that of its weight."""
    torch.manual_seed(0)
    model(torch.randn(shape))  # lazy layers take their shapes
    model = model.double()
    model(torch.randn(shape, dtype=torch.float64)).square().sum().backward()
    layer = next(module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d))
    assert layer.bias is not None
    assert layer.bias.grad is not None
    assert layer.weight.grad is not None
    return float(layer.bias.grad.abs().max() / layer.weight.grad.abs().max())


@pytest.mark.parametrize(("model", "shape"), LOST.values(), ids=LOST)
def test_a_bias_without_effect_is_found_and_has_no_gradient(model: nn.Module, shape: tuple[int, ...]) -> None:
    (found,) = findings(BiasBeforeNorm, model, shape)
    assert found.severity == Severity.INFO
    assert found.evidence.value in (4, 8)
    assert bias_gradient(model, shape) < 1e-9


@pytest.mark.parametrize(("model", "shape"), KEPT.values(), ids=KEPT)
def test_a_bias_with_effect_is_left_alone(model: nn.Module, shape: tuple[int, ...]) -> None:
    assert findings(BiasBeforeNorm, model, shape) == []
    assert bias_gradient(model, shape) > 1e-6


def handwritten(x: Tensor) -> Tensor:
    """Layer normalization, written out."""
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 1e-5).sqrt()


def spread(self: Any, x: Tensor) -> Tensor:
    """One norm for three layers, in a loop."""
    for layer in (self.first, self.second, self.third):
        x = self.norm(layer(x)).relu()
    return x


def pyramid(self: Any, x: Tensor) -> Tensor:
    """One convolution and norm for maps of two sizes."""
    levels = [x, F.avg_pool2d(x, 2)]
    return sum(self.norm(self.conv(level)).mean((2, 3)) for level in levels)  # type: ignore[return-value]


layers = {name: nn.Linear(8, 8) for name in ("first", "second", "third")}
WARNED = {
    "303 written out": (NormTwice, vectors(lambda s, x: handwritten(handwritten(x))), VECTORS),
    "303 an idle dropout between": (
        NormTwice,
        vectors(lambda s, x: s.a(s.drop(s.b(x))), a=nn.BatchNorm1d(8), b=nn.BatchNorm1d(8), drop=nn.Dropout(0.0)),
        VECTORS,
    ),
    "303 one module twice": (NormTwice, vectors(lambda s, x: s.a(s.a(x)), a=nn.LayerNorm(8)), VECTORS),
    "304 loop": (SharedBatchnorm, net(spread, norm=nn.BatchNorm1d(8), **layers), VECTORS),
    "304 synchronized": (
        SharedBatchnorm,
        net(spread, norm=nn.BatchNorm1d(8, affine=False), **layers),
        VECTORS,
    ),
    "305 reshaped to maps": (
        NormOverOneValue,
        vectors(lambda s, x: s.norm(x[:, :, None, None]).flatten(1), norm=nn.GroupNorm(8, 8)),
        VECTORS,
    ),
    "305 the mean over positions first": (
        NormOverOneValue,
        net(
            lambda s, x: s.norm(s.conv(x).mean((2, 3), keepdim=True)),
            conv=nn.Conv2d(3, 4, 3),
            norm=nn.GroupNorm(4, 4),
        ),
        IMAGES,
    ),
}
SILENT = {
    "303 unit length": (NormTwice, vectors(lambda s, x: F.normalize(s.a(x)), a=nn.LayerNorm(8)), VECTORS),
    "303 scaled by another value": (
        NormTwice,
        vectors(lambda s, x: s.a(s.b(x) * x.sigmoid()), a=nn.LayerNorm(8), b=nn.LayerNorm(8)),
        VECTORS,
    ),
    "303 used twice": (NormTwice, vectors(lambda s, x: (lambda y: y + s.b(y))(s.a(x)), a=nn.LayerNorm(8), b=nn.LayerNorm(8)),
                       VECTORS),
    "304 instance norm": (SharedBatchnorm, net(spread, norm=nn.LayerNorm(8), **layers), VECTORS),
    "304 two views of one image": (
        SharedBatchnorm,
        net(lambda s, x: s.tower(x) - s.tower(x.flip(3)),
            tower=nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3),
                                nn.BatchNorm2d(4))),
        IMAGES,
    ),
    "304 frozen": (SharedBatchnorm, net(spread, norm=frozen(nn.BatchNorm1d(8)), **layers), VECTORS),
    "305 two channels a group": (NormOverOneValue, vectors(lambda s, x: F.group_norm(x, 4)), VECTORS),
    "305 in eval mode": (NormOverOneValue, vectors(lambda s, x: s.norm(x), norm=frozen(nn.BatchNorm1d(8))), (1, 8)),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "model", "shape"), WARNED.values(), ids=WARNED)
def test_the_fault_is_found_once(rule: type[StaticRule], model: nn.Module, shape: tuple[int, ...]) -> None:
    (found,) = findings(rule, model, shape)
    assert found.severity == rule.severity


@pytest.mark.parametrize(("rule", "model", "shape"), SILENT.values(), ids=SILENT)
def test_the_near_miss_is_left_alone(rule: type[StaticRule], model: nn.Module, shape: tuple[int, ...]) -> None:
    assert findings(rule, model, shape) == []


def test_a_norm_over_one_value_lets_no_gradient_pass() -> None:
    _, model, shape = WARNED["305 reshaped to maps"]
    x = torch.randn(shape, requires_grad=True)
    model(x).square().sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().max()) < 1e-4  # rounding


def test_shared_blocks_are_a_note() -> None:
    model = net(pyramid, conv=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4))
    (found,) = findings(SharedBatchnorm, model, (4, 3, 16, 16))
    assert (found.severity, found.count) == (Severity.INFO, 2)


def test_the_final_norm_of_post_norm_layers_is_a_note() -> None:
    (found,) = findings(NormTwice, nn.Transformer(16, 2, 2, 2, 32, batch_first=True), (2, 5, 16), (2, 3, 16))
    assert (found.severity, found.count) == (Severity.INFO, 2)


def test_one_bias_that_several_calls_add_is_counted_once() -> None:
    shared = nn.Linear(8, 8)
    model = net(
        lambda s, x: s.a(s.layer(x)) + s.b(s.layer(x.flip(1))),
        layer=shared,
        a=nn.BatchNorm1d(8),
        b=nn.BatchNorm1d(8),
    )
    (found,) = findings(BiasBeforeNorm, model, VECTORS)
    assert (found.evidence.value, found.count) == (8, 2)
