"""One pass: a model run forward and backward once on tensors of the probe's own, and the numbers of that.

Stage(graph, wires, example, plan, seed)      what all passes share
  +-- set_up                     copies of parameters and buffers in the place of the model's own, where that matters
  +-- forward                    under a Follower, or recorded where that is not enough
  +-- backward                   J^T v for a Gaussian v at the head's input
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from netcheck.errors import AnotherWay, ProbeError
from netcheck.load.held import Census, swapped, take_census
from netcheck.load.randomness import seed_all
from netcheck.load.untouched import default_dtype, untouched
from netcheck.measure.backward import dense, floating, gradients_of, has_no_nan, is_finite, loss_gradients, reachable
from netcheck.measure.follow import Calls, FlagsOfLeavesOnly, Follower, expected_calls
from netcheck.measure.inputs import Example
from netcheck.measure.plan import Plan, is_out_of_memory
from netcheck.measure.precision import converted, narrowest, own_precisions
from netcheck.measure.watch import Listener, Watch, Wires, parameter_names
from netcheck.torch_versions import OpOverload
from netcheck.trace import structure
from netcheck.trace.attempts import argument_names, run_recorded
from netcheck.trace.record import Recorder, Unannounced
from netcheck.trace.run import SEED

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

Alter = Callable[[tuple[Any, ...], Any], Any]  # (an operation's arguments, its result) -> what it gives instead


@dataclass
class Alteration:
    """How a run differs from the model's own: parameters by name, and what some operations give instead."""

    moved: dict[str, torch.Tensor] = field(default_factory=dict)
    operations: dict[Node, Alter] = field(default_factory=dict)


@dataclass
class Twins:
    """A model's tensors during a pass: its parameters, by name, as they take part in it."""

    census: Census
    trained: dict[str, torch.Tensor]
    names: Mapping[str, Sequence[str]]  # by the first name of a trained parameter: all its names


@dataclass
class Outcome:
    """What a backward pass gave, still on the device."""

    end: torch.Tensor
    starts: list[torch.Tensor]
    leaves: list[torch.Tensor | None]  # at each input of numbers, of which a start has one too
    cotangent: torch.Tensor
    parameters: dict[str, tuple[torch.Tensor, torch.Tensor]]  # by name: (value, gradient)
    unreached: tuple[str, ...]
    # On the first pass: truth values that say whether results and gradients are finite; the gradients of a loss behind the head.
    results: Sequence[torch.Tensor] = ()
    behind: Mapping[str, torch.Tensor] = field(default_factory=dict)
    trained: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """The conditions of a pass.

    Attributes:
        fresh: whether inputs are drawn where the plan does not say otherwise; False: those of the example are used as they are.
        alteration: what is otherwise than in the model.
        draw: what draws floating inputs: (shape, generator=, dtype=) -> tensor.
    """

    graph: ModelGraph
    wires: Wires
    example: Example
    plan: Plan
    seed: int
    fresh: bool = True
    alteration: Alteration | None = None
    draw: Callable[..., torch.Tensor] = torch.randn

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """The graph's nodes."""
        return {node.name: node for node in self.graph}

    @cached_property
    def census(self) -> Census:
        """What the traced model holds; every pass leaves that as it was."""
        return take_census(self.graph.model)

    @cached_property
    def on_its_own(self) -> bool:
        """Whether the model may run on its own parameters: in their precision, on their device, and it only reads them."""
        return leaves_its_parameters_alone(self.graph)

    @cached_property
    def used(self) -> set[str]:
        """The names of the parameters that forward uses."""
        return used_parameters(self.graph)

    @cached_property
    def calls(self) -> Calls:
        """What a follower must hear."""
        altered = self.alteration.operations if self.alteration is not None else ()
        return expected_calls(self.graph, {*self.wires.heard(), *altered})

    @cached_property
    def precisions(self) -> list[torch.dtype]:
        """The floating types in which parameters take part."""
        return own_precisions(self.graph.model) if self.plan.own_types else [self.plan.dtype]

    @property
    def drawn(self) -> bool:
        """Whether inputs are drawn."""
        return self.fresh and not self.plan.plain

    @property
    def scale(self) -> float:
        """The norm of the cotangent: 1, or in float32 what keeps the gradient in range at both ends."""
        narrow = narrowest(self.precisions)
        if narrow is torch.float64:
            return 1.0
        most = 3.0 if narrow is torch.float16 else 12.0  # decades: float16 spans twelve
        return float(10.0 ** max(-most, min(most, -self.graph.diagnosis.gain / 2)))

    @contextmanager
    def set_up(self, model: nn.Module, moved: Mapping[str, torch.Tensor] | None = None) -> Iterator[Twins]:
        """The model on tensors of the probe's own: in the plan's precision, on its device.

        Args:
            model: which model.
            moved: parameters to put in the place of some of the model's, by name.
        """
        moved = {**(self.alteration.moved if self.alteration else {}), **(moved or {})}
        plan, shared = self.plan, self.on_its_own
        own = {id(value): moved[name] for name, value in model.named_parameters() if name in moved} if moved else {}
        census = self.census if model is self.graph.model else take_census(model)

        def convert(tensor: torch.Tensor) -> torch.Tensor:
            if tensor.is_meta:  # kept for its shape alone
                return tensor
            dtype = tensor.dtype if plan.own_types else converted(tensor.dtype, plan.dtype)
            parameter = isinstance(tensor, nn.Parameter)
            twin = own.get(id(tensor), tensor).detach()
            twin = twin.to(plan.device, dtype, copy=not (parameter and shared))
            return nn.Parameter(twin, requires_grad=tensor.requires_grad) if parameter else twin

        if plan.device.type == "cuda":
            torch.cuda.init()  # so that the state of its generator is saved, and restored
        precision = nullcontext() if plan.own_types else default_dtype(plan.dtype)
        with untouched(), precision, swapped(census, convert) as held:
            trained: dict[str, torch.Tensor] = {}
            names: dict[str, Sequence[str]] = {}
            for twin in held.converted:
                known = held.tensors.get(id(twin))
                if known is not None and isinstance(twin, nn.Parameter) and twin.requires_grad and not twin.is_meta:
                    trained[known[1][0]], names[known[1][0]] = twin, known[1]
            yield Twins(held, trained, names)

    def run(self, model: nn.Module, twins: Twins, listener: Listener, number: int) -> Outcome:
        """Run the model forward, and pull a cotangent back from the head's input.

        Raises:
            TraceError: forward raised.
            AnotherWay: than when it was traced.
            ProbeError: it cannot be differentiated.
        """
        followed = self.follow(model, twins, listener, number) if isinstance(listener, Watch) else None
        if followed is None and self.alteration is not None:
            raise ProbeError("the altered run did not make the calls of the traced one")
        result, leaves, generator = followed or self.record(model, twins, listener, number)
        end = listener.end if isinstance(listener, Watch) else None
        if end is None and isinstance(listener, Watch) and self.wires.end is not None:
            raise AnotherWay(
                "forward took another way than when it was traced",
                help="give inputs that take the way that you want measured",
            )
        if end is None:
            end = next((tensor for _, tensor in structure.tensors(result) if tensor.requires_grad), None)
        if number != 0 or not isinstance(listener, Watch) or self.alteration is not None:
            own = listener.starts if isinstance(listener, Watch) else []
            return self.backward(end, result, leaves, own, twins, generator)
        listener.deaf = True
        at_end, behind = loss_gradients(result, end, twins.trained)
        listener.deaf = False
        outcome = self.backward(end, result, leaves, listener.starts, twins, generator)
        gradients = [*([] if at_end is None else [at_end]), *behind.values(), *(pair[1] for pair in outcome.parameters.values())]
        return replace(outcome, results=[*map(has_no_nan, floating(result)), *map(is_finite, gradients)], behind=behind)

    def follow(self, model: nn.Module, twins: Twins, watch: Watch, number: int) -> Ran | None:
        """Run the model while a follower listens; None if that did not hear all, or if forward raised."""
        if not self.wires.followable:
            return None
        leaves, args, kwargs, generator = self.inputs(number)
        alter = self.alteration.operations if self.alteration is not None else {}
        follower = Follower(self.calls, twins.census, watch.heard, alter)
        self.hand_over(watch, args, kwargs)
        try:
            with torch.enable_grad(), follower.running():
                result = follower.call_module(model, args, kwargs)
        except (Exception, SystemExit) as error:
            if is_out_of_memory(error):
                raise
        else:
            if follower.complete and not isinstance(result, Iterator):
                return result, leaves, generator
        watch.forget()
        return None

    def record(self, model: nn.Module, twins: Twins, listener: Listener, number: int) -> Ran:
        """Run the model while the recorder listens: slower, and it says which operation raised."""
        leaves, args, kwargs, generator = self.inputs(number)
        recorder = Recorder(twins.census, listener=listener)
        if isinstance(listener, Watch):
            self.hand_over(listener, args, kwargs)
        modes = (FlagsOfLeavesOnly(), *((Unannounced(recorder),) if hears_all(self.graph) else ()))
        return run_recorded(model, recorder, args, kwargs, modes=modes), leaves, generator

    def hand_over(self, watch: Watch, args: Any, kwargs: Any) -> None:
        """Give the watch the head's input, if that is an argument of forward."""
        end = self.wires.end
        if end is not None and end.op == "placeholder":
            value = dict(argument_names(self.graph.model, args, kwargs)).get(str(end.fx.target))
            watch.end = next((tensor for _, tensor in structure.tensors(value)), None)

    @property
    def samples(self) -> int | None:
        """How many a pass has; None if the inputs have no common first dimension."""
        drawn, given = self.plan.samples, self.example.samples
        if self.drawn or drawn is None or given is None:
            return given if drawn is None or given is None else drawn
        return min(drawn, given)

    def inputs(self, number: int) -> tuple[list[torch.Tensor], tuple[Any, ...], dict[str, Any], torch.Generator]:
        """(the floating leaves, args and kwargs made of copies of them: forward may write to its inputs, their generator)."""
        seed = (self.seed + number) % 2**32
        generator = torch.Generator().manual_seed(seed)
        names = tuple(name for name, _ in argument_names(self.graph.model, self.example.args, self.example.kwargs))
        if self.drawn:
            values = self.example.fresh(names, self.plan.samples, generator, own_types=self.plan.own_types, draw=self.draw)
        else:
            values = self.example.given(self.plan.samples, number)
        leaves: list[torch.Tensor] = []

        def placed(tensor: torch.Tensor) -> torch.Tensor:
            dtype = tensor.dtype if self.plan.own_types else converted(tensor.dtype, self.plan.dtype)
            leaf = tensor.detach().to(self.plan.device, dtype)
            if not (dtype.is_floating_point or dtype.is_complex):
                return leaf
            leaves.append(leaf.requires_grad_(tensor.requires_grad or not self.plan.plain))
            return leaf.clone()

        seed_all(SEED if self.plan.steady else seed)
        with torch.enable_grad():
            args, kwargs = structure.rebuild(values, placed)
        return leaves, tuple(args), kwargs, generator

    def backward(
        self,
        end: torch.Tensor | None,
        result: Any,
        leaves: Sequence[torch.Tensor],
        starts: Sequence[torch.Tensor],
        twins: Twins,
        generator: torch.Generator,
    ) -> Outcome:
        """J^T v for a Gaussian v of norm `scale` at `end`, at the inputs, at other starts and at the parameters.

        Raises:
            ProbeError: the result holds no tensor that a gradient could start from.
        """
        if end is None:
            raise ProbeError("the result of forward does not depend on anything that a gradient could reach")
        draw = torch.float64 if self.plan.dtype is torch.float64 else torch.float32
        cotangent = torch.randn(end.shape, generator=generator, dtype=converted(end.dtype, draw))
        cotangent = (cotangent * (self.scale / cotangent.norm())).to(end.device, end.dtype)
        before = reachable(result, end)
        trained = {name: twin for name, twin in twins.trained.items() if twin.requires_grad}  # forward may have frozen some
        inputs = [leaf for leaf in leaves if leaf.requires_grad]
        starts = [start for start in starts if start.requires_grad]
        wanted = [*inputs, *starts, *trained.values()]
        found: Sequence[torch.Tensor | None] = [None] * len(wanted)
        if end.requires_grad and wanted:
            found = gradients_of(end, wanted, cotangent)
        first = len(inputs) + len(starts)
        gradients = dict(zip(trained, map(dense, found[first:]), strict=True))
        arrived = [gradient for gradient in found[:first] if gradient is not None]
        return Outcome(
            end,
            [cotangent] if self.wires.head_learns_first and not end.requires_grad else arrived,
            [*found[: len(inputs)], *[None] * (len(leaves) - len(inputs))],
            cotangent,
            {name: (trained[name].detach(), g) for name, g in gradients.items() if g is not None},
            tuple(
                name
                for name, value in trained.items()
                if gradients[name] is None and id(value) not in before and self.used.intersection(twins.names[name])
            ),
            trained=tuple(twins.trained),
        )


Ran = tuple[Any, list[torch.Tensor], torch.Generator]  # forward's result, the leaves, the generator


def leaves_its_parameters_alone(graph: ModelGraph) -> bool:
    """Whether forward surely writes to no parameter, so that the probe may run on the model's own instead of copies.

    The trace shows every write but those inside of operations: custom functions, scripts, and embeddings that clip.
    """
    seen = not graph.recording.written and not graph.recording.exposed
    return seen and not any(writes_inside(node) for node in graph)


def writes_inside(node: Node) -> bool:
    """Whether an operation may write to what it is given without showing it."""
    if node.module is not None:
        return isinstance(node.module, torch.jit.ScriptModule) or getattr(node.module, "max_norm", None) is not None
    if not node.op.startswith("call_"):
        return False
    package = str(getattr(node.fx.target, "__module__", None) or "torch") if callable(node.fx.target) else "torch"
    known = package.partition(".")[0] in ("torch", "_operator", "builtins", "netcheck")
    return not known or (node.option("max_norm", 3) is not None and node.function == "embedding")


def used_parameters(graph: ModelGraph) -> set[str]:
    """The names of the parameters that forward uses."""
    return {name for node in graph for name in parameter_names(node)} | {
        name for names in graph.recording.names.values() for name in names
    }


def hears_all(graph: ModelGraph) -> bool:
    """Whether the graph has operations that only the dispatcher announces."""
    return any(isinstance(node.fx.target, OpOverload) for node in graph)


@contextmanager
def closing(watch: Watch) -> Iterator[None]:
    """Release a watch's hooks and tensors, whatever happens."""
    try:
        yield
    finally:
        watch.release()
