"""No missed case: real nets made sick are found wherever a backward pass says that they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

import netcheck
from netcheck.trace.gain import Network
from netcheck.trace.run import trace
from tests.zoo import declare_torchvision_operators

declare_torchvision_operators()
torchvision = pytest.importorskip("torchvision")

PLAIN = ("squeezenet1_1", "googlenet", *(
    pytest.param(name, marks=pytest.mark.slow)
    for name in ("alexnet", "vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg16_bn", "squeezenet1_0")
))  # fmt: skip
UNSURE = 0.75  # decades around the budget within which estimate and measurement may fall on different sides


def replaced(model: nn.Module, old: type[nn.Module], new: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """`model` with every submodule of class `old` replaced."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, old):
                setattr(parent, name, new(child))
    return model


def reset(model: nn.Module) -> nn.Module:
    """`model` as PyTorch initializes it by default."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.reset_parameters()
    return model


def measured(model: nn.Module, x: torch.Tensor) -> float:
    """The gain by a backward pass from the head's input, in decades."""
    head = Network(trace(model, (x,))).head
    assert head is not None
    assert head.module is not None
    reached: list[torch.Tensor] = []
    handle = head.module.register_forward_pre_hook(lambda module, args: reached.append(args[0]))
    x = x.clone().requires_grad_(True)
    model(x)
    handle.remove()
    cotangent = torch.randn_like(reached[0])
    (gradient,) = torch.autograd.grad(reached[0], x, cotangent)
    return float(torch.log10(gradient.norm() / cotangent.norm()).clamp(-45, 45))


def assert_found_if_sick(model: nn.Module, x: torch.Tensor) -> None:
    """A net beyond the budget gets a warning or an error; one clearly inside gets none from the budget."""
    gain = measured(model, x)
    report = netcheck.check(model, x, probe=False)
    found = [f for f in report.findings if f.evidence.unit == "decades" and f.severity >= "warning"]
    if abs(gain) > 3 + UNSURE:
        assert found, f"measured gain {gain:.1f}, static {report.graph.diagnosis.gain:.1f}: nothing found\n{report}"
    elif abs(gain) < 3 - UNSURE:
        assert not found, f"measured gain {gain:.1f}: false alarm\n{report}"


@pytest.mark.parametrize("activation", [nn.Tanh, nn.Sigmoid, nn.Softsign], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("name", PLAIN)
def test_another_activation_at_the_default_initialization(name: str, activation: type[nn.Module]) -> None:
    torch.manual_seed(0)
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    model = torchvision.models.get_model(name, weights=None, **options)
    model = reset(replaced(model, nn.ReLU, lambda old: activation()))
    assert_found_if_sick(model, torch.randn(2, 3, 96, 96))


class WithoutSkip(nn.Module):
    """A residual block's layers in a row; the shortcut is gone."""

    def __init__(self, block: nn.Module, normalize: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number in ("1", "2", "3"):
            if hasattr(block, f"conv{number}"):
                norm = getattr(block, f"bn{number}") if normalize else nn.Identity()
                layers += [getattr(block, f"conv{number}"), norm, nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def blocks(model: nn.Module) -> Iterator[tuple[nn.Sequential, int]]:
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        for index in range(len(stage)):
            yield stage, index


@pytest.mark.parametrize("initialization", ["own", "default"])
@pytest.mark.parametrize("normalize", [True, False], ids=["norms", "no-norms"])
@pytest.mark.parametrize(
    "name", ["resnet18", "resnet34", *(pytest.param(n, marks=pytest.mark.slow) for n in ("resnet50", "resnet101"))]
)
def test_resnets_without_skips_or_norms(name: str, normalize: bool, initialization: str) -> None:
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None)
    for stage, index in blocks(model):
        stage[index] = WithoutSkip(stage[index], normalize)
    if not normalize:
        model.bn1 = nn.Identity()
    if initialization == "default":
        reset(model)
    x = torch.randn(2, 3, 96, 96)
    assert_found_if_sick(model, x)
    deep = {f.code for f in netcheck.check(model, x, probe=False).findings}
    assert "NC401" in deep


@pytest.mark.parametrize("name", ["resnet18", "vgg11", "mobilenet_v2", "densenet121", "efficientnet_b0", "regnet_y_400mf"])
def test_elementwise_dropout_after_convolutions(name: str) -> None:
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None)
    activations = (nn.ReLU, nn.ReLU6, nn.SiLU)
    for kind in activations:
        replaced(model, kind, lambda old: nn.Sequential(type(old)(), nn.Dropout(0.3)))
    codes = {f.code for f in netcheck.check(model, torch.randn(2, 3, 64, 64), probe=False).findings}
    assert "NC201" in codes
