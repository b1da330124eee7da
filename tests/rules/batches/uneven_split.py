"""NC701: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.batches.uneven_split import NET

BAD = (Example("an odd batch over 2", NET, "2x8", devices=2, batch_size=33),)

GOOD = (Example("fewer samples than devices, one each", NET, "2x8", devices=4, batch_size=3),)
