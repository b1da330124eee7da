"""NC306: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "the statistics of the last batch alone",
        "model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16, momentum=1.0), nn.ReLU(), nn.Linear(16, 4))",
        "8x8",
    ),
    Example("a layer normalization", "model = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16, 0.5), nn.Linear(16, 4))", "8x8"),
)
GOOD = (
    Example(
        "no statistics are kept",
        "model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16, momentum=0, track_running_stats=False), nn.ReLU())",
        "8x8",
    ),
    Example(
        "frozen",
        "model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16, momentum=0), nn.ReLU(), nn.Linear(16, 4))\nmodel[1].eval()",
        "8x8",
    ),
    Example(
        "an instance normalization as it comes", "model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8))", "2x3x8x8"
    ),
)
