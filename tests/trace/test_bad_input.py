"""Models and inputs that do not fit, and unusual models: a graph, or one sentence with place and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.errors import TraceError
from netcheck.torch_versions import version
from netcheck.trace import trace
from netcheck.trace.kinds import Kind
from tests.trace.replay import calls, module

X = torch.randn(3, 4)


def error(model: nn.Module, *args: Any, **kwargs: Any) -> TraceError:
    """The error that tracing raises, held to be one sentence that says what, where and what to do."""
    with pytest.raises(TraceError) as caught:
        trace(model, args, kwargs)
    raised = caught.value
    assert "\n" not in str(raised)
    assert "netcheck.trace" not in str(raised)
    assert raised.help
    assert raised.code == "NC003"
    return raised


def place(raised: TraceError) -> str:
    """The source text of the line to blame."""
    assert raised.location is not None
    assert raised.location.file == __file__
    return Path(__file__).read_text().splitlines()[raised.location.line - 1].strip()


def test_forward_raises() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        raise ValueError("the moon is full\nand a second line")

    raised = error(module(forward), X)
    assert str(raised) == "forward of forward raised ValueError: the moon is full"
    assert place(raised).startswith("raise ValueError")
    assert isinstance(raised.__cause__, ValueError)


def test_forward_raises_deep_inside() -> None:
    class Inner(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return {}["missing"]  # type: ignore[no-any-return]

    raised = error(nn.Sequential(nn.Linear(4, 4), nn.Sequential(Inner())), X)
    assert "KeyError: 'missing'" in str(raised)
    assert place(raised).startswith("return {}")


def test_the_wrong_shape_for_a_layer() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)  # type: ignore[no-any-return]

    raised = error(module(forward, body=nn.Sequential(nn.ReLU(), nn.Linear(5, 2))), X)
    assert "in Linear(float32 (3, 4)) of module 'body.1'" in str(raised)
    assert raised.module == "body.1"
    assert place(raised) == "return self.body(x)  # type: ignore[no-any-return]"
    assert "--input" in raised.help


def test_the_wrong_shape_for_an_operation() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.weight]) @ x

    raised = error(module(forward, weight=nn.Parameter(torch.ones(2, 5))), X)
    assert "in cat(" in str(raised)
    assert "torch.cat" in place(raised)


@pytest.mark.skipif(version() < (2, 13), reason="fake tensors look up floats until torch 2.12")
def test_the_wrong_type() -> None:
    raised = error(nn.Sequential(nn.Embedding(10, 4)), X)
    assert "in Embedding(float32 (3, 4)) of module '0'" in str(raised)


@pytest.mark.parametrize("dtype", [torch.long, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("forward", [
    lambda self, x: self.linear(x),
    lambda self, x: self.conv(x[:, :, None]),
    lambda self, x: F.linear(x, self.linear.weight),
    lambda self, x: x @ self.linear.weight,
    lambda self, x: self.attention(x, x, x),
], ids=["module", "conv", "function", "operator", "attention"])  # fmt: skip
def test_the_wrong_precision(forward: Any, dtype: torch.dtype) -> None:
    layers = {"linear": nn.Linear(4, 4), "conv": nn.Conv1d(4, 4, 1), "attention": nn.MultiheadAttention(4, 2)}
    model = module(lambda self, x: forward(self, x), **layers)
    with pytest.raises(RuntimeError, match="type"):
        model(X.to(dtype))
    assert "type" in str(error(model, X.to(dtype)))


@pytest.mark.parametrize("args", [(), (X, X), ("text",), (None,), ([X],), (object(),)])
def test_the_wrong_arguments(args: tuple[Any, ...]) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)  # type: ignore[no-any-return]

    raised = error(module(forward, linear=nn.Linear(4, 4)), *args)
    assert "TypeError" in str(raised) or "AttributeError" in str(raised)


def test_an_unknown_keyword() -> None:
    assert "unexpected keyword argument 'mask'" in str(error(nn.Linear(4, 4), X, mask=X))


def test_no_forward() -> None:
    class Empty(nn.Module):
        pass

    raised = error(Empty(), X)
    assert "forward of Empty" in str(raised)
    assert "NotImplementedError" in str(raised)


def test_a_module_list_is_no_model() -> None:
    assert "NotImplementedError" in str(error(nn.ModuleList([nn.Linear(4, 4)]), X))


def test_endless_recursion() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.forward(x)  # type: ignore[no-any-return]

    raised = error(module(forward), X)
    assert "RecursionError" in str(raised)
    assert place(raised).startswith("return self.forward(x)")


def test_forward_leaves_the_program() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        raise SystemExit(2)

    assert "SystemExit: 2" in str(error(module(forward), X))


def test_an_index_out_of_range_where_values_are_needed() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        if self.linear(x).sum() > -1e9:
            return self.embedding(torch.tensor([99]))  # type: ignore[no-any-return]
        return x

    raised = error(module(forward, linear=nn.Linear(4, 4), embedding=nn.Embedding(10, 4)), X)
    assert "index out of range" in str(raised)
    assert raised.module == "embedding"


def test_lazy_layers_that_the_input_does_not_fit() -> None:
    raised = error(nn.Sequential(nn.LazyLinear(5), nn.Linear(6, 2)), X)
    assert "forward of Sequential raised RuntimeError" in str(raised)


# ---- unusual models that have a graph ----------------------------------------------------------------------


def test_nothing_is_returned() -> None:
    graph = trace(module(lambda self, x: None), (X,))
    assert graph.outputs == []
    assert (graph.depth, graph.plain_depth) == (0, 0)
    assert graph.summary().operations == 0
    assert graph.module(X) is None


def test_no_parameters() -> None:
    graph = trace(module(lambda self, x: x.relu().sum()), (X,))
    assert calls(graph) == ["relu", "sum"]
    assert graph.summary().parameters == 0


def test_no_tensors() -> None:
    graph = trace(module(lambda self, x: x + 1), (3,))
    assert graph.outputs == []
    assert graph.inputs[0].shape is None
    assert graph.diagnosis is not None


def test_no_arguments() -> None:
    graph = trace(module(lambda self: self.weight * 2, weight=nn.Parameter(torch.ones(3))))
    assert graph.inputs == []
    assert calls(graph) == ["mul"]


def test_integer_outputs() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).argmax(dim=-1)  # type: ignore[no-any-return]

    graph = trace(module(forward, linear=nn.Linear(4, 4)), (X,))
    (end,) = graph.outputs
    assert (end.dtype, end.kind, end.carries) == (torch.int64, Kind.COMPARE, False)
    assert graph.diagnosis is not None
    assert graph.summary().weight_layers == 1


def test_integer_inputs_only() -> None:
    def forward(self: Any, ids: torch.Tensor) -> torch.Tensor:
        return F.one_hot(ids, 5).float() @ self.weight

    graph = trace(module(forward, weight=nn.Parameter(torch.randn(5, 2))), (torch.tensor([1, 2]),))
    assert not graph.unknown


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_weights_that_are_no_numbers(value: float) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    with torch.no_grad():
        model[0].weight.fill_(value)
    assert trace(model, (X,)).depth == 2


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (2, 0, 4), (4,)])
def test_empty_and_single_batches(shape: tuple[int, ...]) -> None:
    graph = trace(nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Softmax(-1)), (torch.randn(shape),))
    assert graph.outputs[0].shape == shape
    assert graph.diagnosis is not None


def test_a_scalar_model() -> None:
    graph = trace(
        module(lambda self, x: (x * self.scale).tanh(), scale=nn.Parameter(torch.tensor(2.0))),
        (torch.tensor(1.0),),
    )
    assert graph.outputs[0].shape == ()
    assert graph.summary().operations == 2
