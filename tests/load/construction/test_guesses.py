"""Arguments that nobody shows: by annotation, by use, by name, corrected by what is raised."""

from __future__ import annotations

from pathlib import Path

import pytest

from netcheck.errors import NeedsArguments
from netcheck.load.target import load

HEAD = """
import enum
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
import torch
from torch import nn


class Norm(enum.Enum):
    BATCH = "batch"
    NONE = "none"


class Encoder(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.layer = nn.Linear(dim, dim)
    def forward(self, x):
        return self.layer(x)

ACTIVATIONS = {"gelu": nn.GELU, "tanh": nn.Tanh}


class Net(nn.Module):
    def __init__(self, SIGNATURE):
        super().__init__()
"""

GUESSED = {
    # annotations
    "mode: typing.Literal['sum', 'mean']": ("assert mode in ('sum', 'mean'); self.net = nn.Linear(3, 2)", "Net(mode='sum')"),
    "norm: Norm": ("self.net = nn.BatchNorm1d(3) if norm is Norm.BATCH else nn.Linear(3, 3)", "Net(norm=Norm.BATCH)"),
    "mask: typing.Optional[torch.Tensor]": ("assert mask is None; self.net = nn.Linear(3, 2)", "Net(mask=None)"),
    "bias: bool, rate: float": ("self.net = nn.Sequential(nn.Linear(3, 2, bias), nn.Dropout(rate))", "Net(bias=True, rate=0.5)"),
    "sizes: tuple[int, int, int]": (
        "a, b, c = sizes; self.net = nn.Sequential(nn.Linear(a, b), nn.Linear(b, c))",
        "Net(sizes=(64, 64, 64))",
    ),
    "encoder: Encoder": ("self.net = encoder", "Net(encoder=Encoder(dim=64))"),
    # what is done with it
    "c": ("self.net = nn.Conv2d(c, 8, 3)", "Net(c=3)"),
    "c, image_size=None": ("assert image_size is not None; self.net = nn.Conv2d(c, 8, 3)", "Net(c=3, image_size=32)"),
    "a, b": ("self.net = nn.Sequential(nn.Linear(a, b), nn.Linear(b, 2))", "Net(a=64, b=64)"),
    "cells": ("self.net = nn.Sequential(*[nn.Linear(n, n) for n in cells])", "Net(cells=[64, 64])"),
    "plan": ("self.net = nn.Linear(plan[0], plan[2])", "Net(plan=[64, 64, 64])"),
    "how": ("self.net = nn.Tanh() if how == 'tanh' else nn.Linear(3, 2) if how == 'linear' else 1 / 0", "Net(how='tanh')"),
    "norm": ("self.net = nn.Sequential(nn.Conv2d(3, 8, 3), norm(8))", "Net(norm=nn.BatchNorm2d)"),
    "act_layer": ("self.net = nn.Sequential(nn.Linear(3, 8), act_layer())", "Net(act_layer=nn.ReLU)"),
    "cfg": (
        "self.net = nn.Sequential(nn.Embedding(cfg.vocab_size, cfg.model.dim), nn.Dropout(cfg['dropout']))",
        "Net(cfg=cfg) with cfg.vocab_size=100, cfg.model=model, cfg.model.dim=64, cfg.dropout=0.1",
    ),
    # its name
    "num_heads, embed_dim": ("self.net = nn.MultiheadAttention(embed_dim, num_heads)", "Net(num_heads=4, embed_dim=64)"),
    "img_size, patch_size": ("assert img_size % patch_size == 0; self.net = nn.Linear(8, 2)", "Net(img_size=32, patch_size=4)"),
    # what is raised
    "act": ("self.net = nn.Sequential(nn.Linear(3, 8), ACTIVATIONS[act]())", "Net(act='gelu')"),
    "spec": ("exec('self.net = nn.Linear(spec[1], 2)')", "Net(spec=[64, 64])"),
    "options": ("self.net = nn.Linear(int(getattr(options, 'wid' + 'th')), 2)", "Net(options=options) with options.width=64"),
    "model": ("exec('first, second, third = model'); self.net = nn.Linear(3, 2)", "Net(model=[64, 64, 64])"),
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "setup.py").write_text("")
    return tmp_path / "net.py"


@pytest.mark.parametrize("signature", GUESSED)
def test_what_is_guessed_works(signature: str, file: Path) -> None:
    body, call = GUESSED[signature]
    text = HEAD.replace("SIGNATURE", signature) + f"        {body}\n\n"
    file.write_text(text + "    def forward(self, x):\n        return self.net(x)\n")
    construction = load("net.py:Net").construction
    assert construction is not None
    assert construction.call == call


DOCUMENTED = '''
from torch import nn


class Net(nn.Module):
    """A net.

    Args:
        a (int): how wide
        b (list of int): sizes of the layers
        c (str): 'tanh' or 'relu'

    :type d: float
    """

    def __init__(self, a, b, c, d):
        super().__init__()
        self.net = nn.Linear(a, b[0])
        assert isinstance(c, str) and isinstance(d, float)

    def forward(self, x):
        return self.net(x)
'''


def test_a_docstring_says_what_is_wanted(file: Path) -> None:
    file.write_text(DOCUMENTED)
    assert str(load("net.py:Net").construction) == "Net(a=64, b=[64], c='tanh', d=0.5), assumed"


def test_forward_corrects_what_the_constructor_takes(file: Path) -> None:
    body = "        self.a, self.b = nn.Linear(8, out_channels), nn.Linear(in_features, 2)\n\n"
    forward = "    def forward(self, x):\n        return self.b(self.a(x))\n"
    file.write_text(HEAD.replace("SIGNATURE", "out_channels, in_features") + body + forward)
    construction = load("net.py:Net").construction
    assert construction is not None
    first, second = (argument.value for argument in construction.arguments)
    assert first == second


def test_what_needs_a_file_is_not_built(file: Path) -> None:
    file.write_text(
        HEAD.replace("SIGNATURE", "path")
        + "        self.table = torch.load(path)\n\n    def forward(self, x):\n        return x\n"
    )
    with pytest.raises(NeedsArguments, match=r"^Net cannot be built without path: with the best guess it raised \w+"):
        load("net.py:Net")
