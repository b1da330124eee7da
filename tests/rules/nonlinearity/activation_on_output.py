"""NC106: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "rectified logits go into a softmax",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        return F.softmax(F.relu(self.fc2(x)), dim=1)

model = Net()
""",
        "8x16",
    ),
    Example(
        "a convolutional head",
        """
model = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 5, 1), nn.LeakyReLU())
""",
        "4x3x8x8",
    ),
    Example(
        "one of two results",
        """
class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.actor, self.critic = nn.Linear(8, 32), nn.Linear(32, 3), nn.Linear(32, 1)

    def forward(self, x):
        x = torch.tanh(self.body(x))
        return {"value": self.critic(x), "logits": self.actor(x).clamp(min=0)}

model = ActorCritic()
""",
        "8x8",
    ),
    Example(
        "after a norm, reshaped",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.norm = nn.Linear(16, 32), nn.Linear(32, 12), nn.BatchNorm1d(12)

    def forward(self, x):
        x = self.fc2(F.gelu(self.fc1(x)))
        return F.elu(self.norm(x)).view(-1, 4, 3)

model = Net()
""",
        "8x16",
    ),
)

GOOD = (
    Example(
        "a logarithm that is kept in a range",
        """
class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.mean, self.log_std = nn.Linear(8, 32), nn.Linear(32, 3), nn.Linear(32, 3)

    def forward(self, x):
        x = torch.tanh(self.body(x))
        return self.mean(x), torch.clamp(self.log_std(x), min=-20, max=2)

model = Policy()
""",
        "8x8",
    ),
    Example(
        "one quantity that cannot be negative",
        """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1), nn.ReLU())
""",
        "8x16",
    ),
    Example(
        "positive rates by softplus",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.mean, self.spread = nn.Linear(16, 32), nn.Linear(32, 4), nn.Linear(32, 4)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        return self.mean(x), F.softplus(self.spread(x))

model = Net()
""",
        "8x16",
    ),
    Example(
        "the feature maps of a convolutional backbone",
        """
model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU())
""",
        "4x3x8x8",
    ),
    Example(
        "features of a block of constant width, with a sum",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(32, 32), nn.Linear(32, 32)

    def forward(self, x):
        return F.relu(x + self.two(F.relu(self.one(x))))

model = Block()
""",
        "8x32",
    ),
)
