"""What goes into forward and comes out of it: any Python object that holds tensors."""

from __future__ import annotations

from collections import OrderedDict, UserDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from netcheck.trace import trace
from netcheck.trace.kinds import Kind
from tests.trace.replay import call, calls, feeds, module, require_equal, traced

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


class Pair(NamedTuple):
    first: torch.Tensor
    second: Any


@dataclass
class Batch:
    pixels: torch.Tensor
    boxes: list[torch.Tensor] = field(default_factory=list)
    name: str = ""
    total: torch.Tensor | None = field(default=None, init=False)


@dataclass(frozen=True, slots=True)
class Frozen:
    value: torch.Tensor
    scale: float = 2.0


class Box:
    def __init__(self, content: torch.Tensor) -> None:
        self.content = content


class Slotted:
    __slots__ = ("content",)

    def __init__(self, content: torch.Tensor) -> None:
        self.content = content


@pytest.mark.parametrize("given", [
    (X, X + 1),
    [X, [X + 1, (X + 2,)]],
    {"a": X, "b": {"c": X + 1}},
    {0: X, 1: X + 1},
    OrderedDict(a=X, b=X + 1),
    Pair(X, {"more": X + 1}),
    Batch(X, [X + 1], "photo"),
    Frozen(X),
    Box(X),
    (None, "text", 3, X),
    UserDict(a=X),
], ids=lambda given: type(given).__name__)  # fmt: skip
def test_containers_in_and_out(given: Any) -> None:
    def forward(self: Any, batch: Any) -> Any:
        from netcheck.trace.structure import rebuild

        return rebuild(batch, lambda tensor: self.linear(tensor)), batch

    graph = traced(module(forward, linear=nn.Linear(4, 4)), given)
    assert [node.name for node in graph.inputs] == ["batch"]
    assert all(feeds(graph.inputs[0], end) for end in graph.outputs)
    assert any(node.kind is Kind.LINEAR for node in graph.outputs)


def test_a_dataclass_is_taken_apart_and_put_together() -> None:
    def forward(self: Any, batch: Batch) -> Batch:
        result = Batch(self.conv(batch.pixels), [box * 2 for box in batch.boxes], batch.name)
        result.total = result.pixels.sum()
        return result

    graph = traced(module(forward, conv=nn.Conv2d(3, 2, 3)), Batch(torch.randn(2, 3, 8, 8), [X, X], "photo"))
    assert call(graph, "nn.Conv2d").shape == (2, 2, 6, 6)
    assert [node.shape for node in graph.outputs] == [(2, 2, 6, 6), (3, 4), (3, 4), ()]


@pytest.mark.parametrize("make", [
    lambda h: Pair(h, None),
    lambda h: Pair(h, (h * 2, [h * 3])),
    lambda h: Frozen(h, 3.0),
    lambda h: Box(h),
    lambda h: OrderedDict(out=h, aux=h.sum()),
    lambda h: defaultdict(list, a=[h]),
    lambda h: {("a", 1): h, 2: [h], None: None},
    lambda h: [h, None, "text", 1.5, {"deep": {"deeper": (h,)}}],
    lambda h: h.max(dim=1),
    lambda h: torch.Size([2]),
    lambda h: None,
    lambda h: (),
    lambda h: {},
    lambda h: slice(h.sum(), None),
    lambda h: (h, h, h),
], ids=range(15))  # fmt: skip
def test_results_of_any_type(make: Any) -> None:
    def forward(self: Any, x: torch.Tensor) -> Any:
        return self.make(self.linear(x))

    graph = traced(module(forward, linear=nn.Linear(4, 4), make=make), X)
    assert call(graph, "nn.Linear").shape == (3, 4)


def test_a_gradient_flows_out_of_a_batch_that_begins_with_integers() -> None:
    def forward(self: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.linear(batch["pixels"]) + self.embedding(batch["ids"])

    model = module(forward, linear=nn.Linear(4, 4), embedding=nn.Embedding(5, 4))
    graph = traced(model, {"ids": torch.tensor([1, 2, 4]), "pixels": X})
    assert graph.depth == 1
    assert graph.plain_depth == 0


def test_an_object_with_slots() -> None:
    def forward(self: Any, x: Slotted) -> Slotted:
        return Slotted(self.linear(x.content))

    model = module(forward, linear=nn.Linear(4, 4))
    graph = traced(model, Slotted(X))
    assert feeds(graph.inputs[0], graph.outputs[0])
    require_equal(graph.module(Slotted(X)).content, model(Slotted(X)).content)


def test_an_object_that_holds_itself() -> None:
    def forward(self: Any, box: Any) -> Any:
        box.content = self.linear(box.itself.content)
        return box

    given = Box(X)
    given.itself = given  # type: ignore[attr-defined]
    graph = trace(module(forward, linear=nn.Linear(4, 4)), (given,))
    assert given.content is X
    assert graph.outputs == [call(graph, "nn.Linear")]


def test_subclasses_of_lists_and_tuples() -> None:
    class Images(list[torch.Tensor]):
        def __init__(self, images: Any, size: int) -> None:
            super().__init__(images)
            self.size = size

    class Point(tuple[torch.Tensor, ...]):
        def __new__(cls, x: Any, y: Any) -> Point:
            return super().__new__(cls, (x, y))

    def forward(self: Any, images: Images, point: Any) -> Any:
        return Images([image * images.size for image in images], 5), Point(point[1], point[0] * 2)

    traced(module(forward), Images([X, X + 1], 3), Point(X, X))


def test_keys_that_are_no_text() -> None:
    class Colour(Enum):
        RED = 1

    def forward(self: Any, x: Any) -> Any:
        return {Colour.RED: x[Colour.RED] * 2, (1, X.dtype): [x[3]], "name": x}

    traced(module(forward), {Colour.RED: X, 3: X})


def test_submodules_that_yield() -> None:
    def chunks(self: Any, x: torch.Tensor) -> Iterator[torch.Tensor]:
        for part in x.chunk(2, dim=1):
            yield self.linear(part)

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([part.tanh() for part in self.chunks(x)])

    graph = traced(module(forward, chunks=module(chunks, linear=nn.Linear(2, 4))), X)
    made = [node for node in graph if node.op.startswith("call") and node.target != "operator.getitem"]
    assert [(node.path, node.target) for node in made] == [
        ("chunks", "Tensor.chunk"), ("chunks.linear", "nn.Linear"), ("", "Tensor.tanh"),
        ("chunks.linear", "nn.Linear"), ("", "Tensor.tanh"), ("", "torch.cat"),
    ]  # fmt: skip


def test_model_outputs_of_transformers() -> None:
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    def forward(self: Any, x: torch.Tensor) -> BaseModelOutputWithPooling:
        h = self.linear(x)
        output = BaseModelOutputWithPooling(last_hidden_state=h, hidden_states=(x, h))
        return BaseModelOutputWithPooling(last_hidden_state=output[0].tanh(), hidden_states=output.hidden_states)

    graph = traced(module(forward, linear=nn.Linear(4, 4)), X)
    assert [node.target for node in graph.outputs] == ["Tensor.tanh", "x", "nn.Linear"]


def test_arguments_by_position_by_keyword_and_by_default() -> None:
    def forward(self: Any, x: torch.Tensor, /, y: Any = 2, *rest: Any, mask: Any = None, **options: Any) -> Any:
        h = x * y + sum(rest)
        return h.masked_fill(mask, 0.0) + options.get("bias", 0)

    model = module(forward)
    graph = traced(model, X, X, X, X, mask=X > 0, bias=torch.ones(4))
    assert [node.name for node in graph.inputs] == ["x", "y", "rest_2", "rest_3", "mask", "bias"]
    graph = traced(model, X, mask=X > 0)
    assert [node.name for node in graph.inputs] == ["x", "mask"]
    graph = traced(model, X, 5, mask=X > 0, bias=1.5)
    assert [node.shape for node in graph.inputs] == [(3, 4), None, (3, 4), None]


def test_arguments_named_like_python_words() -> None:
    def forward(self: Any, input: torch.Tensor, **options: Any) -> torch.Tensor:
        return input + options["self_"] * options["torch"] + options["print"] + options.get("lambda", 0)

    traced(module(forward), X, self_=X, torch=X, print=X)
    graph = trace(module(forward), (X,), {"self_": X, "torch": X, "print": X, "lambda": X})
    assert torch.equal(graph.module(X, X, X, X, X), X + X * X + X + X)


def test_one_tensor_given_twice() -> None:
    def forward(self: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x * 2 + y * 3

    graph = traced(module(forward), X, X)
    assert len(graph.inputs) == 2


def test_a_view_and_its_base_are_given() -> None:
    def forward(self: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x @ y

    traced(module(forward), X, X.T)
    traced(module(forward), X[1:2], torch.arange(4.0).expand(3, 4).T)


def test_nothing_but_numbers_is_given() -> None:
    def forward(self: Any, rows: int) -> torch.Tensor:
        return self.weight[:rows] * 2

    graph = traced(module(forward, weight=nn.Parameter(torch.randn(4, 2))), 3)
    assert graph.outputs == []
    assert call(graph, "mul").shape == (3, 2)


def test_an_output_that_is_an_input_or_a_parameter() -> None:
    def forward(self: Any, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return x, self.weight, self.mean

    model = module(forward, weight=nn.Parameter(torch.randn(2)))
    model.register_buffer("mean", torch.zeros(2))
    graph = traced(model, X)
    assert graph.outputs == graph.inputs
    assert [node.kind for node in graph] == [Kind.INPUT, Kind.PARAMETER, Kind.PARAMETER, Kind.OUTPUT]


def test_a_generator_as_output() -> None:
    def forward(self: Any, x: torch.Tensor) -> Iterator[torch.Tensor]:
        for layer in self.layers:
            x = layer(x)
            yield x

    model = module(forward, layers=nn.ModuleList(nn.Linear(4, 4) for _ in range(3)))
    graph = trace(model, (X,))
    assert calls(graph) == ["nn.Linear"] * 3
    assert [node.shape for node in graph.outputs] == [(3, 4)] * 3
    require_equal(list(graph.module(X + 1)), list(model(X + 1)))


def test_a_packed_sequence() -> None:
    def forward(self: Any, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, (hidden, _) = self.lstm(packed)
        padded, _ = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)
        return padded, hidden[-1]

    model = module(forward, lstm=nn.LSTM(5, 6, 2, batch_first=True, bidirectional=True))
    model.eval()
    graph = traced(model, torch.randn(3, 7, 5), torch.tensor([7, 3, 5]))
    lstm = call(graph, "nn.LSTM")
    assert lstm.kind is Kind.RECURRENT
    assert feeds(graph.inputs[0], lstm)
    assert all(feeds(lstm, end) and end.carries for end in graph.outputs)
