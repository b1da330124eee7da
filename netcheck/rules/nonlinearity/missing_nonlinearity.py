"""NC103: two weight layers with nothing nonlinear between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.channels import kernel_size, mixes_all_channels, widths
from netcheck.rules.neighbours import UNCHANGED, before, ends
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

# Linear in the signal, at least after training. A LayerNorm is not: it divides by the signal's own size.
_LINEAR = UNCHANGED | {
    Kind.SHIFT,
    Kind.SCALE,
    Kind.DROPOUT,
    Kind.POOL,
    Kind.REDUCE,
    Kind.RESIZE,
    Kind.PAD,
    Kind.INDEX,
    Kind.NORM,
}


class MissingNonlinearity(StaticRule):
    """A weight layer feeds another with nothing nonlinear between: together they are one linear map.

    ## What it does
    Looks for two linear or convolutional layers between which there are at most linear
    operations: reshapes, average pooling, dropout, scaling, and batch normalization, which after training is
    linear too.

    ## Why is this bad?
    A product of two matrices is a matrix. The second layer costs parameters, time and
    gradient, and adds nothing that the first could not express. Usually a nonlinearity was forgotten.

    ## When it is fine
    Where the pair is a factorization that costs no more than the single layer: a bottleneck
    (low rank, LoRA), depthwise separable, grouped, or spatially separable convolutions, layers that mix
    different dimensions (tokens, then features), a pixel shuffle. At the linear bottleneck of inverted
    residual blocks (MobileNetV2). In the projections around attention. Where one of the two weights is shared
    with, or the value between is used by, something else. Where one of the two is frozen. In learned
    upsampling: a transposed convolution with stride equal to its kernel.

    ## Evidence
    Exact: the matrix product, or the convolution of the two kernels, replaces both layers.

    ## References
    - Goodfellow, Bengio and Courville 2016, Deep Learning, section 6.1: a composition of linear functions is
    linear.
    - Sandler et al. 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks.
    - Saxe, McClelland and Ganguli 2014, Exact solutions to the nonlinear dynamics of learning in deep linear
    networks.
    """

    code = "NC103"
    name = "missing-nonlinearity"
    severity = Severity.WARNING
    BAD = (
        Example(
            "linear layers in a row",
            """
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.Linear(128, 10))
""",
            "8x1x8x8",
        ),
        Example(
            "forward that forgets one activation",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(16, 64), nn.Linear(64, 64), nn.Linear(64, 4)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = self.fc2(x)
        return self.fc3(x)

model = Net()
""",
            "8x16",
        ),
        Example(
            "convolutions with only a batch normalization between",
            """
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
)
""",
            "4x3x8x8",
        ),
        Example(
            "a 2d convolution, then a 1d convolution",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.spectral = nn.Conv2d(1, 8, (5, 3), padding=(0, 1))
        self.temporal = nn.Conv1d(8 * 16, 64, 3, padding=1)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        x = self.spectral(x)
        x = x.view(x.size(0), -1, x.size(3))
        return self.head(F.relu(self.temporal(x)).mean(2))

model = Net()
""",
            "4x1x20x32",
        ),
        Example(
            "matrices written out, with dropout between",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Parameter(torch.randn(16, 32) * 0.2)
        self.second = nn.Parameter(torch.randn(32, 8) * 0.2)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = F.dropout(x @ self.first, 0.1, self.training)
        return self.head(torch.relu(x @ self.second))

model = Net()
""",
            "8x16",
        ),
        Example(
            "a convolution flattened into the classifier",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 3)
        self.fc = nn.Linear(16 * 2 * 2, 10)

    def forward(self, x):
        x = F.avg_pool2d(self.conv2(F.relu(self.conv1(x))), 2)
        return self.fc(torch.flatten(x, 1))

model = Net()
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "an activation between, also as a method",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 64), nn.Linear(64, 4)

    def forward(self, x):
        return self.fc2(self.fc1(x).clamp(min=0))

model = Net()
""",
            "8x16",
        ),
        Example(
            "a low-rank factorization",
            """
model = nn.Sequential(nn.Linear(64, 8, bias=False), nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 4))
""",
            "8x64",
        ),
        Example(
            "a depthwise separable convolution",
            """
model = nn.Sequential(
    nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), nn.Conv2d(16, 32, 1), nn.ReLU(),
    nn.Conv2d(32, 4, 1),
)
""",
            "4x16x8x8",
        ),
        Example(
            "a spatially separable convolution",
            """
model = nn.Sequential(
    nn.Conv2d(3, 16, (7, 1), padding=(3, 0)), nn.Conv2d(16, 16, (1, 7), padding=(0, 3)), nn.ReLU(),
    nn.Conv2d(16, 4, 1),
)
""",
            "4x3x8x8",
        ),
        Example(
            "tokens are mixed first, then features",
            """
class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.features = nn.Linear(12, 12), nn.Linear(32, 32)
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        x = self.tokens(x.transpose(1, 2)).transpose(1, 2)
        return self.head(F.gelu(self.features(x)).mean(1))

model = Mixer()
""",
            "4x12x32",
        ),
        Example(
            "projections of attention, its output, and a residual sum",
            """
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(32, 32)
        self.query, self.key, self.value, self.out = (nn.Linear(32, 32) for _ in range(4))
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        x = self.embed(x)
        weights = torch.softmax(self.query(x) @ self.key(x).transpose(1, 2) / 32**0.5, dim=-1)
        x = x + self.out(weights @ self.value(x))
        return self.head(x.mean(1))

model = Attention()
""",
            "4x12x32",
        ),
        Example(
            "upscaling by a pixel shuffle",
            """
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 64, 3, padding=1), nn.PixelShuffle(2),
    nn.Conv2d(16, 3, 3, padding=1),
)
""",
            "2x3x8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such pairs of a model."""
        pairs = list(linear_pairs(graph))
        if not pairs:
            return
        pair = pairs[0]
        n_in, n_mid, n_out = pair.widths
        first, second = name_of(pair.first), " and ".join(name_of(node) for node in pair.followers)
        more = (
            f" (and {len(pairs) - 1} more such place{'s' if len(pairs) > 2 else ''})"
            if len(pairs) > 1
            else ""
        )
        text = (
            f"{n_in} → {n_mid} → {n_out} channels without a nonlinearity: "
            f"rank at most {min(pair.widths)}, as a single layer of {n_in} → {n_out} has"
        )
        yield self.finding(
            f"nothing nonlinear between {first} and {second}: together they are one linear map{more}",
            help=f"apply an activation to the output of {first}, such as `F.relu(...)`, or write one layer "
            f"of {n_in} → {n_out} instead",
            evidence=Evidence(len(pairs), "pairs of layers", text, limit=0),
            at=dict.fromkeys(node for pair in pairs for node in (pair.first, *pair.followers)),
            verdict=Verdict.CONFIRMED,
            count=len(pairs),
        )


@dataclass(frozen=True)
class LinearPair:
    """A layer whose value only `followers` take, all linearly. `widths`: channels in, between, and out of all
    followers.
    """

    first: Node
    followers: tuple[Node, ...]
    widths: tuple[int, int, int]


def linear_pairs(graph: ModelGraph) -> Iterator[LinearPair]:
    """Every layer that makes one linear map with those that follow it, for no good reason."""
    layers = [node for node in graph if is_plain_layer(node)]
    uses: dict[Any, list[Node]] = {}
    for layer in layers:
        uses.setdefault(weights_key(layer), []).append(layer)
    for layer in layers:
        followers = [follower for follower in linear_ends(layer) if follower is not layer]
        if not followers or not all(is_plain_layer(follower) for follower in followers):
            continue
        if any(
            shares_weights(layer, follower, uses) or is_by_design(layer, follower) for follower in followers
        ):
            continue
        channels = joint_widths(layer, followers)
        if channels is None or saves(*channels):
            continue
        if all(mixes_all_channels(layer, follower) for follower in followers):
            yield LinearPair(layer, tuple(followers), channels)


def is_plain_layer(node: Node) -> bool:
    """A linear or convolutional layer that trains, on the way from input to output."""
    from netcheck.trace.weights import is_trained

    return node.kind in (Kind.LINEAR, Kind.CONV) and node.live and node.carries and is_trained(node)


def linear_ends(layer: Node) -> list[Node]:
    """What a layer's value meets after linear operations alone: a nonlinear pool or norm ends the way."""
    found, pending = [], [layer]
    while pending:
        for node in ends(pending.pop(), _LINEAR - {Kind.NORM, Kind.POOL, Kind.REDUCE, Kind.RESHAPE}):
            if is_linear(node):
                pending.append(node)
            else:
                found.append(node)
    return sorted(set(found), key=lambda node: node.index)


def is_linear(node: Node) -> bool:
    """Whether an operation is linear by its sort."""
    if node.kind in (Kind.POOL, Kind.REDUCE):
        return node.detail in ("average", "mean", "sum")
    if node.kind is Kind.NORM:
        return node.detail == "batch"
    if node.kind is Kind.ACTIVATION:
        return node.activation is not None and node.activation.linear
    return node.kind is Kind.RESHAPE and node.detail != "fourier"


def weights_key(layer: Node) -> Any:
    """What two layers have in common that have one weight."""
    if layer.module is not None:
        return id(layer.module)
    return tuple(source.fx.target for source in layer.inputs if source.op == "get_attr") or layer


def shares_weights(first: Node, second: Node, uses: dict[Any, list[Node]]) -> bool:
    """Whether a weight is used in more places than the pair: a loop, or a head on several maps. Twins are
    pairs, too.
    """
    one, two = weights_key(first), weights_key(second)
    return one == two or len(uses[one]) != len(uses[two])


def is_by_design(first: Node, second: Node) -> bool:
    """Whether a published pattern puts these two in a row."""
    return (
        groups(first) > 1
        or groups(second) > 1
        or are_separable(first, second)
        or upsamples(first)
        or enters_inverted_block(second)
        or is_attention(before(first, _LINEAR))
        or any(is_attention(node) for node in ends(second, _LINEAR))
    )


def groups(layer: Node) -> int:
    """Of a convolution; 1 for a linear layer."""
    value = layer.option("groups", 6, 1) if layer.kind is Kind.CONV else 1
    return value if isinstance(value, int) else 1


def are_separable(first: Node, second: Node) -> bool:
    """Whether two kernels extend along different dimensions: k×1 and 1×k."""
    if first.kind is not Kind.CONV or second.kind is not Kind.CONV:
        return False
    one, two = kernel_size(first) or (), kernel_size(second) or ()
    return (
        max(one, default=1) > 1
        and max(two, default=1) > 1
        and len(one) == len(two)
        and all(min(a, b) == 1 for a, b in zip(one, two, strict=True))
    )


def enters_inverted_block(layer: Node) -> bool:
    """An expansion by 1×1 convolution before a depthwise one: what comes in is a linear bottleneck on
    purpose.
    """
    channels = widths(layer)
    if (
        layer.kind is not Kind.CONV
        or channels is None
        or channels[1] <= channels[0]
        or max(kernel_size(layer) or (3,)) > 1
    ):
        return False
    return any(groups(node) > 1 for node in ends(layer, _LINEAR | {Kind.ACTIVATION}))


def upsamples(layer: Node) -> bool:
    """A transposed convolution that makes of each position a patch of its own."""
    if layer.detail != "transpose":
        return False
    stride = layer.option("stride", 3, 1)
    kernel = kernel_size(layer) or ()
    return kernel == (tuple(stride) if isinstance(stride, tuple | list) else (stride,) * len(kernel))


def is_attention(node: Node | None) -> bool:
    """Attention, or the product of two activations that it is made of."""
    return node is not None and node.kind in (Kind.ATTENTION, Kind.MATMUL)


def joint_widths(first: Node, followers: list[Node]) -> tuple[int, int, int] | None:
    """Channels into `first`, between, and out of all followers; an output that reads p positions counts p
    times.
    """
    into = widths(first)
    out = [widths(follower) for follower in followers]
    if into is None or None in out:
        return None
    n_in, n_mid = into
    n_out = sum(max(1, pair[0] // max(n_mid, 1)) * pair[1] for pair in out if pair is not None)
    return n_in, n_mid, n_out


def saves(n_in: int, n_mid: int, n_out: int) -> bool:
    """Whether the two matrices are no larger than the one that they make: a bottleneck of half the width, or less."""
    return n_mid * (n_in + n_out) <= n_in * n_out


def name_of(node: Node) -> str:
    """A layer as a person finds it: its path, or the function that was called."""
    return f"'{node.path}'" if node.module is not None and node.path else f"{node.target}"
