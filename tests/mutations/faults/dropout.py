"""NC2: dropout."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from netcheck.trace.graph import Node
from netcheck.trace.kinds import Kind
from netcheck.trace.questions.neighbours import weight_layers_after
from tests.mutations.faults.nonlinearity import Functional, after_head, before_head, is_sequence, width
from tests.mutations.faults.registry import fault
from tests.mutations.subject import NoPlace, Subject


def is_map(node: Node) -> bool:
    """Whether a node gives feature maps with an extent, and more follows than a convolutional classifier.

    Published models (SqueezeNet, FCN, DeepLab) drop single elements in front of that.
    """
    if node.shape is None or len(node.shape) != 4 or node.shape[-1] <= 2:
        return False
    return len(weight_layers_after(node, most=2)) > 2


@fault("NC201", "nn.Dropout after a convolution")
def dropout_on_map(subject: Subject) -> None:
    path = subject.pick(Kind.ACTIVATION, where=is_map).path
    subject.replace(path, nn.Sequential(subject[path], nn.Dropout(0.5)))


class FunctionalDropout(nn.Module):
    """F.dropout after a module, with its training flag handed on."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(self.module(x), 0.4, self.training)


@fault("NC201", "F.dropout after an activation")
def functional_dropout_on_map(subject: Subject) -> None:
    path = subject.pick(Kind.ACTIVATION, where=is_map).path
    subject.replace(path, FunctionalDropout(subject[path]))


@fault("NC202", "F.dropout without training=")
def dropout_always(subject: Subject) -> None:
    path = subject.pick(Kind.ACTIVATION, Kind.LINEAR).path
    subject.replace(path, Functional(subject[path], lambda x: F.dropout(x, 0.3)))


@fault("NC202", "nn.Dropout built in forward")
def dropout_built(subject: Subject) -> None:
    path = subject.pick(Kind.ACTIVATION, Kind.LINEAR).path
    subject.replace(path, Functional(subject[path], lambda x: nn.Dropout(0.3)(x)))


@fault("NC203", "nn.Dropout before a BatchNorm")
def dropout_before_norm(subject: Subject) -> None:
    path = subject.pick(Kind.NORM, where=lambda node: node.detail == "batch").path
    subject.replace(path, nn.Sequential(nn.Dropout2d(0.3), subject[path]))


@fault("NC204", "nn.Dropout of 0.9 before the head")
def dropout_of_nearly_all(subject: Subject) -> None:
    before_head(subject, nn.Dropout(0.9))


@fault("NC205", "nn.Dropout after the head")
def dropout_on_output(subject: Subject) -> None:
    after_head(subject, nn.Dropout(0.3))


@fault("NC205", "F.dropout after the head")
def functional_dropout_on_output(subject: Subject) -> None:
    head = subject.head.path
    subject.replace(head, FunctionalDropout(subject[head]))


class OneLayer(nn.Module):
    """A recurrence of one layer before a head, with dropout between its layers."""

    def __init__(self, n: int, head: nn.Module, cell: type[nn.Module]) -> None:
        super().__init__()
        self.rnn, self.head = cell(n, n, dropout=0.3, batch_first=True), head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C) -> what the head gives."""
        return self.head(self.rnn(x.unsqueeze(1).expand(-1, 4, -1))[0][:, -1])


for cell in (nn.LSTM, nn.GRU):

    @fault("NC206", f"an {cell.__name__} of one layer before the head, with dropout")
    def one_layer(subject: Subject, cell: type[nn.Module] = cell) -> None:
        if len(subject.head.inputs[0].shape or ()) != 2:
            raise NoPlace
        subject.replace(subject.head.path, OneLayer(width(subject), subject[subject.head.path], cell))


@fault("NC207", "channel dropout after the layer of a sequence")
def drops_steps(subject: Subject) -> None:
    path = subject.pick(Kind.LINEAR, where=lambda n: is_sequence(n) and all(u.kind is Kind.LINEAR for u in n.users)).path
    subject.replace(path, nn.Sequential(subject[path], nn.Dropout1d(0.3)))


@fault("NC207", "channel dropout between two layers on each step, before the head")
def drops_words(subject: Subject) -> None:
    if len(subject.head.inputs[0].shape or ()) != 2:
        raise NoPlace
    subject.replace(subject.head.path, Steps(width(subject), subject[subject.head.path]))


class Steps(nn.Module):
    """Eight steps of the same features before a head, of which whole ones are dropped."""

    def __init__(self, n: int, head: nn.Module) -> None:
        super().__init__()
        self.layer, self.drop, self.out, self.head = nn.Linear(n, n), nn.Dropout2d(0.2), nn.Linear(n, n), head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C) -> what the head gives."""
        return self.head(self.out(self.drop(F.relu(self.layer(x[:, None].repeat(1, 8, 1))))).mean(1))
