"""The blocks of a model: what is checkpointed and sharded as one, and of which many in a row are alike.

blocks_of(model)      layer1.0, layer1.1, layer2.0 ...: what stands in a row and is of one class; else the larger parts
stack_of(blocks)      the longest row of blocks that are alike to the last shape, if it is long
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

LONG = 12  # blocks: of fewer nothing is gained by leaving some out


@dataclass(frozen=True)
class Block:
    """One block, by its place among all blocks of the model."""

    number: int
    path: str
    module: nn.Module


@dataclass(frozen=True)
class Stack:
    """Blocks in a row that are alike; they are all that their container holds.

    Attributes:
        container: an nn.ModuleList or nn.Sequential.
        first: the number of the first of them.
        length: how many there are.
    """

    container: nn.Module
    first: int
    length: int

    def beyond(self, depth: int) -> range:
        """The numbers of those that are left out where only the first `depth` are run."""
        return range(self.first + depth, self.first + self.length)


def blocks_of(model: nn.Module) -> list[Block]:
    """What stands in a row and is of one class, outermost; where nothing does, the model's larger parts."""
    found = list(rows(model, ""))
    parent, prefix = model, ""
    while not found:
        parts = [(name, part) for name, part in parent.named_children() if is_composite(part)]
        found = [(prefix + name, part) for name, part in parts] if len(parts) > 1 else []
        if len(parts) != 1:
            break
        parent, prefix = parts[0][1], f"{prefix}{parts[0][0]}."
    return [Block(number, path, module) for number, (path, module) in enumerate(found)]


def rows(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """Blocks below a module, with their paths."""
    children = [(f"{path}.{name}" if path else name, child) for name, child in module.named_children()]
    composite = [(name, child) for name, child in children if is_composite(child)]
    if isinstance(module, nn.ModuleList | nn.Sequential):
        kinds = Counter(type(child) for _, child in composite)
        if kinds and kinds.most_common(1)[0][1] > 1:
            kind = kinds.most_common(1)[0][0]
            yield from ((name, child) for name, child in composite if type(child) is kind)
            return
    for name, child in composite:
        yield from rows(child, name)


def is_composite(module: nn.Module) -> bool:
    """Whether a module is made of others that hold parameters."""
    return bool(module._modules) and any(True for _ in module.parameters())


def stack_of(model: nn.Module, blocks: Sequence[Block]) -> Stack | None:
    """The longest row of blocks that are alike, if it is long; None if there is none."""
    numbers = {id(block.module): block.number for block in blocks}
    found = []
    for module in model.modules():
        children = list(module.children())
        if isinstance(module, nn.ModuleList | nn.Sequential) and len(children) >= LONG and id(children[0]) in numbers:
            first = numbers[id(children[0])]
            in_order = [numbers.get(id(child)) for child in children] == list(range(first, first + len(children)))
            if in_order and len(set(map(likeness, children))) == 1:
                found.append(Stack(module, first, len(children)))
    return max(found, key=lambda stack: stack.length, default=None)


def likeness(module: nn.Module) -> Any:
    """What two modules share only if they are alike: classes, settings and shapes of all that they hold."""
    settings = (int, float, bool, str, tuple, type(None))
    return tuple(
        (
            name,
            type(part),
            str([(key, value) for key, value in vars(part).items() if type(value) in settings and "idx" not in key]),
            tuple((tuple(p.shape), p.dtype, p.requires_grad) for p in part._parameters.values() if p is not None),
        )
        for name, part in module.named_modules()
    )
