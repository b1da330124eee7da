"""What a try may allocate."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from netcheck.load import allocations
from netcheck.load.inference.search import Search

SCRIPT = """
import torch
from netcheck.load.allocations import bounded

with bounded(2**31):
    torch.ones(2**24)
    try:
        torch.ones(2**30)
    except RuntimeError as error:
        print("too much" if "allocate" in str(error) else error)
print(torch.ones(2**27).numel() == 2**27)
"""


@pytest.mark.skipif(allocations.data_held() is None, reason="this system does not tell")
def test_what_goes_wild_fails_by_itself_and_only_for_a_while() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["too much", "True", ""]


class Joined(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(7, 2)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.layer(torch.cat([x, y.relu()], 1))


def test_tries_hold_no_tensors_of_their_runs() -> None:
    search = Search(Joined(), seconds=5)
    assert search.search() is not None
    assert len(search.outcomes) > 1
    assert not any(outcome.recorder.followed() for outcome in search.outcomes.values())
