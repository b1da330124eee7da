"""What an operation is: the tables are complete, and behaviour tells the rest; depth and runs of known networks."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.trace import ModelGraph, paths, trace
from netcheck.trace.kinds import FUNCTIONS, MODULES, Kind, is_weight_layer
from tests.trace.replay import module
from tests.zoo import declare_torchvision_operators

X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
PICTURE = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))

# What torch.nn ships and the tracer enters, or what is no operation.
ENTERED = {
    "Module", "Container", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict", "Transformer",
    "TransformerEncoder", "TransformerDecoder", "TransformerEncoderLayer", "TransformerDecoderLayer",
}  # fmt: skip
NO_OPERATION = {"RNNBase", "RNNCellBase", "LinearCrossEntropyOptions"}
NO_FUNCTION = {
    "boolean_dispatch", "handle_torch_function", "has_torch_function", "has_torch_function_unary",
    "has_torch_function_variadic", "assert_int_or_pair", "Optional",
}  # fmt: skip


def apply(function: Any, x: torch.Tensor = X, *, training: bool = False, **members: Any) -> ModelGraph:
    """The graph of linear -> function -> linear: what stands between two layers is judged as it is met."""
    width = x.shape[1]
    before, after = (nn.Linear(width, width), nn.LazyLinear(3))
    if x.dim() == 4:
        before = nn.Conv2d(width, width, 1)

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.after(function(self, self.before(x)))  # type: ignore[no-any-return]

    return trace(module(forward, before=before, after=after, **members).train(training), (x,))


def between(graph: ModelGraph) -> list[Any]:
    """The nodes between the first and last layer that are something by themselves."""
    return [n for n in graph.nodes if n.depends and n.live and n.path not in ("before", "after") and n.kind not in (
        Kind.PART, Kind.INPUT, Kind.OUTPUT, Kind.IDENTITY
    )]  # fmt: skip


def only(graph: ModelGraph) -> Any:
    found = between(graph)
    assert len(found) == 1, found
    return found[0]


# ---- the tables --------------------------------------------------------------------------------------------


def test_every_module_of_torch_is_in_the_table() -> None:
    shipped = {name for name in nn.modules.__all__ if inspect.isclass(getattr(nn, name, None))}
    assert shipped - MODULES.keys() - ENTERED - NO_OPERATION == set()
    assert (ENTERED | NO_OPERATION).isdisjoint(MODULES)


def test_every_function_of_torch_is_in_the_table() -> None:
    shipped = {name for name, value in vars(F).items() if callable(value) and not name.startswith("_")}
    shipped = {name for name in shipped if not inspect.isclass(getattr(F, name)) and getattr(F, name).__module__ != "typing"}
    assert {name for name in shipped if name.strip("_") not in FUNCTIONS} - NO_FUNCTION == set()


def test_activation_modules_and_functions_have_one_kind() -> None:
    for name, (kind, detail) in MODULES.items():
        function = name.lower()
        if kind in (Kind.ACTIVATION, Kind.SOFTMAX) and function in FUNCTIONS:
            assert FUNCTIONS[function] == (kind, detail), name


ACTIVATIONS = [name for name, key in MODULES.items() if key == (Kind.ACTIVATION, "")]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_torch_are_measured(name: str) -> None:
    built = nn.Threshold(0.1, 0.0) if name == "Threshold" else getattr(nn, name)()
    node = only(apply(lambda self, x: self.act(x), act=built))
    assert node.kind is Kind.ACTIVATION
    assert node.activation is not None
    two_sided = {"Sigmoid", "Tanh", "Hardsigmoid", "Hardtanh", "Softsign"}
    assert node.activation.saturates == (name in two_sided), name


@pytest.mark.parametrize("write", [
    lambda self, x: self.tanh(x),
    lambda self, x: torch.tanh(x),
    lambda self, x: F.tanh(x),
    lambda self, x: x.tanh(),
    lambda self, x: x.tanh_(),
    lambda self, x: torch.tanh_(x),
    lambda self, x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
    lambda self, x: torch.sinh(x) / torch.cosh(x),
    lambda self, x: (1 - torch.exp(-2 * x)) / (1 + torch.exp(-2 * x)),
    lambda self, x: 2 / (1 + torch.exp(-2 * x)) - 1,
    lambda self, x: 1 - 2 * torch.sigmoid(-2 * x),
    lambda self, x: F.sigmoid(x * 2).mul(2).sub(1),
], ids=range(12))  # fmt: skip
def test_one_kind_however_it_is_written(write: Any) -> None:
    node = only(apply(write, tanh=nn.Tanh()))
    assert node.kind is Kind.ACTIVATION
    assert node.activation.saturates
    assert node.activation.zero_centred
    assert node.activation.moments(1.0)[2] == pytest.approx(0.6813, abs=0.01)  # sqrt E[(1 - tanh^2)^2], z ~ N(0, 1)


@pytest.mark.parametrize("write", [
    lambda self, x: torch.sigmoid(x) - 0.1,
    lambda self, x: 1 - torch.sigmoid(x),
    lambda self, x: 1 / (1 + torch.exp(-x)),
])  # fmt: skip
def test_a_sigmoid_that_is_not_centred_stays_one(write: Any) -> None:
    [node] = [node for node in apply(write) if node.kind is Kind.ACTIVATION]
    assert node.activation.saturates
    assert not node.activation.zero_centred


# ---- behaviour ---------------------------------------------------------------------------------------------


class Mish(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.tanh(F.softplus(x))


class HardTanh2(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.clamp(x, -2, 2) / 2


class SnakeBeta(nn.Module):
    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(width))
        self.beta = nn.Parameter(torch.zeros(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        alpha, beta = torch.exp(self.alpha), torch.exp(self.beta)
        return x + (1.0 / (beta + 1e-9)) * torch.sin(x * alpha) ** 2


class Clamp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x.clamp(-1, 1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * (ctx.saved_tensors[0].abs() <= 1)


class Sign(torch.autograd.Function):
    """A straight-through estimator: a step whose slope is said to be 1."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.sign()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


@pytest.mark.parametrize("write", [Sign.apply, lambda x: x + (x.round() - x).detach()])
def test_a_straight_through_estimator_is_nonlinear(write: Callable[[torch.Tensor], torch.Tensor]) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(write(self.first(x)))

    graph = trace(Net(), (torch.randn(2, 8),))
    (activation,) = [node for node in graph if node.kind is Kind.ACTIVATION]
    assert activation.activation is not None
    assert not activation.activation.linear
    assert activation.activation.moments(1.0)[2] == pytest.approx(1.0)  # what autograd makes of it


@pytest.mark.parametrize(("write", "saturates", "rectifies"), [
    (Mish(), False, True),
    (HardTanh2(), True, False),
    (SnakeBeta(), False, False),
    (lambda x: F.relu(x) ** 2, False, True),
    (lambda x: F.relu(x).square(), False, True),
    (lambda x: torch.square(F.relu(x)), False, True),
    (lambda x: torch.clamp(x, min=0), False, True),
    (lambda x: x.clamp_min(0), False, True),
    (lambda x: torch.maximum(x, torch.zeros_like(x)), False, True),
    (lambda x: torch.where(x > 0, x, 0.1 * x), False, True),
    (lambda x: torch.where(x > 0, x, torch.zeros_like(x)), False, True),
    (lambda x: x * (x > 0), False, True),
    (lambda x: x * torch.sigmoid(1.702 * x), False, True),
    (lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))), False, True),
    (lambda x: 0.5 * x * (1.0 + torch.erf(x / math.sqrt(2.0))), False, True),
    (lambda x: x / (1 + x.abs()), True, False),
    (lambda x: x * F.relu6(x + 3) / 6, False, True),
    (lambda x: torch.sin(x), False, False),
    (lambda x: torch.exp(-(x**2)), True, False),
    (lambda x: torch.log(1 + torch.exp(x)), False, True),
    (lambda x: 1 / (1 + torch.exp(-x)), True, False),
    (lambda x: x.atan(), True, False),
    (lambda x: Clamp.apply(x), True, False),
    (lambda x: F.relu(x) - F.relu(-x) * 0.2, False, False),
], ids=range(24))  # fmt: skip
def test_user_defined_activations(write: Any, saturates: bool, rectifies: bool) -> None:
    members = {"act": write} if isinstance(write, nn.Module) else {}
    found = between(apply(lambda self, x: write(x), **members))
    (node,) = (node for node in found if node.kind is not Kind.SCALE)
    assert node.kind is Kind.ACTIVATION
    assert (node.activation.saturates, node.activation.rectifies) == (saturates, rectifies)


@pytest.mark.parametrize("write", [
    lambda self, x: x * 2 + 1,
    lambda self, x: x * self.scale,
    lambda self, x: -x / 3,
    lambda self, x: x.flatten(1).view(4, 6),
    lambda self, x: torch.cat([x, x]),
    lambda self, x: x + self.scale.exp(),
    lambda self, x: x.clone().contiguous().float(),
], ids=range(7))  # fmt: skip
def test_what_is_linear_is_no_activation(write: Any) -> None:
    graph = apply(write, scale=nn.Parameter(torch.full((6,), 0.5)))
    assert not [node for node in graph if node.kind in (Kind.ACTIVATION, Kind.UNKNOWN, Kind.NORM, Kind.GATE)]


# ---- gates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [
    lambda self, x: F.glu(x),
    lambda self, x: (lambda a, b: a * torch.sigmoid(b))(*x.chunk(2, dim=1)),
    lambda self, x: (lambda a, b: torch.sigmoid(b) * a)(*x.split(3, dim=1)),
    lambda self, x: x[:, :3] * x[:, 3:].sigmoid(),
    lambda self, x: self.up(x) * F.silu(self.gate(x)),
], ids=["glu", "chunk", "split", "index", "swiglu"])  # fmt: skip
def test_gated_linear_units_do_not_saturate_the_way(write: Any) -> None:
    graph = apply(write, up=nn.Linear(6, 6), gate=nn.Linear(6, 6))
    saturating = paths.fewest(graph, lambda n: bool(n.kind is Kind.ACTIVATION and n.activation and n.activation.saturates))
    assert saturating == 0
    assert any(n.kind is Kind.GATE or (n.kind, n.detail) == (Kind.ACTIVATION, "glu") for n in graph)


def test_squeeze_and_excitation_is_a_gate() -> None:
    def excite(self: Any, x: torch.Tensor) -> torch.Tensor:
        weights = self.up(F.relu(self.down(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(weights)

    graph = apply(excite, PICTURE, down=nn.Conv2d(4, 2, 1), up=nn.Conv2d(2, 4, 1))
    gates = [node for node in graph if node.kind is Kind.GATE]
    assert len(gates) == 1
    assert paths.fewest(graph, lambda n: n.kind is Kind.ACTIVATION) == 0


# ---- normalization -----------------------------------------------------------------------------------------


def rms_norm(x: torch.Tensor, dims: Any = -1) -> torch.Tensor:
    return x * torch.rsqrt(x.pow(2).mean(dims, keepdim=True) + 1e-6)


def layer_norm(x: torch.Tensor) -> torch.Tensor:
    mean = x.mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(((x - mean) ** 2).mean(-1, keepdim=True) + 1e-5)


def batch_norm(x: torch.Tensor) -> torch.Tensor:
    return (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()


@pytest.mark.parametrize(("write", "sort"), [
    (lambda self, x: rms_norm(x) * self.scale, "rms"),
    (lambda self, x: self.scale * rms_norm(x.float()).to(x.dtype), "rms"),
    (lambda self, x: x / (x.norm(dim=-1, keepdim=True) * 6**-0.5 + 1e-6) * self.scale, "rms"),
    (lambda self, x: layer_norm(x), "layer"),
    (lambda self, x: self.scale * layer_norm(x) + self.shift, "layer"),
    (lambda self, x: (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6), "layer"),
    (lambda self, x: batch_norm(x), "batch"),
    (lambda self, x: batch_norm(x) * self.scale + self.shift, "batch"),
    (lambda self, x: F.normalize(x, dim=-1), "unit"),
    (lambda self, x: F.layer_norm(x, (6,)), "layer"),
    (lambda self, x: F.rms_norm(x, (6,)), "rms"),
    (lambda self, x: F.group_norm(x, 2), "group"),
    (lambda self, x: nn.functional.batch_norm(x, None, None, training=True), "batch"),
], ids=range(13))  # fmt: skip
def test_normalizations(write: Any, sort: str) -> None:
    graph = apply(write, scale=nn.Parameter(torch.ones(6)), shift=nn.Parameter(torch.zeros(6)))
    norms = [node for node in between(graph) if node.kind is Kind.NORM]
    assert [node.detail for node in norms] == [sort]
    assert all(node.kind in (Kind.NORM, Kind.SCALE, Kind.SHIFT, Kind.CAST) for node in between(graph))


def test_what_only_looks_like_a_normalization() -> None:
    for write in (
        lambda self, x: x - x.mean(-1, keepdim=True),
        lambda self, x: x / (1 + x.abs().mean(-1, keepdim=True)),
        lambda self, x: x * x.mean(-1, keepdim=True),
    ):
        assert not [node for node in apply(write) if node.kind is Kind.NORM]


# ---- CReLU, Maxout, DropConnect, dropout -------------------------------------------------------------------


class CReLU(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((F.relu(x), F.relu(-x)), 1)


class Negated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.act(x), self.act(torch.neg(x))], dim=1)


@pytest.mark.parametrize("write", [
    CReLU(),
    Negated(),
    lambda x: F.relu(torch.cat([x, -x], dim=1)),
    lambda x: torch.cat([x.clamp(min=0), (-x).clamp(min=0)], dim=-1),
    lambda x: torch.concat([torch.relu(x), -torch.clamp(x, max=0)], dim=1),
    lambda x: torch.hstack([F.relu(x), F.relu(-1 * x)]),
], ids=["module", "negated", "after cat", "clamp", "negative part", "hstack"])  # fmt: skip
def test_concatenated_rectifiers(write: Any) -> None:
    members = {"act": write} if isinstance(write, nn.Module) else {}
    graph = apply(lambda self, x: write(x), **members)
    crelu = [node for node in graph if node.detail == "crelu"]
    assert len(crelu) == 1, between(graph)
    assert crelu[0].kind is Kind.ACTIVATION
    assert crelu[0].shape == (4, 12)


@pytest.mark.parametrize("write", [
    lambda x: x.exp() / x.exp().sum(1, keepdim=True),
    lambda x: torch.div(torch.exp(x), torch.sum(torch.exp(x), dim=-1, keepdim=True)),
    lambda x: (lambda e: e / e.sum(1, keepdim=True).clamp(min=1e-9))(torch.exp(x - x.amax(1, keepdim=True))),
    lambda x: (lambda e: e / (e.sum(1, keepdim=True) + 1e-9))((x - x.max(1, keepdim=True)[0].detach()).exp()),
], ids=["twice", "functions", "once, less the largest", "detached"])  # fmt: skip
def test_a_softmax_written_out(write: Any) -> None:
    (node,) = [node for node in apply(lambda self, x: write(x)) if node.kind is Kind.SOFTMAX]
    assert (node.detail, node.over) == ("", 1)


@pytest.mark.parametrize("write", [
    lambda x: x - x.logsumexp(0, keepdim=True),
    lambda x: x - torch.log(x.exp().sum(0)),
    lambda x: torch.log(x.exp() / x.exp().sum(0)),
], ids=["logsumexp", "by hand", "of a quotient"])  # fmt: skip
def test_a_log_softmax_written_out(write: Any) -> None:
    (node,) = [node for node in apply(lambda self, x: write(x)) if node.kind is Kind.SOFTMAX]
    assert (node.detail, node.over) == ("log", 0)


@pytest.mark.parametrize("write", [
    lambda x: x.abs() / x.abs().sum(1, keepdim=True),
    lambda x: x.exp() / x.exp().sum(1, keepdim=True).sqrt(),
    lambda x: x.exp() / (1 + x.exp().sum(1, keepdim=True)),
    lambda x: x.exp() / x.exp().mean(1, keepdim=True),
    lambda x: x - x.mean(1, keepdim=True),
    lambda x: x - x.exp().sum(1, keepdim=True),
], ids=["shares", "root", "one more", "mean", "centred", "no logarithm"])  # fmt: skip
def test_what_resembles_a_softmax(write: Any) -> None:
    assert not [node for node in apply(lambda self, x: write(x)) if node.kind is Kind.SOFTMAX]


def test_two_different_branches_are_no_crelu() -> None:
    for write in (
        lambda self, x: torch.cat([F.relu(x), F.relu(x)], 1),
        lambda self, x: torch.cat([F.relu(x), torch.tanh(-x)], 1),
        lambda self, x: torch.cat([x, -x], 1),
    ):
        assert not [node for node in apply(write) if node.detail == "crelu"]


class Maxout(nn.Module):
    def __init__(self, width: int = 6, pieces: int = 3) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(width, width * pieces)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).view(len(x), -1, self.pieces).max(dim=2).values  # type: ignore[no-any-return]


@pytest.mark.parametrize("write", [
    Maxout(),
    lambda self, x: torch.amax(x.reshape(4, 2, 3), dim=-1),
    lambda self, x: torch.max(x.view(4, 3, 2), 2)[0],
    lambda self, x: torch.stack([piece(x) for piece in self.pieces]).max(0).values,
    lambda self, x: torch.maximum(torch.maximum(self.pieces[0](x), self.pieces[1](x)), self.pieces[2](x)),
    lambda self, x: torch.max(self.pieces[0](x), self.pieces[1](x)),
    lambda self, x: torch.maximum(*x.chunk(2, dim=1)),
    lambda self, x: x.unflatten(1, (2, 3)).amax(2),
], ids=range(8))  # fmt: skip
def test_maxout(write: Any) -> None:
    pieces = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
    made = isinstance(write, nn.Module)
    graph = apply(lambda self, x: write(x), act=write) if made else apply(write, pieces=pieces)
    assert [node.kind for node in graph if node.detail == "maxout"][-1:] == [Kind.ACTIVATION], between(graph)


def test_a_pool_is_no_maxout() -> None:
    graph = apply(lambda self, x: F.max_pool2d(x, 2).flatten(1), PICTURE)
    assert [node.kind for node in between(graph)] == [Kind.POOL, Kind.RESHAPE]
    graph = apply(lambda self, x: x.amax((2, 3)), PICTURE)
    assert not [node for node in graph if node.detail == "maxout"]


@pytest.mark.parametrize("write", [
    lambda self, x: F.linear(x, F.dropout(self.weight, 0.5, self.training)),
    lambda self, x: F.linear(x, self.weight * torch.bernoulli(torch.full_like(self.weight, 0.5))),
    lambda self, x: x @ (self.weight * (torch.rand(6, 6) > 0.5).float()),
    lambda self, x: x @ self.drop(self.weight),
], ids=["dropout", "bernoulli", "rand", "module"])  # fmt: skip
def test_drop_connect(write: Any) -> None:
    graph = apply(write, training=True, weight=nn.Parameter(torch.randn(6, 6)), drop=nn.Dropout(0.5))
    masks = [node for node in graph if (node.kind, node.detail) == (Kind.DROPOUT, "weight")]
    assert len(masks) == 1
    assert sum(is_weight_layer(node) for node in graph) == 3


@pytest.mark.parametrize(("write", "sort"), [
    (lambda self, x: F.dropout(x, 0.5), "elementwise"),
    (lambda self, x: self.dropout(x), "elementwise"),
    (lambda self, x: self.dropout2d(x), "channel"),
    (lambda self, x: x * torch.bernoulli(torch.full_like(x, 0.5)) / 0.5, "elementwise"),
    (lambda self, x: x * (torch.rand_like(x) > 0.5), "elementwise"),
    (lambda self, x: x * (torch.rand(2, 4, 1, 1) > 0.5), "channel"),
    (lambda self, x: x.div(0.5) * x.new_empty(2, 1, 1, 1).bernoulli_(0.5), "path"),
    (lambda self, x: x * torch.floor(0.5 + torch.rand(2, 1, 1, 1)), "path"),
    (lambda self, x: F.feature_alpha_dropout(x, 0.5, True), "channel alpha"),
], ids=range(9))  # fmt: skip
def test_dropout(write: Any, sort: str) -> None:
    graph = apply(
        lambda self, x: write(self, x).flatten(1),
        PICTURE,
        training=True,
        dropout=nn.Dropout(),
        dropout2d=nn.Dropout2d(),
    )
    assert [node.detail for node in graph if node.kind is Kind.DROPOUT] == [sort]


# ---- paths -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "depth", "plain"), [
    ("resnet18", 18, 5), ("resnet50", 50, 6), ("vgg16", 16, 16), ("alexnet", 8, 8), ("densenet121", 121, 5),
    ("vit_b_16", 1 + 12 * 3 + 1, 2), ("squeezenet1_1", 18, 18),
])  # fmt: skip
def test_depth_of_known_networks(name: str, depth: int, plain: int) -> None:
    declare_torchvision_operators()
    from torchvision import models

    graph = trace(models.get_model(name, weights=None).eval(), (torch.randn(1, 3, 224, 224),))
    assert (graph.depth, graph.plain_depth) == (depth, plain)


def test_the_longest_run_without_a_norm() -> None:
    layers: list[nn.Module] = [nn.Linear(6, 6), nn.LayerNorm(6)]
    layers += [
        nn.Linear(6, 6),
        nn.ReLU(),
        nn.Linear(6, 6),
        nn.Tanh(),
        nn.Linear(6, 6),
        nn.LayerNorm(6),
        nn.Linear(6, 6),
    ]
    graph = trace(nn.Sequential(*layers), (X,))
    run = paths.longest_run(graph, is_weight_layer, lambda node: node.kind is Kind.NORM)
    assert [node.path for node in run] == ["2", "4", "6"]
    assert [n.path for n in paths.fewest_way(graph, lambda n: n.kind is Kind.ACTIVATION)] == ["3", "5"]
    assert len(paths.unavoidable(graph, is_weight_layer)) == 5


def test_ways_around() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        h = self.stem(x)
        for block in self.blocks:
            h = h + block(h)
        return self.head(h)  # type: ignore[no-any-return]

    blocks = nn.ModuleList(nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6)) for _ in range(4))
    graph = trace(module(forward, stem=nn.Linear(6, 6), blocks=blocks, head=nn.Linear(6, 2)), (X,))
    assert (graph.depth, graph.plain_depth) == (10, 2)
    assert [node.path for node in paths.unavoidable(graph, is_weight_layer)] == ["stem", "head"]
    assert paths.fewest(graph, lambda node: node.kind is Kind.ACTIVATION) == 0
    assert paths.most(graph, lambda node: node.kind is Kind.ACTIVATION) == 4
