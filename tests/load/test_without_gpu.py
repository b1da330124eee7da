"""Models that ask for a GPU by name are checked where there is none."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import torch

from netcheck import engine
from netcheck.load.without_gpu import SAID, on_the_cpu
from netcheck.settings import Settings
from netcheck.source.targets import Target

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")

FILE = """
import torch
from torch import nn

class Built(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3).cuda()

    def forward(self, x):
        return self.layer(x.to("cuda:0")) + torch.zeros(3, device="cuda")

class Run(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        torch.cuda.synchronize()
        return self.layer(x) + torch.cuda.FloatTensor(x.size(0), 3).fill_(0).type("torch.cuda.FloatTensor")

net = Run().cuda()
fine = nn.Linear(4, 3)
if True:
    fine.cuda()
"""


@pytest.mark.parametrize("symbol", ["Built", "Run", "net", "fine"])
def test_what_would_be_moved_stays(symbol: str, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(textwrap.dedent(FILE))
    report = engine.check_target(Target(str(file), symbol), Settings(targets=(str(file),)))
    assert report.summary is not None
    assert report.gradients is not None
    assert report.skipped == [SAID]
    assert [found.code for found in report.findings] == []
    assert not any("CUDA" in note.reason for note in report.left_out)


def test_so_it_does_in_a_process_whose_parent_has_looked_for_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    file = tmp_path / "net.py"
    file.write_text(textwrap.dedent(FILE))
    report = engine.check_target(Target(str(file), "Run"), Settings(targets=(str(file),)))
    assert report.summary is not None
    assert report.skipped == [SAID]


ASSUMED = """
import torch
from torch import nn

class Tag(nn.Module):
    def __init__(self, batch_size, vocab_size):
        super().__init__()
        self.batch_size = batch_size
        self.table, self.read, self.out = nn.Embedding(vocab_size, 8), nn.GRU(8, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, words):
        return self.out(self.read(self.table(words), torch.zeros(1, self.batch_size, 8).cuda())[0][:, -1])
"""


def test_arguments_are_not_blamed_for_it(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(ASSUMED)
    report = engine.check_target(Target(str(file), "Tag"), Settings(targets=(str(file),), probe=False))
    assert str(report.construction) == "Tag(batch_size=1, vocab_size=100), assumed"
    assert report.inputs.startswith("words int64 (1, 16)")
    assert report.skipped == [SAID]


def test_a_model_that_fails_for_another_reason_is_not_run_again(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(textwrap.dedent(FILE) + "\nclass Fails(Run):\n    def __init__(self):\n        raise ValueError('no')\n")
    report = engine.check_target(Target(str(file), "Fails"), Settings(targets=(str(file),)))
    assert [found.code for found in report.findings] == ["NC001"]
    assert SAID not in report.skipped


def test_torch_is_as_before() -> None:
    before = dict(vars(torch.cuda))
    with on_the_cpu():
        assert torch.zeros(2, device=torch.device("cuda", 1)).device.type == "cpu"
        assert torch.zeros(2).cuda(0).to(0).device.type == "cpu"
        with torch.cuda.device(0):
            assert torch.cuda.current_device() == 0
    assert dict(vars(torch.cuda)) == before
    with pytest.raises((AssertionError, RuntimeError)):
        torch.zeros(2).cuda()
