"""In-place operations, views and outputs written to: the graph's edges say where the numbers come from."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.trace.kinds import Kind
from tests.trace.replay import call, calls, feeds, line, module, traced

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


def test_augmented_assignment_is_on_the_way() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        h = x * 2
        h += y
        return h

    graph = traced(module(forward, linear=nn.Linear(4, 4)), X)
    added = call(graph, "add")
    assert graph.outputs == [added]
    assert [source.target for source in added.inputs] == ["Tensor.mul", "nn.Linear"]
    assert added.kind is Kind.ADD
    assert line(added) == "h += y"


@pytest.mark.parametrize("write", [
    lambda h: h.relu_(),
    lambda h: F.relu_(h),
    lambda h: torch.relu_(h),
    lambda h: F.relu(h, inplace=True),
    lambda h: F.relu(h, True),
    lambda h: nn.ReLU(inplace=True)(h),
    lambda h: F.leaky_relu(h, 0.1, True),
    lambda h: h.clamp_(min=0),
    lambda h: torch.nn.init.zeros_(h),
    lambda h: torch.sigmoid(h, out=h),
    lambda h: h.copy_(h.sigmoid()),
    lambda h: torch.add(h, 1, out=h),
    lambda h: h.__iadd__(1),
    lambda h: h.index_fill_(0, torch.tensor([1]), 0.0),
    lambda h: h.masked_fill_(h > 0, 0.0),
    lambda h: h.__setitem__((slice(None), 0), 7.0),
    lambda h: setattr(h, "data", h * 3),
    lambda h: h.fill_(1.5),
    lambda h: torch._foreach_mul_([h], 2.0),
    lambda h: h.T.mul_(2),
])  # fmt: skip
def test_a_write_whose_result_is_thrown_away_still_counts(write: Any) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        h = x / 2
        self.write(h)
        return h * 2

    graph = traced(module(forward, write=write), X)
    (end,) = graph.outputs
    (source,) = end.inputs
    assert source.function not in ("div", "truediv"), calls(graph)


def test_the_old_value_is_not_the_new_one() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        h = x + 1
        before = h.exp()
        h.tanh_()
        return before * h

    graph = traced(module(forward), X)
    assert feeds(call(graph, "tanh"), graph.outputs[0])
    assert not feeds(call(graph, "tanh"), call(graph, "exp"))


def test_item_assignment() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        h = torch.zeros(x.shape[0], 5)
        h[:, 1:] = self.linear(x)
        h[h > 10] = 10.0
        return h

    graph = traced(module(forward, linear=nn.Linear(4, 4)), X)
    assert feeds(call(graph, "nn.Linear"), graph.outputs[0])
    assert feeds(graph.inputs[0], graph.outputs[0])
    assert graph.outputs[0].carries


@pytest.mark.parametrize("view", [
    lambda h: h[:, 0],
    lambda h: h.view(-1),
    lambda h: h.T,
    lambda h: h.mT,
    lambda h: h.data,
    lambda h: h.detach(),
    lambda h: h.reshape(12)[3:7],
    lambda h: h.unbind(0)[1],
    lambda h: h.chunk(2, dim=1)[0],
    lambda h: h.expand(2, 3, 4)[0],
    lambda h: h.unsqueeze(0).transpose(1, 2),
    lambda h: next(iter(h)),
])  # fmt: skip
def test_a_write_through_a_view_reaches_its_base(view: Any) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        h = x.clone()
        self.view(h).mul_(2)
        return h

    graph = traced(module(forward, view=view), X)
    assert feeds(call(graph, "mul"), graph.outputs[0])
    assert feeds(call(graph, "clone"), graph.outputs[0])


def test_a_write_to_the_base_reaches_its_views() -> None:
    def forward(self: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = x.clone()
        first, flat = h[:, 0], h.view(-1)
        h.add_(self.linear(x))
        return first * 2, flat * 3

    graph = traced(module(forward, linear=nn.Linear(4, 4)), X)
    assert all(feeds(call(graph, "nn.Linear"), end) for end in graph.outputs)


def test_writes_through_two_views_in_turn() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        h = x.clone()
        left, right = h[:, :2], h[:, 2:]
        left += right
        right *= left
        left -= 1
        return h

    graph = traced(module(forward), X)
    assert all(feeds(call(graph, name), graph.outputs[0]) for name in ("add", "mul", "sub"))


def test_the_output_argument() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        buffer = torch.empty(3, 4)
        torch.mul(x, 2, out=buffer)
        values, places = torch.empty(3), torch.empty(3, dtype=torch.long)
        torch.max(buffer, dim=1, out=(values, places))
        return buffer + values[:, None] + places[:, None]

    graph = traced(module(forward), X)
    assert feeds(call(graph, "max"), graph.outputs[0])
    assert feeds(graph.inputs[0], graph.outputs[0])


def test_the_argument_itself_is_written_to() -> None:
    def forward(self: Any, x: torch.Tensor) -> None:
        x.mul_(self.scale)

    graph = traced(module(forward, scale=nn.Parameter(torch.tensor(3.0))), X)
    assert "mul" in calls(graph)
    assert graph.outputs == []


def test_rows_of_a_tensor() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        total = 0
        for row in x:
            total = total + row.tanh()
        first, *_ = x
        return total * first  # type: ignore[return-value]

    graph = traced(module(forward), X)
    assert calls(graph).count("tanh") == 3
    assert feeds(graph.inputs[0], graph.outputs[0])


def test_attributes_that_are_tensors() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        product = x.T @ x.mT.T @ x.H @ x.mH.T
        return product + x.data[0] + x.real[0] + self.weight.data

    graph = traced(module(forward, weight=nn.Parameter(torch.ones(4))), X)
    assert graph.outputs[0].carries
    data = [node for node in graph if node.function == "getattr" and node.fx.args[1] == "data"]
    assert [node.kind for node in data] == [Kind.DETACH, Kind.PARAMETER]


def test_data_replaced() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        h = x + 1
        h.data = x * 5
        h.data[0] = 2.0
        return h

    graph = traced(module(forward), X)
    assert feeds(call(graph, "mul"), graph.outputs[0])


def test_a_chain_of_views_of_a_parameter() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        query, key = self.weight.view(2, 4, 4).unbind(0)
        return (x @ query) * (x @ key)

    graph = traced(module(forward, weight=nn.Parameter(torch.randn(8, 4))), X)
    assert [node.kind for node in graph if node.function == "matmul"] == [Kind.LINEAR, Kind.LINEAR]


def test_the_same_operand_twice() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x]) @ (x + x).T

    graph = traced(module(forward), X)
    assert call(graph, "add").kind is Kind.ADD


def test_einsum_and_complex_numbers() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft(x) * self.filter
        back = torch.fft.irfft(spectrum, n=4) + torch.view_as_real(spectrum.conj().resolve_conj()).sum(-1).sum(-1, keepdim=True)
        return torch.einsum("ni,mi->nm", back, x) + spectrum.abs().sum() + spectrum.imag[0, 0]

    graph = traced(module(forward, filter=nn.Parameter(torch.randn(3, dtype=torch.complex64))), X)
    assert graph.outputs[0].carries
    assert not graph.unknown
    assert call(graph, "einsum").kind is Kind.MATMUL
