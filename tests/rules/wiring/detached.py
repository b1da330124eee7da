"""NC905: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "torch.no_grad around a layer that is meant to train",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.gate, self.head = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        with torch.no_grad():
            gate = torch.sigmoid(self.gate(x))
        return self.head(self.body(x) * gate)

model = Net()
""",
        "8x16",
    ),
    Example(
        "weights taken by .data",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.head = nn.Parameter(torch.randn(16, 16) / 4), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(F.linear(x, self.weight.data).relu())

model = Net()
""",
        "8x16",
    ),
    Example(
        "a hard decision by argmax",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.router = nn.Linear(16, 3)
        self.experts = nn.Parameter(torch.randn(3, 16, 4) / 4)

    def forward(self, x):
        chosen = self.router(x).argmax(-1)
        return torch.einsum("ni,nio->no", x, self.experts[chosen])

model = Net()
""",
        "8x16",
    ),
    Example(
        "a hard attention mask by a threshold",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.body, self.head = nn.Linear(16, 1), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        mask = (torch.sigmoid(self.score(x)) > 0.5).float()
        return self.head(F.relu(self.body(x)) * mask)

model = Net()
""",
        "8x16",
    ),
    Example(
        "rounded without a straight-through estimator",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(16, 8), nn.Linear(8, 16)

    def forward(self, x):
        code = torch.round(torch.sigmoid(self.encoder(x)) * 15) / 15
        return self.decoder(code)

model = Net()
""",
        "8x16",
    ),
    Example(
        "copied by torch.tensor",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(torch.tensor(self.body(x)))

model = Net()
""",
        "8x16",
    ),
    Example(
        "the classes instead of the logits",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(F.relu(self.body(x))).argmax(dim=1)

model = Net()
""",
        "8x16",
    ),
)

GOOD = (
    Example(
        "reversible blocks, which run without gradients and make up for that backward",
        """
class Reversible(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Linear(8, 8)

    def forward(self, x):
        with torch.no_grad():
            return x + self.f(x)

    def backward_pass(self, x, dy):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            torch.autograd.backward(x + self.f(x), dy)
        return x.grad

class Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, blocks):
        ctx.blocks, ctx.inputs = blocks, []
        for block in blocks:
            ctx.inputs.append(x)
            x = block(x)
        return x

    @staticmethod
    def backward(ctx, dy):
        for block, x in zip(reversed(ctx.blocks), reversed(ctx.inputs)):
            dy = block.backward_pass(x, dy)
        return dy, None

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks, self.head = nn.ModuleList(Reversible() for _ in range(3)), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(Through.apply(x, self.blocks))

model = Net()
""",
        "4x8",
    ),
    Example(
        "a straight-through estimator",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(16, 8), nn.Linear(8, 16)

    def forward(self, x):
        soft = torch.sigmoid(self.encoder(x))
        return self.decoder(soft + (soft.round() - soft).detach())

model = Net()
""",
        "8x16",
    ),
    Example(
        "a target branch with the weights of the other",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.predictor = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x, y):
        return self.predictor(self.encoder(x)), self.encoder(y).detach()

model = Net()
""",
        "x=8x16 y=8x16",
    ),
    Example(
        "a softmax that is kept from overflowing",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        logits = self.head(x)
        shifted = (logits - logits.max(1, keepdim=True).values.detach()).exp()
        return shifted / shifted.sum(1, keepdim=True)

model = Net()
""",
        "8x16",
    ),
    Example(
        "classes besides the logits",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        logits = self.head(F.relu(self.body(x)))
        return {"logits": logits, "classes": logits.argmax(1), "confidence": logits.detach().softmax(1)}

model = Net()
""",
        "8x16",
    ),
    Example(
        "a momentum encoder that forward updates",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key = nn.Linear(16, 8), nn.Linear(16, 8)

    def forward(self, x):
        with torch.no_grad():
            for slow, fast in zip(self.key.parameters(), self.query.parameters()):
                slow.data.mul_(0.99).add_(fast.data, alpha=0.01)
            keys = self.key(x)
        return self.query(x) @ keys.T

model = Net()
""",
        "8x16",
    ),
)
