"""Weights from a file, memory as an option, and files that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from netcheck import engine, worker
from netcheck.errors import UsageError
from netcheck.findings import Report
from netcheck.settings import Settings
from netcheck.settings.gather import gather
from netcheck.source.targets import Target
from netcheck.worker import Limits

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.one, self.two = nn.Linear(width, width), nn.Linear(width, 2)

    def forward(self, x):
        return self.two(torch.relu(self.one(x)))
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)
    return Target("net.py", "Net")


def constant(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    """A state dict in which one layer's weights are all the same."""
    state = nn.ModuleDict({"one": nn.Linear(16, 16), "two": nn.Linear(16, 2)}).state_dict()
    return {**state, "one.weight": torch.full((16, 16), 0.1), **changes}


def codes(target: Target, **options: object) -> list[str]:
    settings = Settings(**{"probe": False, **options})  # type: ignore[arg-type]
    return [found.code for found in engine.check_target(target, settings) if found.severity >= "warning"]


def test_a_model_is_judged_with_the_weights_in_a_file(net: Target) -> None:
    assert codes(net) == []
    torch.save({"model": constant()}, "trained.pt")
    assert codes(net, weights=Path("trained.pt")) == ["NC502"]
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(constant(), "trained.safetensors")
    assert codes(net, weights=Path("trained.safetensors")) == ["NC502"]


def test_the_probe_does_not_draw_other_weights(net: Target) -> None:
    torch.save(constant(**{"one.weight": torch.zeros(16, 16), "one.bias": torch.full((16,), -5.0)}), "dead.pt")
    report = engine.check_target(net, Settings(weights=Path("dead.pt"), device="cpu"))
    assert report.gradients is not None
    assert set(report.gradients.dead.values()) == {1.0}
    assert not report.gradients.fresh_initialization
    assert engine.check_target(net, Settings(device="cpu")).gradients.fresh_initialization


def test_weights_of_one_model_in_the_settings(net: Target, tmp_path: Path) -> None:
    torch.save(constant(), "trained.pt")
    Path("pyproject.toml").write_text('[[tool.netcheck.model]]\ntarget = "net.py:Net"\nweights = "trained.pt"\n')
    (tmp_path / "below").mkdir()
    os.chdir(tmp_path / "below")
    settings = gather({"probe": False}, targets=("../net.py",)).settings
    report = engine.check_target(Target("../net.py", "Net"), settings)
    assert [found.code for found in report if found.severity >= "warning"] == ["NC502"]


@pytest.mark.parametrize("content", ["a tensor of another shape", "not a checkpoint"])
def test_weights_that_do_not_fit_are_a_finding(net: Target, content: str) -> None:
    if content == "not a checkpoint":
        Path("bad.pt").write_text(content)
    else:
        torch.save(constant(**{"one.weight": torch.zeros(3, 3)}), "bad.pt")
    assert codes(net, weights=Path("bad.pt")) == ["NC001"]


def test_weights_are_refused_before_anything_runs(net: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "check_all", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(UsageError, match=r"--weights no\.pt: there is no such file"):
        worker.check_targets(Settings(targets=("net.py",), weights=Path("no.pt")))
    Path("some.pt").write_bytes(b"")
    Path("other.py").write_text(NET)
    with pytest.raises(UsageError, match=r"belongs to one model, and there are 2: name one of net\.py:Net, other"):
        worker.check_targets(Settings(targets=("net.py", "other.py"), weights=Path("some.pt")))


def test_memory_is_a_limit_of_each_target(net: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Limits] = []

    def check_all(targets: list[Target], *_: object, limits: Limits, **__: object) -> list[Report]:
        seen.append(limits)
        return [Report("Net") for _ in targets]

    monkeypatch.setattr(worker, "check_all", check_all)
    worker.check_targets(Settings.from_options(targets=("net.py",), memory="3GiB", jobs=2))
    worker.check_targets(Settings(targets=("net.py",), jobs=2))
    assert seen[0].memory == 3 * 2**30
    assert seen[1].memory == Limits().memory // 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_that_was_named(net: Target) -> None:
    Path("net.py").chmod(0)
    _, (report,) = engine.plan(["net.py"])
    assert "cannot be read: Permission denied" in report.findings[0].message


def test_a_file_that_cannot_be_read_is_an_error_if_it_was_named(net: Target, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    os.mkfifo("src/pipe.py")
    Path("src/big.py").write_text("import torch\nclass Net(torch.nn.Module): pass\n" + "#" * (3 * 2**20))
    for name, reason in (("src/pipe.py", "is not a regular file"), ("src/big.py", "is 3.0 MiB, more than")):
        _, (report,) = engine.plan([name])
        (found,) = report.findings
        assert (found.code, found.severity) == ("NC001", "error")
        assert found.message.startswith(f"{Path(name).name} {reason}")
        assert found.locations[0].file == name
        assert engine.exit_code([report], Settings()) == 2
    _, reports = engine.plan(["src"])
    assert [report.findings for report in reports] == [[]]
    assert "3.0 MiB" in reports[0].skipped[0]
