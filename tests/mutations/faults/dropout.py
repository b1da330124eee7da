"""NC2: dropout."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from netcheck.trace.graph import Node
from netcheck.trace.kinds import Kind
from netcheck.trace.questions.neighbours import weight_layers_after
from tests.mutations.faults.nonlinearity import Functional, after_head, before_head
from tests.mutations.faults.registry import fault
from tests.mutations.subject import Subject


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
