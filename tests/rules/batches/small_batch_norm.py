"""NC706: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.batches.small_batch_norm import MAPS

BAD = (Example("uneven: 9 over 2", MAPS, "8x3x8x8", devices=2, batch_size=9),)

GOOD = (
    Example(
        "group normalization",
        "model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))",
        "8x3x8x8",
        devices=4,
        batch_size=16,
    ),
    Example("small, but on one device", MAPS, "8x3x8x8", devices=1, batch_size=4),
)
