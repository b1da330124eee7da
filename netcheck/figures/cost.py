"""What a model costs: plain numbers, all in operations or bytes. Imports no torch.

Cost
  +-- LayerCost        one row of the table by layer
  +-- Memory           what one training step needs at its highest, with one optimizer
  +-- Fit              whether a device holds that, and what would make it fit (`netcheck.figures.fit`)
"""

from __future__ import annotations

from dataclasses import dataclass

from netcheck.figures.fit import Fit, Inference

OPTIMIZERS = {"sgd": 1, "adam": 2}  # numbers that the optimizer keeps for each parameter; SGD with momentum


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What the operations of one module cost; those of a function count for the module whose forward calls it.

    Attributes:
        path: module path, "" for the model itself.
        operation: the module's class, or the function where the module is entered: "nn.Conv2d", "torch.matmul".
        forward, backward: FLOPs.
        parameters: bytes of the parameters that it is the first to use.
        saved: bytes of activations that it is the first to save for backward.
    """

    path: str
    operation: str
    forward: int = 0
    backward: int = 0
    parameters: int = 0
    saved: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that one training step takes, by what holds them.

    Attributes:
        parameters: parameters and buffers.
        gradients: one for each trainable parameter.
        optimizer: what the optimizer keeps between steps.
        working: the most that inputs, activations and gradients (of activations and, as they come, of parameters)
            take at one moment of forward and backward.
        update: what the optimizer's step needs beside its state, while all gradients are there and no activations.
    """

    parameters: int
    gradients: int
    optimizer: int
    working: int
    update: int

    @property
    def peak(self) -> int:
        """The most bytes at one moment: in backward, or in the optimizer's step."""
        return self.parameters + self.optimizer + max(self.working, self.gradients + self.update)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one training step of a model costs at one batch.

    One multiply-add is two FLOPs, and only matrix products, convolutions and attention are counted: the convention of
    torch.utils.flop_counter, to which the sums agree.

    Attributes:
        batch_size: samples in the batch; None where the inputs do not tell.
        forward, backward: FLOPs of the whole batch.
        parameters, trainable: bytes of all parameters, and of those that require a gradient.
        saved_bytes: activations that forward keeps for backward, memory that several share counted once; the parameters
            and buffers among them are not counted.
        memory: what a training step needs, by the optimizer's name ("sgd" with momentum, "adam").
        device_memory: bytes that the device has, None if nobody said and there is no accelerator.
        largest_batch: the most samples whose step fits the device, by optimizer; 0: not one does.
        layers: rows of the table by layer, in the order in which forward comes to them.
        uncounted: operations whose cost could not be found out, one entry each.
        scaled_from: the batches from whose costs these figures are carried on in a straight line; () where they are its own.
        fit: whether a step fits the device, and what would make it; None where nobody names one and there is room.
        inference: what the model takes to be used and not trained; None where nobody asks.
    """

    batch_size: int | None
    forward: int
    backward: int
    parameters: int
    trainable: int
    saved_bytes: int
    memory: dict[str, Memory]
    device_memory: int | None = None
    largest_batch: dict[str, int] | None = None
    layers: tuple[LayerCost, ...] = ()
    uncounted: tuple[str, ...] = ()
    scaled_from: tuple[int, ...] = ()
    fit: Fit | None = None
    inference: Inference | None = None

    @property
    def flops(self) -> int:
        """FLOPs of forward and backward together."""
        return self.forward + self.backward

    @property
    def peak_bytes(self) -> int:
        """The memory that a training step with Adam takes at its highest."""
        return self.memory["adam"].peak
