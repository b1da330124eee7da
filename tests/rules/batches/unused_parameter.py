"""NC709: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.batches.unused_parameter import net

BAD = (Example("a result that nobody returns", net("(self.second(x), self.first(x))[1]"), "4x8", devices=2),)

GOOD = (Example("one device", net("self.first(x)"), "4x8", devices=1),)
