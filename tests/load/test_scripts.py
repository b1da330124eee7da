"""Classes of ScriptModules, from which torch takes forward away and whose parts it keeps in C++."""

from __future__ import annotations

from pathlib import Path

from netcheck import engine
from netcheck.settings import Settings
from netcheck.source.targets import Target

FILE = """
import torch
from torch import jit, nn

class Reward(jit.ScriptModule):
    def __init__(self, width):
        super().__init__()
        self.near, self.far = nn.Linear(8, width), nn.Linear(width, 2)

    @jit.script_method
    def forward(self, state):
        return self.far(torch.relu(self.near(state)))
"""


def test_a_class_of_scripts_is_built_and_run(tmp_path: Path) -> None:
    file = tmp_path / "reward.py"
    file.write_text(FILE)
    report = engine.check_target(Target(str(file), "Reward", discovered=True), Settings(targets=(str(file),), probe=False))
    assert [found.code for found in report.findings] == []
    assert report.summary is not None
    assert report.inputs.startswith("state float32 (2, 8)")
