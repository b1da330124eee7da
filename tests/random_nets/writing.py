"""The source of a net as it grows, and the shape that it has come to.

part = Part(draw)
layer = part.member("nn.Linear(8, 6)")       self.m1 = nn.Linear(8, 6)     in __init__
part.line(f"x = {layer}(x)")                 x = self.m1(x)                in forward
shape_after(part, (4, 8))                    (4, 6)                        what running it gives
"""

from __future__ import annotations

import itertools
import random
import sys
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

HEADER = """
from __future__ import annotations

import copy
import functools
import math
import random
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint, checkpoint_sequential
"""

LARGEST = 4096  # elements of a value between two pieces: nets stay small
Shape = tuple[int, ...]
_LOADED = itertools.count()  # so that no two modules share a name


class NotHereError(Exception):
    """A piece cannot stand behind a value of this shape."""


@dataclass
class Draw:
    """Chance, and names that are used once."""

    random: random.Random
    counter: Any = field(default_factory=lambda: itertools.count(1))

    def name(self, prefix: str = "m") -> str:
        """A new name."""
        return f"{prefix}{next(self.counter)}"

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def one(self, items: Iterable[Any]) -> Any:
        return self.random.choice(list(items))


@dataclass
class Part:
    """Some lines of a net: `x` goes in and comes out.

    Attributes:
        helpers: source before the class.
        init: lines of `__init__`.
        forward: lines of forward.
    """

    draw: Draw
    helpers: list[str] = field(default_factory=list)
    init: list[str] = field(default_factory=list)
    forward: list[str] = field(default_factory=list)

    def member(self, constructor: str, prefix: str = "m") -> str:
        """Let `__init__` make it; gives the expression that means it."""
        name = self.draw.name(prefix)
        self.init.append(f"self.{name} = {constructor}")
        return f"self.{name}"

    def parameter(self, shape: Iterable[int], dtype: str = "torch.float32") -> str:
        """A new parameter."""
        return self.member(f"nn.Parameter(0.5 * torch.randn({tuple(shape)}, dtype={dtype}))", "p")

    def buffer(self, value: str, persistent: bool = True) -> str:
        """A new buffer."""
        name = self.draw.name("b")
        self.init.append(f"self.register_buffer('{name}', {value}, persistent={persistent})")
        return f"self.{name}"

    def line(self, *texts: str) -> None:
        """More lines of forward."""
        for text in texts:
            self.forward += text.splitlines()

    def helper(self, text: str) -> None:
        """Source before the class: a function, another class."""
        self.helpers.append(textwrap.dedent(text).strip("\n"))

    def absorb(self, other: Part, *, indent: str = "") -> None:
        """Let another part's lines follow, indented in forward."""
        self.helpers += other.helpers
        self.init += other.init
        self.forward += [indent + line for line in other.forward]

    def as_class(
        self, name: str, signature: str = "self, x", before: Iterable[str] = (), after: Iterable[str] = ("return x",)
    ) -> str:
        """A module of these lines; its helpers are not in it."""
        lines = [f"class {name}(nn.Module):", "    def __init__(self):", "        super().__init__()"]
        lines += [f"        {line}" for line in self.init]
        lines += ["", f"    def forward({signature}):"]
        lines += [f"        {line}" for line in (*before, *self.forward, *after)]
        return "\n".join(lines)

    def source(self, *more: str, **options: Any) -> str:
        """A whole file, in which these lines are `Net`."""
        return "\n\n\n".join([HEADER.strip(), *self.helpers, self.as_class("Net", **options), *more]) + "\n"


@contextmanager
def loaded(source: str, path: Path | None = None) -> Iterator[ModuleType]:
    """The source as a module that can be imported by its name within this context; in the file `path`, if that is given."""
    name = f"random_net_{next(_LOADED)}"
    module = ModuleType(name)
    module.__file__ = str(path or "<random net>")
    if path is not None:
        path.write_text(source)
    sys.modules[name] = module
    try:
        exec(compile(source, module.__file__, "exec"), module.__dict__)
        yield module
    finally:
        del sys.modules[name]


def shape_after(part: Part, shape: Shape) -> Shape:
    """The shape to which these lines bring a value of `shape`, by running them.

    Raises:
        NotHereError: they raise, or give something that no other piece could follow.
    """
    state = torch.get_rng_state()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            with loaded(part.source()) as module:
                result = module.Net()(torch.randn(shape))
    except Exception as error:
        raise NotHereError(repr(error)) from error
    finally:
        torch.set_rng_state(state)
    fits = isinstance(result, torch.Tensor) and result.dtype is torch.float32 and result.layout is torch.strided
    if not (fits and 2 <= result.dim() <= 5 and result.shape[0] == shape[0] and 0 < result.numel() <= LARGEST):
        raise NotHereError(f"gives {getattr(result, 'shape', result)}")
    return tuple(result.shape)


def fit(shape: Shape, wanted: Shape) -> str:
    """A line that brings a value of `shape` to `wanted`, by cutting or by padding with zeros."""
    if shape == wanted:
        return "x = x"
    have, want = (torch.Size(size[1:]).numel() for size in (shape, wanted))
    return f"x = F.pad(x.flatten(1), (0, {want - have})).unflatten(1, {wanted[1:]})"
