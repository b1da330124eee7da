"""NC909, NC910, NC911, NC917: axes, steps and samples that are taken for others."""

from __future__ import annotations

import torch
from torch import nn

from netcheck.trace.graph import Node
from netcheck.trace.kinds import Kind
from netcheck.trace.questions.causal import causal_attentions
from tests.mutations.faults.nonlinearity import is_sequence, width
from tests.mutations.faults.registry import fault
from tests.mutations.faults.wiring import Wrapped, wrap
from tests.mutations.subject import NoPlace, Subject

STEPS = 6  # of a sequence that is made of features


class MapViewed(Wrapped):
    """A map is viewed as a sequence of pixels for a norm, where its channels had to be moved to the end."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__(layer)
        self.norm = nn.LayerNorm(layer.out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, B, H, W) -> (N, C, H, W)."""
        y = self.layer(x)
        n, c, height, width = y.shape
        return self.norm(y.reshape(n, height * width, c)).transpose(1, 2).reshape(n, c, height, width)


class SequenceViewed(Wrapped):
    """A transposition that is written as a view, for a convolution over the steps."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__(layer)
        self.conv = nn.Conv1d(layer.out_features, layer.out_features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, T, B) -> (N, T, C)."""
        y = self.layer(x)
        n, t, c = y.shape
        return self.conv(y.reshape(n, c, t)).transpose(1, 2)


def is_wide_map(node: Node) -> bool:
    """Whether a node makes a map of more than one pixel whose sizes tell its channels from its rows, columns and pixels."""
    shape = node.shape or ()
    return len(shape) == 4 and shape[1] not in (*shape[2:], shape[2] * shape[3]) and shape[2] * shape[3] > 1


@fault("NC909", "a map viewed as a sequence of pixels")
def map_viewed(subject: Subject) -> None:
    wrap(subject, MapViewed, where=is_wide_map)


@fault("NC909", "a transposition of a sequence written as a view")
def sequence_viewed(subject: Subject) -> None:
    wrap(subject, SequenceViewed, where=lambda n: n.kind is Kind.LINEAR and is_sequence(n) and n.shape[1] != n.shape[2])


class NormOverSteps(nn.Module):
    """A layer normalization that is written out, over the steps."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, T, C) -> the same."""
        return (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-5)


class Captioner(nn.Module):
    """A causal decoder in the place of a head, with a convolution over the steps that is padded on both sides."""

    def __init__(self, n: int, words: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(STEPS, n))
        self.attention = nn.MultiheadAttention(n, 2, batch_first=True)
        self.conv = nn.Conv1d(n, n, 3, padding=1)
        self.words = nn.Linear(n, words)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C) -> (N, STEPS, words)."""
        h = x[:, None] + self.positions
        later = torch.ones(STEPS, STEPS, dtype=torch.bool, device=x.device).triu(1)
        h = h + self.attention(h, h, h, attn_mask=later, need_weights=False)[0]
        return self.words(h + self.conv(h.transpose(1, 2)).transpose(1, 2))


@fault("NC910", "a norm behind a causal attention goes over the steps")
def norm_over_steps(subject: Subject) -> None:
    attentions = causal_attentions(subject.graph)
    if not attentions:
        raise NoPlace
    first = attentions[0][0].index
    path = subject.pick(Kind.NORM, where=lambda node: is_sequence(node) and node.index > first).path
    subject.replace(path, NormOverSteps())


@fault("NC910", "a decoder in the place of the head, whose convolution reaches ahead")
def captioner(subject: Subject) -> None:
    head = subject.head
    if len(head.inputs[0].shape or ()) != 2:
        raise NoPlace
    subject.replace(head.path, Captioner(width(subject), int(subject[head.path].out_features)))


class LastOfBoth(nn.Module):
    """A bidirectional recurrence before a head, of which the head is given the last step."""

    def __init__(self, n: int, head: nn.Module, cell: type[nn.Module], batch_first: bool) -> None:
        super().__init__()
        self.rnn = cell(n, n // 2, bidirectional=True, batch_first=batch_first)
        self.head = head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C) -> what the head gives."""
        if self.rnn.batch_first:
            return self.head(self.rnn(x.unsqueeze(1).expand(-1, STEPS, -1))[0][:, -1])
        return self.head(self.rnn(x.expand(STEPS, -1, -1))[0][-1])


for cell, batch_first in ((nn.LSTM, True), (nn.GRU, False)):

    @fault("NC911", f"the last step of a bidirectional {cell.__name__}")
    def last_of_both(subject: Subject, cell: type[nn.Module] = cell, batch_first: bool = batch_first) -> None:
        head = subject.head
        if len(head.inputs[0].shape or ()) != 2 or width(subject) % 2:
            raise NoPlace
        subject.replace(head.path, LastOfBoth(width(subject), subject[head.path], cell, batch_first))


class SplitMaps(nn.Module):
    """Convolutions before a head, whose maps are viewed as one row each."""

    def __init__(self, n: int, head: nn.Module, depth: int) -> None:
        super().__init__()
        layers = [nn.Conv1d(1 if i == 0 else 3, 3, 3, padding=1) for i in range(depth)]
        self.n, self.maps, self.head = n, nn.Sequential(*layers, nn.ReLU()), head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C) -> what the head gives, for each of the maps."""
        return self.head(self.maps(x[:, None]).view(-1, self.n))


for depth in (1, 2):

    @fault("NC917", f"maps of {depth} convolutions before the head, a row each")
    def split_maps(subject: Subject, depth: int = depth) -> None:
        head = subject.head
        if len(head.inputs[0].shape or ()) != 2:
            raise NoPlace
        subject.replace(head.path, SplitMaps(width(subject), subject[head.path], depth))
