"""The rules on wiring beyond their examples: how sure they are, where they point, what they leave."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netcheck
from netcheck.findings import Finding


def found(code: str, model: nn.Module, *inputs: Any, **named: Any) -> list[Finding]:
    return [f for f in netcheck.check(model, named or inputs, select=[code], probe=False) if f.code == code]


def line_of(finding: Finding) -> str:
    assert finding.location is not None
    with open(finding.location.file) as source:
        return source.readlines()[finding.location.line - 1]


class Run(nn.Module):
    """A model whose forward is a function of itself and its inputs."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.__dict__["function"] = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(self, *inputs)


X = torch.randn(4, 8)


def linear(n: int = 8) -> nn.Linear:
    return nn.Linear(8, n)


# ---- NC901 --------------------------------------------------------------------------------------------


def test_one_attribute_is_one_finding_at_the_line_that_built_it() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = (linear(), linear())  # this line

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.parts[1](F.relu(self.parts[0](x)))

    [finding] = found("NC901", nn.Sequential(Block(), Block()), X)
    assert (finding.severity, finding.verdict) == ("error", "confirmed")
    assert finding.count == 4
    assert finding.evidence.value == 4 * (64 + 8)
    assert "this line" in line_of(finding)


def test_two_attributes_are_two_findings() -> None:
    model = Run(lambda self, x: self.b["head"](self.a[0](x)), a=[linear()], b={"head": linear()})
    assert [f.modules for f in found("NC901", model, X)] == [("a[0]",), ("b['head']",)]


def test_a_module_list_in_a_dict_is_one_hidden_module() -> None:
    model = Run(lambda self, x: self.a["all"][1](self.a["all"][0](x)), a={"all": nn.ModuleList([linear(), linear()])})
    [finding] = found("NC901", model, X)
    assert finding.modules == ("a['all']",)


@pytest.mark.parametrize("blind", [True, False])
def test_a_frozen_teacher_that_is_hidden_on_purpose_is_information(blind: bool) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        with torch.set_grad_enabled(not blind):
            target = self.teacher[0](x)
        return self.student(x) - target

    teacher = linear() if blind else linear().requires_grad_(False)
    [finding] = found("NC901", Run(forward, teacher=[teacher], student=linear()), X)
    assert finding.severity == "info"


def test_a_module_in_a_closure_is_seen() -> None:
    outside = linear()
    [finding] = found("NC901", Run(lambda self, x: self.head(outside(x)), head=linear()), X)
    assert "kept outside the model" in finding.message


def test_a_hidden_module_that_is_not_used_or_only_shares_weights_is_no_matter() -> None:
    assert not found("NC901", Run(lambda self, x: self.head(x), spare=[linear()], head=linear()), X)
    head, twin = linear(), linear()
    twin.weight, twin.bias = head.weight, head.bias
    assert not found("NC901", Run(lambda self, x: self.head(x) + self.twin[0](x), head=head, twin=[twin]), X)


# ---- NC902 --------------------------------------------------------------------------------------------


class WithAuxiliary(nn.Module):
    def __init__(self, auxiliary: bool) -> None:
        super().__init__()
        self.body, self.head, self.extra = linear(), linear(4), linear(4)
        self.auxiliary = auxiliary

    def forward(self, x: torch.Tensor) -> Any:
        x = self.body(x)
        return (self.head(x), self.extra(x)) if self.auxiliary else self.head(x)


class WithGenerate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.decoder = linear(), linear()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)

    @torch.no_grad()
    def generate(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(x)


class ByName(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer0, self.layer1, self.layer2 = linear(), linear(), linear()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i in range(2):
            x = getattr(self, f"layer{i}")(x)
        return x


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(linear() for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.experts[0](x) + self.experts[2](x)


@pytest.mark.parametrize("build", [lambda: WithAuxiliary(False), WithGenerate, ByName, Experts])
def test_what_another_branch_or_method_may_use_is_information(build: Callable[[], nn.Module]) -> None:
    [finding] = found("NC902", build(), X)
    assert finding.severity == "info"


def test_an_auxiliary_head_that_ran_is_none() -> None:
    assert not found("NC902", WithAuxiliary(True), X)


def test_a_forgotten_layer_is_a_warning_with_its_line_and_its_share() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = linear()
            self.forgotten = nn.Sequential(linear(), nn.ReLU())  # this line

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.body(x)

    [finding] = found("NC902", Net(), X)
    assert finding.severity == "warning"
    assert finding.modules == ("forgotten",)
    assert finding.evidence.text == "72 of 144 parameters take no part"
    assert "this line" in line_of(finding)


def test_losses_and_identities_are_no_forgotten_layers() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.criterion, self.pool = linear(), nn.CrossEntropyLoss(), nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.body(x)

    assert not found("NC902", Net(), X)


# ---- NC903 --------------------------------------------------------------------------------------------


def test_an_input_of_which_only_the_shape_counts_is_information() -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
            return F.interpolate(x, size=like.shape[-2:])

    [finding] = found("NC903", Net(), torch.randn(2, 3, 8, 8), torch.randn(2, 3, 16, 16))
    assert finding.severity == "info"
    assert "`like`" in finding.message


def test_the_place_of_an_ignored_input_is_its_parameter() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = linear()

        def forward(
            self,
            x: torch.Tensor,
            mask: torch.Tensor,
        ) -> torch.Tensor:
            return self.head(x)

    [finding] = found("NC903", Net(), X, X)
    assert line_of(finding).strip() == "mask: torch.Tensor,"


def test_an_input_taken_by_star_is_placed_at_the_line_of_forward() -> None:
    [finding] = found("NC903", Run(lambda self, x, mask: self.head(x), head=linear()), X, X)
    assert line_of(finding).strip() == "def forward(self, *inputs: Any) -> Any:"


def test_an_input_that_decides_a_branch_is_used() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = linear()

        def forward(self, x: torch.Tensor, flag: torch.Tensor) -> torch.Tensor:
            return self.head(x) if flag.any() else x

    assert not found("NC903", Net(), X, torch.tensor([True, False]))


def test_a_part_of_a_nested_input_is_enough() -> None:
    model = Run(lambda self, batch: self.head(batch["x"]), head=linear())
    assert not found("NC903", model, {"x": X, "unused": X})


def test_a_tensor_that_is_only_detached_is_used() -> None:
    model = Run(lambda self, x, y: self.head(x) * torch.sigmoid(y.detach()), head=linear())
    assert not found("NC903", model, X, X)


# ---- NC904 --------------------------------------------------------------------------------------------


def test_the_same_dead_line_in_every_block_is_one_finding() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.gate = linear(), nn.Sequential(linear(), nn.Sigmoid())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.gate(x)
            return x + self.body(x)

    [finding] = found("NC904", nn.Sequential(Block(), Block(), Block()), X)
    assert (finding.severity, finding.count) == ("warning", 3)
    assert finding.modules == ("0.gate.0", "1.gate.0", "2.gate.0")


def test_wasted_work_of_weights_that_count_elsewhere_is_information() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        self.body(x)
        return self.body(x * 2)

    [finding] = found("NC904", Run(forward, body=linear()), X)
    assert finding.severity == "info"


@pytest.mark.parametrize("keep", ["attribute", "dict", "buffer", "value"])
def test_what_forward_leaves_behind_or_looks_at_is_used(keep: str) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        probe = self.probe(x).mean()
        if keep == "attribute":
            self.attention = probe
        elif keep == "dict":
            self.seen["probe"] = [probe]
        elif keep == "buffer":
            with torch.no_grad():
                self.average.mul_(0.9).add_(probe)
        elif probe > 0:
            x = x * 2
        return self.body(x)

    model = Run(forward, probe=linear(), body=linear(), seen={})
    model.register_buffer("average", torch.zeros(()))
    assert not found("NC904", model, X)


# ---- NC905 --------------------------------------------------------------------------------------------


def test_a_model_for_inference_alone_is_information() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = linear()

        @torch.no_grad()
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(x)

    [finding] = found("NC905", Net(), X)
    assert finding.severity == "info"


def test_a_loop_that_detaches_is_one_finding_with_all_its_layers() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = F.relu(layer(x)).detach()
        return self.head(x)

    layers = nn.ModuleList(linear() for _ in range(3))
    [finding] = found("NC905", Run(forward, layers=layers, head=linear()), X)
    assert (finding.severity, finding.count) == ("warning", 3)
    assert finding.evidence.value == 3 * 72
    assert {"layers.0", "layers.1", "layers.2"} <= set(finding.modules)
    assert "detach" in line_of(finding)


@pytest.mark.parametrize(
    "stop",
    [
        lambda y: y.detach_() if not y.requires_grad else y.detach(),
        lambda y: y.data,
        lambda y: torch.sign(y),
        lambda y: (y > 0).to(y.dtype),
        lambda y: F.one_hot(y.argmax(-1), 8).float(),
        lambda y: y.mean().item() * torch.ones(4, 8),
        lambda y: torch.bernoulli(torch.sigmoid(y)),
    ],
)
def test_every_way_to_stop_a_gradient_is_seen(stop: Callable[[torch.Tensor], torch.Tensor]) -> None:
    model = Run(lambda self, x: self.head(stop(self.body(x))), body=linear(), head=linear())
    [finding] = found("NC905", model, X)
    assert finding.severity == "warning"
    assert "`body`" in finding.message


class Quantizer(nn.Module):
    """The codebook of a VQ-VAE: straight through for the encoder, a loss for the codes."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder, self.codes = linear(), linear(), nn.Embedding(16, 8)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        z = self.encoder(x)
        nearest = torch.cdist(z, self.codes.weight).argmin(1)
        code = self.codes(nearest)
        loss = F.mse_loss(code, z.detach()) + 0.25 * F.mse_loss(z, code.detach())
        return self.decoder(z + (code - z).detach()), loss


class Router(nn.Module):
    """Mixture of experts: the best expert's probability scales its output."""

    def __init__(self) -> None:
        super().__init__()
        self.router, self.experts = linear(3), nn.ModuleList(linear() for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, index = self.router(x).softmax(-1).topk(1)
        return sum((index == i) * weight * expert(x) for i, expert in enumerate(self.experts))


@pytest.mark.parametrize("build", [Quantizer, Router])
def test_gradients_that_take_another_way_are_fine(build: Callable[[], nn.Module]) -> None:
    assert not found("NC905", build(), X)


# ---- NC906 --------------------------------------------------------------------------------------------


def test_a_plain_constant_is_a_warning_and_a_lost_parameter_an_error() -> None:
    model = Run(
        lambda self, x: x * self.scale + self.shift[0],
        scale=torch.ones(8),
        shift=[nn.Parameter(torch.zeros(8))],
    )
    plain, lost = sorted(found("NC906", model, X), key=lambda f: f.severity.rank)
    assert (plain.severity, plain.modules) == ("warning", ("scale",))
    assert "register_buffer('scale'" in plain.help
    assert (lost.severity, lost.modules) == ("error", ("shift[0]",))
    assert "nn.ParameterList" in lost.help


def test_the_tensors_of_a_hidden_module_are_that_modules_matter() -> None:
    model = Run(lambda self, x: F.linear(x, self.parts[0].weight), parts=[linear()])
    assert not found("NC906", model, X)
    assert found("NC901", model, X)


def test_the_same_attribute_of_every_block_is_one_finding() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = linear()
            self.mask = torch.ones(8)  # this line

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.body(x) * self.mask

    [finding] = found("NC906", nn.Sequential(Block(), Block()), X)
    assert (finding.count, finding.modules) == (2, ("0.mask", "1.mask"))
    assert "this line" in line_of(finding)


def test_a_state_that_forward_replaces_is_no_constant_to_register() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        self.state = torch.tanh(self.body(x))
        return self.state

    assert not found("NC906", Run(forward, body=linear(), state=torch.zeros(4, 8)), X)


class Closed(nn.Module):
    """Its second input is used where `open` says so, by itself or by a part."""

    def __init__(self, inner: nn.Module, *, open: bool) -> None:
        super().__init__()
        self.inner, self.open, self.head = inner, open, linear()

    def forward(self, x: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        if self.open:
            x = self.inner(x, state)
        return self.head(x)  # type: ignore[no-any-return]


def test_what_a_closed_way_uses_is_information_and_what_a_part_ignores_is_not() -> None:
    ignores = Run(lambda self, x, state: self.layer(x), layer=linear())
    (closed,) = found("NC903", Closed(ignores, open=False), X, X)
    assert closed.severity == "info"
    assert "did not run" in closed.message
    (ignored,) = found("NC903", Closed(ignores, open=True), X, X)
    assert ignored.severity == "warning"
    assert found("NC903", Closed(Run(lambda self, x, state: x + state), open=True), X, X) == []


class Switched(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.freeze = nn.Linear(8, 8), nn.Linear(8, 2), True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with (torch.no_grad if self.freeze else contextlib.nullcontext)():
            x = self.body(x)
        return self.head(x)


class Branched(Switched):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.freeze:
            with torch.no_grad():
                return self.head(self.body(x))
        return self.head(self.body(x).relu())


class Always(Switched):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            x = self.body(x)
        return self.head(x) if self.freeze else x


@pytest.mark.parametrize(("kind", "severity"), [(Switched, "info"), (Branched, "info"), (Always, "warning")])
def test_what_a_switch_freezes_is_frozen_on_purpose(kind: type[Switched], severity: str) -> None:
    found = [one for one in netcheck.check(kind(), torch.randn(4, 8), probe=False) if one.code == "NC905"]
    assert [str(one.severity) for one in found] == [severity]


@pytest.mark.parametrize(("rebuilds", "severity"), [(False, "info"), (True, "error")])
def test_a_module_that_forward_registers_is_information_if_the_next_call_uses_it(rebuilds: bool, severity: str) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.body(x))
        if rebuilds or getattr(self, "head", None) is None:
            self.head = nn.Linear(h.shape[1], 4)
        return self.head(h)

    model = Run(forward, body=nn.Linear(16, 16))
    (hidden,) = found("NC901", model, torch.randn(8, 16))
    assert str(hidden.severity) == severity
    assert "head" not in model._modules
