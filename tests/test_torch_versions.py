"""A torch that lacks something gets one sentence, whichever way netcheck is used; calls are heard however they are made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import netcheck
from netcheck import torch_versions
from netcheck.trace import selftest

MODEL = "from torch import nn\nmodel = nn.Linear(4, 4)\n"
LACKS = "import torch.overrides\ndel torch.overrides._push_mode\n"
OLD = "import torch\ntorch.__version__ = '2.8.0+cpu'\n"
DEAF = """\
from contextlib import nullcontext
from netcheck import torch_versions
torch_versions.appliers = lambda: type("Nobody", (), {})
torch_versions.early_applied = lambda *given: nullcontext()
"""


def run(folder: Path, change: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder where torch is changed by the time that anything imports it."""
    (folder / "sitecustomize.py").write_text(change)
    (folder / "model.py").write_text(MODEL)
    root = Path(netcheck.__file__ or "").parent.parent
    paths = [str(folder), str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (LACKS, "lacks what it needs"),
        (OLD, "torch 2.8.0+cpu, which is older than 2.9"),
        (DEAF, "calls are not announced: doubled"),
    ],
    ids=["lacks", "old", "deaf"],
)
def test_a_torch_that_does_not_do_is_one_sentence(tmp_path: Path, change: str, says: str) -> None:
    done = run(tmp_path, change, "-m", "netcheck", "model.py")
    assert done.returncode == 2
    assert says in done.stderr
    assert "install a torch from 2.9 to 2.14" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not done.stdout


def test_a_torch_that_does_not_do_in_python(tmp_path: Path) -> None:
    code = (
        "import netcheck, torch\ntry:\n    netcheck.check(torch.nn.ReLU)\nexcept netcheck.UsageError as error:\n    print(error)"
    )
    done = run(tmp_path, LACKS, "-c", code)
    assert "which lacks what it needs" in done.stdout


def test_the_installed_torch_is_within_the_range_or_newer() -> None:
    assert torch_versions.version() >= torch_versions.OLDEST
    selftest.require_hearing.__wrapped__()


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0]


class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(x: torch.Tensor, factor: float) -> torch.Tensor:
        return x.round() * factor

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.factor = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * ctx.factor, None


rounded, scaled = Rounded.apply, Scaled.apply


class Quantized(nn.Module):
    """Applies functions by names that were bound when the file was imported, and when the model was built."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 8)
        self.own = Rounded.apply

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.own(Rounded.apply(scaled(rounded(self.first(x)), 2.0))))


def test_functions_whose_apply_was_bound_early_are_heard() -> None:
    report = netcheck.check(Quantized(), torch.randn(4, 8))
    names = [node.name for node in report.graph.module.graph.nodes]
    assert names == ["x", "first", "rounded", "scaled", "rounded_1", "rounded_2", "last", "output"]
    assert not [finding.code for finding in report.findings if finding.severity is not netcheck.Severity.INFO]
    x = torch.randn(4, 8)
    model = Quantized()
    graph = netcheck.trace(model, x)
    for module in (model, graph.module):
        module.zero_grad()
        module(x).sum().backward()
    assert torch.equal(graph.module(x), model(x))
    assert model.first.weight.grad is not None
    assert bool(model.first.weight.grad.abs().sum() > 0)


@pytest.mark.parametrize("requires_grad", [False, True])
def test_fake_tensors_ask_for_gradients_as_they_are_told(requires_grad: bool) -> None:
    mode = torch_versions.FakeTensorMode()
    fake = torch_versions.fake_tensor(mode, torch.empty(2, 3, device="meta"), torch.device("cpu"), requires_grad)
    assert (fake.requires_grad, fake.device.type, tuple(fake.shape)) == (requires_grad, "cpu", (2, 3))
