"""What a model holds is checked where the model itself cannot be; an import that fails is told of once."""

from __future__ import annotations

import textwrap

from netcheck import progress
from netcheck.settings import Settings
from netcheck.source.targets import Target
from netcheck.worker import untried
from tests import warm

MODELS = """
import torch
from torch import nn

class Inner(nn.Linear):
    def __init__(self):
        super().__init__(3, 3)

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, x):
        return self.inner(x)

class Other(nn.Linear):
    def __init__(self):
        super().__init__(3, 3)

class Fails(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.other = Block(), Other()
        raise ValueError("no")

    def forward(self, x):
        return self.other(self.block(x))

class Sound(nn.Module):
    def __init__(self):
        super().__init__()
        self.other = Other()

    def forward(self, x):
        return self.other(x)
"""


def test_parts_of_what_cannot_be_built_are_checked(tmp_path, monkeypatch):
    (tmp_path / "models.py").write_text(MODELS)
    for name in ("first", "second"):
        (tmp_path / f"{name}.py").write_text(
            f"import broken\nfrom torch import nn\nclass Net{name}(broken.Base, nn.Linear): pass\n"
        )
    (tmp_path / "broken.py").write_text(textwrap.dedent("class Base:\n    pass\ndef f(:\n"))
    monkeypatch.chdir(tmp_path)
    reports = {report.target: report for report in warm.check(Settings(targets=(".",), probe=False, cache=False))}
    traced = {target for target, report in reports.items() if report.summary is not None}
    assert {target.removeprefix("./") for target in traced} == {"models.py:Sound", "models.py:Block"}
    first, second = (
        next(one for target, one in reports.items() if target.endswith(f":Net{name}")) for name in ("first", "second")
    )
    assert [one.code for one in first.findings] == ["NC001"]
    assert second.findings == []
    assert "failed, as is said of" in second.skipped[0]
    assert "first.py:Netfirst" in second.skipped[0]


def test_rings_and_shared_parts_end():
    a, b, c, d = (Target("m.py", name, discovered=True) for name in "abcd")
    parts = {a: (b, c), b: (a, d), c: (d,), d: ()}
    assert untried([a], [], parts, {}) == [b, c]
    assert untried([a, b], [c], parts, {}) == []
    assert untried([Target("m.py", "a")], [], {Target("m.py", "a"): (b,)}, {}) == []
    assert untried([], [a], parts, {}) == []


INSIDE = {
    "mixer.py": """
from torch import nn

class Base(nn.Module):
    def forward(self, x, state):
        if type(state).__name__ != "State":
            raise TypeError("no state")
        return self.layer(x) * state.factor, state

class Mixer(Base):
    def __init__(self, width):
        super().__init__()
        self.layer = nn.Linear(width, width)

class Unused(Base):
    def __init__(self, width):
        super().__init__()
        self.layer = nn.Linear(width, width)

def build_mixer(width):
    return Mixer(width)
""",
    "net.py": """
from torch import nn
from mixer import build_mixer

class State:
    factor = 2.0

class Net(nn.Module):
    def __init__(self, mixer):
        super().__init__()
        self.mixer, self.head = mixer, nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.mixer(x, State())[0])

def build(width=8):
    mixer = build_mixer(width)
    return Net(mixer)
""",
}


def test_what_takes_inputs_that_nobody_knows_is_checked_where_a_model_runs_it(tmp_path, monkeypatch):
    for name, text in INSIDE.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    with progress.reading(lambda report, total: told.append(report.target)):
        every = warm.check(Settings(targets=(".",), probe=False, cache=False))
    reports = {report.target.removeprefix("./"): report for report in every}
    inside = reports["mixer.py:Mixer"]
    assert inside.unchecked is None
    assert not inside.findings
    assert "Mixer is checked inside net.py:build" in inside.skipped[0]
    assert reports["net.py:build"].summary is not None
    assert reports["mixer.py:Unused"].unchecked is not None
    assert sorted(told) == sorted(report.target for report in every)
    assert told[0].endswith("net.py:build")


SCRIPT = """
from torch import nn
from texts import load

class Weigh(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.score = nn.Linear(width, 5)

    def forward(self, x):
        return self.score(x).softmax(1)

class Read(nn.Module):
    def __init__(self, weigh, width):
        super().__init__()
        self.weigh, self.out = weigh, nn.Linear(5, width)

    def forward(self, x):
        return self.out(self.weigh(x))

words = load("words.txt")
weigh = Weigh(len(words))
model = Read(weigh, 7)
"""


def test_a_variable_is_answered_for_by_its_class(tmp_path, monkeypatch):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "texts.py").write_text("def load(path):\n    return open(path).read().split()\n")
    monkeypatch.chdir(tmp_path)
    reports = {report.target: report for report in warm.check(Settings(targets=("script.py",), probe=False, cache=False))}
    assert {target for target, report in reports.items() if report.summary is not None} == {"script.py:Weigh", "script.py:Read"}
    assert all(report.unchecked is None for report in reports.values())
    assert reports["script.py:model"].findings == []
    assert reports["script.py:model"].skipped[-1].startswith("Read is checked in its place, for ")
    assert not any(found.code == "NC107" for report in reports.values() for found in report.findings)  # of a part


def test_a_variable_whose_class_cannot_be_checked_is_not_checked(tmp_path, monkeypatch):
    (tmp_path / "script.py").write_text(SCRIPT.replace("return self.score(x).softmax(1)", "return undefined(x)"))
    (tmp_path / "texts.py").write_text("def load(path):\n    return open(path).read().split()\n")
    monkeypatch.chdir(tmp_path)
    reports = {report.target: report for report in warm.check(Settings(targets=("script.py",), probe=False, cache=False))}
    assert reports["script.py:model"].unchecked is not None
    found = [one.code for target in ("script.py:model", "script.py:weigh") for one in reports[target].findings]
    assert found == ["NC001"]  # said once
