"""A healthy file in many styles, into which one fault is put at a time: each is mended, and nothing else of the file changes.

    pytest -m slow tests/fix/test_mutations.py        all 208; without it, one style of each fault

A style is how the file imports torch, ends its lines, indents, and whether its last line has an end.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fix.mending import Mender, findings, left, text_of

HEALTHY = '''"""A net of blocks, with "quotes" and 'others'."""
IMPORTS
import torch.nn.functional as F


class Block(NN.Module):
    """Two convolutions around which a skip leads."""

    def __init__(self, width, rate=0.1):
        super().__init__()
        self.conv1 = NN.Conv2d(width, width, 3, padding=1, bias=False)  # the norm has one
        self.norm1 = NN.BatchNorm2d(width)
        self.drop = NN.Dropout2d(0.1)
        self.conv2 = NN.Conv2d(
            width,
            width,  # as wide
            kernel_size=3,
            padding=1,
            bias=False,
        )
        self.norm2 = NN.BatchNorm2d(width)

    def forward(self, x):
        identity = x
        out = F.relu(self.norm1(self.conv1(x)))
        out = self.drop(out)
        out = self.norm2(self.conv2(out))
        return F.relu(out + identity)


class Net(NN.Module):
    def __init__(self, width=8, classes=5):
        super().__init__()
        self.register_buffer('mean', torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1), persistent=False)
        self.stem = NN.Conv2d(3, width, 3, padding=1)
        self.blocks = NN.ModuleList([Block(width) for _ in range(2)])
        self.heads = NN.ModuleDict({'main': NN.Linear(width * 16, classes)})

    def forward(self, x):
        x = F.relu(self.stem(x - self.mean))
        for block in self.blocks:
            x = block(x)
        x = F.adaptive_avg_pool2d(x, 4)
        x = x.view(x.size(0), -1)
        x = F.dropout(x, 0.2, training=self.training)
        shift = torch.zeros(1, x.size(1), device=x.device)
        return self.heads['main'](x + shift)


def train(loader):
    model = Net()
    criterion = NN.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 10)
    for epoch in range(3):
        model.train()
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()  # as ever
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        scheduler.step()
        print(epoch, total)
'''
FAULTS = {  # by rule: what is changed into what
    "NC302": ("width, 3, padding=1, bias=False)", "width, 3, padding=1)"),
    "NC302 in lines": ("            padding=1,\n            bias=False,\n", "            padding=1\n"),
    "NC901": ("NN.ModuleList([Block(width) for _ in range(2)])", "[Block(width) for _ in range(2)]"),
    "NC901 in a dict": ("NN.ModuleDict({'main': NN.Linear(width * 16, classes)})", "{'main': NN.Linear(width * 16, classes)}"),
    "NC906": ("self.register_buffer('mean', torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1), persistent=False)",
              "self.mean = torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1)"),
    "NC201": ("NN.Dropout2d(0.1)", "NN.Dropout(0.3)"),
    "NC202": ("F.dropout(x, 0.2, training=self.training)", "F.dropout(x, 0.2)"),
    "NC104": ("x = F.relu(self.stem(x - self.mean))", "x = F.relu(F.relu(self.stem(x - self.mean)))"),
    "NC303": ("out = self.norm2(self.conv2(out))", "out = self.norm2(self.norm3(self.conv2(out)))"),
    "NC107": ("return self.heads['main'](x + shift)", "return F.softmax(self.heads['main'](x + shift), dim=1)"),
    "TS501": ("total += loss.item()", "total += loss"),
    "NC708": ("x.size(1), device=x.device)", "x.size(1))"),
    "TS101": ("            optimizer.zero_grad()  # as ever\n", ""),
}  # fmt: skip
IMPORTS = (
    "import torch\nfrom torch import nn",
    "import torch\nimport torch.nn as nn",
    "import torch",
    "import torch as torch\nfrom torch import nn as N",
)
STYLES = list(itertools.product(IMPORTS, ("\n", "\r\n"), ("    ", "  ")))


def written(text: str, style: tuple[str, str, str]) -> bytes:
    """A text in a style."""
    imports, end, indent = style
    nn = {0: "nn", 1: "nn", 2: "torch.nn", 3: "N"}[IMPORTS.index(imports)]
    text = text.replace("IMPORTS", imports).replace("NN.", f"{nn}.")
    lines = [indented(line, indent) for line in text.split("\n")]
    return end.join(lines).encode().rstrip() + (end.encode() if indent == "    " else b"")


def indented(line: str, indent: str) -> str:
    """A line with another indentation."""
    rest = line.lstrip(" ")
    return indent * ((len(line) - len(rest)) // 4) + rest


def cases() -> Iterator[Any]:
    """Each fault in each style; all but one style of each are slow."""
    for number, fault in enumerate(FAULTS):
        for place, style in enumerate(STYLES):
            marks = () if place == number % len(STYLES) else (pytest.mark.slow,)
            yield pytest.param(fault, style, id=f"{fault}-{place}", marks=marks)


@pytest.mark.parametrize(("fault", "style"), cases())
def test_a_fault_is_mended_and_nothing_else(fault: str, style: tuple[str, str, str], tmp_path: Path, mender: Mender) -> None:
    old, new = FAULTS[fault]
    assert HEALTHY.count(old) == 1
    broken = HEALTHY.replace(old, new)
    if fault == "NC303":
        broken = broken.replace(
            "self.norm2 = NN.BatchNorm2d(width)\n",
            "self.norm2 = NN.BatchNorm2d(width)\n        self.norm3 = NN.BatchNorm2d(width)\n",
        )
    file = tmp_path / "net.py"
    file.write_bytes(written(broken, style))
    code = fault.partition(" ")[0]
    offer = mender.offer(file, inputs=() if code.startswith("TS") else ("4x3x16x16",))
    assert findings(offer, code)
    assert not left(offer, code), [one.by_hand for one in findings(offer, code)]
    before, after = (text.split(b"\n") for text in (written(broken, style), text_of(offer, file).encode()))
    assert changed_lines(before, after) <= 3
    assert text_of(offer, file).count("\r\n") == (len(after) - 1 if style[1] == "\r\n" else 0)


def changed_lines(before: list[bytes], after: list[bytes]) -> int:
    """How many lines of the one are not in the other."""
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    return max(len(before), len(after)) - sum(block.size for block in blocks)
