"""A model whose parameters are spread over ranks (FSDP2, tensor parallelism: DTensor), as one that has all of them.

    whole(model, name) -> (model, words)

The user's model stays as it is: what is checked is a copy of its structure without the hooks of torch.distributed, with the
classes that the modules had before `fully_shard`, and with whole parameters. To gather them takes all ranks, so all of them
must check the model; that they do is asked at their store first, where nobody waits for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from netcheck.errors import LoadError
from netcheck.load.wrappers import is_distributed, unwrapped, wrappers_of
from netcheck.measure.groups import MEETING_SECONDS, Board
from netcheck.torch_versions import group_store

_HOOKS = "_hooks"  # how the names of a module's dictionaries of hooks end


def whole(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The model to check, and what was done to come to it, as a phrase; "" where nothing had to be.

    Args:
        model: as the user has it.
        name: of the model, the same on all ranks.

    Raises:
        LoadError: its parameters are on ranks that do not check it too.
    """
    around = wrappers_of(model)
    inside = unwrapped(model)
    words = [f"without {wrapper}" for wrapper in around]
    spread = [tensor for tensor in (*inside.parameters(), *inside.buffers()) if is_distributed(tensor)]
    if spread:
        ranks = max(tensor.device_mesh.size() for tensor in spread)  # type: ignore[attr-defined]
        require_company(name, ranks)
        kind = "FSDP2" if any(is_sharded(type(module)) for module in inside.modules()) else "DTensor"
        inside = copied(inside, {id(tensor): gathered(tensor) for tensor in spread})
        words.append(f"with the parameters that {kind} spreads over {ranks} rank{'s' if ranks > 1 else ''} gathered")
    elif any(is_sharded(type(module)) for module in inside.modules()):
        inside = copied(inside, {})
        words.append("without FSDP2")
    return inside, ", ".join(words)


def require_company(name: str, ranks: int) -> None:
    """Make sure that the other ranks check the model too.

    Raises:
        LoadError: one does not.
    """
    if ranks < 2:
        return
    board = Board(group_store(), dist.get_rank(), dist.get_world_size()).within(f"netcheck/whole/{name}")
    if None in board.told("here", "", MEETING_SECONDS):
        raise LoadError(
            f"the parameters of {name} are spread over {ranks} ranks, and not all of them check it",
            help="call netcheck.check on all ranks, or check the model before it is sharded",
        )


def gathered(tensor: Any) -> torch.Tensor:
    """All of a DTensor, as an ordinary tensor or parameter."""
    with torch.no_grad():
        value: torch.Tensor = tensor.full_tensor().detach().clone()
    return nn.Parameter(value, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else value


def is_sharded(kind: type) -> bool:
    """Whether `fully_shard` has made a module's class."""
    return any(base.__name__ == "FSDPModule" and base.__module__.startswith("torch.distributed") for base in kind.__bases__)


def copied(model: nn.Module, tensors: Mapping[int, torch.Tensor]) -> nn.Module:
    """The same modules once more, with these tensors in the place of others, by id; whatever else they hold is shared."""
    twins: dict[int, Any] = {}
    for module in model.modules():
        kind = type(module)
        plain = next(base for base in kind.__bases__ if base.__name__ != "FSDPModule") if is_sharded(kind) else kind
        twins[id(module)] = object.__new__(plain)

    def twin(value: Any) -> Any:
        if isinstance(value, nn.Module):
            return twins.get(id(value), value)
        if isinstance(value, torch.Tensor):
            return tensors.get(id(value), value)
        if type(value) in (list, tuple):
            return type(value)(map(twin, value))
        return {key: twin(item) for key, item in value.items()} if type(value) is dict else value

    for module in model.modules():
        for key, value in vars(module).items():
            own = [hook for hook in value.items() if not is_of_torch(hook[1])] if key.endswith(_HOOKS) else ()
            vars(twins[id(module)])[key] = type(value)(own) if key.endswith(_HOOKS) else twin(value)
    return twins[id(model)]  # type: ignore[no-any-return]


def is_of_torch(hook: Any) -> bool:
    """Whether torch.distributed has put a hook on a module."""
    function = getattr(hook, "func", hook)
    owner = type(getattr(function, "__self__", None)).__module__
    return f"{getattr(function, '__module__', '')} {owner}".count("torch.distributed") > 0
