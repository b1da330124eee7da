"""NC1: nonlinearities."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from netcheck.trace.graph import Node
from netcheck.trace.kinds import Kind
from tests.mutations.faults.registry import fault
from tests.mutations.subject import NoPlace, Subject

DEPTH = 24  # layers of a stack that is too deep for its activation
NARROW = 64  # its width
CHUNK = 8  # features of a token, where features are cut into tokens


class Functional(nn.Module):
    """What follows a module, written as a function."""

    def __init__(self, module: nn.Module, function) -> None:
        super().__init__()
        self.module = module
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.module(x))


def is_sequence(node: Node) -> bool:
    """Whether a node makes a sequence of another: (N, T, C) -> (N, T, D)."""
    return len(node.shape or ()) == 3 and len(node.inputs[0].shape or ()) == 3


def before_head(subject: Subject, *layers: nn.Module) -> None:
    """Put layers between the features (N, C) and the head."""
    head = subject.head
    if head.inputs[0].shape is None or len(head.inputs[0].shape) != 2:
        raise NoPlace
    subject.replace(head.path, nn.Sequential(*layers, subject[head.path]))


def after_head(subject: Subject, *layers: nn.Module) -> None:
    """Put layers after the head."""
    head = subject.head.path
    subject.replace(head, nn.Sequential(subject[head], *layers))


def width(subject: Subject) -> int:
    """Features that the head takes."""
    return int(subject[subject.head.path].in_features)


def in_narrow(subject: Subject, *layers: nn.Module) -> None:
    """Put layers of 64 features before the head, between two that lead there and back."""
    n = width(subject)
    before_head(subject, nn.Linear(n, NARROW), *layers, nn.Linear(NARROW, n))


def stack(activation: type[nn.Module], depth: int = DEPTH, gain: float | None = None) -> list[nn.Module]:
    """A deep plain stack, at PyTorch's default initialization or at a gain."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        linear = nn.Linear(NARROW, NARROW)
        if gain is not None:
            nn.init.normal_(linear.weight, std=gain / NARROW**0.5)
            nn.init.zeros_(linear.bias)
        layers += [linear, activation()]
    return layers


@fault("NC101", "a stack of tanh modules before the head, too deep even at tanh's own gain")
def tanh_stack(subject: Subject) -> None:
    in_narrow(subject, *stack(nn.Tanh, depth=120, gain=5 / 3))


@fault("NC102", "a stack of sigmoids before the head")
def sigmoid_stack(subject: Subject) -> None:
    in_narrow(subject, *stack(nn.Sigmoid))


@fault("NC103", "an activation between two layers removed")
def activation_removed(subject: Subject) -> None:
    weights = (Kind.LINEAR, Kind.CONV)
    between = subject.leaves(
        Kind.ACTIVATION,
        where=lambda node: node.inputs[0].kind is Kind.LINEAR and any(user.kind in weights for user in node.users),
    )
    subject.replace(subject.choose(between).path, nn.Identity())


@fault("NC103", "a second linear layer before the head")
def linear_twice(subject: Subject) -> None:
    before_head(subject, nn.Linear(width(subject), width(subject)))


@fault("NC104", "a module after an activation")
def activation_twice(subject: Subject) -> None:
    path = subject.pick(Kind.ACTIVATION).path
    subject.replace(path, nn.Sequential(subject[path], nn.ReLU()))


@fault("NC104", "a function after a rectifier")
def rectified_twice(subject: Subject) -> None:
    path = subject.pick(Kind.ACTIVATION, where=lambda node: isinstance(node.module, nn.ReLU)).path
    subject.replace(path, Functional(nn.ReLU(), F.relu))


@fault("NC105", "a bias that keeps a rectifier shut")
def shut_rectifier(subject: Subject) -> None:
    rectifier = subject.pick(
        Kind.ACTIVATION,
        where=lambda n: isinstance(n.module, nn.ReLU | nn.ReLU6) and n.inputs[0].kind in (Kind.NORM, Kind.LINEAR),
    )
    before = rectifier.inputs[0]
    subject.places.append(before.path)
    with torch.no_grad():
        subject[before.path].bias.fill_(-50.0)


@fault("NC106", "a rectifier after the head")
def rectified_output(subject: Subject) -> None:
    after_head(subject, nn.ReLU())


@fault("NC106", "PReLU after the head")
def prelu_output(subject: Subject) -> None:
    after_head(subject, nn.PReLU())


@fault("NC107", "nn.LogSoftmax after the head")
def log_softmax_output(subject: Subject) -> None:
    after_head(subject, nn.LogSoftmax(dim=1))


@fault("NC107", "softmax as a method after the head")
def softmax_output(subject: Subject) -> None:
    head = subject.head.path
    subject.replace(head, Functional(subject[head], lambda x: x.softmax(-1)))


@fault("NC108", "softmax over one unit")
def softmax_of_one(subject: Subject) -> None:
    after_head(subject, nn.Linear(int(subject[subject.head.path].out_features), 1), nn.Softmax(dim=1))


@fault("NC109", "softmax over the batch")
def softmax_over_batch(subject: Subject) -> None:
    after_head(subject, nn.Softmax(dim=0))


@fault("NC109", "softmax over the batch, as a function")
def functional_softmax_over_batch(subject: Subject) -> None:
    head = subject.head.path
    subject.replace(head, Functional(subject[head], lambda x: torch.softmax(x, 0)))


class MaskedQueries(nn.Module):
    """Self-attention over features in chunks, before a head: the mask of empty chunks stands along the queries."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(CHUNK, CHUNK), nn.Linear(CHUNK, CHUNK)
        self.head = head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C) -> what the head gives."""
        h = x.unflatten(1, (-1, CHUNK))  # (N, chunks, CHUNK)
        empty = (h == 0).all(-1)
        scores = self.query(h) @ self.key(h).transpose(1, 2) / CHUNK**0.5  # (N, queries, keys)
        weights = scores.masked_fill(empty[:, :, None], -1e4).softmax(-1)
        return self.head((h + weights @ h).flatten(1))


class MaskedSteps(nn.Module):
    """Self-attention over the steps after a layer, by torch's own function: the mask of padding stands along the queries."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, T, C) -> (N, T, D)."""
        y = self.layer(x)
        padding = (x == 0).all(-1)
        return y + F.scaled_dot_product_attention(y, y, y, attn_mask=~padding[:, :, None])


@fault("NC110", "an attention before the head, masked along its queries")
def masked_queries(subject: Subject) -> None:
    head = subject.head
    if len(head.inputs[0].shape or ()) != 2:
        raise NoPlace
    subject.replace(head.path, MaskedQueries(subject[head.path]))


@fault("NC110", "an attention after a layer, masked along its queries")
def masked_steps(subject: Subject) -> None:
    path = subject.pick(Kind.LINEAR, Kind.NORM, where=is_sequence).path
    subject.replace(path, MaskedSteps(subject[path]))


class WeaklyMaskedChunks(MaskedQueries):
    """The same attention, in which the mask of empty chunks, along the keys, fills in a small number."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C) -> what the head gives."""
        h = x.unflatten(1, (-1, CHUNK))
        empty = (h == 0).all(-1)
        scores = self.query(h) @ self.key(h).transpose(1, 2) / CHUNK**0.5
        return self.head((h + scores.masked_fill(empty[:, None, :], -1e-9).softmax(-1) @ h).flatten(1))


class WeaklyMaskedSteps(MaskedSteps):
    """Self-attention over the steps after a layer, in which a triangle multiplies the scores."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, T, C) -> (N, T, D)."""
        y = self.layer(x)
        seen = torch.ones(y.shape[1], y.shape[1]).tril()
        return y + F.softmax(y @ y.transpose(1, 2) * y.shape[2] ** -0.5 * seen, dim=-1) @ y


@fault("NC113", "an attention before the head, whose mask fills in a small number")
def weakly_masked_chunks(subject: Subject) -> None:
    head = subject.head
    if len(head.inputs[0].shape or ()) != 2:
        raise NoPlace
    subject.replace(head.path, WeaklyMaskedChunks(subject[head.path]))


@fault("NC113", "an attention after a layer, whose scores are multiplied by their mask")
def weakly_masked_steps(subject: Subject) -> None:
    path = subject.pick(Kind.LINEAR, Kind.NORM, where=is_sequence).path
    subject.replace(path, WeaklyMaskedSteps(subject[path]))


@fault("NC112", "a LeakyReLU of slope 2 before the head")
def steep_below(subject: Subject) -> None:
    in_narrow(subject, nn.LeakyReLU(2.0))


@fault("NC112", "a PReLU that starts at 1.5 before the head")
def steep_start(subject: Subject) -> None:
    in_narrow(subject, nn.PReLU(init=1.5))


@fault("NC114", "the logarithm of a softmax of the head's logits")
def log_of_softmax(subject: Subject) -> None:
    subject.replace(subject.head.path, Functional(subject[subject.head.path], lambda h: h.softmax(-1).log()))


@fault("NC114", "the logarithm of a sigmoid of the head's logits")
def log_of_sigmoid(subject: Subject) -> None:
    subject.replace(subject.head.path, Functional(subject[subject.head.path], lambda h: h.sigmoid().log()))
