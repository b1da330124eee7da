"""Bad input: each model that nothing can be learned of gets one finding, with its place and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from netcheck import engine
from netcheck.settings import Settings
from netcheck.source.targets import Target

BAD = {
    "NC004 forward raises": "raise RuntimeError('boom')",
    "NC003 takes wrong shapes": "return self.other(self.layer(x))",
    "NC907 returns nothing": "self.layer(x)",
    "NC907 returns text": "return str(self.layer(x).shape)",
    "NC907 returns class numbers": "return self.layer(x).argmax(-1)",
    "NC907 returns truth values": "return self.layer(x) > 0",
}
HEADER = """import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
"""
OTHER = "        self.other = nn.Linear(5, 5)\n"


@pytest.mark.parametrize("case", BAD)
def test_one_finding_for_one_cause(case: str, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    other = OTHER if "other" in BAD[case] else ""
    file.write_text(f"{HEADER}{other}\n    def forward(self, x):\n        {BAD[case]}\n")
    report = engine.check_target(Target(str(file), "Net"), Settings(targets=(str(file),)))
    assert [found.code for found in report] == [case[:5]]
    (found,) = report
    assert found.help
    assert found.locations[0].file == str(file)


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(
        f"{HEADER}        self.layer.weight.data[0, 0] = float('nan')\n\n"
        "    def forward(self, x):\n        return self.layer(x)\n"
    )
    (found,) = engine.check_target(Target(str(file), "Net"), Settings(targets=(str(file),)))
    assert (found.code, found.modules) == ("NC507", ("layer.weight",))


@pytest.mark.parametrize("softmax", ["log_softmax(h, 1)", "softmax(h, -1)"])
def test_a_head_of_no_outputs(softmax: str, tmp_path: Path) -> None:
    """As where the number of classes is 0 until the data are read: no rule fails on empty tensors."""
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.inner, self.head = nn.Linear(4, 8), nn.Linear(8, 0)\n"
        f"    def forward(self, x):\n        h = self.head(torch.relu(self.inner(x)))\n        return torch.{softmax}\n"
    )
    report = engine.check_target(Target(file=str(tmp_path / "net.py"), symbol="Net"), Settings(inputs=("8x4",), device="cpu"))
    assert not {finding.code for finding in report.findings} & {"NC008", "NC916"}
