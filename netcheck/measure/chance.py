"""Forward without chance: dropout off, random draws at their means. Two runs of it on the same samples agree.

    with Chanceless():            F.dropout(x) -> x        torch.rand(3) -> .5 .5 .5       x.bernoulli_(p) -> p
        model(x)                  torch.randn(3) -> 0      torch.normal(mean, std) -> mean

A permutation (torch.randperm) has no mean: it is drawn from the same seed each time.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from netcheck.torch_versions import TorchFunctionMode, captured

_DROPOUTS = frozenset((
    "dropout", "dropout_", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "alpha_dropout_", "feature_dropout",
    "feature_dropout_", "feature_alpha_dropout", "feature_alpha_dropout_", "native_dropout",
))  # fmt: skip
# Random factories and in-place draws, with the mean that they get instead.
_FACTORIES = {"rand": 0.5, "rand_like": 0.5, "randn": 0.0, "randn_like": 0.0}
_NARROW = (torch.float32, torch.float16, torch.bfloat16, torch.complex64)
_ATTENTION = "scaled_dot_product_attention"
_DRAWS = ("bernoulli_", "bernoulli", "uniform_", "normal_", "normal", "exponential_")
_NORMAL = frozenset(("randn", "randn_like", "normal", "normal_"))
_BY_CHANCE = frozenset((*_DROPOUTS, *_FACTORIES, *_DRAWS, _ATTENTION, "randperm"))


class Chanceless(TorchFunctionMode):
    """Runs random operations as their means.

    Args:
        noise: leave normal draws as they are, for who asks what has an influence: at its mean of 0 noise hides its own scale.

    Attributes:
        rounds: whether some result was of less than double precision.
    """

    def __init__(self, *, noise: bool = False) -> None:
        super().__init__()
        self.rounds = False
        self.left = _NORMAL if noise else frozenset()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = self._call(func, args, kwargs)
        if isinstance(result, torch.Tensor) and result.dtype in _NARROW:
            self.rounds = True
        return result

    def _call(self, func: Any, args: Any, kwargs: Any) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name not in _BY_CHANCE or name in self.left:
            return func(*args, **kwargs)
        if name in _DROPOUTS and args and isinstance(args[0], torch.Tensor):
            return (args[0], torch.ones_like(args[0], dtype=torch.bool)) if name == "native_dropout" else args[0]
        if name in _FACTORIES:
            result = func(*args, **kwargs)
            return result.detach().fill_(_FACTORIES[name]).requires_grad_(result.requires_grad)
        if name == _ATTENTION:
            args, kwargs = (*args[:4], 0.0, *args[5:]) if len(args) > 4 else args, {**kwargs, "dropout_p": 0.0}
            if len(args) > 4:
                kwargs.pop("dropout_p")
        if name in _DRAWS:
            return _mean(name, args, kwargs, func)
        if name == "randperm":
            drawn = func(*args, **{**kwargs, "device": "cpu", "generator": torch.Generator().manual_seed(0)})
            return drawn if kwargs.get("device") is None else drawn.to(kwargs["device"])
        return func(*args, **kwargs)


def _mean(name: str, args: Any, kwargs: Any, func: Any) -> Any:
    """What a draw comes to on average."""

    def given(position: int, key: str, default: float) -> Any:
        return args[position] if len(args) > position else kwargs.get(key, default)

    first = args[0] if args else None
    if not isinstance(first, torch.Tensor):
        return func(*args, **kwargs)
    if name in ("bernoulli", "normal"):
        return first.clone()
    with torch.no_grad():
        if name == "bernoulli_":
            share = given(1, "p", 0.5)
            return first.copy_(share) if isinstance(share, torch.Tensor) else first.fill_(share)
        if name == "uniform_":
            return first.fill_((given(1, "from", 0.0) + given(2, "to", 1.0)) / 2)
        if name == "normal_":
            return first.fill_(given(1, "mean", 0.0))
        return first.fill_(1 / given(1, "lambd", 1.0))


def chanceless_copy(model: nn.Module, dtype: torch.dtype, *, reading: bool = False) -> nn.Module:
    """A copy of `model` on the CPU in `dtype`, without the dropout that torch's layers do inside a kernel.

    `reading`: nobody will write to its parameters, so that those that are as they must be are shared.

    Raises:
        Exception: whatever the model raises when it is copied.
    """
    writes = any(getattr(module, "max_norm", None) is not None for module in model.modules())
    shared = {id(p): p for p in model.parameters() if reading and not writes and p.dtype is dtype and p.device.type == "cpu"}
    twin = copy.deepcopy(model, shared).to("cpu", dtype)
    for module in twin.modules():
        if captured(module) is not None:
            del module.__dict__["forward"]
        if isinstance(module, nn.RNNBase | nn.MultiheadAttention):
            module.dropout = 0.0
    return twin
