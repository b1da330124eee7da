"""NC911: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.wiring.bidirectional_last_step import classifier

BAD = (
    Example("behind dropout", classifier("F.dropout(out, 0.2, self.training)[:, -1, :]"), "4x7x5"),
    Example("by the number of steps", classifier("out[:, x.size(1) - 1]"), "4x7x5"),
    Example(
        "time first",
        classifier("out[-1]").replace("batch_first=True, ", "") + "\nmodel.lstm.dropout = 0.0\n",
        "7x4x5",
    ),
)
GOOD = (
    Example("one direction", classifier("out[:, -1]").replace(", bidirectional=True", "").replace("16, 3", "8, 3"), "4x7x5"),
    Example("each direction where it ends", classifier("torch.cat([out[:, -1, :8], out[:, 0, 8:]], 1)"), "4x7x5"),
    Example("the forward half alone", classifier("F.pad(out[:, -1][:, :8], (0, 8))"), "4x7x5"),
    Example("first and last step", classifier("out[:, 0] + out[:, -1]"), "4x7x5"),
    Example("every step", classifier("out"), "4x7x5"),
    Example("one step", classifier("out[:, -1]"), "4x1x5"),
)
