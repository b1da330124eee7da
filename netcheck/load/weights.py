"""Trained weights from a checkpoint file into a model: torch.save files and safetensors.

Nothing in a checkpoint is executed: torch.load runs with weights_only=True.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from netcheck.errors import LoadError
from netcheck.findings import Location

NESTED = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "ema")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
SHOWN = 3  # keys of each kind in a message


def load_weights(model: nn.Module, path: str) -> None:
    """Load a checkpoint into a model, every key of which must match.

    Wrappers that training tools add are taken off: a dict around the state dict, a prefix before every key.

    Raises:
        LoadError: the file cannot be read, holds no state dict, or does not fit the model.
    """
    state = unwrapped(read_checkpoint(path), path)
    wanted = model.state_dict()
    state = min((without(state, prefix) for prefix in ("", *PREFIXES)), key=lambda s: mismatches(s, wanted))
    problem = describe_mismatch(state, wanted)
    if problem:
        raise LoadError(
            f"the weights in {path} do not fit {type(model).__name__}: {problem}",
            help="give the checkpoint of this model, or build it with the arguments that it was trained with",
            location=Location(path, 1),
        )
    model.load_state_dict(state)


def read_checkpoint(path: str) -> Any:
    """The content of a checkpoint file, its tensors on the CPU."""
    if not os.path.isfile(path):
        raise LoadError(f"there is no weights file {path}", help="correct the path after --weights")
    place = Location(path, 1)
    try:
        if is_safetensors(path):
            try:
                from safetensors.torch import load_file
            except ImportError as error:
                raise LoadError(f"{path} is a safetensors file", help="install safetensors to read it") from error
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except LoadError:
        raise
    except Exception as error:
        if "weights_only" in str(error) or "Unsupported" in str(error) or "WeightsUnpickler" in str(error):
            help = "save the tensors alone: torch.save(model.state_dict(), path)"
            raise LoadError(f"{path} holds more than tensors", help=help, location=place) from error
        first = (str(error).splitlines() or [""])[0]
        help = "give a file that torch.save or safetensors wrote"
        raise LoadError(f"{path} cannot be read as a checkpoint: {first}", help=help, location=place) from error


def is_safetensors(path: str) -> bool:
    """Whether a file is safetensors, by its name or its first bytes."""
    if path.endswith(".safetensors"):
        return True
    with open(path, "rb") as file:
        return file.read(9)[8:] == b"{"


def unwrapped(content: Any, path: str) -> dict[str, torch.Tensor]:
    """The state dict in a checkpoint, which may lie one or two dicts deep."""
    for _ in range(3):
        if not isinstance(content, Mapping):
            break
        if content and all(isinstance(value, torch.Tensor) for value in content.values()):
            return dict(content)
        inner = next((content[key] for key in NESTED if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            tensors = {key: value for key, value in content.items() if isinstance(value, torch.Tensor)}
            if len(tensors) * 2 > len(content):
                return dict(content)  # a state dict with a few extra states beside its tensors
            break
        content = inner
    kind = "an empty dict" if isinstance(content, Mapping) and not content else f"a {type(content).__name__}"
    raise LoadError(
        f"{path} holds {kind}, not a state dict",
        help="save it with torch.save(model.state_dict(), path)",
        location=Location(path, 1),
    )


def without(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The state dict without a prefix that all keys share."""
    if prefix and state and all(key.startswith(prefix) for key in state):
        return {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def mismatches(state: Mapping[str, Any], wanted: Mapping[str, Any]) -> int:
    """How many keys are on one side only."""
    return len(state.keys() ^ wanted.keys())


def describe_mismatch(state: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """What does not fit, in words; "" if all does."""
    shapes = [
        f"{key} is {tuple(state[key].shape)}, not {tuple(wanted[key].shape)}"
        for key in wanted
        if isinstance(state.get(key), torch.Tensor)
        and isinstance(wanted[key], torch.Tensor)
        and state[key].shape != wanted[key].shape
        and not nn.parameter.is_lazy(wanted[key])
    ]
    parts = []
    missing = [key for key in wanted if key not in state]
    extra = [key for key in state if key not in wanted]
    if missing:
        parts.append(f"{len(missing)} missing ({some(missing)})")
    if extra:
        parts.append(f"{len(extra)} not in the model ({some(extra)})")
    if shapes:
        parts.append(f"{len(shapes)} of another shape ({some(shapes)})")
    return ", ".join(parts)


def some(words: Iterable[str]) -> str:
    """The first few of a list of words."""
    words = list(words)
    return ", ".join(words[:SHOWN]) + (", ..." if len(words) > SHOWN else "")
