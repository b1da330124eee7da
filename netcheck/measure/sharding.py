"""What a step holds on one of several devices: all of it under DistributedDataParallel, a part under FSDP2.

    Sizes.of(model, blocks)      bytes of parameters by block
    State(...)                   parameters, gradients and optimizer state on one device
    loads(moments, state)        what is held at each moment, parameters and all

FSDP2 (`torch.distributed.fsdp.fully_shard`, each block and then the model) keeps a share of every parameter, gradient and
optimizer state. A block's parameters are gathered when it is entered, once more in backward, where the block that is next
is fetched ahead; its gradients are whole until they are scattered. What is in no block stays gathered from the first
forward on. A gather has two copies for a moment, the buffer and the parameters, and so has a scatter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from torch import nn

from netcheck.measure.blocks import Block
from netcheck.measure.moments import Moment, Moments, Place

BLOCK_8BIT, LEAST_8BIT = 256, 4096  # elements that share a scale; tensors with fewer elements than the latter stay whole


@dataclass(frozen=True)
class Sizes:
    """The parameters of a model, by the number of their block; None for those in none.

    Attributes:
        parameters: (shape, bytes of an element, whether trained) of each.
        buffers: bytes.
    """

    parameters: Mapping[int | None, Sequence[tuple[tuple[int, ...], int, bool]]]
    buffers: int

    @classmethod
    def of(cls, model: nn.Module, blocks: Sequence[Block]) -> Sizes:
        """Those of this model; what several blocks share counts for the first."""
        owners = {id(p): block.number for block in reversed(blocks) for p in block.module.parameters()}
        found: dict[int | None, list[tuple[tuple[int, ...], int, bool]]] = {}
        for p in model.parameters():
            found.setdefault(owners.get(id(p)), []).append((tuple(p.shape), p.element_size(), p.requires_grad))
        unique = {id(b): b for b in model.buffers()}.values()
        return cls(found, sum(b.numel() * b.element_size() for b in unique))

    def whole(self, block: int | None) -> int:
        """Bytes of a block's parameters."""
        return sum(prod(shape) * size for shape, size, _ in self.parameters.get(block, ()))

    def shares(self, devices: int) -> Iterator[tuple[int, int, bool]]:
        """(elements, bytes of each, whether trained) of every parameter on one device, with what fills it up."""
        for parameters in self.parameters.values():
            for shape, size, trained in parameters:
                rows = -(-shape[0] // devices) if shape else 1
                yield rows * prod(shape[1:]), size, trained

    def held(self, devices: int) -> int:
        """Bytes of parameters on one device."""
        return sum(elements * size for elements, size, _ in self.shares(devices))

    def trained(self, devices: int) -> int:
        """Bytes of those that get gradients."""
        return sum(elements * size for elements, size, trained in self.shares(devices) if trained)

    def optimizer(self, name: str, devices: int) -> int:
        """Bytes that an optimizer keeps on one device: "sgd" (with momentum), "adam", "fused adam", "8-bit adam"."""
        if name == "8-bit adam":
            return sum(eight_bit(elements) for elements, _, trained in self.shares(devices) if trained)
        return (1 if name == "sgd" else 2) * self.trained(devices)

    def update(self, name: str, devices: int) -> int:
        """Bytes that its step takes for a moment: Adam takes the root of all second moments at once, unless it is fused."""
        return self.trained(devices) if name == "adam" else 0


def eight_bit(elements: int) -> int:
    """Bytes of both moments of a tensor in 8-bit Adam (Dettmers et al. 2022): one each, and a scale to every 256."""
    if elements < LEAST_8BIT:
        return 8 * elements
    return 2 * (elements + 4 * -(-elements // BLOCK_8BIT))


@dataclass(frozen=True)
class State:
    """How a model is held.

    Attributes:
        sizes: of its parameters.
        optimizer: its name.
        devices: that FSDP2 shards over; 1: it does not.
        accumulates: whether gradients of an earlier batch are there already.
    """

    sizes: Sizes
    optimizer: str = "adam"
    devices: int = 1
    accumulates: bool = False

    @property
    def fixed(self) -> int:
        """Bytes of parameters, buffers and optimizer state, which are there all the time."""
        return self.parameters + self.sizes.optimizer(self.optimizer, self.devices)

    @property
    def parameters(self) -> int:
        """Bytes of parameters and buffers."""
        return self.sizes.held(self.devices) + self.sizes.buffers

    @property
    def gradients(self) -> int:
        """Bytes of all gradients."""
        return self.sizes.trained(self.devices)

    def update(self) -> int:
        """Bytes of gradients and of what the optimizer's step takes."""
        return self.gradients + self.sizes.update(self.optimizer, self.devices)


def loads(moments: Moments, state: State) -> Iterator[tuple[float, float, Place, Moment]]:
    """(bytes of gradients, bytes of all else that comes and goes, the place, the moment) in order."""
    if state.devices == 1:
        for place, moment in moments.items():
            gradients = moment.done + moment.here + moment.others
            yield (state.gradients if state.accumulates else gradients), moment.held, place, moment
        return
    places = list(moments)
    root = state.sizes.whole(None)
    for index, (place, moment) in enumerate(moments.items()):
        backward, block, count, _ = place
        whole = state.sizes.whole(block) if block is not None else 0
        done = state.gradients if state.accumulates else moment.done / state.devices
        fetched = whole if count == 0 and not backward else 0
        if backward and block:
            fetched = state.sizes.whole(block - 1)
        if index == 0:
            fetched += root
        held = moment.held + root + fetched
        yield done + moment.here + moment.others, held + whole, place, moment
        ends = index + 1 == len(places) or places[index + 1][1] != block
        if backward and ends and block is not None:  # gathered parameters are let go, then the gradients are scattered
            yield done + moment.here + moment.here / state.devices + moment.others, held + moment.here, place, moment
        if index + 1 == len(places):
            scattered = moment.others / state.devices
            yield done + moment.here / state.devices + moment.others + scattered, moment.held + moment.others, place, moment
