"""What only the block under `if __name__ == "__main__":` defines is there for the classes that read it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from netcheck import engine
from netcheck.settings import Settings
from netcheck.source.guarded import needed_of_main
from netcheck.source.targets import Target
from tests.load.construction.repositories import notebook

FILE = """
import torch
from torch import nn

def batch():
    return [[index[word] for word in sentence.split()] for sentence in sentences]

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.look_up, self.out = nn.Embedding(n_words, n_hidden), nn.Linear(n_hidden, n_words)

    def forward(self, x):
        return self.out(self.look_up(x).mean(1)) * scale + shift

shift = 0.0

if __name__ == "__main__":
    n_hidden, scale = 6, 0.5
    sentences = ["i like dogs", "i love coffee"]
    shift = 1.0
    index = {word: number for number, word in enumerate(" ".join(sentences).split())}
    n_words = len(index)
    unused = open("no such file").read()
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        net(torch.tensor(batch())).sum().backward()
        optimizer.step()
"""


@pytest.mark.parametrize("name", ["net.py", "net.ipynb"])
def test_a_class_that_reads_what_the_script_defines(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(notebook(FILE) if name.endswith(".ipynb") else FILE)
    report = engine.check_target(Target(str(file), "Net", discovered=True), Settings(targets=(str(file),), probe=False))
    assert [found.code for found in report.findings] == []
    assert report.inputs.startswith(f"x int64 (2, 3), as {name}")
    assert not report.left_out


def test_what_is_run_of_the_block() -> None:
    part, names = needed_of_main(ast.parse(FILE), {"torch", "nn", "shift", "Net", "batch", "len", "range"})
    assert names == ["index", "n_hidden", "n_words", "scale", "sentences"]
    assert ast.unparse(part).splitlines() == [
        "n_hidden, scale = (6, 0.5)",
        "sentences = ['i like dogs', 'i love coffee']",
        "index = {word: number for number, word in enumerate(' '.join(sentences).split())}",
        "n_words = len(index)",
    ]


def test_what_trains_or_builds_a_model_is_not_run() -> None:
    block = "if __name__ == '__main__':\n    net = Net()\n    rate = fit(net)\n"
    text = f"class Net:\n    def f(self):\n        return net, rate\n{block}"
    part, names = needed_of_main(ast.parse(text), set())
    assert (part.body, names) == ([], [])
