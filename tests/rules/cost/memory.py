"""NC801: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "only Adam's second moments are too much",
        "model = nn.Sequential(nn.Linear(1024, 4096), nn.ReLU(), nn.Linear(4096, 1024))",
        "1x1024",
        "120MiB",
    ),
)

GOOD = (
    Example(
        "a device with room",
        "model = nn.Sequential(nn.Linear(1024, 4096), nn.ReLU(), nn.Linear(4096, 1024))",
        "1x1024",
        "24GiB",
    ),
)
