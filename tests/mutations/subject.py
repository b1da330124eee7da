"""A healthy model to put a fault into, and the ways to get at a random place of it.

subject = host.fresh(random.Random(0))
path = subject.pick(Kind.CONV)                       a random convolution that forward runs once
subject.replace(path, nn.Sequential(subject[path], nn.Dropout(0.5)))
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import nn

from netcheck.trace import trace
from netcheck.trace.graph import ModelGraph, Node
from netcheck.trace.kinds import Kind


class NoPlace(Exception):
    """This model has no place for this fault."""


@dataclass
class Host:
    """A healthy model of the zoo, built and traced once."""

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[nn.Module], tuple[tuple[Any, ...], dict[str, Any]]]

    @cached_property
    def model(self) -> nn.Module:
        """The model; never changed."""
        return self.build()

    @cached_property
    def example(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """(args, kwargs) of its forward."""
        return self.inputs(self.model)

    @cached_property
    def graph(self) -> ModelGraph:
        """What it does when healthy."""
        return trace(self.model, *self.example)

    def fresh(self, draw: random.Random) -> Subject:
        """A copy to put a fault into."""
        args, kwargs = self.example
        return Subject(copy.deepcopy(self.model), args, dict(kwargs), self.graph, draw)


@dataclass
class Subject:
    """A copy of a host. A fault changes `model`, `args` or `kwargs`; `graph` is the healthy host's."""

    model: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    graph: ModelGraph
    draw: random.Random
    places: list[str] = field(default_factory=list)  # what was changed, for the record

    def __getitem__(self, path: str) -> nn.Module:
        return self.model.get_submodule(path)

    def replace(self, path: str, module: nn.Module) -> None:
        """Put `module` in the place of the submodule `path`."""
        parent, _, name = path.rpartition(".")
        self.places.append(path)
        if not path:
            self.model = module
        else:
            self[parent]._modules[name] = module

    def leaves(self, *kinds: Kind, where: Callable[[Node], bool] = lambda node: True) -> list[Node]:
        """The leaf modules of these kinds that forward runs once, on one tensor, on the way to the output."""
        calls = Counter(node.path for node in self.graph if node.module is not None)
        return [
            node
            for node in self.graph
            if node.module is not None and node.path and node.kind in kinds and calls[node.path] == 1
            and len(node.inputs) == 1 and node.live and node.depends and where(node)
        ]  # fmt: skip

    def choose(self, candidates: list[Any]) -> Any:
        """One of them at random.

        Raises:
            NoPlace: there is none.
        """
        if not candidates:
            raise NoPlace
        return self.draw.choice(candidates)

    def pick(self, *kinds: Kind, where: Callable[[Node], bool] = lambda node: True) -> Node:
        """A random one of `leaves`."""
        node: Node = self.choose(self.leaves(*kinds, where=where))
        return node

    @property
    def head(self) -> Node:
        """The linear layer that gives (N, classes) directly as the model's output.

        Raises:
            NoPlace: the model ends in something else.
        """
        ends = set(self.graph.outputs)
        heads = self.leaves(Kind.LINEAR, where=lambda node: node in ends and len(node.shape or ()) == 2)
        if not heads:
            raise NoPlace
        return heads[0]

    def blocks(self, cls: type) -> Iterator[tuple[str, Any]]:
        """The submodules of one class, with their paths."""
        for path, module in self.model.named_modules():
            if type(module) is cls:
                yield path, module

    def recast(self, cls: type, faulty: type, where: Callable[[Any], bool] = lambda block: True) -> None:
        """Give a random block of class `cls` the forward of a faulty subclass: an edit of its source."""
        path, block = self.choose([(path, block) for path, block in self.blocks(cls) if where(block)])
        self.places.append(path)
        block.__class__ = faulty
