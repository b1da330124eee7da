"""Two models side by side, from plain data and from real files."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from netcheck.compare import data, page, text
from netcheck.compare.comparison import compare, pairs
from netcheck.compare.layers import changes
from netcheck.errors import UsageError
from netcheck.figures.network import Network, Operation
from netcheck.findings import Report, Severity, Summary
from netcheck.source.revisions import checked_out
from tests import warm
from tests.report import hostile, samples

html5lib = pytest.importorskip("html5lib")

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(DEPTH))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        for layer in self.layers:
            x = torch.ACT(layer(x))
        return self.head(x)
"""


def network(*layers: tuple[str, str], parameters: int = 10) -> Network:
    made = [Operation("x", "", "x", "input", (2, 4))]
    made += [
        Operation(f"n{i}", path, operation, "linear", (2, 4), parameters, (i,)) for i, (path, operation) in enumerate(layers)
    ]
    return Network((*made, Operation("output", "", "output", "output", (2, 4))), (("", "Net"),))


def test_layers_that_were_added_removed_and_changed() -> None:
    old = network(("a", "nn.Linear"), ("", "torch.relu"), ("b", "nn.Linear"))
    new = network(("a", "nn.Linear"), ("", "torch.tanh"), ("n", "nn.LayerNorm"), ("b", "nn.Conv1d"))
    found = [(one.kind, one.paths, one.old, one.new) for one in changes(old, new)]
    assert found == [
        ("removed", ("",), "torch.relu (B, 4), 10 parameters", ""),
        ("added", ("",), "", "torch.tanh (B, 4), 10 parameters"),
        ("added", ("n",), "", "nn.LayerNorm (B, 4), 10 parameters"),
        ("changed", ("b",), "nn.Linear (B, 4), 10 parameters", "nn.Conv1d (B, 4), 10 parameters"),
    ]


def test_alike_changes_are_one() -> None:
    old = network(*[(f"blocks.{i}", "nn.Linear") for i in range(5)])
    new = network(*[(f"blocks.{i}", "nn.Linear") for i in range(5)], parameters=20)
    (change,) = changes(old, new)
    assert change.paths == tuple(f"blocks.{i}" for i in range(5))
    assert text.layer(change)[:2] == ("~", "blocks.0 ... blocks.4 (5)")


def test_a_layer_in_the_middle_moves_no_other() -> None:
    old = network(*[(f"{i}", "nn.Linear") for i in range(4)])
    new = network(("0", "nn.Linear"), ("1", "nn.Linear"), ("extra", "nn.Linear"), ("2", "nn.Linear"), ("3", "nn.Linear"))
    assert [(one.kind, one.paths) for one in changes(old, new)] == [("added", ("extra",))]


def test_classes_without_a_common_path_are_aligned_by_operation() -> None:
    old, new = network(("a", "nn.Linear"), ("b", "nn.GELU")), network(("x", "nn.Linear"), ("y", "nn.GELU"))
    assert changes(old, new) == ()


def test_findings_that_came_went_and_stayed() -> None:
    here = {"modules": ("a",)}
    old = Report("Net", [hostile.plain("NC401"), hostile.plain("NC103", **here), hostile.plain("NC501", Severity.INFO)])
    new = Report("Net", [hostile.plain("NC103", **here), hostile.plain("NC103", modules=("b",)), hostile.plain("NC501")])
    found = compare(old, new, ("old", "new"))
    assert [one.code for one in found.came] == ["NC103", "NC501"], "a second one, and one that is worse than before"
    assert [one.code for one in found.went] == ["NC401", "NC501"]
    assert [one.code for one in found.stayed] == ["NC103"]
    assert found.worse(Severity.WARNING)
    assert not found.worse(Severity.ERROR)


def test_models_belong_together_by_name() -> None:
    a, b, c = Report("A"), Report("B"), Report("C")
    assert pairs([a], [b]) == [(a, b)]
    assert pairs([a, b], [b, c]) == [(b, b), (None, c), (a, None)]


def test_every_format(tmp_path: Path) -> None:
    old = samples.report(tmp_path)
    steady = samples.gradients(20, gain=0.0)
    new = samples.report(tmp_path, findings=[], gradients=steady, summary=Summary(41, 21, 90000, 21, 21))
    found = [compare(old, new, ("Net (old)", "Net <new>"))]
    shown = text.render(found, ["C is new."], colour=False)
    assert "parameters" in shown
    assert "+7.8%" in shown
    assert "− error[NC501] poor-init" in shown
    assert "gain, decades" in shown
    assert "C is new." in shown
    html5lib.HTMLParser(strict=True).parse(page.render(found, []))
    assert "Net &lt;new&gt;" in page.render(found, [])
    assert "| parameters | 83,460 | 90,000 |" in text.as_markdown(found, []).replace("&#44;", ",")
    (entry,) = json.loads(data.render(found, []))["comparisons"]
    assert [one["code"] for one in entry["went"]] == ["NC501", "NC302"]


def test_the_same_twice_says_so(tmp_path: Path) -> None:
    report = samples.report(tmp_path)
    found = compare(report, replace(report), ("a", "b"))
    assert found.is_same
    assert text.render([found], [], colour=False).endswith("Nothing that netcheck looks at differs.\n")


def net(depth: int, act: str) -> str:
    return NET.replace("DEPTH", str(depth)).replace("ACT", act)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(net(2, "relu"))
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-c", "user.name=A", "-c", "user.email=a@b.c", *command], cwd=tmp_path, check=True)
    (tmp_path / "net.py").write_text(net(14, "sigmoid"))
    return tmp_path


def diff(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return warm.command("diff", *arguments, folder=folder)


def test_a_change_since_a_revision(repository: Path) -> None:
    done = diff(repository, "net.py@HEAD", "net.py:Net")
    assert done.returncode == 1, done.stderr
    assert "Net (net.py@HEAD) and Net (net.py:Net)" in done.stdout
    assert "+ error[NC102] sigmoid-stack" in done.stdout or "+ warning[NC102] sigmoid-stack" in done.stdout
    assert "layers.2 ... layers.13 (12)" in done.stdout
    assert diff(repository, "net.py", "net.py@HEAD:Net", "--no-probe").returncode == 0, "what a change mends fails nothing"


def test_what_cannot_be_compared_is_one_sentence(repository: Path) -> None:
    for arguments, sentence in (
        (("net.py@nowhere", "net.py"), "has no revision 'nowhere'"),
        (("other.py@HEAD", "net.py"), "there is no other.py in revision HEAD"),
        (("missing.py", "net.py"), "missing.py does not exist"),
    ):
        done = diff(repository, *arguments)
        assert done.returncode == 2
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_file_whose_name_has_the_sign_is_itself(tmp_path: Path) -> None:
    file = tmp_path / "net.py@HEAD"
    file.write_text("")
    with checked_out(str(file)) as target:
        assert target == str(file)


def test_without_a_repository(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("")
    with pytest.raises(UsageError, match="in no git repository"), checked_out(str(tmp_path / "net.py@HEAD")):
        pass
