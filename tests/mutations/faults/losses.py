"""NC111, NC912: losses that forward computes. The whole model is wrapped in one that has a loss."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tests.mutations.faults.registry import fault
from tests.mutations.subject import NoPlace, Subject


class Judged(nn.Module):
    """A model whose first output is judged by a target."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def output(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """What the model gives first."""
        output = self.model(*args, **kwargs)
        return output if isinstance(output, torch.Tensor) else output[0]


def judge(subject: Subject, judged: type[Judged]) -> None:
    """Wrap a model, and give it a target as large as its first output."""
    shape = next((node.shape for node in subject.graph.outputs if node.shape is not None), None)
    if shape is None:
        raise NoPlace
    subject.replace("", judged(subject.model))
    subject.kwargs["target"] = torch.rand(shape)


class SigmoidTwice(Judged):
    """The loss takes logits, and is given what a sigmoid made of them."""

    def forward(self, *args: Any, target: torch.Tensor, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        scores = torch.sigmoid(self.output(*args, **kwargs))
        return scores, F.binary_cross_entropy_with_logits(scores, target)


class SigmoidModuleTwice(Judged):
    """The same of modules."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.sigmoid, self.criterion = nn.Sigmoid(), nn.BCEWithLogitsLoss()

    def forward(self, *args: Any, target: torch.Tensor, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        scores = self.sigmoid(self.output(*args, **kwargs))
        return scores, self.criterion(scores, target)


@fault("NC111", "F.binary_cross_entropy_with_logits of a sigmoid")
def sigmoid_twice(subject: Subject) -> None:
    judge(subject, SigmoidTwice)


@fault("NC111", "nn.BCEWithLogitsLoss of nn.Sigmoid")
def sigmoid_module_twice(subject: Subject) -> None:
    judge(subject, SigmoidModuleTwice)


class LossKept(Judged):
    """The loss is an attribute of the model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.loss: torch.Tensor | None = None

    def forward(self, *args: Any, target: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        output = self.output(*args, **kwargs)
        self.loss = F.mse_loss(output, target)
        return output


class LossesCollected(Judged):
    """The loss is an entry of a dict of the model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.losses: dict[str, torch.Tensor] = {}

    def forward(self, *args: Any, target: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        output = self.output(*args, **kwargs)
        self.losses["distance"] = (output - target).abs().mean()
        return output


@fault("NC912", "a loss as an attribute")
def loss_kept(subject: Subject) -> None:
    judge(subject, LossKept)


@fault("NC912", "a loss in a dict")
def losses_collected(subject: Subject) -> None:
    judge(subject, LossesCollected)
