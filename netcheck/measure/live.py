"""A training that runs, looked at every N steps: by hooks that stand on the model for one step, and are gone in the next.

    Watch(model, every=500, judge=...)
      forward 1      a listener hears every torch call; hooks on weights take what backward brings
      forward 2      what they heard is judged, they are removed; one call of one hook a step is left
      forward 501    a listener again

Nothing is kept but numbers, and the weights of one step until the next, to see how far they moved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from netcheck.figures.watched import WatchedActivation, WatchedStep
from netcheck.findings import Finding
from netcheck.load.raised import describe

RECTIFIERS = frozenset("relu relu_ relu6 threshold hardtanh".split())
SATURATING = frozenset("tanh tanh_ sigmoid sigmoid_".split())
WEIGHT_LAYERS = frozenset(
    "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d addmm baddbmm bilinear".split()
)
FEWEST_SAMPLES = 8  # of which all may be zero by chance, where a unit is not dead
FEWEST_LAYERS = 4  # from which a gain through depth is one
MOST_OPERATIONS = 20_000


@dataclass(frozen=True, slots=True)
class Change:
    """Something that began or ended while a model was trained.

    Attributes:
        step: the watched step at which it was seen.
        finding: what: its code, message, evidence and modules.
        began: whether it began; else it is no longer so.
    """

    step: int
    finding: Finding
    began: bool

    def __str__(self) -> str:
        """One line."""
        where = f" at {self.finding.modules[0]}" if self.finding.modules and self.finding.modules[0] else ""
        if not self.began:
            return f"step {self.step}: {self.finding.name} ({self.finding.code}){where} is over"
        return f"step {self.step}: {self.finding.name} ({self.finding.code}){where}: {self.finding.message}"


class Watch:
    """Looks at a model every N steps of its training; what it finds is told once, when it begins and when it ends.

    A step is a call of the model in training mode with gradients on. Use it in a `with`, or call `close`.

    Attributes:
        changes: what began and ended, in order.
        steps: how many steps there were.
        failed: why watching ended before, "" if it did not: nothing that goes wrong here reaches the training.
    """

    def __init__(
        self,
        model: nn.Module,
        every: int,
        judge: Callable[[WatchedStep], Sequence[Finding]],
        tell: Callable[[Change], None] | None = None,
    ) -> None:
        """Begin to count steps.

        Args:
            model: what is trained.
            every: how many steps lie between two that are looked at.
            judge: what is found in the figures of one step.
            tell: called with each change as it is seen.
        """
        self.model = model
        self.every = every
        self.judge = judge
        self.tell = tell
        self.changes: list[Change] = []
        self.steps = 0
        self.failed = ""
        self.look: Look | None = None
        self.active: dict[tuple[str, tuple[str, ...]], Finding] = {}
        self.handles: list[RemovableHandle] = [
            model.register_forward_pre_hook(Silent(self.before)),
            model.register_forward_hook(Silent(self.after), always_call=True),
        ]

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def before(self, *_: Any) -> None:
        """Before a call of the model: end a look, perhaps begin one."""
        if not self.model.training or not torch.is_grad_enabled():
            return
        self.guarded(self.end)
        self.steps += 1
        if (self.steps - 1) % self.every == 0 and not self.failed:
            self.look = Look(self.model, self.steps)
            self.guarded(self.look.begin)

    def after(self, *_: Any) -> None:
        """After it: hear no more."""
        if self.look is not None:
            self.guarded(self.look.deafen)

    def end(self) -> None:
        """Judge what the last look saw, if there was one."""
        look, self.look = self.look, None
        if look is None:
            return
        step = look.seen()
        now = {(found.code, found.modules): found for found in self.judge(step)}
        for key, found in now.items():
            if key not in self.active:
                self.change(Change(step.step, found, began=True))
        for key, found in self.active.items():
            if key not in now:
                self.change(Change(step.step, found, began=False))
        self.active = now

    def change(self, change: Change) -> None:
        """Keep a change, and tell of it."""
        self.changes.append(change)
        if self.tell is not None:
            self.tell(change)

    def guarded(self, act: Callable[[], None]) -> None:
        """Do something; if it fails, watch no longer and let the training go on."""
        try:
            act()
        except Exception as error:
            self.failed = describe(error)
            if self.look is not None:
                self.look.remove()
                self.look = None

    def close(self) -> None:
        """Judge the last look, and take all hooks from the model."""
        self.guarded(self.end)
        for handle in self.handles:
            handle.remove()
        self.handles.clear()


class Silent:
    """A hook that is left behind where a model is copied or saved."""

    def __init__(self, act: Callable[..., None]) -> None:
        self.act = act

    def __call__(self, *args: Any) -> None:
        self.act(*args)

    def __reduce__(self) -> tuple[Any, ...]:
        return Silent, (nothing,)

    def __deepcopy__(self, memo: Any) -> Silent:
        return Silent(nothing)


def nothing(*_: Any) -> None:
    """Do nothing."""


class Look(TorchFunctionMode):
    """One step, heard and measured."""

    def __init__(self, model: nn.Module, step: int) -> None:
        super().__init__()
        self.model = model
        self.step = step
        self.names = {id(module): name for name, module in model.named_modules()}
        self.inside: list[str] = []
        self.handles: list[RemovableHandle] = []
        self.hearing = False
        self.activations: list[tuple[str, str, int, torch.Tensor | None, torch.Tensor | None]] = []
        self.gradients: list[torch.Tensor | None] = []  # norms at the outputs of weight layers, in the order of forward
        self.finite: list[tuple[str, torch.Tensor]] = []
        self.weights: dict[str, torch.Tensor] = {}

    def begin(self) -> None:
        """Put hooks on the model, keep its weights, and listen."""
        for module in self.model.modules():
            if module is not self.model:
                self.handles.append(module.register_forward_pre_hook(self.enter))
                self.handles.append(module.register_forward_hook(self.leave, always_call=True))
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad and parameter.is_floating_point():
                self.weights[name] = parameter.detach().clone()
                self.handles.append(parameter.register_post_accumulate_grad_hook(self.arrived(name)))
        if type(self.model).__name__ != "OptimizedModule":  # what is compiled is no call of torch any more
            self.hearing = True
            self.__enter__()  # type: ignore[no-untyped-call]

    def enter(self, module: nn.Module, *_: Any) -> None:
        """A part of the model begins."""
        self.inside.append(self.names.get(id(module), ""))

    def leave(self, *_: Any) -> None:
        """It ends."""
        if self.inside:
            self.inside.pop()

    def arrived(self, name: str) -> Callable[[torch.Tensor], None]:
        """What hears that a gradient of a parameter is complete."""

        def hear(parameter: torch.Tensor) -> None:
            if parameter.grad is not None:
                self.finite.append((f"the gradient of {name}", parameter.grad.detach().isfinite().all()))

        return hear

    def deafen(self) -> None:
        """Hear no more calls: forward is over."""
        if self.hearing:
            self.hearing = False
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def remove(self) -> None:
        """Take all from the model that was put on it for this step."""
        self.deafen()
        for handle in self.handles:
            handle.remove()
        self.handles.clear()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a call of torch, and look at what it gives."""
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.is_floating_point() and len(self.finite) < MOST_OPERATIONS:
            self.hear(getattr(func, "__name__", ""), result)
        return result

    def hear(self, name: str, result: torch.Tensor) -> None:
        """Take a few numbers of a result."""
        path = self.inside[-1] if self.inside else ""
        numbers = result.detach()
        if name and not name.startswith("__"):
            self.finite.append((f"{name} in {path}" if path else name, ~(numbers.isnan() | numbers.isposinf()).any()))
        if name in RECTIFIERS | SATURATING and numbers.dim() > 1:
            axis = 1 if numbers.dim() > 3 else numbers.dim() - 1
            units = numbers.transpose(0, axis).flatten(1)  # (unit, all else)
            dead = (units == 0).all(1).double().mean() if name in RECTIFIERS and units.shape[1] >= FEWEST_SAMPLES else None
            slope = 1 - numbers**2 if name.startswith("tanh") else 4 * numbers * (1 - numbers)
            flat = (slope < 0.1).double().mean() if name in SATURATING else None
            self.activations.append((path, name.rstrip("_"), units.shape[0], dead, flat))
        if name in WEIGHT_LAYERS and result.requires_grad:
            self.gradients.append(None)
            place = len(self.gradients) - 1
            result.register_hook(lambda gradient: self.came_back(place, gradient))

    def came_back(self, place: int, gradient: torch.Tensor) -> None:
        """Keep the norm of a gradient."""
        self.gradients[place] = torch.linalg.vector_norm(gradient.detach().double())

    def seen(self) -> WatchedStep:
        """The figures of the step, and its hooks taken away."""
        self.remove()
        bad = next((name for name, flag in self.finite if not bool(flag)), "")
        moved, most = self.moves()
        norms = [float(norm) for norm in self.gradients if norm is not None]
        return WatchedStep(
            self.step,
            tuple(
                WatchedActivation(path, name, units, None if dead is None else float(dead), None if flat is None else float(flat))
                for path, name, units, dead, flat in self.activations
            ),
            gain(norms),
            len(norms),
            bad,
            moved,
            most,
        )

    def moves(self) -> tuple[float | None, tuple[str, float]]:
        """How far the weights moved, beside their own norm: all of them, and the one that moved most."""
        change = norm = 0.0
        most = ("", 0.0)
        for name, parameter in self.model.named_parameters():
            old = self.weights.get(name)
            if old is None or old.shape != parameter.shape or old.device != parameter.device:
                continue
            far = float(torch.linalg.vector_norm((parameter.detach() - old).double()))
            own = float(torch.linalg.vector_norm(old.double()))
            change, norm = math.hypot(change, far), math.hypot(norm, own)
            if own > 0 and old.dim() > 1 and far / own > most[1]:
                most = (name, far / own)
        self.weights.clear()
        return (change / norm if norm > 0 else None), most


def gain(norms: Sequence[float]) -> float | None:
    """Decades from the gradient at the last hidden weight layer back to that at the first."""
    if len(norms) < FEWEST_LAYERS or not all(map(math.isfinite, norms)) or norms[-2] <= 0 or norms[0] <= 0:
        return None
    return math.log10(norms[0] / norms[-2])
