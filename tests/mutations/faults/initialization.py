"""NC5: initialization."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import nn

from netcheck.trace.graph import Node
from netcheck.trace.kinds import Kind
from netcheck.trace.questions.neighbours import weight_layers_after
from tests.mutations.faults.nonlinearity import DEPTH, NARROW, before_head, in_narrow, stack, width
from tests.mutations.faults.registry import fault
from tests.mutations.subject import NoPlace, Subject


@fault("NC501", "a deep stack at PyTorch's default before the head")
def default_init(subject: Subject) -> None:
    in_narrow(subject, *stack(nn.ReLU))


@fault("NC502", "the weights of a hidden layer filled with a number")
def constant_weights(subject: Subject) -> None:
    def is_hidden(node: Node) -> bool:
        """The last layer may start anywhere: its units get different gradients."""
        return bool(weight_layers_after(node, most=0)) and node.module.weight.shape[0] > 1

    path = subject.pick(Kind.CONV, Kind.LINEAR, where=is_hidden).path
    nn.init.constant_(subject[path].weight, 0.01)
    subject.places.append(path)


class ConcatenatedReLU(nn.Module):
    """cat(relu(x), relu(-x)): twice the features."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([F.relu(x), F.relu(-x)], dim=1)


@fault("NC503", "a deep CReLU stack without mirrored weights before the head")
def not_mirrored(subject: Subject) -> None:
    layers: list[nn.Module] = []
    for _ in range(DEPTH):
        linear = nn.Linear(2 * NARROW, NARROW)
        nn.init.orthogonal_(linear.weight)
        layers += [ConcatenatedReLU(), linear]
    in_narrow(subject, *layers)


@fault("NC504", "a block that starts as a copy of its sibling")
def cloned_block(subject: Subject) -> None:
    leaves = subject.leaves(Kind.CONV, Kind.LINEAR, where=lambda node: node.module.weight.numel() > 64)
    first = subject.choose(leaves)
    alike = [n for n in leaves if n is not first and n.module.weight.shape == first.module.weight.shape]
    other = subject.choose(alike)
    with torch.no_grad():
        subject[other.path].weight.copy_(subject[first.path].weight)
    subject.places.append(other.path)


class Recurrent(nn.Module):
    """An LSTM over features in chunks, before a head."""

    def __init__(self, n: int, head: nn.Module) -> None:
        super().__init__()
        self.lstm = nn.LSTM(n, n, batch_first=True)
        self.head = head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C) -> what the head gives."""
        return self.head(self.lstm(x.unsqueeze(1).expand(-1, 6, -1))[0][:, -1])


@fault("NC505", "an LSTM before the head")
def shut_forget_gate(subject: Subject) -> None:
    head = subject.head
    if len(head.inputs[0].shape or ()) != 2:
        raise NoPlace
    subject.replace(head.path, Recurrent(width(subject), subject[head.path]))


@fault("NC506", "a tied embedding drawn with a standard deviation of 1")
def large_embedding(subject: Subject) -> None:
    heads = {id(node.module.weight) for node in subject.graph if node.kind is Kind.LINEAR and node.module is not None}
    tied = [n for n in subject.graph if n.kind is Kind.EMBEDDING and n.module and id(n.module.weight) in heads]
    path = subject.choose(tied).path
    nn.init.normal_(subject[path].weight)
    subject.places.append(path)


@fault("NC507", "a NaN or Inf in a random tensor")
def not_finite(subject: Subject) -> None:
    tensors = [*subject.model.named_parameters(), *subject.model.named_buffers()]
    name, tensor = subject.choose([(n, t) for n, t in tensors if t.is_floating_point() and t.numel() > 1])
    with torch.no_grad():
        tensor.view(-1)[subject.draw.randrange(tensor.numel())] = subject.draw.choice([float("nan"), float("inf")])
    subject.places.append(name)


@fault("NC508", "a list of layers that is multiplied, before the head")
def multiplied_list(subject: Subject) -> None:
    n = width(subject)
    before_head(subject, nn.Sequential(*[nn.Linear(n, n), nn.ReLU()] * 3))


@fault("NC508", "a layer or block in the place of its sibling in a container")
def sibling_repeated(subject: Subject) -> None:
    first, other = subject.choose(list(alike_siblings(subject.model)))
    subject.replace(other, subject[first])


def alike_siblings(model: nn.Module) -> Iterator[tuple[str, str]]:
    """The paths of two modules that stand in one container, and have weights of the same names and shapes."""
    for path, container in model.named_modules():
        if not isinstance(container, nn.Sequential | nn.ModuleList):
            continue
        for (a, one), (b, two) in combinations(container.named_children(), 2):
            shapes = [{name: p.shape for name, p in module.named_parameters()} for module in (one, two)]
            if type(one) is type(two) and shapes[0] and shapes[0] == shapes[1]:
                yield f"{path}.{a}".lstrip("."), f"{path}.{b}".lstrip(".")


@fault("NC509", "a third of a layer's filters filled with zeros, before a rectifier")
def zero_filters(subject: Subject) -> None:
    in_narrow(subject, *without_filters(NARROW // 3))


@fault("NC509", "one filter of zeros before a rectifier")
def zero_filter(subject: Subject) -> None:
    in_narrow(subject, *without_filters(1))


def without_filters(count: int) -> list[nn.Module]:
    """A layer whose first filters are zeros, and a rectifier."""
    linear = nn.Linear(NARROW, NARROW, bias=False)
    nn.init.zeros_(linear.weight[:count])
    return [linear, nn.ReLU()]
