"""NC912: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.wiring.loss_left_behind import net

BAD = (
    Example(
        "in training alone",
        net("if self.training:\n            self.loss = (logits - target).pow(2).mean()\n        return logits"),
        "x=8x16 target=8x4",
    ),
)
GOOD = (
    Example(
        "a penalty that needs no target",
        net("self.loss = logits.pow(2).mean()\n        return logits + target"),
        "x=8x16 target=8x4",
    ),
    Example(
        "kept and returned", net("self.loss = F.mse_loss(logits, target)\n        return logits, self.loss"), "x=8x16 target=8x4"
    ),
    Example(
        "a running mean of it",
        net("with torch.no_grad():\n            self.loss = F.mse_loss(logits, target)\n        return logits"),
        "x=8x16 target=8x4",
    ),
)
