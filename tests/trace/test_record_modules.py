"""Modules: how they are called, shared, wrapped, changed by hooks and parametrizations, and named."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils import weight_norm as old_weight_norm

import netcheck
from netcheck.trace import trace
from netcheck.trace.kinds import Kind
from tests.trace.replay import call, calls, feeds, line, module, require_replay, traced

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
PICTURE = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Block(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.act = nn.Tanh()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.act(self.linear(x))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Block() for _ in range(2)))
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.relu(self.blocks(x))
        return self.head(h)  # type: ignore[no-any-return]


def test_every_fact_of_a_node() -> None:
    graph = traced(Net(), X)
    facts = [(node.op, node.target, node.kind, node.path, node.owner, node.shape) for node in graph]
    assert facts == [
        ("placeholder", "x", Kind.INPUT, "", "", (3, 4)),
        ("call_module", "nn.Linear", Kind.LINEAR, "blocks.0.linear", "Block", (3, 4)),
        ("call_module", "nn.Tanh", Kind.ACTIVATION, "blocks.0.act", "Block", (3, 4)),
        ("call_method", "Tensor.add", Kind.ADD, "blocks.0", "Block", (3, 4)),
        ("call_module", "nn.Linear", Kind.LINEAR, "blocks.1.linear", "Block", (3, 4)),
        ("call_module", "nn.Tanh", Kind.ACTIVATION, "blocks.1.act", "Block", (3, 4)),
        ("call_method", "Tensor.add", Kind.ADD, "blocks.1", "Block", (3, 4)),
        ("call_function", "F.relu", Kind.ACTIVATION, "", "Net", (3, 4)),
        ("call_module", "nn.Linear", Kind.LINEAR, "head", "Net", (3, 2)),
        ("output", "output", Kind.OUTPUT, "", "", (3, 2)),
    ]
    assert {node.dtype for node in graph} == {torch.float32}
    assert all(node.grad_enabled and not node.training for node in graph if node.op.startswith("call"))
    assert graph.class_name == "Net"
    assert (graph.depth, graph.plain_depth) == (3, 1)
    assert graph.tensors == "fake"
    summary = graph.summary()
    assert (summary.operations, summary.weight_layers, summary.parameters) == (8, 3, 50)


def test_the_line_in_forward_and_the_line_that_built() -> None:
    graph = trace(Net(), (X,))
    relu, linear = call(graph, "relu"), graph.nodes[1]
    assert line(relu) == "F.relu(self.blocks(x))"
    assert line(linear) == "self.linear(x)"
    assert linear.called_at is not None
    assert linear.built_at is not None
    assert linear.called_at.function == "Block.forward"
    assert linear.built_at.file == linear.called_at.file == __file__
    lines = Path(__file__).read_text().splitlines()
    assert lines[linear.built_at.line - 1].strip() == "self.linear = nn.Linear(width, width)"
    head = graph.outputs[0]
    assert head.built_at is not None
    assert lines[head.built_at.line - 1].strip() == "self.head = nn.Linear(4, 2)"


def test_a_model_that_is_one_layer() -> None:
    graph = traced(nn.Linear(4, 2), X)
    assert call(graph, "nn.Linear").path == ""
    assert graph.depth == 1


def test_a_module_called_several_times() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = self.block(x)
        return x

    graph = traced(module(forward, block=Block()), X)
    linears = [node for node in graph if node.target == "nn.Linear"]
    assert [node.path for node in linears] == ["block.linear"] * 3
    assert len({node.module for node in linears}) == 1
    assert graph.summary().parameters == 20
    assert sum(layer.parameters for layer in graph.summary().layers) == 20


def test_a_module_shared_under_two_names() -> None:
    block = Block()
    model = nn.Sequential(block, nn.Sequential(block, nn.ReLU()))
    graph = traced(model, X)
    assert [node.path for node in graph if node.target == "nn.Linear"] == ["0.linear", "1.0.linear"]


def test_tied_weights_keep_all_their_names() -> None:
    def forward(self: Any, ids: torch.Tensor) -> torch.Tensor:
        return F.linear(self.embedding(ids), self.head.weight) + F.linear(self.embedding(ids), self.other)

    model = module(forward, embedding=nn.Embedding(7, 4), head=nn.Linear(4, 7, bias=False))
    model.head.weight = model.embedding.weight
    model.other = model.embedding.weight
    graph = traced(model, torch.arange(5))
    (weight,) = [node for node in graph if node.kind is Kind.PARAMETER]
    assert set(graph.recording.names[weight.target]) == {"other", "embedding.weight", "head.weight"}


def test_modules_that_pytorch_does_not_know_of() -> None:
    class Holder:
        def __init__(self) -> None:
            self.inner = nn.Linear(4, 4)

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.table["out"](x) + self.holder.inner(x) + x @ self.mixing[0]

    layers = [nn.Linear(4, 4), Block()]
    model = module(forward, layers=layers, table={"out": nn.Linear(4, 4)}, holder=Holder(), mixing=(torch.eye(4),))
    graph = traced(model, X)
    paths = [node.path for node in graph if node.target == "nn.Linear"]
    assert paths == ["layers[0]", "layers[1].linear", "table['out']", "holder.inner"]
    assert graph.tensors == "fake"


def test_a_module_made_in_forward() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        layer = nn.Linear(4, 5)
        nn.init.constant_(layer.weight, 0.5)
        nn.init.zeros_(layer.bias)
        return nn.Dropout(0.3)(F.relu(layer(x)))

    graph = trace(module(forward).eval(), (X,))
    assert graph.outputs[0].shape == (3, 5)
    made = call(graph, "nn.Linear")
    assert made.kind is Kind.LINEAR
    assert made.path == "<Linear>"
    assert feeds(made, graph.outputs[0])
    assert graph.module(X).shape == (3, 5)


def test_modules_whose_submodules_are_used_without_calling_them() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        h = F.linear(x, self.linear.weight, self.linear.bias)
        return self.norm.forward(h) * self.block.act(h)

    model = module(forward, linear=nn.Linear(4, 4), norm=nn.LayerNorm(4), block=Block())
    graph = traced(model, X)
    assert [node.kind for node in graph if node.op.startswith("call")] == [
        Kind.LINEAR,
        Kind.NORM,
        Kind.ACTIVATION,
        Kind.GATE,
    ]


def test_tensors_of_a_layer_that_is_also_called() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        shifted = x - self.norm.running_mean
        return self.norm(shifted) * self.norm.weight + self.norm.running_var  # type: ignore[no-any-return]

    model = module(forward, norm=nn.BatchNorm1d(4))
    traced(model, X)
    assert list(model.norm._buffers) == ["running_mean", "running_var", "num_batches_tracked"]


def test_names_that_mean_something_to_torch_fx() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.graph(x) * self.code + self.half

    model = module(forward, graph=nn.Linear(4, 4), code=nn.Parameter(torch.ones(4)), half=torch.ones(4))
    graph = traced(model, X)
    assert call(graph, "nn.Linear").path == "graph"
    assert graph.recording.names["code_"] == ("code",)


def test_subclasses_of_torch_modules() -> None:
    class Wider(nn.Linear):
        def __init__(self, width: int) -> None:
            super().__init__(width, 2 * width)

    class Standardized(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
            return F.conv2d(x, weight, self.bias, padding=self.padding)

    graph = traced(nn.Sequential(Standardized(3, 4, 3, padding=1), nn.Flatten(), Wider(4 * 64)), PICTURE)
    assert [node.kind for node in graph if node.depends] == [
        Kind.INPUT, Kind.CONV, Kind.RESHAPE, Kind.LINEAR, Kind.OUTPUT,
    ]  # fmt: skip
    assert [node.target for node in graph if node.op == "call_module"] == ["nn.Flatten", "Wider"]


def test_forward_given_as_an_attribute() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    model[0].forward = lambda x: F.linear(x, model[0].weight) * 2
    graph = traced(model, X)
    assert calls(graph) == ["linear", "mul", "nn.ReLU"]


@pytest.mark.parametrize("register", ["hook", "pre-hook", "keyword hook", "always"])
def test_hooks_that_change_what_passes(register: str) -> None:
    model = nn.Sequential(nn.Linear(4, 4), Block(), nn.ReLU())
    for layer in (model, model[0], model[1], model[1].linear):
        if register == "hook":
            layer.register_forward_hook(lambda module, args, output: output * 2)
        elif register == "pre-hook":
            layer.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
        elif register == "keyword hook":
            layer.register_forward_hook(lambda module, args, kwargs, output: output * 2, with_kwargs=True)
        else:
            layer.register_forward_hook(lambda module, args, output: output * 2, always_call=True)
    traced(model, X)
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    assert sum(hooks) == 4


def test_hooks_that_are_removed_and_added_in_forward() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        seen: list[torch.Tensor] = []
        handle = self.block.linear.register_forward_hook(lambda module, args, output: seen.append(output))
        y = self.block(x)
        handle.remove()
        return y + seen[0]

    graph = traced(module(forward, block=Block()), X)
    assert feeds(call(graph, "nn.Linear"), graph.outputs[0])


def test_gradient_hooks_are_left_alone() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        h = self.linear(x)
        if h.requires_grad:
            h.register_hook(lambda gradient: gradient * 2)
        return h.relu()

    graph = traced(module(forward, linear=nn.Linear(4, 4)), X)
    assert calls(graph) == ["nn.Linear", "relu"]


# ---- parametrizations --------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("change", [
    lambda layer: parametrizations.weight_norm(layer),
    lambda layer: old_weight_norm(layer),
    lambda layer: parametrizations.spectral_norm(layer),
    lambda layer: nn.utils.spectral_norm(layer),
    lambda layer: parametrizations.orthogonal(layer),
    lambda layer: prune.l1_unstructured(layer, "weight", amount=0.3),
], ids=["weight", "old weight", "spectral", "old spectral", "orthogonal", "prune"])  # fmt: skip
def test_parametrizations(change: Any, training: bool) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(change(nn.Linear(4, 4)), nn.ReLU())
    graph = traced(model, X, training=training)
    assert graph.depth == 1
    assert sum(node.kind is Kind.LINEAR for node in graph) == 1


def test_lazy_modules() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)).eval()
    graph = trace(model, (PICTURE,))
    assert [node.shape for node in graph][-2:] == [(2, 2), (2, 2)]
    assert isinstance(model[0], nn.LazyConv2d)
    assert nn.parameter.is_lazy(model[4].weight)
    assert graph.outputs[0].depends
    assert graph.module(PICTURE).shape == (2, 2)


class LazySteps(nn.Sequential):
    """A net with lazy layers that gives one result after another."""

    def forward(self, x: torch.Tensor) -> Iterator[torch.Tensor]:
        for layer in self:
            x = layer(x)
            yield x


def test_lazy_layers_behind_a_yield() -> None:
    model = LazySteps(nn.LazyLinear(5), nn.LazyLinear(2))
    assert [node.shape for node in trace(model, (X,)).outputs] == [(3, 5), (3, 2)]
    assert nn.parameter.is_lazy(model[0].weight)


class LazyBeside(nn.Module):
    """A net with a lazy layer that forward does not come to."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.LazyLinear(4), nn.LazyLinear(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.used(x) if len(x) else self.unused(x)  # type: ignore[no-any-return]


def test_a_lazy_layer_that_never_runs() -> None:
    model = LazyBeside()
    graph = trace(model, (X,))
    assert nn.parameter.is_lazy(model.unused.weight)
    assert graph.module(X).shape == (len(X), 4)
    assert "NC008" not in {finding.code for finding in netcheck.check(model, (X,), seeds=1).findings}


# ---- wrappers and compilers --------------------------------------------------------------------------------


def test_script_modules_are_leaves() -> None:
    model = nn.Sequential(nn.Linear(4, 4), torch.jit.script(Block()), torch.jit.trace(Block(), X))
    graph = traced(model, X)
    assert [node.kind for node in graph if node.op == "call_module"] == [
        Kind.LINEAR,
        Kind.SCRIPT,
        Kind.SCRIPT,
    ]


def test_a_script_module_as_the_model() -> None:
    model = torch.jit.script(Block()).eval()
    graph = trace(model, (X,))
    assert [node.kind for node in graph if node.op == "call_module"] == [Kind.SCRIPT]
    require_replay(graph, model, (X,), {})


@torch.jit.script
def scripted(x: torch.Tensor, scale: float) -> torch.Tensor:
    y = torch.tanh(x * scale)
    return y + 1.0


def test_script_functions() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.linear(scripted(x, 2.0))

    graph = traced(module(forward, linear=nn.Linear(4, 4)), X)
    assert feeds(graph.inputs[0], call(graph, "nn.Linear"))
    assert "tanh" in calls(graph)


@torch.jit.script
def gated(x: torch.Tensor) -> torch.Tensor:
    half = x.shape[1] // 2
    return torch.tanh(x[:, :half]) * torch.sigmoid(x[:, half:])


def test_script_functions_that_have_run_before_are_recorded_as_they_were_written() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.head(gated(self.linear(x)))

    model = module(forward, linear=nn.Linear(4, 8), head=nn.Linear(4, 2))
    for _ in range(3):  # TorchScript looks for what to optimize, and has its own derivative from now on
        model(X).sum().backward()
    graph = traced(model, X)
    assert calls(graph) == ["nn.Linear", "getitem", "tanh", "getitem", "sigmoid", "mul", "nn.Linear"]
    report = netcheck.check(model, X, seeds=1)
    assert report.gradients is not None
    assert report.gradients.gain > -1


def test_compiled_models_submodules_and_functions_are_not_compiled() -> None:
    @torch.compile
    def compiled(x: torch.Tensor) -> torch.Tensor:
        return x.tanh() * 2

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.second(compiled(self.first(x)))

    second = Block()
    second.compile()
    inner = module(forward, first=torch.compile(Block()), second=second)
    compilations = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for model in (inner, torch.compile(inner)):
        graph = trace(model.eval(), (X,))
        assert calls(graph) == ["nn.Linear", "nn.Tanh", "add", "tanh", "mul", "nn.Linear", "nn.Tanh", "add"]
        assert graph.class_name == "forward"
        assert [node.path for node in graph if node.target == "nn.Linear"] == [
            "first._orig_mod.linear",
            "second.linear",
        ]
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == compilations


def test_data_parallel_at_the_root_and_inside() -> None:
    graph = trace(nn.DataParallel(Net()), (X,))
    assert graph.class_name == "Net"
    assert graph.nodes[1].path == "blocks.0.linear"
    graph = traced(nn.Sequential(nn.DataParallel(Net()), nn.Linear(2, 2)), X)
    assert calls(graph).count("nn.Linear") == 4


def test_distributed_data_parallel(tmp_path: Any) -> None:
    from torch import distributed

    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(Net())
        assert trace(wrapped, (X,)).class_name == "Net"
        graph = trace(nn.Sequential(wrapped, nn.Linear(2, 2)), (X,))
    finally:
        distributed.destroy_process_group()
    assert calls(graph).count("nn.Linear") == 4


def test_deep_copies_of_a_traced_model_work() -> None:
    model = Net()
    trace(model, (X,))
    assert torch.equal(copy.deepcopy(model)(X), model(X))


# ---- layers that hold layers -------------------------------------------------------------------------------


def test_containers_are_entered() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.table["b"](self.layers[1](x)) @ self.parameters_[0] + self.named["p"]

    model = module(
        forward,
        table=nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)}),
        layers=nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)]),
        parameters_=nn.ParameterList([torch.randn(4, 4)]),
        named=nn.ParameterDict({"p": torch.randn(4)}),
    )
    graph = traced(model, X)
    assert [node.path for node in graph if node.op == "call_module"] == ["layers.1", "table.b"]
    assert [node.target for node in graph if node.kind is Kind.PARAMETER] == ["parameters_.0", "named.p"]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("needs_weights", [False, True])
def test_multihead_attention_is_a_leaf(needs_weights: bool, training: bool) -> None:
    def forward(self: Any, x: torch.Tensor) -> Any:
        return self.attention(x, x, x, need_weights=self.needs_weights)

    model = module(forward, attention=nn.MultiheadAttention(8, 2, batch_first=True), needs_weights=needs_weights)
    graph = traced(model, torch.randn(2, 5, 8), training=training)
    attention = call(graph, "nn.MultiheadAttention")
    assert attention.kind is Kind.ATTENTION
    assert attention.detail == "module"
    assert graph.depth == 1


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer_encoders_are_entered(norm_first: bool, training: bool) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first, dropout=0.0)
    graph = traced(nn.TransformerEncoder(layer, 3), torch.randn(2, 5, 8), training=training)
    kinds = [node.kind for node in graph]
    assert kinds.count(Kind.ATTENTION) == 3
    assert kinds.count(Kind.LINEAR) == 6
    assert kinds.count(Kind.NORM) == 6


def test_a_whole_transformer() -> None:
    model = nn.Transformer(8, 2, 2, 2, 16, batch_first=True, dropout=0.0)
    source, target = torch.randn(2, 5, 8), torch.randn(2, 3, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(3)
    padding = torch.zeros(2, 5, dtype=torch.bool)
    graph = trace(model.eval(), (source, target), {"tgt_mask": mask, "src_key_padding_mask": padding})
    require_replay(graph, model, (source, target), {"tgt_mask": mask, "src_key_padding_mask": padding})
    assert sum(node.kind is Kind.ATTENTION for node in graph) == 6


@pytest.mark.parametrize("layer", [nn.RNN(4, 5, 2), nn.LSTM(4, 5, 2, bidirectional=True), nn.GRU(4, 5, dropout=0.0)])
def test_recurrent_layers_are_leaves(layer: nn.Module) -> None:
    graph = traced(layer, torch.randn(6, 3, 4))
    assert [node.kind for node in graph if node.op == "call_module"] == [Kind.RECURRENT]


def test_a_recurrent_cell_in_a_loop() -> None:
    def forward(self: Any, steps: torch.Tensor) -> torch.Tensor:
        hidden = torch.zeros(steps.shape[1], 5)
        cell = hidden
        for step in steps:
            hidden, cell = self.cell(step, (hidden, cell))
        return hidden

    graph = traced(module(forward, cell=nn.LSTMCell(4, 5)), torch.randn(6, 3, 4))
    assert graph.depth == 6
    assert sum(node.kind is Kind.RECURRENT for node in graph) == 6


# ---- size --------------------------------------------------------------------------------------------------


def nested(depth: int) -> nn.Module:
    """A layer in so many modules, one in another."""
    model: nn.Module = nn.Linear(4, 4)
    for _ in range(depth):
        model = nn.Sequential(model)
    return model


def deepest() -> int:
    """How many modules, one in another, PyTorch itself runs here, up to 1,000: Python 3.12 has a limit that nobody can set."""
    depth = 1000
    while depth > 200:
        try:
            nested(depth)(X)
            return depth
        except RecursionError:
            depth = depth * 4 // 5
    return depth


def test_as_many_nested_modules_as_pytorch_runs() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(4200)  # a thousand modules themselves need that
    try:
        depth = deepest()
        depth = depth if depth == 1000 else depth * 4 // 5
        graph = traced(nested(depth), X)
        assert sys.getrecursionlimit() == 4200
    finally:
        sys.setrecursionlimit(limit)
    assert calls(graph) == ["nn.Linear"]
    assert graph.nodes[1].path == ".".join("0" * depth)


def test_five_thousand_operations() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        for step in range(2500):
            x = x * self.weight + step
        return x

    graph = traced(module(forward, weight=nn.Parameter(torch.full((4,), 0.5))), X)
    assert len(graph) == 5003
