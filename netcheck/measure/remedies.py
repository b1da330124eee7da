"""What would help, tried: each change that applies to a net is made to a run of it, and measured like the net itself.

    tried(graph, args, kwargs, gradients) -> Remedies, best first
      +-- changes               as for the static estimate: initialization, rectifiers, norms, skips (`netcheck.trace.budget`)
      +-- alteration            the same for a real run: other parameters, other results of some operations
      +-- together              two of them where no single one works, and three where no two do
      +-- Experiment            one pass, under the conditions of the probe

Nothing is edited: a follower hands out other results than the operations gave, and the model is as before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from netcheck.errors import NetcheckError
from netcheck.figures.gradients import Gradients, Remedy
from netcheck.measure.gradients import Experiment
from netcheck.measure.inputs import Example
from netcheck.measure.passes import Alter, Alteration, Stage
from netcheck.measure.plan import Plan, is_out_of_memory, release_memory
from netcheck.measure.summary import summarized
from netcheck.measure.watch import Wires
from netcheck.trace.budget import Cause, changes
from netcheck.trace.gain import Change, Network, following_activation, recommended_square
from netcheck.trace.kinds import Kind
from netcheck.trace.weights import weight_of

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

PROMISING = 0.25  # risk up to which a change works (`tests/calibration/advice.py`)
# Where the risk is not known, for there are few samples to compare:
WORKS = 1.5  # decades: half of the budget
ONE_DIRECTION = 0.02  # effective rank of the head's input
TURNED = 0.75  # 1 - cosine of the gradient before and after a small step

# What is tried, cheapest first: the rest only where nothing before it works. A rectifier comes with its own initialization.
SINGLE = ((Cause.INIT,), (Cause.SATURATION,), (Cause.NO_NORM,), (Cause.NO_SKIP,))
PAIRS = (
    (Cause.INIT, Cause.NO_NORM),
    (Cause.INIT, Cause.NO_SKIP),
    (Cause.SATURATION, Cause.NO_NORM),
    (Cause.SATURATION, Cause.NO_SKIP),
    (Cause.NO_NORM, Cause.NO_SKIP),
)
TRIPLES = ((Cause.INIT, Cause.NO_NORM, Cause.NO_SKIP), (Cause.SATURATION, Cause.NO_NORM, Cause.NO_SKIP))


def tried(
    graph: ModelGraph,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    gradients: Gradients,
    *,
    redraw: bool = False,
) -> tuple[Remedy, ...]:
    """The changes with which a net is likely to train, best first.

    Single ones; if none of them works, two together; then three.

    Args:
        graph: the model, traced on these arguments.
        args: positional arguments of forward.
        kwargs: keyword arguments of forward.
        gradients: what was measured of it as it is: the changed ones run under the same conditions.
        redraw: only changes that draw weights anew: beside constant ones a skip gives a healthy gain, and trains nothing.
    """
    wires = Wires.of(graph)
    if not wires.followable:
        return ()
    if gradients.plain:
        wires = wires.without_inputs(graph)
    plan = Plan(
        torch.device(gradients.device),
        getattr(torch, gradients.dtype),
        gradients.batch,
        passes=1,
        own_types=gradients.own_types,
        plain=gradients.plain,
        affordable=gradients.unpredictability is not None or math.isinf(gradients.gain),  # without a gradient, nothing turns
    )
    stage = Stage(graph, wires, Example.of(graph, tuple(args), dict(kwargs)), plan, gradients.seed, gradients.fresh_inputs)
    single = {cause: alteration(graph, cause, change, gradients.seed) for cause, change in changes(Network(graph)).items()}
    found: list[Remedy] = []
    for several in (SINGLE, PAIRS, TRIPLES):
        made = {" + ".join(causes): together(single, causes) for causes in several if single.keys() >= set(causes)}
        found = measured(stage, {name: one for name, one in made.items() if one.moved or not redraw})
        if found:
            break
    return tuple(sorted(found, key=lambda remedy: round(remedy.risk or 0.0, 1)))  # as good as each other: the cheapest first


def measured(stage: Stage, alterations: Mapping[str, Alteration]) -> list[Remedy]:
    """Those of some changes that work, by what they are."""
    found = []
    for change, made in alterations.items():
        after = attempted(replace(stage, alteration=made))
        if after is not None and works(after):
            found.append(Remedy(change, after.gain, after.effective_rank, after.risk.sgd if after.risk else None))
    return found


def attempted(stage: Stage) -> Gradients | None:
    """What a changed run measures; None where its shapes do not fit, memory is short, or an operation is in place."""
    try:
        one = Experiment(stage).one_pass(stage.graph.model, 0)
        return summarized(stage.graph, stage, [one], ("", ""), rebuilds=False) if one.finite else None
    except (NetcheckError, RuntimeError) as error:
        short = is_out_of_memory(error)
    if short:  # once the error is gone, which holds what was computed
        release_memory(stage.plan.device)
    return None


def works(after: Gradients) -> bool:
    """Whether a changed net is likely to train; where that is not known, by three measurements."""
    if after.risk is not None:
        return after.risk.sgd <= PROMISING
    turns = after.unpredictability is not None and after.unpredictability > TURNED
    on_a_line = after.effective_rank is not None and after.effective_rank <= ONE_DIRECTION
    return abs(after.gain) <= WORKS and not turns and not on_a_line


def alteration(graph: ModelGraph, cause: Cause, change: Change, seed: int) -> Alteration:
    """What a change of the static estimate is for a real run."""
    made = Alteration()
    generator = torch.Generator().manual_seed(seed)
    parameters = dict(graph.model.named_parameters(remove_duplicate=False)) if change.layers else {}
    names = {id(value): name for name, value in reversed(parameters.items())}  # the first of each
    for node in change.layers:
        made.moved.update(initialized(node, change, generator, parameters, names))
    made.operations.update(dict.fromkeys(change.activation, rectified))
    made.operations.update({node: normalized(node) for node in change.normalized})
    for node in change.skipped if cause is Cause.NO_SKIP else ():
        if weight_of(node) is not None:
            made.operations.update(skip_around(node))
    return made


def together(single: Mapping[Cause, Alteration], causes: Sequence[Cause]) -> Alteration:
    """Some of the changes at once: where they alter one operation, each alters what the one before it gives."""
    made = Alteration()
    for cause in causes:
        made.moved.update(single[cause].moved)
        for node, alter in single[cause].operations.items():
            made.operations[node] = chained(made.operations[node], alter) if node in made.operations else alter
    return made


def chained(first: Alter, second: Alter) -> Alter:
    """One change of a result after another."""
    return lambda args, result: second(args, first(args, result))


def initialized(
    node: Node,
    change: Change,
    generator: torch.Generator,
    parameters: Mapping[str, torch.Tensor],
    names: Mapping[int, str],
) -> dict[str, torch.Tensor]:
    """By name: a weight that is normal with the gain that the following activation asks for, a bias of zeros.

    `parameters` are the model's by name, `names` the first name of each by its id.
    """
    weight = weight_of(node)
    if weight is None or weight.name not in parameters:
        return {}
    old = parameters[weight.name].detach()
    std = math.sqrt(recommended_square(node, change.activation) / weight.fan_in)
    made = {weight.name: (torch.randn(old.shape, generator=generator) * std).to(old)}
    bias = names.get(id(weight.bias)) if weight.bias is not None else None
    if bias is not None:
        made[bias] = torch.zeros_like(parameters[bias])
    return made


def rectified(args: tuple[Any, ...], result: Any) -> Any:
    """A ReLU in the place of an activation.

    Raises:
        RuntimeError: the activation has overwritten its input.
    """
    if args[0] is result:
        raise RuntimeError("the input of an operation in place is gone")
    return torch.relu(args[0])


def normalized(node: Node) -> Alter:
    """A BatchNorm without parameters behind a weight layer."""

    def normalize(args: tuple[Any, ...], result: Any) -> Any:
        if isinstance(result, tuple):  # attention, and its weights
            return (normalize(args, result[0]), *result[1:])
        if node.kind is Kind.CONV:
            return F.batch_norm(result, None, None, training=True)
        rows = result.reshape(-1, result.shape[-1])  # (samples and positions, units)
        return F.batch_norm(rows, None, None, training=True).view_as(result)

    return normalize


def skip_around(node: Node) -> dict[Node, Alter]:
    """An identity around a weight layer and the activation that follows it."""
    kept: list[Any] = []
    end = following_activation(node) or node

    def keep(args: tuple[Any, ...], result: Any) -> Any:
        kept[:] = args[:1]
        return add(args, result) if end is node else result

    def add(args: tuple[Any, ...], result: Any) -> Any:
        skip = kept.pop() if kept else None  # not kept any longer: it is as large as any activation
        return result + skip if skip is not None and skip.shape == result.shape else result

    return {node: keep} | ({} if end is node else {end: add})
