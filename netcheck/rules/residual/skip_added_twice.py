"""NC405: a skip that reaches its sum twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node


class SkipAddedTwice(StaticRule):
    """The block's input reaches the sum twice: the block computes 2x + f(x), and the signal doubles from block to block.

    ## What it does
    Takes sums of sums apart and finds a value that is among the terms more than once, beside a branch. A residual wrapper
    around a block that has a skip of its own does this, also where a rectifier or dropout stands between the two sums.

    ## Why is this bad?
    Each block multiplies the stream by two, so after 20 of them the input is a million times larger than what any branch
    adds: the branches no longer matter. With a norm after each sum the growth is taken back, but the branch still counts
    half of what was meant.

    ## When it is fine
    One long skip around several residual blocks, as in super-resolution nets: the input is added again once, after
    other blocks have changed the stream.

    ## Evidence
    The sum is (n x + f(x)), exactly, with n read off the graph: over d blocks the identity grows n^d-fold.

    ## References
    - He et al. 2016, Identity Mappings in Deep Residual Networks, section 3.1: factors on the skip multiply over the blocks.
    """

    code = "NC405"
    name = "skip-added-twice"
    severity = Severity.WARNING
    BAD = (
        Example(
            "once in the middle, once at the end",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

    def forward(self, x):
        out = self.norm(self.conv(F.relu(x)))
        out = out + x
        return x + out

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
        Example(
            "a wrapper around blocks that have a skip already",
            """
class Residual(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x) + x

class FeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16), nn.Dropout(0.1))

    def forward(self, x):
        return x + self.layers(x)

model = nn.Sequential(nn.Linear(8, 16), *[Residual(FeedForward()) for _ in range(3)], nn.Linear(16, 4))
""",
            "8x8",
        ),
        Example(
            "an identity shortcut beside the skip",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.shortcut = nn.Sequential()

    def forward(self, x):
        out = self.conv2(F.relu(self.conv1(x)))
        out += self.shortcut(x)
        out += x
        return out

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
        Example(
            "a sum over a list that holds the input twice",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers, self.head = nn.ModuleList(nn.Linear(16, 16) for _ in range(2)), nn.Linear(16, 4)

    def forward(self, x):
        for layer in self.layers:
            x = sum([x, torch.tanh(layer(x)), x])
        return self.head(x)

model = Net()
""",
            "8x16",
        ),
        Example(
            "around a block that ends in the ReLU after its sum",
            """
class BasicBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.norm1, self.norm2, self.relu = nn.BatchNorm2d(8), nn.BatchNorm2d(8), nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        return self.relu(out + x)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 10)
        self.blocks = nn.ModuleList(BasicBlock() for _ in range(3))

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x.mean((2, 3)))

model = Net()
""",
            "4x3x8x8",
        ),
        Example(
            "attention whose module adds the query, in a layer that adds it too",
            """
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.norm = nn.MultiheadAttention(16, 2, batch_first=True), nn.LayerNorm(16)

    def forward(self, x):
        y = self.norm(x)
        return self.attention(y, y, y, need_weights=False)[0].add(x)

class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.drop = Attention(), nn.Dropout(0.0)

    def forward(self, x):
        return torch.add(x, self.drop(self.attention(x)))

model = nn.Sequential(nn.Linear(8, 16), Layer(), Layer(), nn.Linear(16, 4))
""",
            "2x5x8",
        ),
    )
    GOOD = (
        Example(
            "two branches and one skip",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.feed = nn.Linear(16, 16), nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x):
        return x + self.attention(x) + self.feed(x)

model = nn.Sequential(nn.Linear(8, 16), Block(), Block(), nn.Linear(16, 4))
""",
            "8x8",
        ),
        Example(
            "two residual sums, one after the other",
            """
class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix, self.feed = nn.Linear(16, 16), nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)

    def forward(self, x):
        x = x + self.mix(self.norm1(x))
        return x + self.feed(self.norm2(x))

model = nn.Sequential(nn.Linear(8, 16), Layer(), Layer(), nn.Linear(16, 4))
""",
            "8x8",
        ),
        Example(
            "a long skip around several residual blocks",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(x)))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head, self.tail = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1)
        self.body = nn.Sequential(Block(), Block(), Block())

    def forward(self, x):
        x = self.head(x)
        return self.tail(x + self.body(x))

model = Net()
""",
            "2x3x8x8",
        ),
        Example(
            "a group of blocks with a convolution before its long skip",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(x)))

class Group(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(Block(), nn.Conv2d(8, 8, 3, padding=1))

    def forward(self, x):
        return x + self.body(x)

model = nn.Sequential(nn.Conv2d(3, 8, 3), Group(), Group(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
        Example(
            "residuals of residuals, scaled down (ESRGAN)",
            """
class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 4, 3, padding=1), nn.Conv2d(12, 8, 3, padding=1)

    def forward(self, x):
        out = self.conv2(torch.cat((x, F.leaky_relu(self.conv1(x), 0.2)), 1))
        return out * 0.2 + x

class Group(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(Dense(), Dense(), Dense())

    def forward(self, x):
        return self.body(x) * 0.2 + x

model = nn.Sequential(nn.Conv2d(3, 8, 3), Group(), Group(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
        Example(
            "the first features enter every block (as in GCNII)",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(8, 16), nn.Linear(16, 4)
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))

    def forward(self, x):
        first = x = self.stem(x)
        for layer in self.layers:
            x = x + torch.relu(layer(x)) + first
        return self.head(x)

model = Net()
""",
            "8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such sums of a model."""
        sums = (node for node in graph if node.kind is Kind.ADD and node.live and node.carries)
        found = {node: times for node in sums if (times := repetitions(node)) > 1}
        if not found:
            return
        times = max(found.values())
        blocks = f"{len(found)} sums" if len(found) > 1 else "the sum"
        growth = times ** len(found)
        yield self.finding(
            f"the block's input reaches {blocks} {'twice' if times == 2 else f'{times} times'}: "
            f"each block computes {times}x + f(x)",
            help="add it once: `x + self.block(x)`, with a block that has no skip of its own",
            evidence=Evidence(
                times,
                "times the identity",
                f"{times}x in {len(found)} sum{'s' if len(found) > 1 else ''}: the identity grows {growth:.3g}-fold",
                limit=1,
            ),
            at=list(found),
            verdict=Verdict.CONFIRMED,
        )


def repetitions(node: Node) -> int:
    """How often a sum's own input is among its terms, beside others; 0 for a sum without a skip, or inside another."""
    from netcheck.trace import residual

    if not residual.is_plain_sum(node) or residual.is_partial(node):
        return 0
    terms = [part for term in residual.terms(node) for part in taken_apart(term)]
    counts = Counter(terms)
    skip, times = counts.most_common(1)[0]
    injected = any(user.kind is Kind.ADD and user.index > node.index for user in skip.users)  # into every block
    return times if len(counts) > 1 and not injected and is_input_of_another(skip, terms) else 0


def taken_apart(term: Node) -> list[Node]:
    """The terms of a sum that a rectifier or dropout hands on to nothing but another sum; else the term itself."""
    from netcheck.trace import residual

    rectifies = term.activation is not None and term.activation.rectifier
    if not (rectifies or term.kind is Kind.DROPOUT) or len(term.users) != 1:
        return [term]
    inner = residual.value_of(next(source for source in term.inputs if source.depends))
    return residual.terms(inner) if residual.is_plain_sum(inner) and inner.users == [term] else [term]


def is_input_of_another(skip: Node, terms: list[Node]) -> bool:
    """Whether a layer makes some other term from the one that repeats: that is a skip, and not an input added up."""
    from netcheck.trace import residual

    for other in terms:
        origin, reached = residual.meeting(skip, other) if other is not skip else (None, {})
        if origin is skip and any(residual.is_layer(node) for node in reached if node is not skip):
            return True
    return False
