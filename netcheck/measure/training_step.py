"""One training step on copies of the user's model, loss and optimizer: what the loss is given, and what a step of it does.

    stepped(model, args, kwargs, targets=y, loss=criterion, optimizer=opt) -> TrainingStep
      +-- outcome      forward and the loss, with gradients; what the output is, whether shapes spread over each other
      +-- updated      the optimizer's parameters beside the model's; one step along the gradient, the loss before and after

All three are copied together, so that the copy of the optimizer has the copies of the parameters.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from netcheck.figures.step import Targets, TrainingStep, Update
from netcheck.load.held import changing_only_itself
from netcheck.load.raised import describe
from netcheck.load.randomness import seeded
from netcheck.location import Location
from netcheck.measure.scatter import chunk_sizes
from netcheck.torch_versions import BatchNormalization
from netcheck.trace import structure

OWN = ""  # the name of a loss that the model computes itself
OF_CLASSES = ("CrossEntropyLoss", "NLLLoss", "cross_entropy", "nll_loss")
OF_PROBABILITIES = ("BCELoss", "binary_cross_entropy")  # which raise on what is none
OF_TRUTH = ("BCEWithLogitsLoss", "BCELoss", "binary_cross_entropy_with_logits", "binary_cross_entropy")
LOSSES = frozenset(
    "mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits".split()
)  # of two tensors whose numbers belong together
ARITHMETIC = frozenset(
    "sub __sub__ rsub __rsub__ mul __mul__ add __add__ true_divide div __truediv__".split()
)  # inside of a loss
NORMS = (nn.LayerNorm, nn.GroupNorm, BatchNormalization, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
UNDECAYED = (nn.Embedding, nn.EmbeddingBag, *NORMS)
NEAR = 1e-3  # how far from 1 probabilities may sum up, in half precision
MADE_BY = {
    "SigmoidBackward": "sigmoid",
    "SoftmaxBackward": "softmax",
    "LogSoftmaxBackward": "log-softmax",
    "ReluBackward": "rectifier",
}
FEWEST = 16  # numbers from which the range of an output says what it is


@dataclass
class Run:
    """What one call of the model and its loss gave: both alive."""

    output: Any
    loss: torch.Tensor | None
    error: str = ""


class Spreads(TorchFunctionMode):
    """Listens for operations in which two tensors of as many numbers are spread over each other: (N, 1) and (N).

    Arithmetic counts within a loss alone, and where the ranks differ: who writes (N, 1, D) and (1, N, D) means all pairs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shapes: tuple[tuple[int, ...], ...] = ()
        self.in_loss = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Look at the shapes, and go on."""
        name = getattr(func, "__name__", "")
        if (name in LOSSES or (name in ARITHMETIC and self.in_loss)) and not self.shapes:
            pair = [each for each in args[:2] if isinstance(each, torch.Tensor)]
            meant = name in ARITHMETIC and len({each.dim() for each in pair}) == 1
            if len(pair) == 2 and not meant and spread(pair[0], pair[1]):
                self.shapes = (tuple(pair[0].shape), tuple(pair[1].shape))
        return func(*args, **(kwargs or {}))


def spread(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors have as many numbers, and an operation on both gives more."""
    if one.shape == other.shape or one.numel() != other.numel() or one.numel() < 2:
        return False
    try:
        return bool(math.prod(torch.broadcast_shapes(one.shape, other.shape)) > one.numel())
    except RuntimeError:
        return False


def stepped(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    targets: Any = None,
    loss: Callable[..., Any] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    draw: Callable[[Any], Any] | None = None,
    places: tuple[Location | None, Location | None] = (None, None),
    seed: int = 0,
    devices: int | None = None,
) -> TrainingStep | None:
    """What one step on one batch shows; None where nothing was given that a step needs, or what was given cannot be copied.

    Args:
        model: as it will be trained; it stays as it is.
        args: positional arguments of forward.
        kwargs: its keyword arguments.
        targets: what the loss is given behind the output; None if it takes the output alone.
        loss: a module or a function of (output, targets); None where the model returns its loss.
        optimizer: of the model's parameters; None for none.
        draw: makes up targets for an output, where nobody gave any; None from it means that there are none for that.
        places: where the file makes the loss and the optimizer.
        seed: of the random numbers of both runs of the model.
        devices: over which the batch is split; None where nobody asks.
    """
    names = named(model, loss)
    facts = None if optimizer is None else replace(groups(names, model, optimizer), place=places[1])
    try:
        twin, criterion, own = copy.deepcopy((model, loss, optimizer))
    except Exception as error:
        remark = f"the step was not measured: a copy raised {describe(error)}"
        return None if facts is None else TrainingStep(name_of(loss), update=facts, remarks=(remark,))
    holder = nn.ModuleList([twin, *([criterion] if isinstance(criterion, nn.Module) else [])])
    with changing_only_itself(holder), torch.enable_grad():
        listener = Spreads()
        with listener, seeded(seed):
            ran = run(twin, args, kwargs, targets, criterion, draw, listener)
        found = replace(
            outcome(ran, targets, loss), broadcast=listener.shapes, drawn=draw is not None and loss is not None, place=places[0]
        )
        if draw is not None and found.loss not in OF_PROBABILITIES:
            found = replace(found, error="")  # what was made up need not be what it takes
        if own is not None and facts is not None:
            again = lambda: run(twin, args, kwargs, targets, criterion, draw).loss  # noqa: E731
            found = replace(found, update=updated(facts, ran, holder, own, again, seed))
    if found.targets is not None and devices is not None:
        found = replace(found, targets=replace(found.targets, by_device=counted(targets, loss, devices)))
    return found


def counted(targets: torch.Tensor, loss: Any, devices: int) -> tuple[int, ...]:
    """How many targets of each device's share a loss takes a mean over, where it ignores some; () where it does not."""
    if name_of(loss) not in OF_CLASSES or targets.is_floating_point() or getattr(loss, "reduction", "") != "mean":
        return ()
    counts = (targets != getattr(loss, "ignore_index", -100)).flatten(1 if targets.dim() > 1 else 0)
    return tuple(int(share.sum()) for share in counts.split(chunk_sizes(len(targets), devices)))


def run(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    targets: Any,
    loss: Any,
    draw: Callable[[Any], Any] | None = None,
    listener: Spreads | None = None,
) -> Run:
    """Call the model and its loss on copies of the inputs."""
    given_args, given_kwargs, given_targets = structure.rebuild((tuple(args), dict(kwargs), targets), torch.clone)
    output = model(*given_args, **given_kwargs)
    if draw is not None:
        given_targets = targets = draw(output)
        if targets is None:
            return Run(output, None)
    if loss is None:
        return Run(output, own_loss(output))
    if listener is not None:
        listener.in_loss = True
    try:
        value = loss(output) if targets is None else loss(output, given_targets)
    except Exception as error:
        return Run(output, None, describe(error))
    return Run(output, value if isinstance(value, torch.Tensor) else own_loss(value))


def own_loss(output: Any) -> torch.Tensor | None:
    """The loss in what a model returns: its `loss`, or the only number."""
    found = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if found is None:
        numbers = [each for _, each in structure.tensors(output) if each.is_floating_point() and each.dim() == 0]
        found = numbers[0] if len(numbers) == 1 else None
    return found if isinstance(found, torch.Tensor) else None


def outcome(ran: Run, targets: Any, loss: Any) -> TrainingStep:
    """What one run shows of the loss."""
    name = name_of(loss)
    tensors = [each for _, each in structure.tensors(ran.output) if each.is_floating_point()]
    first = tensors[0] if tensors else None
    found = TrainingStep(name, error=ran.error, targets=told(targets, loss))
    if first is not None:
        shape = tuple(first.shape)
        classes = shape[1] if name in OF_CLASSES and len(shape) > 1 else None
        found = replace(found, output=shape, given=kind_of(first), classes=classes, blind=blind(name, classes, loss))
    if ran.loss is not None and ran.loss.numel() == 1:
        found = replace(found, value=float(ran.loss.detach()), connected=ran.loss.requires_grad)
        if ran.loss.requires_grad and len(tensors) > 1:
            wanted = [each for each in tensors if each.requires_grad and each is not ran.loss]
            reached = torch.autograd.grad(ran.loss, wanted, allow_unused=True, retain_graph=True) if wanted else ()
            idle = [each for each, gradient in zip(wanted, reached, strict=True) if gradient is None]
            found = replace(found, unused=tuple(n for n, each in enumerate(tensors) if any(each is one for one in idle)))
    return found


def name_of(loss: Any) -> str:
    """The class or function of a loss."""
    if loss is None:
        return OWN
    loss = getattr(loss, "func", loss)
    return type(loss).__name__ if isinstance(loss, nn.Module) else getattr(loss, "__name__", type(loss).__name__)


def told(targets: Any, loss: Any) -> Targets | None:
    """The targets in numbers."""
    if not isinstance(targets, torch.Tensor):
        return None
    dtype = str(targets.dtype).removeprefix("torch.")
    if not targets.numel() or targets.is_complex():
        return Targets(tuple(targets.shape), dtype)
    ignored = targets == getattr(loss, "ignore_index", -100) if not targets.is_floating_point() else None
    share = 0.0 if ignored is None or name_of(loss) not in OF_CLASSES else float(ignored.double().mean())
    kept = targets if ignored is None or not share else targets[~ignored]
    low, high = (float(kept.min()), float(kept.max())) if kept.numel() else (None, None)
    return Targets(tuple(targets.shape), dtype, low, high, share)


def blind(name: str, classes: int | None, loss: Any) -> float | None:
    """The loss of a guess that knows nothing: ln C of C classes, ln 2 of a truth value."""
    if getattr(loss, "reduction", "mean") != "mean" or getattr(loss, "weight", None) is not None:
        return None
    if name in OF_CLASSES and classes and classes > 1:
        return math.log(classes)
    return math.log(2) if name in OF_TRUTH and getattr(loss, "pos_weight", None) is None else None


def kind_of(output: torch.Tensor) -> str:
    """What made an output, or what its numbers are: those of a softmax sum up to 1, those of a rectifier are 0 or more."""
    made_by = output.grad_fn.name().rstrip("0123456789") if output.grad_fn is not None else ""
    if made_by in MADE_BY:
        return MADE_BY[made_by]
    numbers = output.detach().double()
    if numbers.numel() < FEWEST or not bool(numbers.isfinite().all()):
        return ""
    axes = [axis for axis in dict.fromkeys((1, numbers.dim() - 1)) if 0 < axis < numbers.dim() and numbers.shape[axis] > 1]
    if bool((numbers >= 0).all()):
        if any(bool(((numbers.sum(axis) - 1).abs() < NEAR).all()) for axis in axes):
            return "softmax"
        if bool((numbers == 0).double().mean() > 0.05):
            return "rectifier"
        return "sigmoid" if bool((numbers <= 1).all()) else ""
    if bool((numbers <= 0).all()) and any(bool((numbers.logsumexp(axis).abs() < NEAR).all()) for axis in axes):
        return "log-softmax"
    return ""


# ---- the optimizer ---------------------------------------------------------------------------------------------------------


def named(model: nn.Module, loss: Any) -> dict[str, nn.Parameter]:
    """The parameters that may be trained, by name: the model's, and those of the loss."""
    found = dict(model.named_parameters())
    if isinstance(loss, nn.Module):
        found |= {f"loss.{name}": one for name, one in loss.named_parameters()}
    return found


def held(optimizer: torch.optim.Optimizer) -> Iterator[tuple[dict[str, Any], torch.Tensor]]:
    """Each parameter that an optimizer has, with its group."""
    for group in optimizer.param_groups:
        yield from ((group, one) for one in group["params"])


def groups(names: Mapping[str, nn.Parameter], model: nn.Module, optimizer: torch.optim.Optimizer) -> Update:
    """An optimizer's parameters beside those of the model."""
    has = {id(one): one for _, one in held(optimizer)}
    name = {id(one): text for text, one in names.items()}
    missing = {text: one for text, one in names.items() if one.requires_grad and id(one) not in has}
    foreign = [one for number, one in has.items() if number not in name]
    shapes = [tuple(one.shape) for one in foreign]
    twice = [name.get(id(one), "?") for group in optimizer.param_groups for one in repeated(group["params"])]
    plain = small(model)
    decayed = [
        name[id(one)] for group, one in held(optimizer) if group.get("weight_decay") and id(one) in plain and id(one) in name
    ]
    trained = [one for one in names.values() if one.requires_grad]
    half = [text for text, one in names.items() if id(one) in has and one.dtype is torch.float16]
    decay = max((float(group.get("weight_decay") or 0) for group in optimizer.param_groups), default=0.0)
    rate = max((float(group.get("lr") or 0) for group in optimizer.param_groups), default=0.0)
    epsilon = optimizer.param_groups[0].get("eps") if optimizer.param_groups else None
    return Update(
        type(optimizer).__name__,
        missing=tuple(missing),
        frozen=tuple(name[number] for number, one in has.items() if number in name and not one.requires_grad),
        foreign=len(foreign),
        replaced=sum(tuple(one.shape) in shapes for one in missing.values()),
        repeated=tuple(twice),
        decayed=tuple(dict.fromkeys(decayed)),
        decay=decay,
        rate=rate,
        epsilon=float(epsilon) if isinstance(epsilon, float | int) else None,
        half=tuple(half),
        precision=str(trained[0].dtype).removeprefix("torch.") if trained else "float32",
        parameters=len(trained),
    )


def repeated(parameters: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The tensors of a list that stood in it before."""
    seen: set[int] = set()
    return [one for one in parameters if id(one) in seen or seen.add(id(one))]  # type: ignore[func-returns-value]


def small(model: nn.Module) -> set[int]:
    """The ids of what is usually not decayed: weights of normalizations and embeddings, biases."""
    found = {id(one) for text, one in model.named_parameters() if text.rpartition(".")[2] == "bias"}
    for module in model.modules():
        if isinstance(module, UNDECAYED):
            found |= {id(one) for one in module.parameters(recurse=False)}
    return found


def updated(
    facts: Update,
    ran: Run,
    holder: nn.Module,
    optimizer: torch.optim.Optimizer,
    again: Callable[[], torch.Tensor | None],
    seed: int,
) -> Update:
    """The same, with what one step along the gradient does to the copies: how much changes, and the loss of the same batch."""
    loss = ran.loss
    trained = [one for _, one in held(optimizer) if one.requires_grad]
    if isinstance(optimizer, torch.optim.LBFGS):  # it steps with a closure
        return facts
    if loss is None or not loss.requires_grad or loss.numel() != 1 or not trained or not bool(loss.isfinite()):
        return facts
    mine = {id(one) for one in holder.parameters()}
    trained = [one for one in trained if id(one) in mine]
    gradients = torch.autograd.grad(loss, trained, allow_unused=True) if trained else ()
    pairs = [(one, gradient) for one, gradient in zip(trained, gradients, strict=True) if gradient is not None]
    if not pairs:
        return facts
    before = [one.detach().clone() for one, _ in pairs]
    optimizer.zero_grad(set_to_none=True)
    for one, gradient in pairs:
        one.grad = gradient
    silenced(optimizer)
    type(optimizer).step(optimizer)
    changed = total = 0
    moves = [one.detach() - old for (one, _), old in zip(pairs, before, strict=True)]
    far = math.hypot(*(float(torch.linalg.vector_norm(move.double())) for move in moves))
    own = math.hypot(*(float(torch.linalg.vector_norm(old.double())) for old in before))
    for (one, gradient), old in zip(pairs, before, strict=True):
        moving = gradient.to_dense() != 0 if gradient.is_sparse else gradient != 0
        total += int(moving.sum())
        changed += int(((one.detach() != old) & moving).sum())
    with torch.no_grad(), seeded(seed):
        after = again()
    value = None if after is None else float(after)
    share = changed / total if total else None
    return replace(facts, before=float(loss.detach()), after=value, changed=share, moved=far / own if own else None)


def silenced(optimizer: torch.optim.Optimizer) -> None:
    """Have a copy of an optimizer call nothing of the user's: its hooks, and what a scheduler has put around its step."""
    for name, value in list(vars(optimizer).items()):
        if name.startswith("_optimizer_") and name.endswith("_hooks") and hasattr(value, "clear"):
            value.clear()
    vars(optimizer).pop("step", None)
