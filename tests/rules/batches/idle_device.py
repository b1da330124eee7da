"""NC702: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.batches.idle_device import NET

BAD = (Example("fewer samples than devices", NET, "2x8", devices=4, batch_size=3),)

GOOD = (Example("one sample for each", NET, "2x8", devices=4, batch_size=4),)
