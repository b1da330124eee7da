"""Which modules are one operation of a graph, and which are entered.

A layer of torch's is one: the graph calls the user's own layer. That holds as long as the layer is as the user holds it. One
that forward gave other weights (`functional_call`), another stride or another mode, or that it made itself, is entered: what its
forward does then is recorded with the tensors and settings that it really used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from netcheck.load.contents import same, saved
from netcheck.load.held import Census

_CONTAINERS = (
    nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder,
    nn.TransformerEncoderLayer, nn.TransformerDecoderLayer,
)  # fmt: skip


def is_leaf(module: nn.Module) -> bool:
    """Whether the recorder notes the module as one operation.

    It does when torch wrote the forward that would run (also in a subclass that only changes construction), unless that
    is a container, or a parametrization computes its weight (which is then worth seeing).
    """
    if isinstance(module, torch.jit.ScriptModule):
        return True
    if isinstance(module, _CONTAINERS) or "forward" in module.__dict__ or "parametrizations" in module._modules:
        return False
    author = next((cls for cls in type(module).__mro__ if "forward" in cls.__dict__ or "_conv_forward" in cls.__dict__), None)
    return author is not None and author.__module__.startswith(("torch.nn.modules.", "torch.ao.nn.", "torch.nn.quantized."))


class Leaves:
    """The layers that are one operation, in one run of a model."""

    def __init__(self, census: Census) -> None:
        """Note how the layers are; `census` is what the model holds, as it runs now."""
        layers = (module for module, _ in census.modules.values() if is_leaf(module))
        self._before = {id(module): (module, contents(module)) for module in layers}

    def hold(self, module: nn.Module) -> bool:
        """Whether a module is one operation, now."""
        if not is_leaf(module):
            return False
        before = self._before.get(id(module))
        scripted = isinstance(module, torch.jit.ScriptModule)
        return scripted or before is None or all(alike(holder, content) for holder, content in before[1])

    def hold_but_for_hooks(self, module: nn.Module) -> bool:
        """Whether a layer that had no hooks has some now, and is otherwise as it was."""
        if not is_leaf(module) or module._modules:
            return False
        hooks = [id(held) for name, held in module.__dict__.items() if "_hooks" in name]
        return all(
            not content if id(holder) in hooks else alike(holder, content) for holder, content in self._before[id(module)][1]
        )

    def forget(self, tensor: torch.Tensor) -> None:
        """Take the layers that hold a tensor for changed, though it is the same object."""
        for key, (module, _) in self._before.items():
            if any(held is tensor for held in (*module.parameters(), *module.buffers())):
                self._before[key] = module, [([], [None])]

    def changed(self) -> set[int]:
        """The ids of the layers that are not as they were."""
        return {key for key, (module, _) in self._before.items() if not self.hold(module)}

    def were_made(self, module: nn.Module) -> bool:
        """Whether forward has made a layer itself, with weights."""
        if id(module) in self._before or isinstance(module, torch.jit.ScriptModule):
            return False
        return any(True for _ in (*module.parameters(), *module.buffers()))

    def ran(self, module: nn.Module) -> None:
        """Take a layer as it is after its own call: what that changed, the call in the graph changes too."""
        before = self._before.get(id(module))
        if before is not None and not all(same(holder, content) for holder, content in before[1]):
            self._before[id(module)] = module, contents(module)


Contents = list[tuple[Any, Any]]  # containers, and what they held


def contents(module: nn.Module) -> Contents:
    """What a layer and the modules in it hold: weights, settings, hooks, the lists of a recurrent layer."""
    return [(holder, saved(holder)) for part in module.modules() for holder in holders(part)]


def holders(module: nn.Module) -> Iterator[Any]:
    """The attributes of a module, and the dicts and lists among them."""
    yield module.__dict__
    for value in module.__dict__.values():
        if isinstance(value, dict | list):
            yield value


def alike(holder: Any, content: Any) -> bool:
    """Whether a container holds what it held: the same objects, or plain settings that are equal."""
    if same(holder, content):
        return True
    now = saved(holder)
    if len(now) != len(content) or (isinstance(now, dict) and now.keys() != content.keys()):
        return False
    pairs = zip(now, content, strict=True) if not isinstance(now, dict) else ((now[name], content[name]) for name in now)
    return all(one is other or (type(one) in _SETTINGS and type(one) is type(other) and one == other) for one, other in pairs)


_SETTINGS = frozenset((int, float, bool, str, tuple, torch.Size, torch.dtype, torch.device))
