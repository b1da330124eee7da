"""NC507: NaN or Inf in what the model holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import MODULES, Kind

if TYPE_CHECKING:
    import torch

    from netcheck.trace.graph import Member, ModelGraph

_SMALL = 8192  # elements
_READ_WHOLE = 16_000_000  # elements of a model of which each is read: 3 to 6 ms on one core
_PIECE = 16  # elements: a cache line
_SIZES = (1, 2, 4, 8, _PIECE)  # of pieces


class NonFiniteWeights(StaticRule):
    """A parameter or buffer holds NaN or Inf, so every output that it reaches is NaN or Inf too.

    ## What it does
    Reads every element of every parameter and buffer, once. In models of more than 16 million parameters it reads
    1 to 16 elements of each row of a large matrix, so chosen that a row or a column without a finite number is found,
    though a single one may be missed. Tensors on the meta device have no values and are skipped. While netcheck builds a model,
    memory that nobody has written to (`torch.empty`, `torch.Tensor(n)`) holds NaN: a parameter that is never initialized is
    seen every time, and not only when something else lay there before.

    ## Why is this bad?
    One NaN in a weight makes the whole output of its layer NaN, and the first backward pass spreads it over
    all weights. The loss shows it, the place does not. Usual causes: a checkpoint saved after training
    diverged, memory from `torch.empty` that was never initialized, a division by zero or the logarithm of
    zero in an initialization, float16 weights beyond 65,504, running statistics of a BatchNorm that met an
    Inf once and keep it for ever.

    ## When it is fine
    In a buffer that masks attention: -inf alone is what a softmax should not look at. In a buffer of one
    element, where it is the start of a minimum or maximum (an observer of quantization, the best loss so
    far).

    ## Evidence
    The number of elements that are NaN, +Inf and -Inf: a finite sum proves what was read clean, and
    where it is not finite all elements of the tensor are counted. Of the 86 million parameters of a
    ViT-B/16, reading all takes one core 31 ms, the pieces 3.8 ms; tracing the model takes 27 ms (least CPU time of 12).

    ## References
    - IEEE 754: an operation on NaN gives NaN.
    - Micikevicius et al. 2018, Mixed Precision Training: the range of float16.
    """

    code = "NC507"
    name = "non-finite-weights"
    severity = Severity.ERROR
    plain = "Some of its weights are not numbers, and neither is any output that they reach"
    BAD = (
        Example(
            "one NaN in a weight",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
with torch.no_grad():
    model[2].weight[1, 3] = float("nan")
""",
            "8x16",
        ),
        Example(
            "running statistics that met an Inf",
            """
model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4))
model[1].running_var.fill_(float("inf"))
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "finite weights",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
""",
            "8x16",
        ),
        Example(
            "a causal mask of -inf",
            """
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.register_buffer("mask", torch.full((12, 12), float("-inf")).triu(1))

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        scores = q @ k.transpose(1, 2) / 4 + self.mask
        return self.out(scores.softmax(-1) @ v)

model = Attention()
""",
            "8x12x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all tensors that hold a number which is none."""
        sick = list(non_finite(graph))
        if not sick:
            return
        first, others = sick[0], f" and {len(sick) - 1} more tensors" if len(sick) > 1 else ""
        listed = "; ".join(one.text for one in sick[:4]) + (f"; {len(sick) - 4} more" if sick[4:] else "")
        never = first.nan == first.member.tensor.numel() > 1
        unwritten = ", as memory is that nobody has written to" if never else ""
        yield self.finding(
            f"{first.text}{unwritten}{others}: whatever meets them becomes NaN or Inf as well",
            help="fill what torch.empty or torch.Tensor(n) gives: nn.init.kaiming_uniform_(self.weight, a=5 ** 0.5) in __init__; "
            "initialize them again, or load an older checkpoint; where a division makes them, "
            "keep it away from zero: `x / y.clamp(min=eps)`",
            evidence=Evidence(sum(one.count for one in sick), "elements", listed, limit=0),
            at=[one.member for one in sick],
            verdict=Verdict.CONFIRMED,
        )


@dataclass(frozen=True, slots=True)
class NonFinite:
    """What is not finite in one tensor of a model."""

    member: Member
    nan: int
    positive: int
    negative: int

    @property
    def count(self) -> int:
        """Elements that are no finite number."""
        return self.nan + self.positive + self.negative

    @property
    def text(self) -> str:
        """For people: "3 of 512 elements of 0.weight are NaN"."""
        sorts = {"NaN": self.nan, "+Inf": self.positive, "-Inf": self.negative}
        named = " or ".join(sort for sort, count in sorts.items() if count)
        return f"{self.count:,} of {self.member.tensor.numel():,} elements of {self.member.path} are {named}"


def non_finite(graph: ModelGraph) -> Iterator[NonFinite]:
    """The tensors of the model with a NaN or an Inf that does harm."""
    for member in suspicious(graph.members):
        found = counted(member)
        if found.count and not is_meant(found):
            yield found


def suspicious(members: list[Member]) -> Iterator[Member]:
    """The tensors that one pass over their elements does not prove finite, in order.

    All tensors in float32 are proved together: small ones strung on one another, of large ones the sums. Only where that
    fails (or overflows) each is looked at by itself.
    """
    import torch

    from netcheck.trace.weights import has_values

    readable = [(member, member.tensor.detach()) for member in members if has_values(member.tensor) or member.tensor.is_complex()]
    sampled = sum(tensor.numel() for _, tensor in readable) > _READ_WHOLE
    plain = {id(member): tensor for member, tensor in readable if tensor.dtype is torch.float32 and tensor.is_cpu}
    together = plain if are_finite(plain.values(), sampled) else {}
    for member, tensor in readable:
        if id(member) not in together and not is_finite(pieces(tensor) if sampled else tensor):
            yield member


def are_finite(tensors: Iterable[torch.Tensor], sampled: bool) -> bool:
    """Whether the sum over all tensors in float32, or over their pieces, is a finite number."""
    import torch

    strung = []
    for tensor in tensors:
        if tensor.numel() <= _SMALL:  # a sum over a thousand elements takes as long as one over a hundred
            strung.append(tensor.reshape(-1))
            continue
        part = pieces(tensor) if sampled else tensor
        strung.append(part.sum().reshape(1) if part is tensor else part.sum(0))  # pieces: column by column is faster
    return not strung or math.isfinite(torch.cat(strung).sum().item())


def is_finite(tensor: torch.Tensor) -> bool:
    """Whether one pass over the elements proves each of them finite; also True where there are none to read.

    A finite sum has finite terms. It may overflow though no term does: then they have to be counted.
    """
    import torch

    from netcheck.trace.weights import has_values

    numbers = as_real(tensor)
    if not has_values(numbers):
        return True
    wide = torch.float32 if numbers.itemsize < 4 else None  # sums of float16 soon overflow
    if not numbers.is_contiguous():  # pieces: column by column is nine times as fast as all at once
        numbers = numbers.sum(0, dtype=wide)
    return math.isfinite(numbers.sum(dtype=wide).item())


def pieces(tensor: torch.Tensor) -> torch.Tensor:
    """One piece of each row of a large matrix (pieces, elements), each further left than the one before.

    So every row of it is met, and every column, too, where there are as many rows as a row has pieces. The pieces are as
    short as that allows: each costs a visit to main memory, and a long one costs more.
    """
    length = tensor[0].numel() if tensor.dim() > 1 else 0
    if length < 7 * _PIECE or not tensor.is_contiguous():
        return tensor
    for size in _SIZES:
        step = length - size
        number = (tensor.numel() - size) // step + 1
        if number * size >= length + size:
            return tensor.as_strided((number, size), (step, 1), tensor.storage_offset())
    return tensor  # so few rows that columns would be left out


def as_real(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor as floats that can be summed: complex numbers as pairs, float8 widened."""
    import torch

    tensor = tensor.detach()
    if tensor.is_complex() and not tensor.is_meta:
        return torch.view_as_real(tensor.resolve_conj())
    return tensor.float() if tensor.is_floating_point() and tensor.itemsize == 1 else tensor


def counted(member: Member) -> NonFinite:
    """How many elements are NaN, +Inf and -Inf."""
    numbers = as_real(member.tensor)
    infinite = numbers.isinf()
    positive = int((infinite & (numbers > 0)).sum())
    return NonFinite(member, int(numbers.isnan().sum()), positive, int(infinite.sum()) - positive)


def is_meant(found: NonFinite) -> bool:
    """Whether infinities do their work: a mask of -inf, or the start of a minimum or maximum."""
    from torch import nn

    tensor, module = found.member.tensor, found.member.module
    if found.nan == tensor.numel() > 1 and not isinstance(tensor, nn.Parameter) and is_room(found.member):
        return True
    is_norm = MODULES.get(type(module).__name__, (None,))[0] is Kind.NORM
    if found.nan or is_norm or isinstance(tensor, nn.Parameter):
        return False
    return not found.positive or tensor.numel() == 1


def is_room(member: Member) -> bool:
    """Whether forward does not read a buffer, or writes to it first: if it does not write all, a NaN arises (NC609)."""
    written = {source for node in member.graph.kept for source in (node, *node.inputs)}
    return all(node in written for node in member.nodes)
