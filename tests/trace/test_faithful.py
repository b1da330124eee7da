"""A graph computes what its model does, bit for bit, or refuses: also where forward changes the model while it runs."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, grad_and_value, hessian, jacfwd, jacrev, jvp, stack_module_state, vjp, vmap

import netcheck
from netcheck.errors import TraceError
from netcheck.load.untouched import untouched
from netcheck.trace import trace
from tests.trace.replay import call, calls, feeds, module, require_replay, traced

X = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
Forward = Callable[[Any, torch.Tensor], torch.Tensor]


def net(forward: Forward, **members: Any) -> nn.Module:
    """A model with a layer `linear`, a vector `v`, a matrix `w`, and a block `net`."""
    torch.manual_seed(0)
    members = {
        "linear": nn.Linear(8, 8),
        "v": nn.Parameter(torch.randn(8)),
        "w": nn.Parameter(torch.randn(8, 8)),
        "net": nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)),
        **members,
    }
    return module(forward, **members).eval()


# ---- other weights ---------------------------------------------------------------------------------------------


def weights_by_name(self: Any, x: torch.Tensor) -> torch.Tensor:
    return functional_call(self.linear, {"weight": self.w, "bias": self.w[0]}, (x,))


def weights_of_a_part(self: Any, x: torch.Tensor) -> torch.Tensor:
    return functional_call(self.net, {"0.weight": self.w * 2}, (x,)) + self.net(x)


def swapped(self: Any, x: torch.Tensor) -> torch.Tensor:
    old, self.linear.bias = self.linear.bias, nn.Parameter(torch.ones(8))
    y = self.linear(x)
    self.linear.bias = old
    return y + self.linear(x)


def exchanged(self: Any, x: torch.Tensor) -> torch.Tensor:
    self.net[0].weight, self.net[2].weight = self.net[2].weight, self.net[0].weight
    return self.net(x)


def data_assigned(self: Any, x: torch.Tensor) -> torch.Tensor:
    old = self.linear.weight.data
    self.linear.weight.data = self.w.data
    y = self.linear(x)
    self.linear.weight.data = old
    return y


def data_scaled(self: Any, x: torch.Tensor) -> torch.Tensor:
    y = self.linear(x)
    self.linear.weight.data.mul_(2)
    return y + self.linear(x)


def weight_attribute(self: Any, x: torch.Tensor) -> torch.Tensor:
    del self.linear.weight
    self.linear.weight = self.w * 2
    return self.linear(x)


def weight_made_first(self: Any, x: torch.Tensor) -> torch.Tensor:
    self.linear.weight = self.w * 2
    return self.linear(x)


def no_bias(self: Any, x: torch.Tensor) -> torch.Tensor:
    self.linear.bias = None
    return self.linear(x)


def list_of_weights(self: Any, x: torch.Tensor) -> torch.Tensor:
    self.recurrent.weight_ih_l0 = nn.Parameter(self.recurrent.weight_ih_l0 * 2)
    return self.recurrent(x[None])[0][0]


def buffers_by_name(self: Any, x: torch.Tensor) -> torch.Tensor:
    return functional_call(self.norm, {"running_mean": self.v.detach(), "running_var": self.v.detach() ** 2 + 1}, (x,))


def attention(self: Any, x: torch.Tensor) -> torch.Tensor:
    return functional_call(self.attention, {"out_proj.weight": self.w}, (x, x, x))[0]


def stacked_weights(self: Any, x: torch.Tensor) -> torch.Tensor:
    given = {name: parameter * 0.5 for name, parameter in self.net.named_parameters()}
    return functional_call(self.net, given, x) + functional_call(self.net, given, (x * 2,))


# ---- other settings --------------------------------------------------------------------------------------------


def slope_changed(self: Any, x: torch.Tensor) -> torch.Tensor:
    y = self.leaky(self.linear(x))
    self.leaky.negative_slope = 0.9
    z = self.leaky(self.linear(x))
    self.leaky.negative_slope = 0.1
    return y + z


def stride_changed(self: Any, x: torch.Tensor) -> torch.Tensor:
    self.conv.stride = (2,)
    return self.conv(x[:, None]).flatten(1)


def dropout_on(self: Any, x: torch.Tensor) -> torch.Tensor:
    self.dropout.train()
    return self.dropout(x)


def dropout_less(self: Any, x: torch.Tensor) -> torch.Tensor:
    self.dropout.p = 0.1
    self.dropout.train()
    return self.dropout(x) + self.linear(x)


def norm_in_training(self: Any, x: torch.Tensor) -> torch.Tensor:
    self.norm.train()
    y = self.norm(x)
    self.norm.eval()
    return y


def set_to_what_it_was(self: Any, x: torch.Tensor) -> torch.Tensor:
    self.leaky.negative_slope = float("0.1")
    return self.leaky(x)


def hook_that_doubles(self: Any, x: torch.Tensor) -> torch.Tensor:
    handle = self.linear.register_forward_hook(lambda layer, args, output: output * 2)
    y = self.linear(x)
    handle.remove()
    return y + self.linear(x)


def hook_before(self: Any, x: torch.Tensor) -> torch.Tensor:
    handle = self.linear.register_forward_pre_hook(lambda layer, args: (args[0] * self.v,))
    y = self.linear(x)
    handle.remove()
    return y


def other_class(self: Any, x: torch.Tensor) -> torch.Tensor:
    self.net[1] = nn.Tanh()
    return self.net(x)


def converted(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.linear.double()(x.double()).float()


def default_dtype(self: Any, x: torch.Tensor) -> torch.Tensor:
    torch.set_default_dtype(torch.float64)
    return x + torch.ones(8)


# ---- layers that forward makes ---------------------------------------------------------------------------------


def made(self: Any, x: torch.Tensor) -> torch.Tensor:
    layer = nn.Linear(8, 8)
    nn.init.constant_(layer.weight, 0.5)
    nn.init.zeros_(layer.bias)
    return nn.Tanh()(layer(x))


def made_at_random(self: Any, x: torch.Tensor) -> torch.Tensor:
    return nn.Linear(8, 8)(x)


def made_once(self: Any, x: torch.Tensor) -> torch.Tensor:
    if not hasattr(self, "late"):
        self.late = nn.Linear(8, 8)
        with torch.no_grad():
            self.late.weight.copy_(self.w)
            self.late.bias.zero_()
    return self.late(x)


def copied(self: Any, x: torch.Tensor) -> torch.Tensor:
    twin = copy.deepcopy(self.linear)
    twin.weight.data.mul_(3)
    return twin(x)


def copied_block(self: Any, x: torch.Tensor) -> torch.Tensor:
    twin = copy.deepcopy(self.net)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    return twin(x) + self.net(x)


def copied_norm(self: Any, x: torch.Tensor) -> torch.Tensor:
    return copy.deepcopy(self.norm)(x)


# ---- training in forward ---------------------------------------------------------------------------------------


def inner_gradient(self: Any, x: torch.Tensor) -> torch.Tensor:
    z = torch.zeros(8, requires_grad=True)
    with torch.enable_grad():
        ((z - x.detach()) ** 2).sum().backward()
    assert z.grad is not None
    return self.linear(x - z.grad)


def inner_optimizer(self: Any, x: torch.Tensor) -> torch.Tensor:
    z = nn.Parameter(torch.zeros(8))
    optimizer = torch.optim.SGD([z], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        with torch.enable_grad():
            ((z - x.detach()) ** 2).sum().backward()
        optimizer.step()
    return self.linear(x + z.detach())


def inner_adam(self: Any, x: torch.Tensor) -> torch.Tensor:
    z = nn.Parameter(torch.zeros(8))
    optimizer = torch.optim.Adam([z], lr=0.1)
    with torch.enable_grad():
        ((z - x.detach()) ** 2).sum().backward()
    optimizer.step()
    return x + z.detach()


def foreach(self: Any, x: torch.Tensor) -> torch.Tensor:
    a, b = x.clone(), x * 2
    torch._foreach_add_([a, b], 1.0)
    torch._foreach_mul_([a, b], [self.v, self.v])
    return a + b


def adapted(self: Any, x: torch.Tensor) -> torch.Tensor:
    weights = dict(self.net.named_parameters())
    with torch.enable_grad():
        loss = functional_call(self.net, weights, (x,)).pow(2).mean()
        gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
    fast = {name: w - 0.1 * g for (name, w), g in zip(weights.items(), gradients, strict=True)}
    return functional_call(self.net, fast, (x,))


def force(self: Any, x: torch.Tensor) -> torch.Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.net(x).sum(), x, create_graph=True)
    return slope


def own_step(self: Any, x: torch.Tensor) -> torch.Tensor:
    with torch.enable_grad():
        self.linear(x).pow(2).mean().backward()
    with torch.no_grad():
        self.linear.weight -= 0.1 * self.linear.weight.grad
    self.linear.weight.grad = None
    return self.linear(x)


def functional_jacobian(self: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.autograd.functional.jacobian(lambda v: torch.tanh(v @ self.w), x[0])  # type: ignore[no-any-return]


def functional_hvp(self: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.autograd.functional.hvp(lambda v: (v @ self.w).tanh().sum(), x[0], self.v.detach())[1]  # type: ignore[no-any-return]


# ---- values that leave torch -----------------------------------------------------------------------------------


def through_numpy(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.linear(x) + torch.from_numpy(np.sin(x.detach().numpy()))


def constants_of_numpy(self: Any, x: torch.Tensor) -> torch.Tensor:
    rows = torch.from_numpy(np.arange(len(x))[::-1].copy())
    return self.linear(x)[rows] + torch.from_numpy(np.arange(8))


# ---- one tensor, and other references to it --------------------------------------------------------------------


def shallow_copy(self: Any, x: torch.Tensor) -> torch.Tensor:
    y = self.linear(x).detach()
    copy.copy(y).mul_(2)  # of the same memory
    return y + F.linear(y, copy.copy(self.w))


def transposed_in_place(self: Any, x: torch.Tensor) -> torch.Tensor:
    y = self.linear(x).mul_(2)
    z = y.t_()
    return y @ self.w[:4] + z.t().sum()


def given_other_memory(self: Any, x: torch.Tensor) -> torch.Tensor:
    y = self.linear(x).detach()
    y.set_(torch.relu(self.w.detach()))
    return y.sum(0) + x


def layers_named_by_keywords(self: Any, x: torch.Tensor) -> torch.Tensor:
    inner = getattr(self, "in")
    return F.relu(getattr(self, "lambda")(x)) + F.linear(self.in_(x), inner.weight, inner.bias)


SAME: list[tuple[Forward, dict[str, Any]]] = [
    (weights_by_name, {}),
    (weights_of_a_part, {}),
    (swapped, {}),
    (exchanged, {}),
    (data_assigned, {}),
    (data_scaled, {}),
    (weight_attribute, {}),
    (no_bias, {}),
    (list_of_weights, {"recurrent": nn.RNN(8, 8)}),
    (buffers_by_name, {"norm": nn.BatchNorm1d(8)}),
    (attention, {"attention": nn.MultiheadAttention(8, 2)}),
    (stacked_weights, {}),
    (slope_changed, {"leaky": nn.LeakyReLU(0.1)}),
    (stride_changed, {"conv": nn.Conv1d(1, 3, 3)}),
    (dropout_on, {"dropout": nn.Dropout(0.5)}),
    (dropout_less, {"dropout": nn.Dropout(0.5)}),
    (norm_in_training, {"norm": nn.BatchNorm1d(8)}),
    (set_to_what_it_was, {"leaky": nn.LeakyReLU(0.1)}),
    (hook_that_doubles, {}),
    (hook_before, {}),
    (other_class, {}),
    (converted, {}),
    (default_dtype, {}),
    (made, {}),
    (made_at_random, {}),
    (made_once, {}),
    (copied, {}),
    (copied_block, {}),
    (copied_norm, {"norm": nn.BatchNorm1d(8)}),
    (inner_gradient, {}),
    (inner_optimizer, {}),
    (inner_adam, {}),
    (foreach, {}),
    (adapted, {}),
    (force, {}),
    (own_step, {}),
    (functional_jacobian, {}),
    (functional_hvp, {}),
    (through_numpy, {}),
    (constants_of_numpy, {}),
    (shallow_copy, {}),
    (transposed_in_place, {}),
    (given_other_memory, {}),
    (layers_named_by_keywords, {"lambda": nn.Linear(8, 8), "in": nn.Linear(8, 8), "in_": nn.Linear(8, 8)}),
]


@pytest.mark.parametrize(("forward", "members"), SAME, ids=lambda value: getattr(value, "__name__", ""))
def test_the_graph_computes_what_the_model_does(forward: Forward, members: dict[str, Any]) -> None:
    graph = trace(net(forward, **members), (X,))
    assert not graph.frozen
    require_the_same(lambda: net(forward, **members))


def require_the_same(build: Callable[[], nn.Module]) -> None:
    """The model, and the graph of another one like it, give the same numbers: forward may change either."""
    model, other = build(), build()
    graph = trace(other, (X,))
    torch.manual_seed(1)
    random.seed(1)
    with untouched():
        expected = model(X.clone())
    torch.manual_seed(1)
    random.seed(1)
    with untouched():
        actual = graph.module(X.clone())
    assert torch.equal(actual, expected)


# ---- what torch.func makes -------------------------------------------------------------------------------------


def mapped(self: Any, x: torch.Tensor) -> torch.Tensor:
    return vmap(lambda row: row @ self.w + self.v)(x)  # type: ignore[no-any-return]


def mapped_layer(self: Any, x: torch.Tensor) -> torch.Tensor:
    return vmap(self.net)(x)  # type: ignore[no-any-return]


def mapped_over_given(self: Any, x: torch.Tensor) -> torch.Tensor:
    return vmap(torch.dot, in_dims=(0, None))(x, self.v)[:, None]  # type: ignore[no-any-return]


def mapped_in_chunks(self: Any, x: torch.Tensor) -> torch.Tensor:
    return vmap(self.linear, chunk_size=2)(x)  # type: ignore[no-any-return]


def slope(self: Any, x: torch.Tensor) -> torch.Tensor:
    return grad(lambda y: self.net(y).sum())(x)  # type: ignore[no-any-return]


def slope_and_value(self: Any, x: torch.Tensor) -> torch.Tensor:
    found, value = grad_and_value(lambda y: self.net(y).sum())(x)
    return found * value  # type: ignore[no-any-return]


def slopes_of_samples(self: Any, x: torch.Tensor) -> torch.Tensor:
    return vmap(grad(lambda row: self.net(row).sum()))(x)  # type: ignore[no-any-return]


def jacobian(self: Any, x: torch.Tensor) -> torch.Tensor:
    return jacrev(lambda row: torch.tanh(row @ self.w))(x[0])  # type: ignore[no-any-return]


def jacobian_forward(self: Any, x: torch.Tensor) -> torch.Tensor:
    return jacfwd(lambda row: torch.tanh(row @ self.w))(x[0])  # type: ignore[no-any-return]


def curvature(self: Any, x: torch.Tensor) -> torch.Tensor:
    return hessian(lambda row: torch.tanh(row @ self.w).sum())(x[0])  # type: ignore[no-any-return]


def pulled_back(self: Any, x: torch.Tensor) -> torch.Tensor:
    value, pull = vjp(self.net, x)
    return pull(value * 2)[0]  # type: ignore[no-any-return]


def pushed(self: Any, x: torch.Tensor) -> torch.Tensor:
    return jvp(self.net, (x,), (torch.ones_like(x),))[1]  # type: ignore[no-any-return]


def mapped_by_a_name(self: Any, x: torch.Tensor) -> torch.Tensor:
    return SQUARED(x)  # type: ignore[no-any-return]


SQUARED = vmap(lambda row: row * row)
ONE_NODE = {
    mapped: "vmap", mapped_layer: "vmap", mapped_over_given: "vmap", mapped_in_chunks: "vmap", slope: "grad",
    slope_and_value: "grad_and_value", slopes_of_samples: "vmap", jacobian: "jacrev", jacobian_forward: "jacfwd",
    curvature: "jacfwd", pulled_back: "vjp", pushed: "jvp", mapped_by_a_name: "vmap",
}  # fmt: skip


@pytest.mark.parametrize("forward", ONE_NODE, ids=lambda forward: forward.__name__)
def test_what_a_transform_makes_is_one_node(forward: Forward) -> None:
    model = net(forward)
    graph = trace(model, (X,))
    node = call(graph, f"torch.func.{ONE_NODE[forward]}")
    assert len([n for n in graph if n.op.startswith("call") and n.function not in ("getitem", "ones_like", "mul", "called")]) == 1
    assert feeds(node, graph.outputs[0])
    assert not graph.lost
    require_the_same(lambda: net(forward))


def test_the_weights_that_a_transform_reads_feed_it() -> None:
    graph = trace(net(mapped), (X,))
    assert {str(source.fx.target) for source in call(graph, "torch.func.vmap").inputs} == {"x", "w", "v"}


def test_the_modules_in_a_transform_have_run() -> None:
    graph = trace(net(mapped_layer), (X,))
    assert graph.submodule("net.2").called
    assert not graph.submodule("linear").called


def test_an_ensemble_of_stacked_weights() -> None:
    class Ensemble(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.members = nn.ModuleList(nn.Linear(8, 4) for _ in range(3))
            self.one = [nn.Linear(8, 4, device="meta")]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            parameters, buffers = stack_module_state(list(self.members))  # type: ignore[arg-type]
            run = lambda p, b, x: functional_call(self.one[0], (p, b), (x,))  # noqa: E731
            return vmap(run, in_dims=(0, 0, None))(parameters, buffers, x).mean(0)  # type: ignore[no-any-return]

    torch.manual_seed(0)
    model = Ensemble().eval()
    graph = trace(model, (X,))
    require_replay(graph, model, (X,), {})
    assert {"members.0.weight", "members.2.bias"} <= {node.target for node in graph if node.op == "get_attr"}


def reads_what_forward_computed(self: Any, x: torch.Tensor) -> torch.Tensor:
    h = self.linear(x)
    return vmap(lambda row: row * h.mean(0))(x)  # type: ignore[no-any-return]


def runs_a_changed_layer(self: Any, x: torch.Tensor) -> torch.Tensor:
    self.net[0].weight = self.net[2].weight
    return vmap(self.net)(x)  # type: ignore[no-any-return]


def draws_in_python(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.linear(x) * random.random()  # type: ignore[no-any-return]


def reads_an_old_gradient(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.linear(x) if self.v.grad is None else x


REFUSED: dict[Forward, str] = {
    reads_what_forward_computed: "reads tensors that forward has computed",
    runs_a_changed_layer: "runs a layer that forward has changed",
    draws_in_python: "Python's random numbers",
    reads_an_old_gradient: "the gradient that v had before",
}


@pytest.mark.parametrize("forward", REFUSED, ids=lambda forward: forward.__name__)
def test_a_graph_that_would_compute_something_else_refuses(forward: Forward) -> None:
    model = net(forward)
    model.v.grad = torch.ones(8)
    graph = trace(model, (X,))
    with pytest.raises(TraceError, match=REFUSED[forward]):
        graph.module  # noqa: B018
    assert calls(graph)


def test_a_tensor_that_nobody_made_is_no_constant() -> None:
    kept: list[torch.Tensor] = []

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.frombuffer(bytearray(x.numpy().tobytes()), dtype=torch.float32).view(4, 8)
        kept.append(hidden)
        return self.linear(x) + hidden  # type: ignore[no-any-return]

    graph = trace(net(forward), (X,))
    assert graph.lost
    with pytest.raises(TraceError, match="no recorded operation made"):
        graph.module  # noqa: B018


def test_the_report_says_what_it_has_not_looked_into() -> None:
    report = netcheck.check(net(mapped).train(), X, probe=False)
    assert any("torch.func.vmap" in sentence for sentence in report.skipped)


def test_a_layer_with_other_weights_is_seen_with_those() -> None:
    graph = trace(net(weights_by_name), (X,))
    assert calls(graph) == ["getitem", "linear"]
    assert {node.target for node in graph if node.op == "get_attr"} == {"w"}
    assert graph.submodule("linear").called


def test_a_layer_that_sets_its_own_attributes_stays_one_node() -> None:
    layer = nn.utils.weight_norm(nn.Linear(8, 8))  # computes its weight in a hook, before each call
    graph = traced(net(lambda self, x: self.layer(self.layer(x)), layer=layer), X)
    assert calls(graph) == ["nn.Linear", "nn.Linear"]


def test_a_copied_layer_feeds_the_result() -> None:
    graph = trace(net(copied), (X,))
    weight = next(node for node in graph if node.target == "linear.weight")
    assert feeds(weight, graph.outputs[0])
    assert F.linear(X, torch.eye(8)).equal(X)


def test_what_is_written_past_torch_leaves_the_users_weights_alone() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        self.linear.weight.detach().numpy()[:] *= 2
        return self.linear(x)  # type: ignore[no-any-return]

    model = net(forward).train()
    before = model.linear.weight.detach().clone()
    report = netcheck.check(model, X, seeds=1)
    assert report.summary is not None
    assert torch.equal(model.linear.weight, before)
