"""What netcheck measures on a running model: plain data with units; imports no torch.

    Gradients
      +-- NodeProfile          one operation: its values, its gradient
      +-- ParameterProfile     one parameter: its gradient, and how large that is beside its value
      +-- Remedy               a change that was tried, and its gain
      +-- Slope                decades of gradient a weight layer, with the quality of the fit

Gains are signed decades: -5 means that of a gradient of norm 1 at the head's input, 1e-5 arrives at the first activations.
A gain of minus infinity means that nothing arrives. Every number is the median over the passes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from netcheck.figures.decades import Decades, held
from netcheck.figures.risk import Risk

ENOUGH_FOR_RANK = 8  # samples in a batch, below which a rank tells nothing
ENOUGH_FOR_RISK = 16  # below which nothing is predicted: the fit was made with 32 and 64


@dataclass(frozen=True, slots=True)
class NodeProfile:
    """What one operation's value and gradient look like.

    Attributes:
        node: the operation's name in the graph.
        path: module path, of the enclosing module for a function.
        operation: as a person writes it ("nn.Linear", "torch.tanh").
        kind: as in `netcheck.trace.kinds`.
        mean, rms: of its value.
        dead: share of an activation's units that were 0 on every sample; None where that cannot be told.
        saturated: share of an activation's values where its slope is below a tenth of its steepest; None if it does not saturate.
        gradient_rms: of the gradient at its value, for a cotangent of norm 1 at the head's input; None if none arrived there.
        gradient_norm: the same as a norm; what gains are made of.
        is_weight_layer: whether it multiplies with trained weights.
    """

    node: str
    path: str
    operation: str
    kind: str
    mean: float
    rms: float
    dead: float | None
    saturated: float | None
    gradient_rms: float | None
    gradient_norm: float | None
    is_weight_layer: bool


@dataclass(frozen=True, slots=True)
class ParameterProfile:
    """The gradient of one parameter: its rms, and its norm over the parameter's own (0 where the parameter is all zeros)."""

    name: str
    gradient_rms: float
    relative: float


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line through the log of the gradient's norm over the weight layers, from the head towards the input.

    Attributes:
        per_layer: decades a weight layer; negative where the gradient shrinks on its way back.
        fit: the share of the variance that the line explains (R squared), 0 to 1.
        layers: how many weight layers it goes through.
    """

    per_layer: float
    fit: float
    layers: int


@dataclass(frozen=True, slots=True)
class Remedy:
    """A change that was tried and works, and what was measured with it.

    Attributes:
        change: which fault it mends: "init", "saturation", "no norm" or "no skip", as in `netcheck.trace.budget.Cause`; where two
            changes were made together, with a plus between them ("init + no norm").
        gain: with it, in decades.
        effective_rank: of the head's input with it; None if there are no samples to compare.
        risk: that the net does not train with SGD with it; None if too little was measured to say so.
    """

    change: str
    gain: float
    effective_rank: float | None
    risk: float | None = None


@dataclass(frozen=True, slots=True)
class Gradients:
    """What the passes of one probe measured.

    Attributes:
        gain: log10(|J^T v| / |v|), J from the first float activations to the head's input, v Gaussian: signed decades.
        gain_spread: the largest gain of a pass less the smallest, in decades.
        profile: one entry an operation that matters, in execution order.
        parameters: one entry a trained parameter that got a gradient, in the model's order.
        homogeneity: P90 - P10 of log10(|g| / |w|) over the weights with a non-zero gradient, in decades, without those in
            branches that a small trained scale still holds back; None of fewer than 3, or if most are held back.
        effective_rank: of the head's input over the samples of a batch: the exponential of the entropy of its spectrum, over
            the largest possible; 0 to 1. None if there are no samples to compare.
        between_sample_variance: share of the mean square of the head's input that differs between samples, 0 to 1.
        unpredictability: 1 - cosine between the gradient now and after a small step along it, 0 to 2; None if not measured.
        slope: None of fewer than 3 weight layers.
        range: the largest log10 gradient norm at a weight layer less the smallest, in decades.
        first_nonfinite: the operation that first made a NaN or an infinity, forward or else backward; None if all was finite.
        nonfinite_pass: "forward" or "backward" where that happened, "" otherwise.
        dead: share of dead units by operation, where there are any.
        unreached: trained parameters that forward used and that no gradient can reach from the result.
        device, dtype: what it ran on and in; `dtype` is that of most parameters where `own_types` is set.
        own_types: whether every tensor kept the type that it has.
        plain: whether no gradient was asked of the inputs: the gain ends at what the first parameters give.
        batch: samples a pass; None if the inputs have no common first dimension.
        passes: how many, each with fresh inputs and a fresh cotangent.
        fresh_initialization: whether each pass built the model anew.
        fresh_inputs: False if the given inputs were used as they are.
        seed: of the first pass.
        remarks: what was done otherwise than asked, a sentence each.
        pooled: decades of the gain that averaging over more positions before the head takes than the budget was measured
            with (see `netcheck.trace.gain.forgiven`).
        remedies: the changes that were tried and work, best first; none if nothing was confirmed.
        all_learn: whether each trained parameter, and each channel, field and step of the inputs, was seen to have a gradient.
        recurrent: whether the model runs over steps with a state.
    """

    gain: float
    gain_spread: float
    profile: tuple[NodeProfile, ...]
    parameters: tuple[ParameterProfile, ...]
    homogeneity: float | None
    effective_rank: float | None
    between_sample_variance: float | None
    unpredictability: float | None
    slope: Slope | None
    range: float | None
    first_nonfinite: str | None
    device: str
    dtype: str
    batch: int | None
    passes: int
    seed: int
    own_types: bool = False
    plain: bool = False
    nonfinite_pass: str = ""
    fresh_initialization: bool = False
    fresh_inputs: bool = True
    dead: Mapping[str, float] = field(default_factory=dict)
    unreached: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    pooled: float = 0.0
    remedies: tuple[Remedy, ...] = ()
    all_learn: bool = False
    recurrent: bool = False

    @property
    def held_gain(self) -> Decades:
        """The gain that is held against the model: without what pooling takes beyond the budget's own nets."""
        return held(self.gain, self.pooled)

    @property
    def risk(self) -> Risk | None:
        """How likely it is not to train; None where too little was measured to say so."""
        rank, differing = self.effective_rank, self.between_sample_variance
        numbers = [rank, differing, self.unpredictability or 0.0, self.homogeneity or 0.0]
        if rank is None or differing is None or (self.batch or 0) < ENOUGH_FOR_RISK or self.first_nonfinite is not None:
            return None
        if not all(number is not None and math.isfinite(number) for number in numbers):
            return None
        return Risk.of(
            gain=self.held_gain,
            rank=rank,
            differing=differing,
            turned=self.unpredictability,
            spread=self.homogeneity,
            recurrent=self.recurrent,
        )

    @property
    def conditions(self) -> str:
        """How it was measured, in one line: "3 passes of 32 samples, float64 on cpu, seed 0"."""
        passes = f"{self.passes} pass{'es' if self.passes != 1 else ''}"
        samples = f" of {self.batch} samples" if self.batch else ""
        fresh = ", each freshly initialized" if self.fresh_initialization and self.passes > 1 else ""
        given = "" if self.fresh_inputs else ", inputs as given"
        return f"{passes}{samples}{fresh}{given}, {self.dtype} on {self.device}, seed {self.seed}"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serializable copy."""
        return {**asdict(self), "risk": None if self.risk is None else asdict(self.risk)}


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
        rebuilt: whether the model was built for this pass.
        results_finite: whether the results, and the gradients that a loss would take from them, are all finite; looked at on the
            first pass.
        all_learn: whether each trained parameter, and each channel, field and step of the inputs, was seen to have a gradient;
            of the parameters behind the head on the first pass alone.
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
    rebuilt: bool = False
    results_finite: bool = True
    all_learn: bool = False

    @property
    def finite(self) -> bool:
        """Whether no NaN and no infinity got as far as the results, or back to the first activations and the parameters."""
        return self.results_finite and not math.isnan(self.gain) and self.gain != math.inf and math.isfinite(self.mean_square)
