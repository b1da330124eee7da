"""What one training step of a model showed: plain data. Imports no torch.

TrainingStep
  +-- Targets         what the loss is given beside the model's output
  +-- Update          the optimizer beside the model, and what one step of it does
"""

from __future__ import annotations

from dataclasses import dataclass, field

from netcheck.location import Location


@dataclass(frozen=True, slots=True)
class Targets:
    """The targets of one batch.

    Attributes:
        shape: of the tensor.
        dtype: "int64".
        low: the smallest; None of an empty tensor.
        high: the largest.
        ignored: the share that the loss ignores.
        by_device: how many each device's share has that the loss does not ignore and takes a mean over; () without devices.
    """

    shape: tuple[int, ...]
    dtype: str
    low: float | None = None
    high: float | None = None
    ignored: float = 0.0
    by_device: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Update:
    """An optimizer beside the model that it is to train.

    Attributes:
        name: its class.
        missing: trained parameters of the model and the loss that it does not have, by name.
        frozen: those that it has and that ask for no gradient.
        foreign: how many parameters it has that neither the model nor the loss has.
        replaced: how many of these have the shape of a missing one.
        repeated: those that stand in one group twice.
        decayed: norms, biases and embeddings with weight decay.
        decay: the largest weight decay.
        rate: the largest learning rate.
        epsilon: of Adam and its like; None of others.
        half: parameters in half precision, by name.
        before: the loss before the step; None if no step was taken.
        after: the loss of the same batch after it.
        changed: the share of the numbers with a gradient that the step changed; None if none has one.
        precision: the dtype of most of them.
        parameters: how many parameters the model trains.
        moved: the norm of the change of all weights over their own; None if no step was taken.
        place: where the file makes it; None where somebody gave it.
    """

    name: str
    missing: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    foreign: int = 0
    replaced: int = 0
    repeated: tuple[str, ...] = ()
    decayed: tuple[str, ...] = ()
    decay: float = 0.0
    rate: float = 0.0
    epsilon: float | None = None
    half: tuple[str, ...] = ()
    before: float | None = None
    after: float | None = None
    changed: float | None = None
    precision: str = "float32"
    parameters: int = 0
    moved: float | None = None
    place: Location | None = None


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """One step on one batch, on copies.

    Attributes:
        loss: the loss's class or function; "" where the model computes it.
        value: the first loss; None where it could not be computed.
        error: what it raised.
        output: the shape of what it was given.
        given: what the output is: "softmax", "log-softmax", "sigmoid", "rectifier", or "" for anything else.
        classes: how many the output tells apart; None if that is not known.
        targets: None where there are none.
        broadcast: the shapes of two tensors with as many numbers that an operation of the loss spread over each other.
        connected: whether a gradient leads from the loss to a parameter.
        unused: the outputs, by number, that the loss does not depend on.
        blind: the loss of a guess that knows nothing; None where that is not known.
        update: None where there is no optimizer.
        drawn: whether the targets were made up for this output.
        place: where the file makes the loss; None where somebody gave it.
    """

    loss: str = ""
    value: float | None = None
    error: str = ""
    output: tuple[int, ...] = ()
    given: str = ""
    classes: int | None = None
    targets: Targets | None = None
    broadcast: tuple[tuple[int, ...], ...] = ()
    connected: bool = True
    unused: tuple[int, ...] = ()
    blind: float | None = None
    update: Update | None = None
    drawn: bool = False
    place: Location | None = None
    remarks: tuple[str, ...] = field(default=())
