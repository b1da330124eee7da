"""The probe: run the model forward and backward for real, and measure what happens to a gradient on its way.

    probe(graph, args, kwargs) -> Gradients
      +-- plan.plans           devices, precisions and batch sizes to try, best first
      +-- Experiment.run       K passes: fresh inputs, fresh cotangent, and a fresh model where a factory is known
            +-- Stage.set_up         the model on tensors of the probe's own
            +-- Stage.run            forward, watched; backward from the head's input
            +-- Readout              all numbers of the pass cross from the device at once
      +-- summary.summarized   medians and spreads over the passes

The cotangent v is put in at the head's input: nets that start their head at zero have no gradient at the loss, and train.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from netcheck.errors import REPORT_IT, AnotherWay, BackwardError, Defect, NetcheckError, ProbeError
from netcheck.figures.decades import Decades
from netcheck.figures.gradients import Gradients, Pass
from netcheck.load.modes import set_training
from netcheck.load.raised import by_netcheck, describe, place_text
from netcheck.load.wrappers import unwrapped
from netcheck.measure import plan as planning
from netcheck.measure.collector import rarely_collected
from netcheck.measure.failing import explained
from netcheck.measure.influence import reaches_all
from netcheck.measure.inputs import Example, with_low_frequencies
from netcheck.measure.passes import Outcome, Stage, closing
from netcheck.measure.plan import Plan, is_out_of_memory
from netcheck.measure.precision import coarsest, part_of, real
from netcheck.measure.readout import Readout
from netcheck.measure.sampling import moments, norm, picked
from netcheck.measure.summary import effective_rank, share_of_variance, spectrum, summarized
from netcheck.measure.watch import FiniteWatch, Watch, Wires

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph

CHECK_BACKWARD = "run the model forward and backward by itself to see why"
# Where the head sees less of a difference than this between samples, or fewer directions, other inputs are tried.
ALIKE, FEW = 0.1, 0.25
STEP = 1e-3  # of each parameter's norm: the step along the gradient after which it is measured again
Rebuild = Callable[[int], nn.Module]  # from a seed


def probe(
    graph: ModelGraph,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    device: str = "auto",
    dtype: str = "auto",
    passes: int = planning.PASSES,
    seed: int = 0,
    rebuild: Rebuild | None = None,
    batches: Sequence[tuple[tuple[Any, ...], Mapping[str, Any]]] = (),
    guessed: bool = False,
) -> Gradients:
    """Measure the gradients of a traced model, in its present mode.

    Args:
        graph: the model, traced on these arguments.
        args: positional arguments of forward.
        kwargs: keyword arguments of forward.
        device: "auto" (cuda, then mps, then cpu) or the name of a device.
        dtype: "auto" (float64 where that is affordable, else float32) or the name of a precision.
        passes: how many to make; fewer on a CPU that they would keep busy for long.
        seed: of the first pass; the k-th uses seed + k.
        rebuild: builds the same model from a seed, with a fresh initialization.
        batches: (args, kwargs) of real data, one a pass; none: inputs are drawn.
        guessed: whether the arguments are a guess, so that a NaN counts only if inputs between 0 and 1 give one too.

    Returns:
        The measurements. The model, its gradients and all random number generators are bit for bit as before.

    Raises:
        ProbeError: no way to run the model worked, it is too large, or there is no such device.
    """
    example = Example.of(graph, tuple(args), dict(kwargs or {}), batches)
    wires = Wires.of(graph)
    first: Failure | None = None
    untrainable: tuple[Stage, BackwardError] | None = None
    for plan in planning.plans(graph, example, device, passes, dtype):
        attempt: Plan | None = plan
        own = wires.without_inputs(graph) if plan.plain else wires
        while attempt is not None:
            stage = Stage(graph, own, example, attempt, seed, fresh=not batches)
            found = tried(Experiment(stage, rebuild, guessed))
            if not isinstance(found, Failure):
                done, numbers, broken = found
                return summarized(graph, done.stage, numbers, broken, rebuilds=done.rebuild is not None)
            first = first or found
            if isinstance(found.error, BackwardError) and attempt.plain and attempt.own_types:  # as in training
                untrainable = stage, found.error
            attempt = attempt.halved() if found.out_of_memory else attempt.steadied() if found.elsewhere else None
            if found.out_of_memory or plan.device.type != "cpu":  # looking for what is left takes longer than a small net
                planning.release_memory(plan.device)
    assert first is not None  # there is always a plan
    raise first.error if untrainable is None else explained(*untrainable)


@dataclass(frozen=True)
class Failure:
    """Why a plan did not work. Its error has no traceback: that would keep alive what the next attempt needs the memory of."""

    error: ProbeError | Defect
    out_of_memory: bool = False
    elsewhere: bool = False  # forward went another way


def tried(experiment: Experiment) -> Ran | Failure:
    """What an experiment gives, or why it gives nothing."""
    try:
        with rarely_collected():
            return experiment.run()
    except BackwardError as error:
        return Failure(BackwardError(str(error), help=CHECK_BACKWARD))
    except NetcheckError as error:
        failed = ProbeError(f"the real pass failed: {error}", help=error.help, location=error.location, module=error.module)
        return Failure(failed, is_out_of_memory(error), isinstance(error, AnotherWay))
    except Exception as error:  # of what the user's model gives, or of netcheck: there may be another way
        short = is_out_of_memory(error)
        why = f"failed: {first_line(error)}" if short else f"raised {describe(error)} at {place_text(error)}"
        if by_netcheck(error) and not short:
            return Failure(Defect(f"the real pass {why}, which is no fault of the model", help=REPORT_IT))
        return Failure(ProbeError(f"the real pass {why}", help=CHECK_BACKWARD), short)


@dataclass(frozen=True)
class Experiment:
    """One plan, carried out: all passes under the same conditions. `guessed`: nobody says what the inputs are like."""

    stage: Stage
    rebuild: Rebuild | None = None
    guessed: bool = False

    def run(self) -> Ran:
        """(the conditions, the passes, (the operation that first made a NaN or infinity, "forward" or "backward"))."""
        passes = [self.one_pass(self.model(number), number) for number in range(self.stage.plan.passes)]
        if all(one.finite for one in passes):
            return self, self.told_apart(passes), ("", "")
        if self.stage.drawn and self.stage.draw is torch.randn:  # a Gaussian may be outside what the model is made for
            others = [replace(self.stage, fresh=False), *([replace(self.stage, draw=torch.rand)] if self.guessed else [])]
            for other in others:
                experiment, given, place = replace(self, stage=other).run()
                if not place[0]:
                    return experiment, given, place
        return self, passes, self.first_nonfinite(passes)

    def told_apart(self, passes: list[Pass]) -> list[Pass]:
        """The passes; where samples look alike, with what the head sees of inputs that are not white, if they differ more."""
        share = share_of_variance(spectrum(passes[0]), passes[0])
        rank = effective_rank(spectrum(passes[0]), passes[0])
        alike = (share is not None and share < ALIKE) or (rank is not None and rank < FEW)
        if not alike or not self.stage.drawn or self.stage.draw is not torch.randn:
            return passes
        one = replace(self, stage=replace(self.stage, draw=with_low_frequencies)).one_pass(self.model(0), 0)
        differing = share_of_variance(spectrum(one), one) if one.finite else None
        if differing is None or differing <= (share or 0.0):
            return passes
        return [replace(each, gram=one.gram, mean_square=one.mean_square) for each in passes]

    def model(self, number: int) -> nn.Module:
        """The model for a pass: the traced one first, then fresh ones if they can be built and are of the same class."""
        traced = self.stage.graph.model
        if number == 0 or self.rebuild is None:
            return traced
        built = unwrapped(self.rebuild((self.stage.seed + number) % 2**32))  # the traced one has no wrapper either
        if type(built) is not type(traced):
            return traced
        if traced.training:
            set_training(built, True)
        return built

    def one_pass(self, model: nn.Module, number: int) -> Pass:
        """Run forward and backward once, and read what was measured."""
        stage = self.stage
        watch = Watch(stage.wires, stage.by_name)
        with closing(watch), stage.set_up(model) as twins:
            outcome = stage.run(model, twins, watch, number)
            readout = Readout()
            self.take(readout, watch, outcome)
        turned = number == 0 and stage.plan.affordable and torch.finfo(coarsest(stage.precisions)).eps < STEP / 10
        if turned:
            self.step_and_compare(readout, model, outcome)
        return replace(self.understood(readout.read(), watch, outcome, turned), rebuilt=model is not stage.graph.model)

    def take(self, readout: Readout, watch: Watch, outcome: Outcome) -> None:
        """Everything that a pass measures, as tensors on the device."""
        readout.add("cotangent", norm(outcome.cotangent))
        readout.add("starts", *map(norm, outcome.starts))
        readout.add("values", *watch.values.values())
        readout.add("gradients", *watch.gradients.values())
        readout.add("largest", *watch.largest.values())
        for name, (value, gradient) in outcome.parameters.items():
            readout.add("parameters", picked(real(value)))
            # Most rows of a table get no gradient: samples would miss those that do.
            readout.add("parameter gradients", norm(gradient) if name in self.stage.wires.tables else picked(real(gradient)))
        samples = outcome.end.detach()
        readout.add("mean square", norm(samples).square())
        readout.add("results", *(true.to(torch.uint8) for true in outcome.results))
        readout.add("behind", *map(norm, outcome.behind.values()))
        readout.add("reached", *(reaches_all(gradient).to(torch.uint8) for gradient in outcome.leaves))
        if self.has_samples(outcome.end):
            rows = real(samples).flatten(1)
            rows = rows.to(torch.promote_types(rows.dtype, torch.float32))  # their products, not what the model makes of them
            centred = rows - rows.mean(0)
            readout.add("gram", centred @ centred.T)

    def has_samples(self, end: torch.Tensor) -> bool:
        """Whether the first dimension of the head's input is that of the samples, and there are enough to compare."""
        samples = self.stage.samples
        return samples is not None and samples > 1 and end.dim() > 1 and end.shape[0] == samples

    def step_and_compare(self, readout: Readout, model: nn.Module, outcome: Outcome) -> None:
        """How much the gradient turns when every parameter takes a small step along it."""
        stage, moved = self.stage, {}
        with torch.no_grad():
            for name, (value, gradient) in outcome.parameters.items():
                length = torch.linalg.vector_norm(gradient).clamp_min(torch.finfo(part_of(value.dtype)).tiny)
                moved[name] = value + gradient * (STEP * torch.linalg.vector_norm(value) / length)
        watch = Watch(replace(stage.wires, nodes={}), stage.by_name)
        with closing(watch), stage.set_up(model, moved) as twins:
            after = stage.run(model, twins, watch, 0)
        pairs = [
            (real(gradient), real(after.parameters[name][1]))
            for name, (_, gradient) in outcome.parameters.items()
            if name in after.parameters
        ]
        zero = torch.zeros((), device=stage.plan.device, dtype=stage.plan.dtype)
        readout.add("product", sum(((a * b).sum() for a, b in pairs), zero))
        readout.add("before", sum((a.square().sum() for a, _ in pairs), zero))
        readout.add("after", sum((b.square().sum() for _, b in pairs), zero))

    def understood(self, numbers: Mapping[str, list[torch.Tensor]], watch: Watch, outcome: Outcome, turned: bool) -> Pass:
        """The numbers of a pass, each under its name."""
        scale = self.stage.scale
        means, roots = moments(numbers.get("values", []))
        gradients = dict(zip(watch.gradients, (root / scale for root in moments(numbers.get("gradients", []))[1]), strict=True))
        values = dict(zip(watch.values, numbers.get("values", []), strict=True))
        side = outcome.end.shape[0] if "gram" in numbers else 0
        arrived = max(map(float, numbers.get("starts", [])), default=0.0)
        return Pass(
            gain=Decades.of(arrived, float(numbers["cotangent"][0])),
            mean=dict(zip(watch.values, means, strict=True)),
            rms=dict(zip(watch.values, roots, strict=True)),
            dead=dict(zip(watch.largest, map(dead, numbers.get("largest", [])), strict=True)),
            saturated={
                name: saturated(values[name], *limits) for name, limits in self.stage.wires.limits.items() if name in values
            },
            gradient_rms=gradients,
            gradient_norm={name: rms * math.sqrt(watch.sizes[name]) for name, rms in gradients.items()},
            parameters=self.parameters(numbers, outcome),
            gram=numbers["gram"][0].reshape(side, side).tolist() if side else [],
            mean_square=float(numbers["mean square"][0]),
            features=math.prod(outcome.end.shape[1:]),
            unreached=outcome.unreached,
            results_finite=all(map(bool, numbers.get("results", []))),
            all_learn=self.all_learn(numbers, outcome),
            unpredictability=turning(numbers) if turned else None,
        )

    def parameters(self, numbers: Mapping[str, list[torch.Tensor]], outcome: Outcome) -> dict[str, tuple[float, float]]:
        """(gradient rms, |g| / |w|) of each parameter."""
        sizes = moments(numbers.get("parameters", []))[1]
        roots = moments(numbers.get("parameter gradients", []))[1]
        found = {}
        for (name, (value, _)), size, root in zip(outcome.parameters.items(), sizes, roots, strict=True):
            exact = math.sqrt(max(1, value.numel())) if name in self.stage.wires.tables else 1.0
            rms = root / exact / self.stage.scale
            found[name] = (rms, rms / size if size else 0.0)
        return found

    def all_learn(self, numbers: Mapping[str, list[torch.Tensor]], outcome: Outcome) -> bool:
        """Whether some number of each trained parameter, and each channel, field and step of the inputs, has a gradient."""
        own = zip(outcome.parameters, numbers.get("parameter gradients", []), strict=True)
        behind = zip(outcome.behind, numbers.get("behind", []), strict=True)
        shown = {name for name, gradient in (*own, *behind) if bool(gradient.any())}
        return shown.issuperset(outcome.trained) and all(map(bool, numbers.get("reached", [])))

    def first_nonfinite(self, passes: Sequence[Pass]) -> tuple[str, str]:
        """Look at every number of the first pass that went wrong."""
        number = next(number for number, one in enumerate(passes) if not one.finite)
        watch = FiniteWatch(self.stage.by_name)
        model = self.model(number)
        with self.stage.set_up(model) as twins:
            try:
                self.stage.run(model, twins, watch, number)
            finally:
                watch.release()
        if watch.forward is not None:
            return watch.forward.name, "forward"
        return (watch.backward.name if watch.backward is not None else "output"), "backward"


Ran = tuple[Experiment, list[Pass], tuple[str, str]]


def first_line(error: BaseException) -> str:
    """What an error says first; its type if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def saturated(sample: torch.Tensor, low: float, high: float) -> float:
    """The share of numbers outside ]low, high[."""
    return float(((sample <= low) | (sample >= high)).to(torch.float32).mean())


def dead(largest: torch.Tensor) -> float:
    """The share of units whose largest magnitude is 0."""
    return 1 - int(largest.count_nonzero()) / largest.numel()


def turning(numbers: Mapping[str, list[torch.Tensor]]) -> float | None:
    """1 - cosine of the gradient before and after a step; None without a gradient."""
    product, before, after = (float(numbers[name][0]) for name in ("product", "before", "after"))
    if not (math.isfinite(before * after) and before * after > 0):
        return None
    return 1.0 - max(-1.0, min(1.0, product / math.sqrt(before * after)))
