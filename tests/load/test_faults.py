"""What is the model's fault, and what is but a guess that failed."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from netcheck import engine
from netcheck.findings import Report
from netcheck.settings import Settings
from netcheck.source.targets import Target

FILES = {
    "a name that nothing defines": (
        "NC003",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Conv1d(5, 8, 3)

            def forward(self, x):
                return F.relu(self.layer(x))
        """,
    ),
    "a module that is not there": (
        "NC003",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(5, 8)

            def forward(self, x):
                from there_is_none import mix
                return mix(self.layer(x))
        """,
    ),
    "a layer that torch does not have, whatever the arguments": (
        "NC001",
        """
        class Net(nn.Module):
            def __init__(self, features, classes):
                super().__init__()
                self.layer = nn.linear(features, classes)

            def forward(self, x):
                return self.layer(x)
        """,
    ),
    "a function that torch does not have": (
        "NC003",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(5, 8)

            def forward(self, x):
                return torch.relux(self.layer(x))
        """,
    ),
    "a size that is divided with a slash": (
        "NC001",
        """
        class Net(nn.Module):
            def __init__(self, scale=4):
                super().__init__()
                self.layer = nn.Linear(5, 64 / scale)

            def forward(self, x):
                return self.layer(x)
        """,
    ),
    "a mask of bytes": (
        "NC003",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.table, self.layer = nn.Embedding(30, 8), nn.Linear(8, 8)

            def forward(self, words):
                later = torch.triu(torch.ones(words.size(1), words.size(1)), 1).to(torch.uint8)
                x = self.table(words)
                return (x @ self.layer(x).transpose(1, 2)).masked_fill(later, -1e9).softmax(-1) @ x
        """,
    ),
    "features that are joined and do not fit, as more axes would hide": (
        "NC003",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.left, self.right, self.out = nn.Linear(7, 16), nn.Linear(3, 16), nn.Linear(16, 2)

            def forward(self, left, right):
                return self.out(torch.tanh(torch.cat((self.left(left), self.right(right)), 1)))
        """,
    ),
    "a guess about an input that no weight has met": (
        "NC004",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(6, 8)

            def forward(self, x, plan):
                x = self.layer(x)
                if plan.depth() > 3:
                    raise ValueError("too deep")
                return x * plan.scale(x)
        """,
    ),
    "a size that comes from the values of what was guessed": (
        "NC004",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.look_up, self.place = nn.Embedding(9, 6), nn.Embedding(9, 6)

            def forward(self, x, places):
                counts = self.look_up(x).sum(2).abs().int() + 1
                longer = self.look_up(x).repeat_interleave(counts.flatten()[: x.shape[1]], 1)
                return torch.cat([longer, self.place(places)[:, : longer.shape[1] - 1]], 2)
        """,
    ),
    "a name that only the script defines": (
        "NC004",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(6, 8)

            def forward(self, x, plan):
                return self.layer(x) * factor

        if __name__ == "__main__":
            factor = float(input())
        """,
    ),
}


def checked(folder: Path, text: str, symbol: str = "Net") -> Report:
    file = folder / "net.py"
    file.write_text("import torch\nfrom torch import nn\n" + textwrap.dedent(text))
    return engine.check_target(Target(str(file), symbol), Settings(targets=(str(file),), probe=False))


@pytest.mark.parametrize("name", FILES)
def test_whose_fault_it_is(name: str, tmp_path: Path) -> None:
    code, text = FILES[name]
    assert [finding.code for finding in checked(tmp_path, text)] == [code]


def test_netcheck_inputs_beside_a_factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "parts.py").write_text("from torch import nn\n\nclass Part(nn.Linear):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    report = checked(
        tmp_path,
        """
        from parts import Part

        def build():
            return Part(4, 2)

        def netcheck_inputs():
            return torch.ones(7, 4)
        """,
        "build",
    )
    assert report.inputs.startswith("float32 (7, 4), from netcheck_inputs()")


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("a layer that torch does not have, whatever the arguments", "write torch.nn.Linear"),
        ("a function that torch does not have", "write torch.relu"),
        ("a name that nothing defines", "define or import F"),
        ("a size that is divided with a slash", "write `//`"),
    ],
)
def test_what_to_write_instead(name: str, instead: str, tmp_path: Path) -> None:
    assert instead in checked(tmp_path, FILES[name][1]).findings[0].help
