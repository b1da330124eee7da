"""NC407: a pre-activation block whose skip starts after the norm and the activation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node
    from netcheck.trace.residual import Residual


class SkipAfterPreactivation(StaticRule):
    """A pre-activation block takes its skip after its norm and activation, so the identity passes both in every block.

    ## What it does
    Finds identity skips that begin at an activation of a normalized stream: norm and activation stand at the head of the
    block, and what is added at its end is their output, not the block's input.

    ## Why is this bad?
    The point of pre-activation is a clean way from the first block to the last. Here each block normalizes and rectifies
    that way: the gradient is scaled and half of it cut off once a block, as in a plain net of that many activations.

    ## When it is fine
    Where the skip has a projection (the first block of a stage takes it after the pre-activation in the paper itself), and
    in ResNet's own order, where the activation follows the sum and the norm stands in the branch. A norm alone at the head
    of each block, `x = norm(x); x = x + f(x)`, is the post-norm order of the first transformers in other lines, and is not
    reported.

    ## Evidence
    ResNet-110 on CIFAR-10: 8.17 % error with BatchNorm after the addition, 6.61 % as published, 6.37 % with full
    pre-activation and a clean identity.

    ## References
    - He et al. 2016, Identity Mappings in Deep Residual Networks, section 4.1 and table 2.
    """

    code = "NC407"
    name = "skip-after-preactivation"
    severity = Severity.WARNING
    BAD = (
        Example(
            "the shortcut is taken one line too late",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1, bias=False)

    def forward(self, x):
        out = F.relu(self.norm1(x))
        shortcut = out
        out = self.conv1(out)
        out = self.conv2(F.relu(self.norm2(out)))
        return out + shortcut

model = nn.Sequential(nn.Conv2d(3, 8, 3), *[Block() for _ in range(3)], nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
        Example(
            "the input's name is reused for the pre-activation",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.preactivation = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.body = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, padding=1)
        )

    def forward(self, x):
        x = self.preactivation(x)
        x = x + self.body(x)
        return x

model = nn.Sequential(nn.Conv2d(3, 8, 3), *[Block() for _ in range(3)], nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
        Example(
            "without classes for the blocks",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(8, 32), nn.Linear(32, 4)
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(4))
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(4))

    def forward(self, x):
        x = self.stem(x)
        for norm, layer in zip(self.norms, self.layers):
            x = F.gelu(norm(x))
            x = x + layer(x)
        return self.head(x)

model = Net()
""",
            "8x8",
        ),
        Example(
            "a residual wrapper inside, the pre-activation outside",
            """
class Residual(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return x + self.function(x)

def block():
    return nn.Sequential(
        nn.GroupNorm(2, 8), nn.SiLU(), Residual(nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1)))
    )

model = nn.Sequential(nn.Conv2d(3, 8, 3), block(), block(), block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
        Example(
            "written with functions, adding in place",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(torch.randn(32, 32) / 6) for _ in range(3))
        self.stem, self.head = nn.Linear(8, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = self.stem(x)
        for weight in self.weights:
            y = torch.relu(F.layer_norm(x, (32,)))
            x = F.linear(y, weight)
            x += y
        return self.head(x)

model = Net()
""",
            "8x8",
        ),
        Example(
            "a method that prepares the block's input, through an identity shortcut",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.conv, self.shortcut = nn.BatchNorm1d(8), nn.Conv1d(8, 8, 3, padding=1), nn.Identity()

    def prepared(self, x):
        return nn.functional.leaky_relu(self.norm(x), 0.1)

    def forward(self, x):
        x = self.prepared(x)
        return torch.add(self.conv(x), self.shortcut(x))

model = nn.Sequential(nn.Conv1d(2, 8, 3), *[Block() for _ in range(3)], nn.Flatten(), nn.Linear(8 * 30, 3))
""",
            "4x2x32",
        ),
    )
    GOOD = (
        Example(
            "pre-activation with the skip from the block's input",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1, bias=False)

    def forward(self, x):
        out = self.conv1(F.relu(self.norm1(x)))
        out = self.conv2(F.relu(self.norm2(out)))
        return out + x

model = nn.Sequential(nn.Conv2d(3, 8, 3), *[Block() for _ in range(3)], nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
        Example(
            "the order of ResNet, after a stem with norm and ReLU",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)

    def forward(self, x):
        out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(out + x)

stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
model = nn.Sequential(stem, *[Block() for _ in range(3)], nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
        Example(
            "a projection after the pre-activation, where a stage begins",
            """
class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(before), nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(after), nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False) if before != after else None

    def forward(self, x):
        out = F.relu(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(out)
        out = self.conv2(F.relu(self.norm2(self.conv1(out))))
        return out + shortcut

model = nn.Sequential(
    nn.Conv2d(3, 8, 3), Block(8, 8, 1), Block(8, 16, 2), Block(16, 16, 1), nn.Flatten(), nn.Linear(16 * 9, 10)
)
""",
            "4x3x8x8",
        ),
        Example(
            "a post-norm Transformer: the norm follows the sum, and nothing rectifies",
            """
model = nn.Sequential(
    nn.Linear(8, 16), nn.TransformerEncoderLayer(16, 2, 32, batch_first=True),
    nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), nn.Linear(16, 4),
)
""",
            "2x5x8",
        ),
        Example(
            "a block's own first layer, norm and ReLU, and a skip around its second",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.norm(self.conv1(x)))
        return x + self.conv2(x)

model = nn.Sequential(nn.Conv2d(3, 8, 3), *[Block() for _ in range(3)], nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
        Example(
            "norm and activation after the last block",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))

    def forward(self, x):
        return x + self.body(x)

model = nn.Sequential(
    nn.Conv2d(3, 8, 3), Block(), Block(), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten(),
    nn.Linear(8 * 16, 10),
)
""",
            "4x3x8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such blocks of a model."""
        found = {each.node: start for each in graph.residuals if (start := late_start(each)) is not None}
        if not found:
            return
        norm, activation = next(iter(found.values()))
        blocks = f"in {len(found)} blocks the skip starts" if len(found) > 1 else "the skip starts"
        yield self.finding(
            f"{blocks} after {norm.target} and {activation.target}: the identity passes both, block after block",
            help="keep the block's input before them: `identity = x; out = self.relu(self.norm(x))`, and at the end "
            "`out + identity`",
            evidence=Evidence(
                len(found),
                "blocks",
                f"{len(found)} of {len(graph.residuals)} identity skips begin at an activation of a norm "
                "of the stream; ResNet-110 loses 1.6 points on CIFAR-10 with a norm there",
                limit=0,
            ),
            at=[node for start in found.values() for node in start],
            severity=Severity.WARNING if len(found) > 1 else Severity.INFO,
            verdict=Verdict.CONFIRMED,
            count=len(found),
        )


def late_start(residual: Residual) -> tuple[Node, Node] | None:
    """The norm and the activation of the stream after which an identity skip begins; None if it begins elsewhere."""
    from netcheck.trace.residual import value_of

    if residual.skip.layers or residual.projected:
        return None
    activation = value_of(residual.origin)
    if activation.kind is not Kind.ACTIVATION or activation.activation is None:
        return None
    norm = value_of(next(source for source in activation.inputs if source.depends))
    if norm.kind is not Kind.NORM:
        return None
    stream = value_of(next(source for source in norm.inputs if source.depends))
    heads_block = stream.graph.residual_at(stream) is not None or enters_block(stream, norm, residual.node)
    return (norm, activation) if heads_block else None


def enters_block(stream: Node, norm: Node, node: Node) -> bool:
    """Whether the norm belongs to the module that adds the skip, and what it normalizes was made before that module."""
    block = node.call.owner if node.call else None
    if block is None or block is node.graph.model or norm.call is None or stream.call is None:
        return False
    parts = {id(part) for part in block.modules()}
    return id(norm.call.owner) in parts and id(stream.call.owner) not in parts
