"""What is tried: a tree of arguments whose leaves are slots, and a size for every symbol in their shapes.

    forward(x, mask)     arguments  x:    Slot(dims=("batch", "length", "x.features"), dtype=float32)
                                    mask: Slot(dims=("batch", "length"), dtype=bool)
                         sizes      batch 2, length 16, x.features 8

Sizes that usually agree between arguments share a symbol (length, height, width): one repair changes all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from netcheck.load.inference.bundle import Bundle

BATCH, LENGTH, SAMPLES, DEPTH, HEIGHT, WIDTH = "batch", "length", "samples", "depth", "height", "width"
SPATIAL = (HEIGHT, WIDTH, DEPTH, SAMPLES, LENGTH)
DEFAULTS = {BATCH: 2, LENGTH: 16, SAMPLES: 128, DEPTH: 16, HEIGHT: 224, WIDTH: 224}
FEATURES = 8  # of an argument about which nothing is known

# fmt: off
NATURAL = (  # sizes that people use
    4, 6, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 36, 40, 42, 48, 50, 56, 60, 64, 72, 75, 80, 84, 90, 96,
    100, 112, 120, 128, 144, 150, 160, 168, 176, 192, 200, 208, 224, 240, 256, 288, 299, 300, 320, 336,
    352, 378, 384, 400, 416, 448, 480, 512, 518, 560, 576, 600, 640, 672, 720, 768, 800, 896, 1000, 1024,
    1500, 2000, 2048, 3000, 4000, 4096, 8000, 8192, 16000, 16384, 22050, 24000, 32000, 44100, 48000,
    64000, 80000, 160000,
)
# fmt: on


def side_symbol(channels: int) -> str:
    """The symbol for the side of the project's images of so many channels."""
    return f"side of {channels}"


@dataclass(frozen=True, slots=True)
class Slot:
    """One value that forward takes: a tensor, or a plain Python value where `dims` is None."""

    name: str
    dims: tuple[str, ...] | None
    dtype: torch.dtype = torch.float32
    fill: str = "random"  # random, ones, zeros, alternate, length (the longest allowed), steps (0, n, 2n ...)
    settled: bool = False  # its rank rests on more than a guess
    value: object = None

    @property
    def features(self) -> str:
        """The symbol of the slot's own channels or features."""
        return f"{self.name}.features"

    @property
    def is_integer(self) -> bool:
        """Whether it holds indices or counts."""
        return not self.dtype.is_floating_point and not self.dtype.is_complex and self.dtype is not torch.bool

    def with_rank(self, rank: int) -> Slot:
        """The same slot with the usual form of that rank."""
        return replace(self, dims=self.usual_dims(rank), settled=True)

    def usual_dims(self, rank: int) -> tuple[str, ...]:
        """What the axes of a tensor of that rank usually mean."""
        sequence, image = (BATCH, LENGTH, self.features), (BATCH, self.features, HEIGHT, WIDTH)
        video = (BATCH, self.features, DEPTH, HEIGHT, WIDTH)
        forms: tuple[tuple[str, ...], ...]
        if self.dtype.is_floating_point:
            forms = ((), (BATCH,), (BATCH, self.features), sequence, image, video)
        elif self.dtype is torch.bool:
            forms = ((), (BATCH,), (BATCH, LENGTH), (BATCH, LENGTH, LENGTH), (BATCH, "one", LENGTH, LENGTH))
        else:
            forms = ((), (BATCH,), (BATCH, LENGTH), sequence, image)
        usual = forms[min(rank, len(forms) - 1)]
        return usual + tuple(f"{self.name}.axis{axis}" for axis in range(len(usual), rank))


@dataclass(frozen=True, slots=True)
class Argument:
    """One parameter of forward and what is given for it: a Slot, or a list, tuple, dict or object of them."""

    name: str
    keyword: bool
    value: Any


@dataclass(frozen=True)
class Proposal:
    """A guess at all arguments."""

    arguments: tuple[Argument, ...]
    sizes: Mapping[str, int] = field(default_factory=dict)
    pinned: frozenset[str] = frozenset()  # symbols whose size a weight or a check has fixed
    why: str = "as guessed from forward's signature"

    def __hash__(self) -> int:
        return hash(repr((self.arguments, self.shapes())))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Proposal) and repr((self.arguments, self.shapes())) == repr((other.arguments, other.shapes()))

    def slots(self) -> dict[str, Slot]:
        """Every slot by name."""
        return {slot.name: slot for argument in self.arguments for slot in leaves(argument.value)}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor slot."""
        return {slot.name: self.shape(slot) for slot in self.slots().values() if slot.dims is not None}

    def size(self, symbol: str) -> int:
        """What stands for `symbol`."""
        return self.sizes.get(symbol) or DEFAULTS.get(symbol) or (1 if symbol == "one" else FEATURES)

    def shape(self, slot: Slot) -> tuple[int, ...]:
        """The shape of one slot."""
        return tuple(self.size(symbol) for symbol in slot.dims or ())

    @property
    def longest(self) -> int:
        """How long the sequences are, of one name or the other."""
        is_sequence = any(LENGTH in (slot.dims or ()) for slot in self.slots().values())
        return self.size(LENGTH if is_sequence else SAMPLES)

    def resized(self, sizes: Mapping[str, int], *, pin: bool = True, why: str = "") -> Proposal:
        """With other sizes for some symbols."""
        pinned = self.pinned | set(sizes) if pin else self.pinned
        return replace(self, sizes={**self.sizes, **sizes}, pinned=pinned, why=why or self.why)

    def replaced(self, name: str, new: Any, *, why: str = "") -> Proposal:
        """With something else in the place of the slot `name`: another slot, or a container of slots."""
        arguments = tuple(
            replace(argument, value=map_leaves(argument.value, lambda slot: new if slot.name == name else slot))
            for argument in self.arguments
        )
        return replace(self, arguments=arguments, why=why or self.why)

    def added(self, argument: Argument, *, why: str = "") -> Proposal:
        """With one more argument."""
        return replace(self, arguments=(*self.arguments, argument), why=why or self.why)

    def build(self, make: Callable[[Slot, tuple[int, ...]], Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The args and kwargs, each slot made by `make(slot, shape)`."""
        built = {
            argument.name: map_leaves(argument.value, lambda slot: make(slot, self.shape(slot))) for argument in self.arguments
        }
        args = tuple(built[argument.name] for argument in self.arguments if not argument.keyword)
        return args, {argument.name: built[argument.name] for argument in self.arguments if argument.keyword}

    def __str__(self) -> str:
        return ", ".join(describe(slot, self.shape(slot)) for slot in self.slots().values())


def describe(slot: Slot, shape: tuple[int, ...]) -> str:
    """One slot in words: "x float32 (2, 3, 224, 224)"."""
    if slot.dims is None:
        return f"{slot.name} = {slot.value!r}"
    return f"{slot.name} {str(slot.dtype).removeprefix('torch.')} {shape}"


def leaves(value: Any) -> Iterator[Slot]:
    """Every slot in a tree of arguments."""
    if isinstance(value, Slot):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from leaves(child)
    elif isinstance(value, (list, tuple)):
        for child in value:
            yield from leaves(child)
    elif dataclasses.is_dataclass(value):
        yield from leaves(vars(value))


def map_leaves(value: Any, change: Callable[[Slot], Any]) -> Any:
    """The same tree with every slot changed."""
    if isinstance(value, Slot):
        return change(value)
    if isinstance(value, Bundle):
        return Bundle(value.path, {key: map_leaves(child, change) for key, child in value.items()})
    if isinstance(value, dict):
        return {key: map_leaves(child, change) for key, child in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_leaves(child, change) for child in value))
    if isinstance(value, (list, tuple)):
        return type(value)(map_leaves(child, change) for child in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return replace(
            value,
            **{f.name: map_leaves(getattr(value, f.name), change) for f in dataclasses.fields(value) if f.init},
        )
    return value
