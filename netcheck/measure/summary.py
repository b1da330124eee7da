"""From the passes of a probe to its result: medians, spreads, and what is computed from the numbers of a pass."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING

import torch

from netcheck.figures.gradients import ENOUGH_FOR_RANK, Gradients, NodeProfile, ParameterProfile, Pass, Slope
from netcheck.measure.passes import Stage
from netcheck.measure.precision import coarsest
from netcheck.measure.watch import parameter_names
from netcheck.trace.gain import forgiven
from netcheck.trace.kinds import is_weight_layer
from netcheck.trace.questions import trained_scales
from netcheck.trace.questions.recurrence import is_recurrent

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

NO_NOISE = 1e-12  # share of the mean square below which samples differ by rounding alone


def summarized(graph: ModelGraph, stage: Stage, passes: Sequence[Pass], broken: tuple[str, str], *, rebuilds: bool) -> Gradients:
    """The result of a probe.

    Args:
        graph: what was probed.
        stage: the conditions.
        passes: their numbers.
        broken: the operation that first made a NaN or an infinity and the pass in which; "" for none.
        rebuilds: whether there was a way to build the model anew for a pass.
    """
    profile = tuple(node_profile(node, passes) for node in stage.wires.nodes.values() if node.name in passes[0].rms)
    parameters = parameter_profiles(passes)
    norms = layer_norms(profile)
    matrices = matrix_names(graph)
    driven = matrices - held_back(graph)
    gains = [one.gain for one in passes]
    spectra = [spectrum(one) for one in passes]
    plan = stage.plan
    return Gradients(
        gain=middle(gains),
        gain_spread=spread(gains),
        profile=profile,
        parameters=parameters,
        homogeneity=homogeneity([p.relative for p in parameters if p.name in driven], torch.finfo(coarsest(stage.precisions)).eps)
        if 2 * len(driven) >= len(matrices)
        else None,
        effective_rank=middle_of(effective_rank(values, one) for values, one in zip(spectra, passes, strict=True)),
        between_sample_variance=middle_of(share_of_variance(values, one) for values, one in zip(spectra, passes, strict=True)),
        unpredictability=middle_of(one.unpredictability for one in passes),
        slope=fitted(norms),
        range=math.log10(max(norms) / min(norms)) if len(norms) > 1 else None,
        first_nonfinite=broken[0] or None,
        nonfinite_pass=broken[1],
        device=str(plan.device),
        dtype=str(plan.dtype).removeprefix("torch."),
        batch=stage.samples,
        passes=len(passes),
        seed=stage.seed,
        fresh_initialization=rebuilds and all(one.rebuilt for one in passes[1:]),
        fresh_inputs=stage.drawn,
        own_types=plan.own_types,
        plain=plan.plain,
        dead={node.node: node.dead for node in profile if node.dead},
        unreached=tuple(name for name in passes[0].unreached if all(name in one.unreached for one in passes)),
        remarks=plan.remarks,
        pooled=forgiven(stage.wires.head),
        all_learn=passes[0].all_learn,
        recurrent=is_recurrent(graph),
    )


def node_profile(node: Node, passes: Sequence[Pass]) -> NodeProfile:
    """One operation over all passes."""
    name = node.name
    return NodeProfile(
        node=name,
        path=node.path,
        operation=node.target,
        kind=str(node.kind),
        mean=middle(values_of(name, (one.mean for one in passes))),
        rms=middle(values_of(name, (one.rms for one in passes))),
        dead=middle_of(values_of(name, (one.dead for one in passes))),
        saturated=middle_of(values_of(name, (one.saturated for one in passes))),
        gradient_rms=middle_of(values_of(name, (one.gradient_rms for one in passes))),
        gradient_norm=middle_of(values_of(name, (one.gradient_norm for one in passes))),
        is_weight_layer=is_weight_layer(node),
    )


def values_of(name: str, columns: Iterable[Mapping[str, float]]) -> list[float]:
    """What each pass has under a name, of those that have it."""
    return [column[name] for column in columns if name in column]


def parameter_profiles(passes: Sequence[Pass]) -> tuple[ParameterProfile, ...]:
    """The parameters of the first pass, over all passes."""
    return tuple(
        ParameterProfile(
            name,
            middle([one.parameters[name][0] for one in passes if name in one.parameters]),
            middle([one.parameters[name][1] for one in passes if name in one.parameters]),
        )
        for name in passes[0].parameters
    )


def matrix_names(graph: ModelGraph) -> set[str]:
    """The parameters that multiply: biases and the scales of norms start at constants and tell nothing."""
    parameters = graph.model.named_parameters(remove_duplicate=False)
    return {name for name, value in parameters if value.dim() > 1}


def held_back(graph: ModelGraph) -> set[str]:
    """The names of the parameters that a trained scale which starts small holds back: in residual and dense branches.

    As in a branch that starts at zero, the scale learns first, and lets their gradient through when it has grown.
    """
    return {name for node in trained_scales.behind(graph) for name in parameter_names(node)}


def layer_norms(profile: Sequence[NodeProfile]) -> list[float]:
    """The gradient's norm at each weight layer that a gradient reached, and that is finite, from the input on."""
    norms = [node.gradient_norm for node in profile if node.is_weight_layer and node.gradient_norm]
    return [norm for norm in norms if math.isfinite(norm)]


def fitted(norms: Sequence[float]) -> Slope | None:
    """A straight line through log10 of the norms, from the head's side on; None if there are fewer than three."""
    logs = [math.log10(norm) for norm in reversed(norms) if math.isfinite(norm)]
    count = len(logs)
    if count < 3:
        return None
    mean_x, mean_y = (count - 1) / 2, fmean(logs)
    spread_x = sum((x - mean_x) ** 2 for x in range(count))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(logs)) / spread_x
    total = sum((y - mean_y) ** 2 for y in logs)
    explained = slope**2 * spread_x / total if total > 0 else 1.0
    return Slope(slope, min(1.0, explained), count)


def homogeneity(relative: Sequence[float], rounding: float = 0.0) -> float | None:
    """P90 - P10 of log10 of the positive ones, interpolated between neighbours; None of fewer than three.

    Those below `rounding` times the largest are taken for zeros: a gradient that cancels leaves that much.
    """
    finite = [value for value in relative if math.isfinite(value)]
    least = rounding * max(finite, default=0.0)
    logs = sorted(math.log10(value) for value in finite if value > least)
    return quantile(logs, 0.9) - quantile(logs, 0.1) if len(logs) > 2 else None


def quantile(ordered: Sequence[float], share: float) -> float:
    """The number below which that share of the ordered ones lies, interpolated."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def spectrum(one: Pass) -> list[float]:
    """The eigenvalues of the covariance between the samples of the head's input, none below 0; empty if there are none."""
    if not one.gram or not one.finite:
        return []
    gram = torch.tensor(one.gram, dtype=torch.float64)
    size = float(gram.abs().max())
    if not 0 < size < math.inf:
        return [0.0] * len(gram) if size == 0 else []
    return [size * max(0.0, value) for value in torch.linalg.eigvalsh(gram / size).tolist()]


def effective_rank(values: Sequence[float], one: Pass) -> float | None:
    """exp(entropy) of a spectrum (Roy and Vetterli 2007), over the largest that samples and units allow; a rank of 1 gives 0."""
    total = sum(values)
    most = min(len(values) - 1, one.features)
    if len(values) < ENOUGH_FOR_RANK or most < 2:
        return None
    if total <= NO_NOISE * one.mean_square:
        return 0.0
    shares = [value / total for value in values if value > 0]
    return (math.exp(-sum(share * math.log(share) for share in shares)) - 1) / (most - 1)


def share_of_variance(values: Sequence[float], one: Pass) -> float | None:
    """The part of the head's input's mean square that differs between samples."""
    if not values:
        return None
    return min(1.0, sum(values) / one.mean_square) if one.mean_square > 0 else 0.0


def middle(values: Sequence[float]) -> float:
    """The median; NaN if any is NaN."""
    return math.nan if any(math.isnan(value) for value in values) else float(median(values))


def middle_of(values: Iterable[float | None]) -> float | None:
    """The median of what was measured; None if nothing was."""
    known = [value for value in values if value is not None]
    return middle(known) if known else None


def spread(values: Sequence[float]) -> float:
    """The largest less the smallest; 0 where all are alike, also if infinite."""
    return 0.0 if max(values) == min(values) else max(values) - min(values)
