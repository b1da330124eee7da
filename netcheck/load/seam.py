"""The loss and the optimizer that a file trains a model with, made again; and targets for that loss, drawn.

Seam(Made("torch.nn.CrossEntropyLoss"), Made("torch.optim.SGD", ...), groups)   + the live model
  -> loss, optimizer of its parameters, targets for an output of the model
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any, NamedTuple

import torch
from torch import nn

from netcheck.load.randomness import seeded
from netcheck.source.training.seam import Made, Seam

Draw = Callable[[torch.Tensor], torch.Tensor]


class Loss(NamedTuple):
    """A loss of (output, targets), and what draws targets for an output."""

    function: Callable[..., Any]
    draw: Draw


def classes(output: torch.Tensor) -> torch.Tensor:
    """A class for each place of an output (N, C, *): (N, *)."""
    return torch.randint(output.shape[1], (output.shape[0], *output.shape[2:]), device=output.device)


def truths(output: torch.Tensor) -> torch.Tensor:
    """Zeros and ones, as many as there are numbers."""
    return torch.randint(2, output.shape, device=output.device).to(output.dtype)


def numbers(output: torch.Tensor) -> torch.Tensor:
    """As many standard normal numbers."""
    return torch.randn_like(output)


def single_numbers(output: torch.Tensor) -> torch.Tensor:
    """One standard normal number for each sample, in one dimension: (N,)."""
    return torch.randn(output.shape[0], dtype=output.dtype, device=output.device)


DRAWN: dict[str, Draw] = {
    "CrossEntropyLoss": classes,
    "cross_entropy": classes,
    "NLLLoss": classes,
    "nll_loss": classes,
    "BCELoss": truths,
    "binary_cross_entropy": truths,
    "BCEWithLogitsLoss": truths,
    "binary_cross_entropy_with_logits": truths,
    "MSELoss": numbers,
    "mse_loss": numbers,
    "L1Loss": numbers,
    "l1_loss": numbers,
    "SmoothL1Loss": numbers,
    "smooth_l1_loss": numbers,
    "HuberLoss": numbers,
    "huber_loss": numbers,
}


def loss_of(seam: Seam) -> Loss | None:
    """The loss that a file gives a model's output to, and how targets for it are drawn; None for one that has others."""
    if seam.loss is None or (draw := DRAWN.get(seam.loss.name.rpartition(".")[2])) is None:
        return None
    if draw is numbers and seam.targets is not None and len(seam.targets) == 1:
        draw = single_numbers
    function = found(seam.loss)
    if not isinstance(function, type):
        return Loss(partial(function, **seam.loss.kwargs), draw)
    try:
        return Loss(function(*seam.loss.args, **seam.loss.kwargs), draw)
    except Exception:  # arguments that it does not take: the user's code fails before netcheck could say anything of a step
        return None


def optimizer_of(seam: Seam, model: nn.Module) -> torch.optim.Optimizer | None:
    """The optimizer that a file makes of a model's parameters, for this one; None where that does not go."""
    if seam.optimizer is None:
        return None
    try:
        groups = [{"params": list(model.get_submodule(one.part).parameters()), **one.options} for one in seam.groups]
        made = found(seam.optimizer)(groups, *seam.optimizer.args, **seam.optimizer.kwargs)
    except Exception:  # as above; or the model has got other parts than the file's
        return None
    return made if isinstance(made, torch.optim.Optimizer) else None


def found(made: Made) -> Any:
    """What a name in torch stands for."""
    return reduce(getattr, made.name.split(".")[1:], torch)


def nothing_drawn(output: Any) -> None:
    """No targets: of a loss that is not known, nothing is computed."""


def drawn(draw: Draw, output: Any, *, seed: int) -> torch.Tensor | None:
    """Targets for an output; None for what is no batch of numbers."""
    if not isinstance(output, torch.Tensor) or not output.is_floating_point() or output.dim() < 1 or not output.numel():
        return None
    if draw is classes and output.dim() < 2:
        return None
    with seeded(seed):
        return draw(output.detach())
