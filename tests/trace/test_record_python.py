"""What forward may do besides calling layers: custom functions, control flow, side effects, threads, modes."""

from __future__ import annotations

import dataclasses
import random
import sys
import threading
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from netcheck.errors import TraceError
from netcheck.trace import ModelGraph, trace
from netcheck.trace.kinds import Kind
from tests.trace.replay import call, calls, feeds, line, module, require_replay, traced

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


# ---- functions ---------------------------------------------------------------------------------------------


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * gradient


class Split(torch.autograd.Function):
    @staticmethod
    def forward(x: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        return x[:, :size] * 1, x[:, size:] * 2

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        return torch.cat(gradients, 1), None


class Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, function: Any, x: torch.Tensor) -> torch.Tensor:
        return function(x)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return None, gradient


def test_custom_autograd_functions_are_leaves() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        left, right = Split.apply(Cube.apply(self.linear(x)), 2)
        return left @ right.T

    graph = traced(module(forward, linear=nn.Linear(4, 4)), X)
    assert calls(graph)[:3] == ["nn.Linear", "Cube", "Split"]
    cube = call(graph, "Cube")
    assert cube.target == "Cube"
    assert cube.shape == (3, 4)
    assert graph.outputs[0].carries
    model_gradient, graph_gradient = (
        torch.autograd.grad(run(X).sum(), graph.model.linear.weight)[0] for run in (graph.model, graph.module)
    )
    assert torch.equal(model_gradient, graph_gradient)


def test_custom_functions_that_run_what_they_are_given_are_entered() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return Run.apply(self.linear, x)  # type: ignore[no-any-return]

    graph = traced(module(forward, linear=nn.Linear(4, 4)), X)
    assert calls(graph) == ["nn.Linear"]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_are_entered(reentrant: bool, training: bool) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        h = checkpoint(self.first, x, use_reentrant=reentrant)
        h = checkpoint(lambda a, b: self.second(a) + b, h, x, use_reentrant=reentrant, preserve_rng_state=False)
        return checkpoint_sequential(self.rest, 2, h, use_reentrant=reentrant)  # type: ignore[no-any-return]

    rest = nn.Sequential(nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 4))
    model = module(forward, first=nn.Linear(4, 4), second=nn.Linear(4, 4), rest=rest)
    graph = traced(model, X, training=training)
    own = [call for call in calls(graph) if call != "empty"]  # until torch 2.11 one is made to keep inputs by
    assert own == ["nn.Linear", "nn.Linear", "add", "nn.ReLU", "nn.Dropout", "nn.Linear"]
    assert graph.depth == 3
    assert graph.outputs[0].carries


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.5}, {"attn_mask": torch.ones(5, 5).bool()}])
def test_scaled_dot_product_attention(options: Any) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.qkv(x).view(2, 5, 3, 2, 4).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(query, key, value, **self.options)

    graph = traced(module(forward, qkv=nn.Linear(8, 24), options=options), torch.randn(2, 5, 8))
    attention = call(graph, "scaled_dot_product_attention")
    assert (attention.kind, attention.detail, attention.shape) == (Kind.ATTENTION, "product", (2, 2, 5, 4))
    assert feeds(call(graph, "nn.Linear"), attention)


def test_drop_connect() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, F.dropout(self.weight, 0.5, self.training))

    graph = traced(module(forward, weight=nn.Parameter(torch.randn(4, 4))), X, training=True)
    assert call(graph, "linear").kind is Kind.LINEAR
    assert feeds(call(graph, "dropout"), call(graph, "linear"))


# ---- the values of tensors ---------------------------------------------------------------------------------


def test_a_branch_on_a_cheap_value_keeps_the_rest_fake() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return self.linear(x) * 2  # type: ignore[no-any-return]
        return self.linear(x)  # type: ignore[no-any-return]

    model = module(forward, linear=nn.Linear(4, 4))
    graph = trace(model, (X.abs(),))
    assert calls(graph)[-2:] == ["nn.Linear", "mul"]
    assert graph.tensors == "fake"
    (read,) = graph.reads
    assert read.function == "gt"
    assert line(read) == "x.sum() > 0"
    graph = trace(model, (-X.abs(),))
    assert calls(graph)[-1] == "nn.Linear"


def test_a_branch_on_what_a_layer_gives_runs_for_real() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        h = self.linear(x)
        if h.mean().item() > -1e9:
            h = h.relu()
        return h  # type: ignore[no-any-return]

    graph = traced(module(forward, linear=nn.Linear(4, 4)), X)
    assert calls(graph)[-1] == "relu"
    assert [node.function for node in graph.reads] == ["mean"]
    assert feeds(call(graph, "nn.Linear"), graph.outputs[0])


@pytest.mark.parametrize("training", [False, True])
def test_layerdrop(training: bool) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            if not self.training or torch.rand([]) > self.rate:
                x = layer(x)
        return x

    model = module(forward, layers=nn.ModuleList(nn.Linear(4, 4) for _ in range(6)), rate=0.5)
    graph = trace(model.train(training), (X,))
    assert graph.tensors == "fake"
    assert (sum(node.kind is Kind.LINEAR for node in graph) == 6) is not training


@pytest.mark.parametrize("forward", [
    lambda self, x: self.linear(x[x.sum(1) > -100]),
    lambda self, x: self.linear(x)[self.linear(x) > -100],
    lambda self, x: x[(x > -100).nonzero(as_tuple=True)] * 2,
    lambda self, x: torch.masked_select(self.linear(x), x > -100).sum(),
    lambda self, x: torch.where(x > 0)[0].float().mean() * 0 + x.sum(),
    lambda self, x: torch.where(x > 0, self.linear(x), x),
    lambda self, x: x * float(self.linear.weight.norm()),
    lambda self, x: x * self.linear.weight.abs().max().item(),
    lambda self, x: x[: int(self.count)],
    lambda self, x: x.repeat_interleave(torch.tensor([1, 2, 1]), dim=0),
    lambda self, x: torch.stack([x[i] for i in self.order.tolist()]),
    lambda self, x: self.linear(x) if (x == x).all() else x,
    lambda self, x: x.new_zeros(self.order.max() + 1).scatter_add(0, self.order, torch.ones(3)) + x.sum(),
    lambda self, x: torch.arange(int(self.order.max()) + 1) + x.sum(),
    lambda self, x: torch.unique(self.order, return_inverse=True)[1] + x.sum(),
    lambda self, x: x.split(self.sizes.tolist())[0].tanh(),
    lambda self, x: x[: self.sizes[0]] + 1,
    lambda self, x: F.one_hot(self.order, 5).float() @ torch.ones(5, 1) * x.sum(),
    lambda self, x: F.interpolate(x[None, None], scale_factor=float(self.count)),
    lambda self, x: torch.full((2,), self.count.item()) * x.sum(),
    lambda self, x: x if torch.equal(x, x) else x * 2,
    lambda self, x: x + (1 if torch.allclose(self.order, self.order) else 0),
    lambda self, x: x + len(torch.nonzero(self.order >= 0)),
    lambda self, x: x + (2 in self.order),
    lambda self, x: x + sum(int(v) for v in self.order),
    lambda self, x: x + torch.tensor(self.order.numpy().sum()),
    lambda self, x: x.index_select(0, self.order),
    lambda self, x: x[self.order.argmin()] + x[-1],
    lambda self, x: x.quantile(0.5) + x.topk(2).values.sum() + x.sort().indices[0, 0],
], ids=range(29))  # fmt: skip
def test_values_in_control_flow_and_shapes(forward: Any) -> None:
    def wrapper(self: Any, x: torch.Tensor) -> Any:
        return forward(self, x)

    model = module(wrapper, linear=nn.Linear(4, 4))
    model.register_buffer("count", torch.tensor(2))
    model.register_buffer("order", torch.tensor([2, 0, 1]))
    model.register_buffer("sizes", torch.tensor([1, 2]))
    graph = traced(model, X)
    assert feeds(graph.inputs[0], graph.nodes[-1])


def test_numpy_round_trips() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        smooth = torch.from_numpy(np.hanning(4).astype(np.float32)) * self.scale
        outside = torch.from_numpy(x.detach().numpy() * 2)
        return self.linear(x) * smooth + outside

    model = module(forward, linear=nn.Linear(4, 4), scale=np.float32(2.0)).eval()
    graph = trace(model, (X,))
    assert graph.outputs[0].carries
    assert feeds(call(graph, "nn.Linear"), graph.outputs[0])
    require_replay(graph, model, (X,), {})  # what numpy computed is a constant of the graph: the same inputs
    assert [node.function for node in graph.reads]


def test_numpy_functions_of_tensors() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return x * float(np.asarray(self.count)) + torch.as_tensor(np.array([1.0, 2, 3, 4]), dtype=x.dtype)

    model = module(forward)
    model.register_buffer("count", torch.tensor(2.5))
    traced(model, X)


# ---- gradients and precision -------------------------------------------------------------------------------


def test_parts_without_gradient() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            frozen = self.first(x).tanh()
            with torch.enable_grad():
                live = self.second(x)
        return self.second(frozen) + live  # type: ignore[no-any-return]

    graph = traced(module(forward, first=nn.Linear(4, 4), second=nn.Linear(4, 4)), X)
    assert [node.grad_enabled for node in graph if node.target == "nn.Linear"] == [False, True, True]
    assert not call(graph, "tanh").carries
    for run in (graph.model, graph.module):
        graph.model.zero_grad()
        run(X).sum().backward()
        assert graph.model.first.weight.grad is None
        assert graph.model.second.weight.grad is not None
    with torch.no_grad():
        assert not graph.module(X).requires_grad
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()


def test_a_forward_decorated_with_no_grad() -> None:
    class Frozen(nn.Linear):
        @torch.no_grad()
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * 2

    graph = traced(nn.Sequential(Frozen(4, 4), nn.Linear(4, 2)), X)
    assert [node.grad_enabled for node in graph if node.kind is Kind.LINEAR] == [False, True]
    assert not graph.nodes[1].carries


def test_parameters_written_to_in_forward() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            self.weight.clamp_(-0.5, 0.5)
        self.weight.data.div_(2)
        return x @ self.weight

    model = module(forward, weight=nn.Parameter(torch.randn(4, 4)))
    before = model.weight.clone()
    graph = traced(model, X)
    assert torch.equal(model.weight, before)
    assert feeds(call(graph, "clamp"), call(graph, "matmul"))
    assert feeds(call(graph, "div"), call(graph, "matmul"))


def test_gradients_taken_in_forward() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        x = x.detach().requires_grad_(True)
        energy = self.net(x).sum()
        (force,) = torch.autograd.grad(energy, x, create_graph=True)
        return force * 2

    model = module(forward, net=nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)))
    graph = traced(model, X)
    assert graph.outputs[0].shape == (3, 4)
    assert feeds(graph.inputs[0], graph.outputs[0])


@pytest.mark.parametrize("enabled", [True, False])
def test_automatic_precision(enabled: bool) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.enabled):
            h = self.first(x).tanh()
            with torch.autocast("cpu", enabled=False):
                h = F.softmax(h.float(), dim=-1)
            h = self.second(h)
        return h.float() @ self.second(x).T  # type: ignore[no-any-return]

    model = module(forward, first=nn.Linear(4, 4), second=nn.Linear(4, 4), enabled=enabled)
    graph = traced(model, X)
    dtypes = [node.dtype for node in graph if node.target == "nn.Linear"]
    low = torch.bfloat16 if enabled else torch.float32
    assert dtypes == [low, low, torch.float32]


def test_half_precision_models() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.GELU()).bfloat16()
    graph = traced(model, X.bfloat16())
    assert graph.outputs[0].dtype is torch.bfloat16


# ---- side effects ------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Log:
    lines: list[str] = dataclasses.field(default_factory=list)


def test_state_kept_in_forward_is_undone() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.last = self.linear(x)
        self.history.append(self.last)
        self.cache["x"] = x
        self.log.lines.append("called")
        self.running = 0.9 * self.running + 0.1 * x.mean(0)
        self.seen.add(self.calls)
        self.steps[0] += 1
        self.count += 1
        self.extra = nn.Linear(4, 4)
        return self.last + self.running

    model = module(
        forward,
        linear=nn.Linear(4, 4),
        calls=0,
        history=[],
        cache={},
        log=Log(),
        seen=set(),
        steps=np.zeros(2),
    )
    model.register_buffer("running", torch.zeros(4))
    model.register_buffer("count", torch.tensor(0))
    graph = trace(model, (X,))
    assert (model.calls, model.history, model.cache, model.log.lines, model.seen) == (0, [], {}, [], set())
    assert model.steps.tolist() == [0, 0]
    assert int(model.count) == 0
    assert not model.running.any()
    assert {"last", "extra"}.isdisjoint({**model.__dict__, **model._modules})
    assert feeds(call(graph, "nn.Linear"), graph.outputs[0])
    assert feeds(call(graph, "mean"), graph.outputs[0])
    assert torch.equal(graph.module(X), model.linear(X) + 0.1 * X.mean(0))


def test_random_numbers_of_every_kind() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        h = x + torch.randn_like(x) + torch.rand(4) + torch.empty(4).normal_() + torch.randperm(4)
        return h * random.random() * np.random.rand()

    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    graph = trace(module(forward), (X,))
    assert states[0] == random.getstate()
    assert states[1] == np.random.get_state()[1].tolist()
    assert torch.equal(states[2], torch.get_rng_state())
    assert sum(node.random for node in graph if node.op.startswith("call")) >= 4


def test_another_thread_runs_models_while_this_one_traces() -> None:
    other, seen, stop = nn.Sequential(nn.Linear(4, 4), nn.Tanh()), [], threading.Event()
    expected = other(X).detach()

    def work() -> None:
        while not stop.is_set():
            seen.append(torch.equal(other(X).detach(), expected) and Cube.apply(X).equal(X**3))

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        while len(seen) < 20:  # until the other thread has surely run meanwhile
            stop.wait(0.001)
        return self.linear(x)  # type: ignore[no-any-return]

    thread = threading.Thread(target=work)
    thread.start()
    try:
        graph = trace(module(forward, linear=nn.Linear(4, 4)), (X,))
    finally:
        stop.set()
        thread.join()
    assert calls(graph) == ["nn.Linear"]
    assert all(seen)


def test_threads_trace_at_once() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x).relu()
        return x

    graphs: dict[int, ModelGraph] = {}

    def work(depth: int) -> None:
        graphs[depth] = trace(module(forward, layers=nn.ModuleList(nn.Linear(4, 4) for _ in range(depth))), (X,))

    interval, limit = sys.getswitchinterval(), sys.getrecursionlimit()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=work, args=(depth,)) for depth in range(20, 26)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert {depth: graph.depth for depth, graph in graphs.items()} == {depth: depth for depth in range(20, 26)}
    assert nn.Module.__call__.__qualname__ == "Module._wrapped_call_impl"
    assert sys.getrecursionlimit() == limit


# ---- devices and layouts -----------------------------------------------------------------------------------


def test_models_on_the_meta_device() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        mask = torch.zeros(x.shape[1], device=x.device)
        position = torch.arange(4, device=self.linear.weight.device)
        assert x.device.type == "cpu"
        return self.linear(x + mask + position).to(x.device)  # type: ignore[no-any-return]

    with torch.device("meta"):
        model = module(forward, linear=nn.Linear(4, 10**6))
        model.register_buffer("table", torch.zeros(10**6))
    graph = trace(model, (X,))
    assert graph.outputs[0].shape == (3, 10**6)
    graph = trace(model, (X.to("meta"),))
    assert graph.outputs[0].shape == (3, 10**6)
    assert model.linear.weight.is_meta


def test_values_of_a_model_on_the_meta_device_are_refused_in_one_sentence() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return x * self.linear(x).sum().item()

    with torch.device("meta"):
        model = module(forward, linear=nn.Linear(4, 4))
    with pytest.raises(TraceError, match="value") as caught:
        trace(model, (X,))
    assert caught.value.help
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


def test_quantized_models() -> None:
    torch.backends.quantized.engine = "qnnpack" if "qnnpack" in torch.backends.quantized.supported_engines else "fbgemm"
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    model = torch.ao.quantization.quantize_dynamic(model, {nn.Linear})
    graph = trace(model, (X,))
    assert graph.depth == 2
    assert torch.equal(graph.module(X), model(X))


def test_quantized_tensors() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight.dequantize()

    model = module(forward)
    model.register_buffer("weight", torch.quantize_per_tensor(torch.randn(4, 4), 0.1, 0, torch.qint8))
    graph = trace(model, (X,))
    assert torch.equal(graph.module(X), model(X))
    assert graph.depth == 1


@pytest.mark.parametrize("layout", ["to_sparse_coo", "to_sparse_csr"])
@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_tensors(layout: str) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.sparse.mm(self.adjacency, self.linear(x))

    model = module(forward, linear=nn.Linear(4, 4))
    model.register_buffer("adjacency", getattr(torch.eye(3), layout)())
    graph = trace(model, (X,))
    assert torch.equal(graph.module(X), model(X))
    assert feeds(call(graph, "nn.Linear"), graph.outputs[0])


def test_sparse_embeddings() -> None:
    model = nn.Sequential(nn.Embedding(10, 4, sparse=True), nn.EmbeddingBag(10, 4, sparse=True))
    graph = traced(model[0], torch.arange(6).view(2, 3))
    assert graph.nodes[1].kind is Kind.EMBEDDING
    traced(model[1], torch.arange(6).view(2, 3))


def test_tensor_subclasses_and_views_as_parameters() -> None:
    class Tagged(torch.Tensor):
        pass

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return x @ self.half * self.scale

    whole = torch.randn(8, 4)
    model = module(forward, whole=nn.Parameter(whole))
    model.half = model.whole.data[:4]
    model.scale = torch.ones(4).as_subclass(Tagged)
    graph = trace(model, (X,))
    assert torch.equal(torch.Tensor(graph.module(X)), torch.Tensor(model(X)))
