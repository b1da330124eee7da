"""Everything that looking at a net must leave as it was: what it holds, its inputs, the world's switches and generators.

before = snapshot(model, inputs);  ...;  changes(before, snapshot(model, inputs))    ["net.m1.weight", "torch's generator"]
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from typing import Any

import numpy
import torch
from torch import nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks")
Snapshot = dict[str, Any]


def snapshot(model: nn.Module, inputs: Any) -> Snapshot:
    """The state of everything, by name; a value stands for itself or for its bits."""
    return {**dict(of_model(model)), **dict(of_value("inputs", inputs)), **dict(of_world())}


def changes(before: Snapshot, after: Snapshot) -> list[str]:
    """The names of what is not as it was."""
    return [name for name in {**before, **after} if before.get(name) != after.get(name)]


def of_model(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Modules, their attributes and hooks, and every tensor."""
    for path, module in model.named_modules(remove_duplicate=False):
        name = f"net.{path}".rstrip(".")
        yield f"{name} class", (id(module), type(module))
        yield f"{name} mode", module.training
        yield f"{name} members", tuple((key, id(part)) for key, part in module._modules.items())
        for hooks in _HOOKS:
            yield f"{name} {hooks}", tuple(map(id, getattr(module, hooks).values()))
        if isinstance(module, torch.jit.ScriptModule):
            continue
        for key, tensor in (*module._parameters.items(), *module._buffers.items()):
            yield from of_value(f"{name}.{key}", tensor)
        for key, value in vars(module).items():
            if not key.startswith("_"):
                yield from of_value(f"{name}.{key}", value)


def of_value(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A tensor's bits and marks; what a container holds."""
    if isinstance(value, torch.Tensor):
        yield name, (id(value), type(value), bits(value), value.requires_grad, value.is_leaf and value.grad is not None)
    elif isinstance(value, list | tuple):
        yield name, (id(value) if isinstance(value, list) else type(value), len(value))
        for index, item in enumerate(value):
            yield from of_value(f"{name}[{index}]", item)
    elif isinstance(value, dict):
        yield name, (id(value), tuple(value))
        for key, item in value.items():
            yield from of_value(f"{name}[{key}]", item)
    elif hasattr(value, "__dataclass_fields__"):
        yield from of_value(name, vars(value))
    elif isinstance(value, int | float | str | bool | type(None)):
        yield name, value
    else:
        yield name, id(value)


def bits(tensor: torch.Tensor) -> Any:
    """A digest of a tensor's values, its shape and its dtype."""
    if nn.parameter.is_lazy(tensor) or tensor.is_meta:
        return type(tensor)
    tensor = tensor.detach()
    if tensor.is_quantized:
        tensor = tensor.int_repr()
    if tensor.layout is not torch.strided:
        return str(tensor)
    flat = tensor.resolve_conj().resolve_neg().contiguous().flatten().clone()
    return tuple(tensor.shape), tensor.dtype, hashlib.sha1(flat.view(torch.uint8).numpy().tobytes()).hexdigest()


def of_world() -> Iterator[tuple[str, Any]]:
    """Generators of random numbers, and switches."""
    kind, keys, *rest = numpy.random.get_state()
    yield "Python's generator", hash(random.getstate())
    yield "numpy's generator", (kind, keys.tobytes(), *rest)  # type: ignore[union-attr]
    yield "torch's generator", bits(torch.get_rng_state())
    yield "default dtype", torch.get_default_dtype()
    yield "default device", torch.get_default_device()
    yield "gradients", (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled())
    yield "autocast", (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"))
    yield "deterministic", torch.are_deterministic_algorithms_enabled()
    yield "threads", torch.get_num_threads()
