"""The shapes of targets, as a training file shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from netcheck.source.training import reading
from netcheck.source.training.seam import seam_of

FILE = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

N = 100

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 1)

    def forward(self, x):
        return self.layer(x)

def train():
    net, loss = Net(), nn.MSELoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x = torch.randn(N, 8)
    data = TensorDataset(x, {targets})
    loader = DataLoader(data, batch_size=10)
    {loop}:
        optimizer.zero_grad()
        loss(net(xb), {given}).backward()
        optimizer.step()
"""
LOOP = "for xb, yb in loader"


@pytest.mark.parametrize(
    ("targets", "given", "loop", "shape"),
    [
        ("x[:, 0]", "yb", LOOP, (None,)),
        ("x[:, :1]", "yb", LOOP, (None, None)),
        ("x[:, None, 0]", "yb", LOOP, (None, 1)),
        ("x.sum(1)", "yb", LOOP, (None,)),
        ("torch.sum(x, 1, keepdim=True)", "yb", LOOP, None),
        ("2 * x.mean(dim=1) + 0.1 * torch.randn(N)", "yb", LOOP, (None,)),
        ("x[:, 0].unsqueeze(1)", "yb", LOOP, (None, 1)),
        ("x[:, 0].view(-1, 1)", "yb", LOOP, (None, 1)),
        ("torch.sin(x[:, 0])", "yb.float()", LOOP, (None,)),
        ("torch.randint(0, 2, (N,))", "yb", LOOP, (None,)),
        ("x.sum(1)", "yb.unsqueeze(-1)", LOOP, (None, 1)),
        ("x.sum(1)", "yb", "for i, (xb, yb) in enumerate(loader)", (None,)),
        ("x.sum(1)", "yb", "for xb, yb in zip(x, loader)", None),
        ("load_targets()", "yb", LOOP, None),
        ("x.sum(1)", "x[:10, :1]", LOOP, (None, None)),
    ],
)
def test_what_a_model_is_compared_with(
    tmp_path: Path, targets: str, given: str, loop: str, shape: tuple[int | None, ...]
) -> None:
    file = tmp_path / "train.py"
    file.write_text(FILE.format(targets=targets, given=given, loop=loop))
    seam = seam_of(reading.read(str(file)), "Net")
    assert seam is not None
    assert seam.targets == shape
