"""What a file trains a model with is made again, and a step with it is judged: in the same check, with targets that are drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import netcheck
from netcheck.findings import Report, Severity
from netcheck.report.json import render
from netcheck.settings import Settings
from netcheck.source.training.reading import read
from netcheck.source.training.seam import Group, seam_of

from . import warm
from .report.test_schema import validate

FILE = """
import torch
import torch.nn.functional as F
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(20, 64), nn.ReLU())
        self.neck = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return {result}

def main(loader, args):
    net = Net()
    criterion = {loss}
    optimizer = {optimizer}
    for x, y in loader:
        optimizer.zero_grad()
        loss = {call}
        loss.backward()
        optimizer.step()
"""
USUAL = {
    "result": "self.head(self.neck(self.body(x)))",
    "loss": "nn.CrossEntropyLoss()",
    "optimizer": "torch.optim.SGD(net.parameters(), lr=0.1)",
    "call": "criterion(net(x), y)",
}
PROBABILITIES = "(z := self.head(self.neck(self.body(x))).exp()) / z.sum(1, keepdim=True)"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def write(**parts: str) -> str:
    text = FILE.format(**{**USUAL, **parts})
    Path("train.py").write_text(text)
    return text


def check(**options: Any) -> Report:
    (report,) = warm.check(Settings(targets=("train.py:Net",), cache=False, select=("TS7", "TS8"), **options))
    return report


@pytest.mark.parametrize(
    ("parts", "code", "severity", "line"),
    [
        ({}, "", Severity.INFO, ""),
        ({"result": PROBABILITIES}, "TS703", Severity.WARNING, "criterion ="),
        (
            {
                "loss": "nn.MSELoss()",
                "result": "self.head(self.neck(self.body(x)))[:, :1]",
                "call": "criterion(net(x), torch.randn(10))",
            },
            "TS704",
            Severity.ERROR,
            "criterion =",
        ),
        ({"loss": "nn.BCELoss()"}, "TS705", Severity.ERROR, "criterion ="),
        ({"call": "F.nll_loss(net(x), y)", "result": PROBABILITIES}, "TS703", Severity.WARNING, "loss = F.nll"),
        (
            {"optimizer": "torch.optim.SGD([{'params': net.body.parameters()}, {'params': net.head.parameters()}], lr=0.1)"},
            "TS802",
            Severity.WARNING,
            "optimizer =",
        ),
        (
            {"optimizer": "torch.optim.AdamW(net.parameters(), weight_decay=0.1)", "result": "self.neck[1](self.body(x))"},
            "TS805",
            Severity.INFO,
            "optimizer =",
        ),
        ({"optimizer": "torch.optim.SGD(net.parameters(), lr=1e5)"}, "TS806", Severity.INFO, "optimizer ="),
        ({"optimizer": "torch.optim.SGD(net.parameters(), 1e-12)"}, "TS807", Severity.INFO, "optimizer ="),
    ],
)
def test_a_step_as_the_file_takes_it(parts: dict[str, str], code: str, severity: Severity, line: str) -> None:
    text = write(**parts)
    report = check()
    assert report.step is not None
    assert report.step.drawn
    if not code:
        assert not report.findings
        assert report.step.loss == "CrossEntropyLoss"
        assert report.step.value is not None
        assert report.step.update is not None
        assert report.step.update.after is not None
        return
    found = next(each for each in report if each.code == code)
    assert found.severity is severity
    assert found.location is not None
    assert text.splitlines()[found.location.line - 1].strip().startswith(line)
    validate(render([report]))


def test_the_step_is_in_json_and_nothing_is_said_twice() -> None:
    write(result="torch.softmax(self.head(self.neck(self.body(x))), 1)")
    (report,) = warm.check(Settings(targets=("train.py:Net",), cache=False))
    codes = [each.code for each in report]
    assert "NC107" in codes
    assert "TS703" not in codes
    (model,) = json.loads(render([report]))["models"]
    assert (model["step"]["given"], model["step"]["update"]["name"]) == ("softmax", "SGD")


def test_of_a_loss_that_was_given_the_step_has_the_word() -> None:
    model = nn.Sequential(nn.Linear(20, 10), nn.Softmax(dim=1))
    report = netcheck.check(model, torch.randn(8, 20), targets=torch.arange(8), loss=nn.CrossEntropyLoss())
    codes = [each.code for each in report]
    assert "TS703" in codes
    assert "NC107" not in codes


@pytest.mark.parametrize(("call", "value"), [("net(x)[0].sum() * 2", False), ("net(x)", True)])
def test_a_number_that_the_model_returns_is_its_loss_where_backward_starts_from_it(call: str, value: bool) -> None:
    result = "(z := self.head(self.neck(self.body(x)))).mean() if True else z" if value else "(x, x.detach().mean())"
    write(call=call, result=result, optimizer="torch.optim.SGD(net.parameters(), lr=0.1)")
    report = check()
    assert report.step is not None
    assert report.step.update is not None
    assert (report.step.value is not None) == value
    assert "TS708" not in [each.code for each in report]


def test_no_step_is_taken_without_the_probe() -> None:
    write(optimizer="torch.optim.SGD(net.parameters(), lr=1e5)")
    report = check(probe=False)
    assert report.step is None
    assert not report.findings


@pytest.mark.parametrize(
    ("parts", "loss", "optimizer"),
    [
        ({}, "torch.nn.CrossEntropyLoss() {}", "torch.optim.SGD() {'lr': 0.1}"),
        (
            {"loss": "nn.CrossEntropyLoss(label_smoothing=0.1).to('cpu')"},
            "torch.nn.CrossEntropyLoss() {'label_smoothing': 0.1}",
            "torch.optim.SGD() {'lr': 0.1}",
        ),
        ({"call": "F.mse_loss(net(x), y, reduction='sum')"}, "torch.nn.functional.mse_loss() {'reduction': 'sum'}", "SGD"),
        ({"call": "criterion(F.relu(net(x)), y)"}, "None", "SGD"),
        ({"call": "criterion(net(x), y) + net.head.weight.norm()"}, "None", "SGD"),
        ({"loss": "nn.CrossEntropyLoss(weight=args.weight)"}, "None", "SGD"),
        ({"loss": "args.criterion"}, "None", "SGD"),
        (
            {"optimizer": "torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)"},
            "Cross",
            "torch.optim.SGD(0.1,) {'momentum': 0.9}",
        ),
        ({"optimizer": "torch.optim.SGD(net.parameters(), lr=args.lr)"}, "Cross", "None"),
        ({"optimizer": "torch.optim.SGD(net.head.parameters(), lr=0.1)"}, "Cross", "None"),
        ({"optimizer": "torch.optim.SGD([p for p in net.parameters() if p.ndim > 1], lr=0.1)"}, "Cross", "None"),
        ({"optimizer": "torch.optim.SGD(net.body.requires_grad_(False) and net.parameters(), lr=0.1)"}, "Cross", "None"),
        ({"optimizer": "args.optimizer(net.parameters())"}, "Cross", "None"),
    ],
)
def test_what_can_be_read_off(parts: dict[str, str], loss: str, optimizer: str) -> None:
    write(**parts)
    seam = seam_of(read("train.py"), "Net")
    assert seam is not None
    for made, text in ((seam.loss, loss), (seam.optimizer, optimizer)):
        assert text in (f"{made.name}{made.args} {dict(made.kwargs)}" if made is not None else "None")


def test_the_default_of_an_option_is_a_constant() -> None:
    text = write(optimizer="torch.optim.SGD(net.parameters(), lr=args.lr)").replace(
        "def main(loader, args):", "def main(loader):"
    )
    parsing = "    parser = argparse.ArgumentParser()\n    parser.add_argument('--lr', type=float, default=0.05)\n"
    body = text.replace("    net = Net()\n", f"{parsing}    args = parser.parse_args()\n    net = Net()\n")
    Path("train.py").write_text(f"import argparse\n{body}")
    seam = seam_of(read("train.py"), "Net")
    assert seam is not None
    assert seam.optimizer is not None
    assert seam.optimizer.kwargs == {"lr": 0.05}


def test_groups() -> None:
    write(optimizer="torch.optim.SGD([{'params': net.body.parameters(), 'lr': 1}, {'params': net.parameters()}], lr=0.1)")
    seam = seam_of(read("train.py"), "Net")
    assert seam is not None
    assert seam.groups == (Group("body", {"lr": 1}), Group(""))


@pytest.mark.parametrize(
    "more",
    [
        "\n\ndef again(loader):\n    net = Net()\n    optimizer = torch.optim.Adam(net.parameters())\n    for x, y in loader:\n"
        "        F.cross_entropy(net(x), y).backward()\n        optimizer.step()\n",  # two ways
        "\n\nclass Other(Net):\n    pass\n",
    ],
)
def test_another_model_or_two_ways(more: str) -> None:
    text = write()
    Path("train.py").write_text(text + more)
    assert (seam_of(read("train.py"), "Net") is None) == ("again" in more)
    assert seam_of(read("train.py"), "Other") is None


def test_a_scaler_and_a_model_in_a_variable() -> None:
    text = (
        write().replace("loss.backward()", "scaler.scale(loss).backward()").replace("optimizer.step()", "scaler.step(optimizer)")
    )
    head = text.replace("    net = Net()", "    scaler = torch.amp.GradScaler()\n    net = make()")
    Path("train.py").write_text(head.replace("\ndef main", "\ndef make():\n    return Net()\n\ndef main"))
    seam = seam_of(read("train.py"), "Net")
    assert seam is not None
    assert seam.loss is not None
    assert seam.optimizer is not None
