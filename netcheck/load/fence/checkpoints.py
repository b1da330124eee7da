"""Weights that are not here: a model that would load them is built without.

models.resnet18(weights="DEFAULT")         downloads nothing; the weights are those of a fresh model
state = torch.load("vgg.pth")              of a file that is not there: `Weights`, which hold nothing
model.load_state_dict(state["model"])      leaves the model as it is
nn.Embedding(len(state), 8)                raises NotInstalled: here a value is needed
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakSet

import torch
from torch import nn

from netcheck.load.absent import Absent
from netcheck.load.fence.askers import asker
from netcheck.load.fence.patches import Patch
from netcheck.load.fence.state import state


class Weights(Absent):
    """The content of a file of weights that is not there: a mapping without entries, of which any entry can be asked for."""

    def __getitem__(self, key: object) -> Absent:
        """A part of it, which holds nothing either."""
        return self._part("[...]")

    def __iter__(self) -> Iterator[str]:
        """No keys."""
        return iter(())

    def __contains__(self, key: object) -> bool:
        """Whether there is a key: never."""
        return False

    def keys(self) -> tuple[()]:
        """The same."""
        return ()

    values = items = keys

    def pop(self, *args: object) -> Absent:
        """What cannot be taken out."""
        return self._part(".pop()")

    get = pop

    def _part(self, suffix: str) -> Absent:
        return Weights(f"{self._name}{suffix}", self._package, self._fault)


unloaded: WeakSet[nn.Module] = WeakSet()  # modules that were built without the weights which they would have loaded


def patches() -> list[Patch]:
    """Those about weights."""
    return [
        Patch(torch.hub, "download_url_to_file", download),
        Patch(torch, "load", load),
        Patch(nn.Module, "load_state_dict", load_state_dict, method=True),
    ]


def download(original: Any, url: str, dst: str, *args: Any, **kwargs: Any) -> None:
    """`torch.hub.download_url_to_file`: nothing, while something is built."""
    if not state.building:
        original(url, dst, *args, **kwargs)
        return
    asker().note(f"downloads {os.path.basename(str(url))}: built without it")


def load(original: Any, f: Any, *args: Any, **kwargs: Any) -> Any:
    """`torch.load`; of a file that is not there, while something is built, `Weights`."""
    try:
        return original(f, *args, **kwargs)
    except FileNotFoundError:
        if not state.building or not isinstance(f, str | os.PathLike):
            raise
    name = os.path.basename(f)
    state.without_weights = True
    who = asker()
    if (who.file, who.line) not in {(one.file, one.line) for one in state.notes.values()}:
        who.note(f"loads {name}, which is not there: built without it")
    return Weights(name, "", f"{name} is not there")


def load_state_dict(original: Any, module: nn.Module, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
    """`nn.Module.load_state_dict` that takes no notice of weights that are not there, nor of what was made of them."""
    is_empty = isinstance(state_dict, Mapping) and not len(state_dict) and state.without_weights
    if state.building and (isinstance(state_dict, Absent) or is_empty):
        unloaded.update(module.modules())
        return original(nn.Module(), {})  # no keys are missing, and none too many
    return original(module, state_dict, *args, **kwargs)
