"""The probe: run the model forward and backward for real, and measure what happens to a gradient on its way.

    probe(graph, args, kwargs) -> Gradients
      +-- plan.plans           devices, precisions and batch sizes to try, best first
      +-- one_pass             K times: fresh inputs, fresh cotangent, and a fresh model where a factory is known
            +-- substituted        copies of parameters and buffers in the place of the model's own
            +-- Recorder + Watch   forward; samples of every value
            +-- vector_jacobian    backward from the head's input; samples of every gradient
            +-- Readout            all numbers of the pass cross from the device at once
      +-- summary.summarized   medians and spreads over the passes

The cotangent v is put in at the head's input: nets that start their head at zero have no gradient at the loss, and train.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from netcheck.errors import NetcheckError, ProbeError
from netcheck.load.randomness import seed_all
from netcheck.measure import plan as planning
from netcheck.measure.inputs import Example
from netcheck.measure.plan import Plan
from netcheck.measure.readout import Readout
from netcheck.measure.sampling import moments, norms
from netcheck.measure.watch import FiniteWatch, Listener, Watch, Wires
from netcheck.trace import structure
from netcheck.trace.guard import Census, substituted
from netcheck.trace.record import Recorder, Unannounced
from netcheck.trace.run import argument_names, run_recorded

if TYPE_CHECKING:
    from netcheck.measure.measurement import Gradients
    from netcheck.trace.graph import ModelGraph

STEP = 1e-3  # of each parameter's norm: the step along the gradient after which it is measured again
Rebuild = Callable[[int], nn.Module]  # from a seed


def probe(
    graph: ModelGraph,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    device: str = "auto",
    passes: int = planning.PASSES,
    seed: int = 0,
    rebuild: Rebuild | None = None,
) -> Gradients:
    """Measure the gradients of a traced model, in its present mode.

    Args:
        graph: the model, traced on these arguments.
        args: positional arguments of forward.
        kwargs: keyword arguments of forward.
        device: "auto" (cuda, then mps, then cpu) or the name of a device.
        passes: how many to make; fewer on a CPU that they would keep busy for long.
        seed: of the first pass; the k-th uses seed + k.
        rebuild: builds the same model from a seed, with a fresh initialization.

    Returns:
        The measurements. The model, its gradients and all random number generators are bit for bit as before.

    Raises:
        ProbeError: no way to run the model worked, it is too large, or there is no such device.
    """
    from netcheck.measure.summary import summarized

    example = Example.of(graph, tuple(args), dict(kwargs or {}))
    failure: NetcheckError | None = None
    for plan in planning.plans(graph, example, device, passes):
        attempt: Plan | None = plan
        while attempt is not None:
            experiment = Experiment(graph, Wires.of(graph), example, attempt, seed, rebuild)
            try:
                return summarized(graph, *experiment.run())
            except NetcheckError as error:
                failure = failure or error
                attempt = attempt.halved() if is_out_of_memory(error) else None
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                failure = failure or ProbeError(str(error).splitlines()[0])
                attempt = attempt.halved()
    assert failure is not None  # there is always a plan
    raise ProbeError(
        f"the real pass failed: {failure}",
        help=failure.help,
        location=failure.location,
        module=failure.module,
    ) from failure


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception, or its cause, says that the device's memory is used up."""
    cause = error.__cause__ or error
    return isinstance(cause, torch.OutOfMemoryError | MemoryError) or (
        isinstance(cause, RuntimeError)
        and ("out of memory" in str(cause) or "can't allocate memory" in str(cause))
    )


@dataclass
class Pass:
    """The numbers of one pass.

    Attributes:
        gain: decades; minus infinity if nothing arrived, NaN if what arrived is not finite.
        mean, rms, dead, saturated, gradient_rms, gradient_norm: by node name.
        parameters: (gradient rms, |g| / |w|) by parameter name, of those on the way to the head's input.
        gram: products of the centred samples of the head's input, row by row.
        mean_square: of the head's input, summed over samples and units.
        unreached: parameters that forward used and no gradient can reach.
        unpredictability: 1 - cosine with the gradient a step further; None if not measured.
    """

    gain: float
    mean: dict[str, float]
    rms: dict[str, float]
    dead: dict[str, float]
    saturated: dict[str, float]
    gradient_rms: dict[str, float]
    gradient_norm: dict[str, float]
    parameters: dict[str, tuple[float, float]]
    gram: list[list[float]]
    mean_square: float
    features: int
    unreached: tuple[str, ...]
    unpredictability: float | None

    @property
    def finite(self) -> bool:
        """Whether no NaN and no infinity got as far as the head's input, or back to the first activations."""
        return not math.isnan(self.gain) and self.gain != math.inf and math.isfinite(self.mean_square)


@dataclass
class Outcome:
    """What a backward pass gave, still on the device."""

    end: torch.Tensor
    starts: list[torch.Tensor]
    cotangent: torch.Tensor
    parameters: dict[str, tuple[torch.Tensor, torch.Tensor]]  # by name: (value, gradient)
    unreached: tuple[str, ...]


@dataclass(frozen=True)
class Experiment:
    """One plan, carried out: all passes under the same conditions."""

    graph: ModelGraph
    wires: Wires
    example: Example
    plan: Plan
    seed: int
    rebuild: Rebuild | None
    fresh: bool = True
    by_name: dict[str, Any] = field(default_factory=dict)

    def run(self) -> tuple[Experiment, list[Pass], tuple[str, str]]:
        """(the conditions, the passes, (the operation that first made a NaN or infinity, "forward" or "backward"))."""
        self.by_name.update({node.name: node for node in self.graph})
        passes = [self.one_pass(self.model(number), number) for number in range(self.plan.passes)]
        if all(one.finite for one in passes):
            return self, passes, ("", "")
        if self.fresh:  # a Gaussian may be outside what the model is made for
            experiment, given, place = replace(self, fresh=False).run()
            return (
                (experiment, given, place) if not place[0] else (self, passes, self.first_nonfinite(passes))
            )
        return self, passes, self.first_nonfinite(passes)

    def model(self, number: int) -> nn.Module:
        """The model for a pass: the traced one first, then fresh ones if they can be built and are of the same class."""
        if number == 0 or self.rebuild is None:
            return self.graph.model
        built = self.rebuild((self.seed + number) % 2**32)
        if type(built) is not type(self.graph.model):
            return self.graph.model
        return built.train() if self.graph.model.training else built

    def one_pass(self, model: nn.Module, number: int) -> Pass:
        """Run forward and backward once, and read what was measured."""
        watch = Watch(self.wires, self.by_name)
        with closing_watch(watch), self.prepared(model) as (census, twins):
            outcome = self.forward_backward(model, census, twins, watch, number)
            readout = Readout()
            self.take(readout, watch, outcome)
            turned = number == 0 and self.plan.affordable
            if turned:
                self.step_and_compare(readout, model, census, twins, outcome)
            return self.understood(readout.read(), watch, outcome, turned)

    @contextmanager
    def prepared(self, model: nn.Module) -> Iterator[tuple[Census, dict[int, torch.Tensor]]]:
        """The model on copies of its tensors; yields those by the id of the model's own."""
        twins: dict[int, torch.Tensor] = {}
        plan = self.plan

        def convert(tensor: torch.Tensor) -> torch.Tensor:
            twin = tensor.detach().to(
                plan.device, plan.dtype if tensor.is_floating_point() else tensor.dtype, copy=True
            )
            if isinstance(tensor, nn.Parameter):
                twin = nn.Parameter(twin, requires_grad=tensor.requires_grad)
            twins[id(tensor)] = twin
            return twin

        if plan.device.type == "cuda":
            torch.cuda.init()  # so that the state of its generator is saved, and restored
        with default_dtype(plan.dtype), substituted(model, convert) as census:
            yield census, twins

    def forward_backward(
        self,
        model: nn.Module,
        census: Census,
        twins: Mapping[int, torch.Tensor],
        listener: Listener,
        number: int,
    ) -> Outcome:
        """Run the model under a recorder, and pull a cotangent back from the head's input.

        Raises:
            TraceError: forward raised.
            ProbeError: it went another way than when it was traced, or cannot be differentiated.
        """
        seed = (self.seed + number) % 2**32
        generator = torch.Generator().manual_seed(seed)
        leaves, (args, kwargs) = self.inputs(generator)
        recorder = Recorder(census, listener=listener)
        seed_all(seed)
        modes = (Unannounced(recorder),) if hears_all(self.graph) else ()
        result = run_recorded(model, recorder, args, kwargs, modes=modes)
        watched = listener if isinstance(listener, Watch) else None
        end = self.end_of(watched, model, args, kwargs) if watched is not None else None
        if end is None:
            end = next((tensor for _, tensor in structure.tensors(result) if tensor.requires_grad), None)
        trained = trained_parameters(census, twins)
        unreached = unreached_parameters(recorder, result, trained)
        starts = (
            [*leaves, *(watched.kept[name] for name in self.wires.starts if name in watched.kept)]
            if watched
            else leaves
        )
        return pulled_back(
            end,
            [start for start in starts if start.requires_grad],
            trained,
            generator,
            self.scale(),
            unreached,
        )

    def inputs(self, generator: torch.Generator) -> tuple[list[torch.Tensor], tuple[Any, Any]]:
        """(the floating leaves, (args, kwargs) made of copies of them: forward may write to its inputs)."""
        names = tuple(
            name for name, _ in argument_names(self.graph.model, self.example.args, self.example.kwargs)
        )
        samples = self.plan.samples
        values = self.example.fresh(names, samples, generator) if self.fresh else self.example.given(None)
        leaves: list[torch.Tensor] = []

        def placed(tensor: torch.Tensor) -> torch.Tensor:
            if not tensor.is_floating_point():
                return tensor.to(self.plan.device)
            leaves.append(tensor.to(self.plan.device, self.plan.dtype).requires_grad_(True))
            return leaves[-1].clone()

        with torch.enable_grad():
            return leaves, structure.rebuild(values, placed)

    def end_of(self, watch: Watch, model: nn.Module, args: Any, kwargs: Any) -> torch.Tensor | None:
        """The head's input as this run made it; None where the graph has no head.

        Raises:
            ProbeError: this run did not pass there.
        """
        end = self.wires.end
        if end is None:
            return None
        if end.op == "placeholder":
            value = dict(argument_names(model, args, kwargs)).get(end.target)
            return next((tensor for _, tensor in structure.tensors(value)), None)
        if end.name not in watch.kept:
            raise ProbeError(
                "forward took another way than when it was traced",
                help="give inputs that take the way that you want measured",
            )
        return watch.kept[end.name]

    def scale(self) -> float:
        """The norm of the cotangent: 1, or in float32 what keeps the gradient in range at both ends."""
        if self.plan.dtype is torch.float64:
            return 1.0
        return float(10.0 ** max(-12.0, min(12.0, -self.graph.diagnosis.gain / 2)))

    def take(self, readout: Readout, watch: Watch, outcome: Outcome) -> None:
        """Everything that a pass measures, as tensors on the device."""
        scale = self.scale()
        readout.add("cotangent", norms([outcome.cotangent]))
        readout.add("starts", norms(outcome.starts))
        readout.add("values", *moments(list(watch.values.values())))
        readout.add("gradients", moments(list(watch.gradients.values()))[1] / scale)
        readout.add("dead", *watch.dead.values())
        readout.add(
            "saturated", *(saturated(watch.values[name], *limits) for name, limits in self.limits(watch))
        )
        values, gradients = zip(*outcome.parameters.values(), strict=True) if outcome.parameters else ((), ())
        readout.add("parameter", norms(values))
        readout.add("parameter gradient", norms(gradients) / scale)
        samples = outcome.end.detach()
        readout.add(
            "mean square",
            samples.double().square().sum() if samples.device.type != "mps" else samples.square().sum(),
        )
        if self.has_samples(outcome.end):
            rows = samples.flatten(1)
            centred = rows - rows.mean(0)
            readout.add("gram", centred @ centred.T)

    def limits(self, watch: Watch) -> list[tuple[str, tuple[float, float]]]:
        """The saturating activations that this run met."""
        return [(name, limits) for name, limits in self.wires.limits.items() if name in watch.values]

    def has_samples(self, end: torch.Tensor) -> bool:
        """Whether the first dimension of the head's input is that of the samples, and there are enough to compare."""
        samples = self.plan.samples or self.example.samples
        return samples is not None and samples > 1 and end.dim() > 1 and end.shape[0] == samples

    def step_and_compare(
        self,
        readout: Readout,
        model: nn.Module,
        census: Census,
        twins: Mapping[int, torch.Tensor],
        outcome: Outcome,
    ) -> None:
        """How much the gradient turns when every parameter takes a small step along it."""
        gradients = {name: gradient for name, (_, gradient) in outcome.parameters.items()}
        with torch.no_grad():
            for value, gradient in outcome.parameters.values():
                length = torch.linalg.vector_norm(gradient)
                value.add_(
                    gradient
                    * (
                        STEP
                        * torch.linalg.vector_norm(value)
                        / length.clamp_min(torch.finfo(value.dtype).tiny)
                    )
                )
        after = self.forward_backward(
            model, census, twins, Watch(replace(self.wires, nodes={}), self.by_name), 0
        )
        shared = [name for name in gradients if name in after.parameters]
        pairs = [(gradients[name], after.parameters[name][1]) for name in shared]
        zero = torch.zeros((), device=self.plan.device, dtype=self.plan.dtype)
        readout.add("product", sum(((a * b).sum() for a, b in pairs), zero))
        readout.add("before", sum((a.square().sum() for a, _ in pairs), zero))
        readout.add("after", sum((b.square().sum() for _, b in pairs), zero))

    def understood(
        self, numbers: Mapping[str, list[float]], watch: Watch, outcome: Outcome, turned: bool
    ) -> Pass:
        """The numbers of a pass, each under its name."""
        mean_and_rms = numbers["values"]
        count = len(watch.values)
        gradient_rms = dict(zip(watch.gradients, numbers["gradients"], strict=True))
        parameters = {}
        for (name, (value, _)), size, gradient in zip(
            outcome.parameters.items(), numbers["parameter"], numbers["parameter gradient"], strict=True
        ):
            parameters[name] = (gradient / math.sqrt(max(1, value.numel())), gradient / size if size else 0.0)
        gram, side = numbers.get("gram", []), math.isqrt(len(numbers.get("gram", [])))
        arrived = max(numbers["starts"], default=0.0)
        return Pass(
            gain=decades(arrived, numbers["cotangent"][0]),
            mean=dict(zip(watch.values, mean_and_rms[:count], strict=True)),
            rms=dict(zip(watch.values, mean_and_rms[count:], strict=True)),
            dead=dict(zip(watch.dead, numbers["dead"], strict=True)),
            saturated=dict(zip((name for name, _ in self.limits(watch)), numbers["saturated"], strict=True)),
            gradient_rms=gradient_rms,
            gradient_norm={name: rms * math.sqrt(watch.sizes[name]) for name, rms in gradient_rms.items()},
            parameters=parameters,
            gram=[gram[row * side : (row + 1) * side] for row in range(side)],
            mean_square=numbers["mean square"][0],
            features=outcome.end[0].numel() if outcome.end.dim() else 1,
            unreached=outcome.unreached,
            unpredictability=turning(numbers) if turned else None,
        )

    def first_nonfinite(self, passes: Sequence[Pass]) -> tuple[str, str]:
        """Look at every number of the first pass that went wrong."""
        number = next(number for number, one in enumerate(passes) if not one.finite)
        watch = FiniteWatch(self.by_name)
        model = self.model(number)
        with self.prepared(model) as (census, twins):
            self.forward_backward(model, census, twins, watch, number)
        if watch.forward is not None:
            return watch.forward.name, "forward"
        return (watch.backward.name if watch.backward is not None else "output"), "backward"


def pulled_back(
    end: torch.Tensor | None,
    starts: list[torch.Tensor],
    trained: Mapping[str, torch.Tensor],
    generator: torch.Generator,
    scale: float,
    unreached: tuple[str, ...],
) -> Outcome:
    """J^T v for a Gaussian v of norm `scale` at `end`, at the starts and at the parameters.

    Raises:
        ProbeError: the result holds no tensor that a gradient could start from.
    """
    if end is None:
        raise ProbeError("the result of forward does not depend on anything that a gradient could reach")
    cotangent = torch.randn(end.shape, generator=generator, dtype=torch.float64)
    cotangent = (cotangent * (scale / cotangent.norm())).to(end.device, end.dtype)
    if not end.requires_grad:
        return Outcome(end, [], cotangent, {}, unreached)
    wanted = [*starts, *trained.values()]
    found = torch.autograd.grad(end, wanted, cotangent, allow_unused=True) if wanted else ()
    at_starts = [gradient for gradient in found[: len(starts)] if gradient is not None]
    parameters = {
        name: (value.detach(), gradient)
        for (name, value), gradient in zip(trained.items(), found[len(starts) :], strict=True)
        if gradient is not None
    }
    return Outcome(end, at_starts, cotangent, parameters, unreached)


def trained_parameters(census: Census, twins: Mapping[int, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The copies of the parameters that get gradients, by the name of the model's own."""
    names = {id(original): names[0] for original, names in census.tensors.values()}
    return {
        names[key]: twin
        for key, twin in twins.items()
        if isinstance(twin, nn.Parameter) and twin.requires_grad and key in names
    }


def unreached_parameters(
    recorder: Recorder, result: Any, trained: Mapping[str, torch.Tensor]
) -> tuple[str, ...]:
    """The trained parameters that forward used and that autograd does not lead to from the result."""
    used = {name for names in recorder.recording.names.values() for name in names}
    own = {id(value): name for name, value in trained.items()}
    for call in recorder.recording.calls.values():
        if call.module is not None:
            used |= {own[id(parameter)] for parameter in call.module.parameters() if id(parameter) in own}
    reached = reachable([tensor for _, tensor in structure.tensors(result) if tensor.requires_grad])
    return tuple(name for name, value in trained.items() if name in used and id(value) not in reached)


def reachable(tensors: Sequence[torch.Tensor]) -> set[int]:
    """The ids of the leaves that autograd leads to from some tensors."""
    pending = [tensor.grad_fn for tensor in tensors]
    seen, found = set(pending), {id(tensor) for tensor in tensors}
    while pending:
        function = pending.pop()
        if function is None:
            continue
        variable = getattr(function, "variable", None)
        if variable is not None:
            found.add(id(variable))
        new = [before for before, _ in function.next_functions if before is not None and before not in seen]
        seen.update(new)
        pending += new
    return found


def saturated(sample: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """The share of numbers outside ]low, high[."""
    return ((sample <= low) | (sample >= high)).to(torch.float32).mean()


def decades(arrived: float, sent: float) -> float:
    """log10 of a ratio of norms; minus infinity if nothing arrived."""
    if math.isnan(arrived) or math.isinf(arrived):
        return math.nan
    return math.log10(arrived / sent) if arrived > 0 else -math.inf


def turning(numbers: Mapping[str, list[float]]) -> float | None:
    """1 - cosine of the gradient before and after a step; None without a gradient."""
    lengths = numbers["before"][0] * numbers["after"][0]
    if not (math.isfinite(lengths) and lengths > 0):
        return None
    return 1.0 - max(-1.0, min(1.0, numbers["product"][0] / math.sqrt(lengths)))


def hears_all(graph: ModelGraph) -> bool:
    """Whether the graph has operations that only the dispatcher announces."""
    return any(isinstance(node.fx.target, torch._ops.OpOverload) for node in graph)


@contextmanager
def closing_watch(watch: Watch) -> Iterator[None]:
    """Release a watch's hooks and tensors, whatever happens."""
    try:
        yield
    finally:
        watch.release()


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """What `torch.zeros(3)` inside forward makes."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
