"""What one training step holds at each moment: forward and backward run on fake tensors, and every piece of memory is followed.

    step_moments(model, args, kwargs, autocast=True, checkpointed=blocks) -> Moments

Nothing is computed or allocated. What is followed are the tensors that operations return, until their memory is freed, as
`torch.distributed._tools.mem_tracker.MemTracker` does it, with which this agrees (a test holds it to that); it keeps the whole
course of a step and not its highest moment alone, so that other batches, depths and numbers of devices can be told from it.
Mixed precision and checkpointing are PyTorch's own: `torch.autocast` and `torch.utils.checkpoint`.
"""

from __future__ import annotations

import weakref
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from netcheck.load.held import substituted
from netcheck.load.untouched import silent
from netcheck.measure.blocks import Block, Stack
from netcheck.torch_versions import DispatchMode, address, uncompiled, without_onednn
from netcheck.trace import structure
from netcheck.trace.attempts import device_of, set_mode
from netcheck.trace.fakes import Fakes

# Backward?, the block, how many moments it has had, and between blocks the one that ran before (else -1).
Place = tuple[bool, int | None, int, int]
MOST_MOMENTS = 250_000  # of a step that is followed: a recurrent layer over thousands of positions has more, and takes minutes


class Moment(NamedTuple):
    """What is held after one operation, in bytes; parameters, buffers and optimizer state are not in it.

    Attributes:
        held: inputs, activations, and gradients of activations.
        done: gradients of parameters whose block is through with backward.
        here: those of the block that runs.
        others: those of parameters that are in no block.
        path: of the module that runs.
    """

    held: float
    done: float
    here: float
    others: float
    path: str


Moments = dict[Place, Moment]  # the course of one step, in order


class TooLongError(Exception):
    """A step has more operations than are worth following."""


class Follower(DispatchMode):
    """Follows the memory of every tensor that an operation returns."""

    def __init__(self, blocks: Mapping[int, int]) -> None:
        """Make one; `blocks` gives the number of the block of each parameter, by its id."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.moments: Moments = {}
        self.backward = False
        self.block: int | None = None
        self.before = -1  # the block that ran last
        self.path = ""
        self.held = 0
        self.gradients: Counter[int | None] = Counter()
        self._blocks = blocks
        self._known: dict[int, tuple[Any, int]] = {}
        self._of_gradients: set[int] = set()
        self._counts: Counter[tuple[bool, int | None, int]] = Counter()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing here is compiled

    def know(self, tensor: torch.Tensor, *, counts: bool) -> None:
        """Expect this tensor, which was there before; `counts` says whether it is part of what is held."""
        nbytes = tensor.untyped_storage().nbytes() if counts else 0
        if address(tensor) not in self._known:
            self._known[address(tensor)] = (tensor, nbytes)
            self.held += nbytes

    def enter(self, block: int | None, path: str) -> None:
        """A module begins to run, forward or backward."""
        if block is not None and block != self.block:
            self.before = block
        self.block, self.path = block, path

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(each, torch.Tensor):
                self._follow(each)
        self.note()
        return result

    def _follow(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = int(storage._cdata)
        if key not in self._known:
            nbytes = storage.nbytes()
            self.held += nbytes
            self._known[key] = (weakref.ref(storage, lambda _: self._freed(key)), nbytes)

    def _freed(self, key: int) -> None:
        _, nbytes = self._known.pop(key)
        if key not in self._of_gradients:
            self.held -= nbytes

    def accumulated(self, parameter: torch.Tensor) -> None:
        """A parameter has got its gradient: what held it until now is a gradient from now on."""
        gradient = parameter.grad
        if gradient is None or address(gradient) in self._of_gradients or address(gradient) not in self._known:
            return
        nbytes = self._known[address(gradient)][1]
        self._of_gradients.add(address(gradient))
        self.held -= nbytes
        self.gradients[self._blocks.get(id(parameter))] += nbytes
        self.note()

    def note(self) -> None:
        """Write down what is held now."""
        others = self.gradients[None]
        here = self.gradients[self.block] if self.block is not None else 0
        done = sum(self.gradients.values()) - others - here
        where = (self.backward, self.block, self.before if self.block is None else -1)
        place = (*where[:2], self._counts[where], where[2])
        self._counts[where] += 1
        self.moments[place] = Moment(self.held, done, here, others, self.path)
        if len(self.moments) > MOST_MOMENTS:
            raise TooLongError


def step_moments(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    blocks: Sequence[Block],
    *,
    autocast: bool = False,
    checkpointed: bool = False,
    stack: Stack | None = None,
    depth: int = 0,
    trains: bool = True,
) -> Moments:
    """The course of one forward and backward; the loss has a gradient of the output's size, and nothing else.

    Args:
        model: any model; it is as before afterwards.
        args: positional arguments of forward; only shapes and dtypes matter.
        kwargs: its keyword arguments.
        blocks: the blocks of the model: those that are checkpointed, and by which gradients are told apart.
        autocast: whether forward runs under `torch.autocast` to bfloat16.
        checkpointed: whether the blocks are run by `torch.utils.checkpoint`.
        stack: blocks in a row that are alike.
        depth: how many of them to run; 0: all.
        trains: whether there are gradients; else it is forward alone, in eval mode.

    Raises:
        Exception: whatever forward or backward raise on fake tensors.
    """
    fakes = Fakes()
    device = device_of(model)
    # Outside of the mode, in which torch 2.9 makes no fakes of its own.
    given = structure.rebuild((tuple(args), dict(kwargs)), lambda tensor: fakes.make(tensor.detach(), device))
    with (
        silent(),
        without_onednn(),
        shortened(stack, depth),
        substituted(model, fakes.make),
        fakes.mode,
        torch.set_grad_enabled(trains),
        set_mode(model, None if trains else False),
    ):
        kept = [block for block in blocks if stack is None or not depth or block.number not in stack.beyond(depth)]
        follower = Follower({id(p): block.number for block in kept for p in block.module.parameters()})
        for tensor in (*model.parameters(), *model.buffers()):
            follower.know(tensor, counts=False)
        for _, tensor in structure.tensors(given):
            follower.know(tensor, counts=True)
        with listening(model, kept, follower), checkpointing(kept if checkpointed else ()), follower:
            place = device.type if device is not None else "cpu"
            with torch.autocast(place, torch.bfloat16, enabled=autocast):
                result = uncompiled(model)(*given[0], **given[1])
            if trains:
                backward(result, follower)
            follower.enter(None, "")
            follower.note()  # what is left when the gradients of the outputs are gone
        return follower.moments


def backward(result: Any, follower: Follower) -> None:
    """Backward from every output that has a gradient."""
    follower.backward = True
    outputs = [tensor for _, tensor in structure.tensors(result) if tensor.grad_fn is not None]
    if outputs:
        torch.autograd.backward(outputs, [torch.empty_like(tensor) for tensor in outputs])


@contextmanager
def shortened(stack: Stack | None, depth: int) -> Iterator[None]:
    """Within this context a stack of blocks has its first `depth` ones alone; 0: all."""
    if stack is None or not depth:
        yield
        return
    modules = stack.container._modules
    everything = OrderedDict(modules)
    for name in list(modules)[depth:]:
        del modules[name]
    try:
        yield
    finally:
        modules.clear()
        modules.update(everything)


@contextmanager
def checkpointing(blocks: Sequence[Block]) -> Iterator[None]:
    """Within this context the blocks keep their inputs alone, and run again in backward."""
    done = []
    for block in blocks:
        if "forward" not in vars(block.module):
            again = partial(checkpoint, block.module.forward, use_reentrant=False, preserve_rng_state=False)
            block.module.forward = partial(again, determinism_check="none")
            done.append(block.module)
    try:
        yield
    finally:
        for module in done:
            vars(module).pop("forward", None)


@contextmanager
def listening(model: nn.Module, blocks: Sequence[Block], follower: Follower) -> Iterator[None]:
    """Within this context the follower is told which module runs, and when a parameter gets its gradient."""
    numbers = {block.path: block.number for block in blocks}
    handles: list[Any] = []
    for path, module in model.named_modules():
        if not isinstance(module, torch.jit.ScriptModule) and path:
            block = inside(path, numbers)
            handles += [*hooked(module, block, path, follower)]
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.is_leaf:
            handles.append(parameter.register_post_accumulate_grad_hook(follower.accumulated))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def inside(path: str, numbers: Mapping[str, int]) -> int | None:
    """The number of the block that a module is, or is part of."""
    while path:
        if path in numbers:
            return numbers[path]
        path = path.rpartition(".")[0]
    return None


def hooked(module: nn.Module, block: int | None, path: str, follower: Follower) -> Iterator[Any]:
    """Handles of hooks that say when a module runs forward, and when the gradient of its result has come."""
    left: list[tuple[int | None, str]] = []
    begins: Callable[[torch.Tensor], None] = lambda gradient: follower.enter(block, path)  # noqa: E731

    def before(module: nn.Module, args: Any) -> None:
        left.append((follower.block, follower.path))
        follower.enter(block, path)

    def after(module: nn.Module, args: Any, result: Any) -> None:
        follower.enter(*left.pop())
        for _, tensor in structure.tensors(result):
            if tensor.requires_grad and not tensor.is_leaf:
                tensor.register_hook(begins)

    yield module.register_forward_pre_hook(before)
    yield module.register_forward_hook(after)
