"""NC802: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "an embedding of far more words than the rest is worth",
        """
model = nn.Sequential(
    nn.Embedding(50000, 64), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5),
)
""",
        "long:2x16",
    ),
)

GOOD = (
    Example(
        "a net so small that nothing can be saved",
        """
model = nn.Sequential(
    nn.Linear(100, 200), nn.ReLU(), nn.Linear(200, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 10)
)
""",
        "2x100",
    ),
)
