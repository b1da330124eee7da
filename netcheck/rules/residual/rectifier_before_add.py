"""NC406: a residual branch that ends in a rectifier."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.thresholds import Threshold
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node
    from netcheck.trace.residual import Residual

_WARN = 3  # such sums on one identity: RAFT has two between its projections, and trains


class RectifierBeforeAdd(StaticRule):
    """The residual branch ends in an activation that is never negative, so a block can only add to the stream.

    ## What it does
    Finds residual sums whose branch ends in ReLU, ReLU6, softplus, sigmoid or any other activation without negative values,
    up to what keeps the sign (dropout, pooling). Up to two that one identity passes are a note, from three a warning; a
    projection on the skip begins anew.

    ## Why is this bad?
    A residual function should take values of both signs. One that cannot be negative makes the forward signal grow
    monotonically: the mean rises with every block, later blocks see inputs of one sign, and none can take back what an
    earlier one has added.

    ## When it is fine
    After the sum, as in ResNet. Where the skip spans a whole decoder (LinkNet): it is no block of a stack. With
    activations of both signs (leaky ReLU, SiLU, GELU), as in YOLO's Darknet.

    ## Evidence
    ResNet-110 on CIFAR-10: 7.84 % error with ReLU before the addition, 6.61 % with the ReLU after it.

    ## References
    - He et al. 2016, Identity Mappings in Deep Residual Networks, section 4.1, table 2 and figure 4(c).
    """

    code = "NC406"
    name = "rectifier-before-add"
    severity = Severity.WARNING
    THRESHOLDS = (Threshold("warning", _WARN, "such sums on one identity from which it is a warning"),)
    BAD = (
        Example(
            "blocks that end in BatchNorm and ReLU",
            """
def layer():
    return nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(layer(), layer())

    def forward(self, x):
        return x + self.body(x)

model = nn.Sequential(nn.Conv2d(3, 8, 3), *[Block() for _ in range(4)], nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
        Example(
            "an MLP with the function in the sum",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(8, 32), nn.Linear(32, 4)
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(3))

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = x + F.relu(layer(x))
        return self.head(x)

model = Net()
""",
            "8x8",
        ),
        Example(
            "a clamp, and dropout after it",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.first, self.second = nn.LayerNorm(16), nn.Linear(16, 32), nn.Linear(32, 16)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        out = self.first(self.norm(x)).clamp(min=0)
        out = self.drop(self.second(out).clamp(min=0))
        out += x
        return out

model = nn.Sequential(nn.Linear(8, 16), Block(), Block(), nn.Linear(16, 4))
""",
            "8x8",
        ),
        Example(
            "squashed to (0, 1)",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16))

    def forward(self, x):
        return torch.add(torch.sigmoid(self.layer(x)), x)

model = nn.Sequential(nn.Linear(8, 16), *[Block() for _ in range(3)], nn.Linear(16, 4))
""",
            "8x8",
        ),
        Example(
            "where the block changes the resolution too",
            """
class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm1, self.norm2, self.relu = nn.BatchNorm2d(after), nn.BatchNorm2d(after), nn.ReLU()
        self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x):
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.relu(self.norm2(self.conv2(out)))
        return out + self.shortcut(x)

model = nn.Sequential(
    nn.Conv2d(3, 8, 3), Block(8, 16, 2), Block(16, 32, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)
)
""",
            "4x3x16x16",
        ),
        Example(
            "an attention block with torch.relu_ at its end",
            """
class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.norm = nn.MultiheadAttention(16, 2, batch_first=True), nn.LayerNorm(16)

    def forward(self, x):
        y = self.norm(x)
        return x + torch.relu_(self.attention(y, y, y)[0])

model = nn.Sequential(nn.Linear(8, 16), Layer(), Layer(), Layer(), nn.Linear(16, 4))
""",
            "2x5x8",
        ),
    )
    GOOD = (
        Example(
            "the ReLU after the sum (ResNet)",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.norm1, self.norm2 = nn.BatchNorm2d(8), nn.BatchNorm2d(8)

    def forward(self, x):
        return F.relu(x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))

model = nn.Sequential(nn.Conv2d(3, 8, 3), *[Block() for _ in range(4)], nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
        Example(
            "the ReLU before the layers (pre-activation)",
            """
class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)

blocks = [Residual(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1)) for _ in range(4)]
model = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(3 * 64, 10))
""",
            "4x3x8x8",
        ),
        Example(
            "activations of both signs (Darknet)",
            """
class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)

def layer():
    return nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.LeakyReLU(0.1))

model = nn.Sequential(*[Residual(layer(), layer()) for _ in range(4)], nn.Flatten(), nn.Linear(3 * 64, 10))
""",
            "4x3x8x8",
        ),
        Example(
            "a norm after the ReLU gives the branch both signs",
            """
class ConvNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, x):
        return x + self.norm(F.relu(self.conv(x)))

model = nn.Sequential(*[ConvNorm() for _ in range(4)], nn.Flatten(), nn.Linear(3 * 64, 10))
""",
            "4x3x8x8",
        ),
        Example(
            "a decoder that ends in ReLU and is added to the encoder's features (LinkNet)",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 2, 1)
        self.down = nn.ModuleList(nn.Conv2d(8, 8, 3, 2, 1) for _ in range(3))
        self.up = nn.ModuleList(nn.ConvTranspose2d(8, 8, 2, 2) for _ in range(3))

    def forward(self, x):
        features = [F.relu(self.stem(x))]
        for layer in self.down:
            features.append(F.relu(layer(features[-1])))
        x = features.pop()
        for layer in self.up:
            x = F.relu(layer(x)) + features.pop()
        return self.head(x)

model = Net()
""",
            "2x3x16x16",
        ),
        Example(
            "two rectified towers that are added",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(8, 16), nn.Linear(8, 16)
        self.hidden, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        x = F.relu(self.left(x)) + F.relu(self.right(x))
        return self.head(F.relu(self.hidden(x)))

model = Net()
""",
            "8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such sums of a model."""
        found = {each.node: end for each in graph.residuals if (end := rectified_end(each)) is not None}
        if not found:
            return
        name, several = next(iter(found.values())).target, len(found) > 1
        blocks = f"{len(found)} residual branches end" if several else "the residual branch ends"
        yield self.finding(
            f"{blocks} in {name}: {'they' if several else 'it'} can only add to the stream",
            help="end the branch in its last layer and norm; put the activation after the sum (`F.relu(x + branch(x))`) or "
            "before the branch's first layer",
            evidence=Evidence(
                len(found),
                "rectified branches",
                f"{len(found)} of {len(graph.residuals)} residual branches are never "
                "negative; ResNet-110 loses 1.2 points on CIFAR-10 by it",
                limit=0,
            ),
            at=[*found.values(), *found],
            severity=Severity.WARNING if longest_stream(graph, found) >= self.limit("warning") else Severity.INFO,
            verdict=Verdict.CONFIRMED,
            count=len(found),
        )


def rectified_end(residual: Residual) -> Node | None:
    """The activation without negative values that a block's branch ends in; None if the branch takes both signs."""
    from netcheck.trace.residual import fixed_factor

    if residual.node.function in ("sub", "isub", "rsub") or not residual.branch.layers or residual.spans_stages:
        return None
    keeps_sign = (Kind.IDENTITY, Kind.CAST, Kind.DROPOUT, Kind.POOL, Kind.RESIZE, Kind.PAD, Kind.RESHAPE)
    end = residual.branch.operand
    while end.kind in keeps_sign or (end.kind is Kind.SCALE and (fixed_factor(end) or 0) > 0):
        end = next(source for source in end.inputs if source.depends)
    nonnegative = end.activation is not None and end.activation.nonnegative
    nonnegative = nonnegative or (end.kind is Kind.SOFTMAX and end.detail != "log")
    return end if nonnegative and end in residual.branch.nodes else None


def longest_stream(graph: ModelGraph, found: Iterable[Node]) -> int:
    """The most of these sums that one identity passes; a projection begins a new one."""
    chosen, length = set(found), dict[object, int]()
    for residual in graph.residuals:
        before = 0 if residual.skip.layers else length.get(last_sum(residual.origin), 0)
        length[residual.node] = before + (residual.node in chosen)
    return max(length.values(), default=0)


def last_sum(node: Node) -> Node:
    """The sum that a value comes from by activations alone."""
    while node.kind in (Kind.ACTIVATION, Kind.DROPOUT, Kind.IDENTITY, Kind.CAST, Kind.POOL):
        node = next(source for source in node.inputs if source.depends)
    return node
