"""NC710: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.batches.shards_differ import net

BAD = (
    Example(
        "a share too small for batch normalization",
        "model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))",
        "4x8",
        devices=4,
        batch_size=4,
    ),
)

GOOD = (Example("uneven shares, weighted by their samples", net("h.relu()"), "4x8", devices=4, batch_size=7),)
