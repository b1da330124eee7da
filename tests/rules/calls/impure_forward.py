"""NC913: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.calls.impure_forward import net

BAD = (
    Example("weights that are clipped in forward", net("self.head.weight.data.mul_(0.9)"), "4x8"),
    Example("a rectifier in place on the argument", "model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(8, 4))", "4x8"),
    Example(
        "bounds that hardly any number reaches",
        "class Net(nn.Linear):\n    def forward(self, x):\n        return super().forward(x.clamp_(-9, 9))\n\nmodel = Net(8, 4)",
        "4x8",
    ),
    Example("a batch normalization that never rests", net("h = F.batch_norm(h, self.mean, torch.ones(8), training=True)"), "4x8"),
    Example(
        "a mean over all that it was ever given",
        net("vars(self).setdefault('past', []).append(h); h = torch.stack(self.past).mean(0)"),
        "4x8",
    ),
    Example("a state that goes on", net("self.past = h + getattr(self, 'past', 0.0); h = self.past"), "4x8"),
)
GOOD = (
    Example("batch normalization", "model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))", "4x8"),
    Example("maps that are collected", net("vars(self).setdefault('maps', []).append(h.detach())"), "4x8"),
    Example("dropout", "model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 4))", "4x8"),
    Example("noise", net("h = h + torch.randn_like(h) * self.training"), "4x8"),
    Example("in place on a tensor of its own", net("h += 1.0; h.relu_()"), "4x8"),
    Example(
        "a table that is made once", net("self.table = getattr(self, 'table', torch.arange(8.0)); h = h + self.table"), "4x8"
    ),
    Example(
        "a spectral norm",
        "model = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8)), nn.Linear(8, 4))",
        "4x8",
    ),
)
