"""NC711: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.batches.sampler_repeats import NET

BAD = (Example("one too many", NET, "2x8", devices=2, batch_size=9),)

GOOD = (Example("one sample each", NET, "2x8", devices=4, batch_size=4),)
