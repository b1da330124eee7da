"""The table of layers."""

from __future__ import annotations

import json
import re

import pytest
import torch
from torch import nn

import netcheck
from netcheck.findings import Report
from netcheck.report.summary import in_tree_order, render, rows
from tests import warm


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(width), nn.Linear(width, width)
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.linear(self.norm(x)) * self.scale


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 8)
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.head = nn.Linear(8, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.embedding(ids)).mean(1))


@pytest.fixture(scope="module")
def report() -> Report:
    made = netcheck.check(Net, torch.zeros(4, 5, dtype=torch.long), probe=False)
    _ = made.cost
    return made


def test_rows_are_modules_with_their_own_numbers(report: Report) -> None:
    assert report.network is not None
    found = {row.path: row for row in rows(report.network, report.cost)}
    assert list(found) == [
        "", "embedding", "blocks", "blocks.0", "blocks.0.norm", "blocks.0.linear", "blocks.1", "blocks.1.norm", "blocks.1.linear",
        "head",
    ]  # fmt: skip
    assert (found[""].name, found[""].operation) == ("Net", "Net")
    assert (found["blocks.0"].operation, found["blocks.0"].parameters, found["blocks.0"].level) == ("Block", 8, 2)
    assert (found["blocks.0.linear"].operation, found["blocks.0.linear"].shape) == ("nn.Linear", (4, 5, 8))
    assert found["blocks.0.linear"].macs == 4 * 5 * 8 * 8
    assert found["head"].macs == 4 * 8 * 3


def test_columns_add_up_to_what_torch_counts(report: Report) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    assert report.network is not None
    table = list(rows(report.network, report.cost))
    model = Net()
    assert sum(row.parameters for row in table) == sum(p.numel() for p in model.parameters())
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(4, 5, dtype=torch.long))
    assert sum(row.macs or 0 for row in table) == counter.get_total_flops() // 2


def test_the_table_as_text(report: Report) -> None:
    text = render([report])
    assert re.search(r"^    0 +Block +\(4, 5, 8\) +8\b", text, re.M)
    assert re.search(r"^parameters: 619 \(2\.4 KiB\)", text, re.M)
    assert "forward of a batch of 4 samples" in text
    assert "with Adam at the peak" in text


def test_other_formats(report: Report) -> None:
    assert "| layer | class | output | parameters | MACs |" in render([report], format="markdown")
    (entry,) = json.loads(render([report], format="json"))
    assert entry["parameters"] == 619
    assert entry["layers"][0]["name"] == "Net"


def test_a_tree_keeps_the_order_of_first_runs() -> None:
    assert in_tree_order(["", "b.x", "a", "b.y"]) == ["", "b", "b.x", "b.y", "a"]


def test_on_the_command_line(tmp_path: object) -> None:
    done = warm.line("netcheck summary --input 4,64 examples/lecture/relu.py:HeStack")
    assert done.returncode == 0, done.stderr
    assert "x float32 (4, 64)" in done.stdout or "float32 (4, 64), as given" in done.stdout
    failed = warm.line("netcheck summary --input 4,63 examples/lecture/relu.py:HeStack")
    assert failed.returncode == 2
    assert "give inputs that fit: `--input 2x64`, inferred from" in failed.stdout
