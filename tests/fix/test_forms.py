"""Forms that a fault is written in, and what is written instead: lines that the file has then, and lines that are gone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import libcst
import pytest

from netcheck.fix.edits.initialization import initializes
from tests.fix.mending import Mender, text_of

HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n"
BLOCK = """
class Block(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x):
{body}

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
"""
OUT = "        out = F.relu(self.norm1(self.conv1(x)))\n        out = self.norm2(self.conv2(out))\n"
OWN = "        x = F.relu(self.norm1(self.conv1(x)))\n        x = self.norm2(self.conv2(x))\n"


@dataclass(frozen=True)
class Form:
    """A file's text, and what becomes of it."""

    text: str
    there: tuple[str, ...]
    gone: tuple[str, ...] = ()
    inputs: str = "4x3x8x8"
    devices: int | None = None


OUTPUT = """
class Output(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense, self.norm = nn.Linear(16, 16), nn.LayerNorm(16)

    def forward(self, hidden, SECOND):
        hidden = self.dense(hidden)
        BEFORE
        return self.norm(hidden + hidden)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.output, self.head = nn.Linear(16, 16), Output(), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.output(torch.tanh(self.inner(x)), x))

model = Net()
"""
FORMS = {
    "an argument that nothing reads": Form(
        HEAD + OUTPUT.replace("SECOND", "states").replace("        BEFORE\n", ""), ("self.norm(hidden + states)",), (), "8x16"
    ),
    "an argument that is named for it": Form(
        HEAD + OUTPUT.replace("SECOND", "shortcut=None").replace("BEFORE", "if shortcut is None:\n            shortcut = hidden"),
        ("self.norm(hidden + shortcut)",),
        (),
        "8x16",
    ),
    "the input has its name still": Form(
        HEAD + BLOCK.format(body=OUT + "        out += out\n        return F.relu(out)"), ("        out += x\n",)
    ),
    "the input was kept under a name": Form(
        HEAD + BLOCK.format(body="        identity = x\n" + OUT + "        return F.relu(out + out)"),
        ("        return F.relu(out + identity)\n",),
    ),
    "the branch goes by two names": Form(
        HEAD + BLOCK.format(body=OUT + "        skip = out\n        return F.relu(out + skip)"), ("        skip = x\n",)
    ),
    "the input's name was taken": Form(
        HEAD + BLOCK.format(body=OWN + "        return F.relu(x + x)"),
        ("        identity = x\n        x = F.relu(", "        return F.relu(x + identity)\n"),
    ),
    "the name came too late": Form(
        HEAD + BLOCK.format(body=OWN + "        skip = x\n        return F.relu(x + skip)"),
        ("        skip = x\n        x = F.relu(",),
        ("conv2(x))\n        skip = x\n",),
    ),
    "a dropout that forward builds and names": Form(
        HEAD.replace("import torch.nn.functional as F\n", "")
        + """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        drop = nn.Dropout(p=0.2)
        return self.two(drop(torch.relu(self.one(x))))

model = Net()
""",
        ("nn.functional.dropout(torch.relu(self.one(x)), 0.2, training=self.training)",),
        ("nn.Dropout",),
        "8x16",
    ),
    "a batch size with a name": Form(
        HEAD
        + """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8 * 36, 4)

    def forward(self, images):
        batch_size = 4
        return self.head(torch.relu(self.conv(images)).view(batch_size, -1))

model = Net()
""",
        ("        batch_size = images.size(0)\n",),
        devices=2,
    ),
    "a bias beside keywords of the function's own": Form(
        HEAD
        + """
class Net(nn.Module):
    def __init__(self, device=None):
        super().__init__()
        more = {"device": device}
        self.conv = nn.Conv2d(3, 8, 3, **more)
        self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(8, 4)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))

model = Net()
""",
        ("nn.Conv2d(3, 8, 3, bias=False, **more)",),
    ),
    "a line that needs torch, in a file that imports a part of it": Form(
        """import torch.nn as nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 16, batch_first=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])

model = Net()
""",
        ("import torch\nimport torch.nn as nn\n", "        with torch.no_grad():  # the forget gates start open\n"),
        (),
        "4x100x8",
    ),
    "a misspelt constructor of a part": Form(
        HEAD
        + """
class Part(nn.Sequential):
    def __int__(self, width, out):
        super().__init__(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = Part(width=16, out=4)

    def forward(self, x):
        return self.part(x)

model = Net()
""",
        ("    def __init__(self, width, out):\n",),
        ("__int__",),
        "4x16",
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_mended(name: str, tmp_path: Path, mender: Mender) -> None:
    form, file = FORMS[name], tmp_path / "net.py"
    file.write_text(form.text)
    offer = mender.offer(file, "model", inputs=(form.inputs,), devices=form.devices)
    text = text_of(offer, file)
    told = [(one.code, one.by_hand) for report in offer.reports for one in report.findings]
    assert all(line in text for line in form.there), (told, text)
    assert not any(line in text for line in form.gone), text


def test_a_norm_on_a_condition_is_no_initializer(tmp_path: Path, mender: Mender) -> None:
    """`kaiming_normal_` under a condition builds no norm, nor does a block that has its own."""
    file = tmp_path / "net.py"
    test = "            if isinstance(m, nn.Conv2d):\n                nn.init.kaiming_normal_(m.weight)\n"
    loop = f"        for m in self.modules():\n{test}"
    text = FORMS["a bias beside keywords of the function's own"].text.replace("    def forward", loop + "\n    def forward")
    file.write_text(text)
    assert "bias=False" in text_of(mender.offer(file, "model", inputs=("4x3x8x8",)), file)


def test_models_without_findings_are_not_checked_again(tmp_path: Path, mender: Mender, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "net.py"
    faulty = FORMS["a bias beside keywords of the function's own"].text
    file.write_text(
        faulty
        + faulty.partition("class Net")[2]
        .join(["\nclass Other", ""])
        .replace("**more", "bias=False, **more")
        .replace("Net()", "Other()")
        .replace("model =", "other =")
    )
    plain, checked = Mender.check, []

    def check(self: Mender, targets: object, settings: object) -> object:
        checked.append([one.symbol for one in targets])  # type: ignore[attr-defined]
        return plain(self, targets, settings)  # type: ignore[arg-type]

    monkeypatch.setattr(Mender, "check", check)
    offer = mender.offer(file, "model", "other", inputs=("4x3x8x8",))
    assert offer.texts
    assert checked == [["model", "other"], ["model"]]


@pytest.mark.parametrize("call", ["self.apply(set_up)", "init_weights(self)", "self.reset_parameters()", "nn.init.zeros_(w)"])
def test_a_class_that_sets_its_weights_is_known(call: str) -> None:
    found = libcst.parse_expression(call)
    assert isinstance(found, libcst.Call)
    assert initializes(found)
    assert not initializes(libcst.ensure_type(libcst.parse_expression("super().__init__()"), libcst.Call))
