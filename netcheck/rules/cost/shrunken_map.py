"""NC803: kernels that meet padding only, and strides that step over inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.thresholds import Threshold
from netcheck.trace.windows import spatial_sizes, windowed, windows_of

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_IDLE = 0.5  # share of a kernel's weights that may meet nothing but padding
_MOSTLY_IDLE = 0.75  # from which it is a warning: a 3x3 kernel on one pixel, but not a 3x3x3 kernel on one frame


class ShrunkenMap(StaticRule):
    """A kernel is larger than its map, or a stride steps over part of the input.

    ## What it does
    Works out for each convolution which of its weights ever meet an input and not only padding, at the size of the map that
    it is given here: where half of them never do, that is a warning. And for each map that only convolutions and poolings
    read, which positions none of them looks at: a warning if they lie between others, as under a 1x1 convolution with
    stride 2.

    ## Why is this bad?
    A 3x3 convolution on a 1x1 map is a 1x1 convolution with eight dead weights of nine: the net was built for larger
    images, as ResNet for 224x224 is when it is given 32x32. What a stride steps over cannot matter to the result: three of
    four positions were computed for nothing.

    ## When it is fine
    In a shortcut: the branch beside it reads what the 1x1 convolution with stride 2 leaves out, and the map counts as read.
    Kernels with holes (dilation), as in DeepLab's pyramid, are given as information only.

    ## Evidence
    Exact, from the sizes of kernels, strides, paddings and maps. torchvision's ResNet-18 on images of 32x32: three
    convolutions on maps of 1x1 have 89 % idle weights, one on 2x2 has 56 %; on 64x64 it has no such layer.

    ## References
    - Chen et al. 2017, Rethinking Atrous Convolution, section 3.3: at large rates a 3x3 filter degenerates to 1x1.
    - He et al. 2018, Bag of Tricks, section 4.1: "convolution with stride 2 ignores three-quarters of the input".
    """

    code = "NC803"
    name = "shrunken-map"
    severity = Severity.WARNING
    plain = "A layer is larger than what comes into it, or steps over part of it"
    depends_on_size = True
    THRESHOLDS = (
        Threshold("info", _IDLE, "share of a kernel's weights that meet padding only from which it is information"),
        Threshold("warning", _MOSTLY_IDLE, "the same share from which it is a warning"),
    )
    BAD = (
        Example(
            "pooled down to one pixel, and 3x3 convolutions on it",
            """
def stage(channels):
    return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))

model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), stage(16), stage(16), stage(16), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
    nn.Flatten(), nn.Linear(16, 10),
)
""",
            "2x3x8x8",
        ),
        Example(
            "a 1x1 convolution with stride 2",
            """
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 1, stride=2), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
)
""",
            "2x3x16x16",
        ),
    )
    GOOD = (
        Example(
            "the same stages on images that are large enough",
            """
def stage(channels):
    return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))

model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), stage(16), stage(16), stage(16), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
)
""",
            "2x3x64x64",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """Idle weights of each kernel, and positions of each map that nobody reads."""
        for severity, idle in self.idle_kernels(graph).items():
            first, share, sizes = idle[0]
            maps = "x".join(map(str, sizes))
            yield self.finding(
                f"{share:.0%} of a kernel's weights meet nothing but padding: its map is only {maps}",
                help="give larger inputs, or take strides and poolings out of the layers in front; on a map of one pixel "
                "use a 1x1 convolution",
                evidence=Evidence(
                    share, "share of weights", f"{share:.0%} of {first.target}'s weights are idle", self.limit("info")
                ),
                at=[node for node, _, _ in idle],
                severity=severity,
                verdict=Verdict.CONFIRMED,
            )
        skipping = [(node, share) for source in graph for node, share in steps_over(source)]
        if skipping:
            share = max(share for _, share in skipping)
            yield self.finding(
                f"a stride larger than its window steps over {share:.0%} of a map, which cannot matter to the result",
                help="make the kernel at least as large as the stride, or pool first: nn.AvgPool2d(2) and then the 1x1 "
                "convolution with stride 1",
                evidence=Evidence(share, "share of the map", f"{share:.0%} of the map is read by nothing", 0.0),
                at=[node for node, _ in skipping],
                verdict=Verdict.CONFIRMED,
            )

    def idle_kernels(self, graph: ModelGraph) -> dict[Severity, list[tuple[Node, float, tuple[int, ...]]]]:
        """Convolutions too many of whose weights are idle, with that share and the size of the map; worst first."""
        found: dict[Severity, list[tuple[Node, float, tuple[int, ...]]]] = {}
        for node, windows, sizes in windowed(graph.nodes):
            if node.kind != "conv":
                continue
            taps = prod(w.kernel for w in windows)
            live = prod(w.live_taps(size) for w, size in zip(windows, sizes, strict=True))
            idle = 1 - live / taps
            if idle >= self.limit("info"):
                harmless = idle < self.limit("warning") or any(w.dilation > 1 for w in windows)
                severity = Severity.INFO if harmless else Severity.WARNING
                found.setdefault(severity, []).append((node, idle, sizes))
        return {severity: sorted(each, key=lambda entry: -entry[1]) for severity, each in found.items()}


def steps_over(source: Node) -> Iterator[tuple[Node, float]]:
    """The readers of a map that step over part of it, with the share that none of them reads."""
    readers = source.users
    if not source.depends or not readers or windows_of(readers[0]) is None:
        return
    known = [each for user in readers if (each := windows_of(user)) is not None]
    if len(known) < len(readers) or any(user.inputs[0] is not source for user in readers):
        return
    sizes = spatial_sizes(source)
    read = 1.0
    for dimension, size in enumerate(sizes):
        seen = set().union(*(each[dimension].seen(size) for each in known))
        between = range(min(seen), max(seen) + 1) if seen else range(0)  # rows at the border are often left over
        read *= len(seen) / len(between) if between else 1.0
    if read < 1 and on_every_way(source):
        yield readers[0], 1 - read


def on_every_way(node: Node) -> bool:
    """Whether no gradient gets from the main output to an input without passing `node`."""
    from netcheck.trace import paths

    end = paths.main_output(node.graph)
    pending, met = [end] if end is not None else [], {node, end}
    while pending:
        before = paths.sources(pending.pop())
        if not before:
            return False
        pending += [source for source in before if source not in met]
        met.update(before)
    return True
