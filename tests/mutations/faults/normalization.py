"""NC3: normalization."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from netcheck.trace.graph import Node
from netcheck.trace.kinds import Kind
from tests.mutations.faults.nonlinearity import CHUNK, NARROW, before_head, in_narrow, is_sequence, width
from tests.mutations.faults.registry import fault
from tests.mutations.subject import NoPlace, Subject


def is_batch_norm(node: Node) -> bool:
    """Whether a node is a BatchNorm."""
    return node.detail == "batch"


class PlainBlock(nn.Module):
    """x + a branch without a norm: the sum grows with every block."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(NARROW, NARROW), nn.Linear(NARROW, NARROW)
        nn.init.kaiming_normal_(self.one.weight)
        nn.init.kaiming_normal_(self.two.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.two(F.relu(self.one(F.relu(x))))


@fault("NC301", "seventy residual blocks without a norm before the head")
def blocks_without_norm(subject: Subject) -> None:
    in_narrow(subject, *[PlainBlock() for _ in range(70)])


@fault("NC302", "a bias before a BatchNorm")
def bias_before_norm(subject: Subject) -> None:
    path = subject.pick(
        Kind.CONV,
        where=lambda node: node.module.bias is None and all(is_batch_norm(user) for user in node.users),
    ).path
    conv = subject[path]
    conv.bias = nn.Parameter(torch.randn(conv.out_channels))
    subject.places.append(path)


@fault("NC303", "a BatchNorm after a BatchNorm")
def norm_twice(subject: Subject) -> None:
    path = subject.pick(Kind.NORM, where=lambda node: is_batch_norm(node) and len(node.shape) == 4).path
    subject.replace(path, nn.Sequential(subject[path], nn.BatchNorm2d(subject[path].num_features)))


@fault("NC303", "a LayerNorm after a LayerNorm")
def layer_norm_twice(subject: Subject) -> None:
    path = subject.pick(Kind.NORM, where=lambda node: node.detail == "layer").path
    subject.replace(path, nn.Sequential(subject[path], nn.LayerNorm(subject[path].normalized_shape)))


@fault("NC304", "one BatchNorm in two places")
def norm_shared(subject: Subject) -> None:
    norms = subject.leaves(Kind.NORM, where=is_batch_norm)
    first = subject.choose(norms)
    alike = [n for n in norms if n is not first and n.module.num_features == first.module.num_features]
    subject.replace(subject.choose(alike).path, subject[first.path])


@fault("NC305", "a GroupNorm of single values before the head")
def norm_of_one(subject: Subject) -> None:
    before_head(subject, nn.GroupNorm(width(subject), width(subject)))


def set_number(subject: Subject, node: Node, name: str, value: float) -> None:
    """Write a number of a normalization."""
    setattr(subject[node.path], name, value)
    subject.places.append(node.path)


@fault("NC306", "a BatchNorm with momentum 0")
def statistics_that_stay(subject: Subject) -> None:
    set_number(subject, subject.pick(Kind.NORM, where=is_batch_norm), "momentum", 0.0)


@fault("NC306", "a norm whose momentum stands in the place of eps")
def momentum_as_eps(subject: Subject) -> None:
    set_number(subject, subject.pick(Kind.NORM, where=lambda node: hasattr(node.module, "eps")), "eps", 0.8)


@fault("NC307", "the scale and shift of one BatchNorm frozen")
def frozen_norm(subject: Subject) -> None:
    path = subject.pick(Kind.NORM, where=is_batch_norm).path
    subject[path].requires_grad_(False)
    subject.places.append(path)


@fault("NC307", "everything but the head frozen")
def frozen_body(subject: Subject) -> None:
    if not subject.leaves(Kind.NORM, where=is_batch_norm):
        raise NoPlace
    subject.model.requires_grad_(False)
    subject[subject.head.path].requires_grad_(True)


class NormedChunks(nn.Module):
    """A layer for each chunk of the features, and a batch normalization that takes the chunks for channels."""

    def __init__(self, head: nn.Linear) -> None:
        super().__init__()
        self.layer, self.norm, self.head = nn.Linear(CHUNK, CHUNK), nn.BatchNorm1d(head.in_features // CHUNK), head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C) -> what the head gives."""
        return self.head(self.norm(self.layer(x.unflatten(1, (-1, CHUNK))).relu()).flatten(1))


@fault("NC308", "a BatchNorm of chunks, behind a layer for each, before the head")
def norm_over_chunks(subject: Subject) -> None:
    head = subject.head
    if len(head.inputs[0].shape or ()) != 2 or head.inputs[0].shape[1] % CHUNK:
        raise NoPlace
    subject.replace(head.path, NormedChunks(subject[head.path]))


@fault("NC308", "a BatchNorm of steps, after a layer")
def norm_over_steps(subject: Subject) -> None:
    node = subject.pick(Kind.LINEAR, where=is_sequence)
    subject.replace(node.path, nn.Sequential(subject[node.path], nn.BatchNorm1d(node.shape[1])))
