"""Models without `forward`: the methods that stand in its place, slips, and what is named only."""

from __future__ import annotations

import textwrap

import pytest
import torch
from torch import nn

import netcheck
from netcheck.engine import check_target
from netcheck.settings import Settings
from netcheck.source.targets import expand

HEAD = "import torch\nfrom torch import nn\n"
CASES = {
    "an actor and a critic": (
        """
        class Policy(nn.Module):
            def __init__(self):
                super().__init__()
                self.data = []
                self.fc, self.out, self.value = nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(8, 1)
                self.optimizer = torch.optim.Adam(self.parameters())
            def pi(self, x, dim=0):
                return self.out(torch.relu(self.fc(x)))
            def v(self, x):
                return self.value(torch.relu(self.fc(x)))
            def act(self, x):
                return self.pi(x).argmax()
            def put(self, transition):
                self.data.append(transition)
            def train_net(self, batch):
                loss = self.v(batch).mean()
                loss.backward()
                self.optimizer.step()
        """,
        ["pi", "v"],
        ["x"],
    ),
    "an encoder and a decoder": (
        """
        class Coder(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers, self.up = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 3)]), nn.Linear(3, 6)
            def encode(self, x):
                for layer in self.layers:
                    x = torch.relu(layer(x))
                return x
            def decode(self, z):
                return self.up(z)
            def _unused(self, x):
                return self.up(x)
        """,
        ["encode", "decode"],
        ["x", "z"],
    ),
    "what training_step calls": (
        """
        class Trained(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 2)
            def training_step(self, batch, index):
                x, y = batch
                return nn.functional.cross_entropy(self._logits(x), y)
            def _logits(self, x):
                return self.fc(x)
        """,
        ["_logits"],
        ["x"],
    ),
    "a forward that is not written": (
        """
        class Acting(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 2)
            def forward(self, x):
                raise NotImplementedError
            def act(self, obs):
                return self.fc(obs)
        """,
        ["act"],
        ["obs"],
    ),
    "methods of a base": (
        """
        class Base(nn.Module):
            def sample(self, z):
                return self.fc(z)
        class Derived(Base):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 2)
        """,
        ["sample"],
        ["z"],
    ),
}


def checked(tmp_path, monkeypatch, text):
    (tmp_path / "m.py").write_text(HEAD + textwrap.dedent(text))
    monkeypatch.chdir(tmp_path)
    (target,) = expand(["m.py"]).targets
    return check_target(target, Settings(probe=False))


@pytest.mark.parametrize("case", CASES)
def test_methods_stand_in_the_place_of_forward(tmp_path, monkeypatch, case):
    text, ways, names = CASES[case]
    report = checked(tmp_path, monkeypatch, text)
    assert report.summary is not None
    assert f"by {', '.join(ways)}, for there is no forward" in report.inputs
    assert [node.name for node in report.graph.inputs] == names
    assert not [one for one in report.findings if one.code == "NC901"], "a part that only one of the methods uses is used"


@pytest.mark.parametrize("slip", ["foward", "forwad", "Forward", "_forward", "forward_"])
def test_a_slip_is_named(tmp_path, monkeypatch, slip):
    text = "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(4, 2)\n"
    (finding,) = checked(tmp_path, monkeypatch, f"{text}    def {slip}(self, x):\n        return self.fc(x)\n").findings
    assert finding.code == "NC003"
    assert finding.severity == "error"
    assert finding.help == f"rename {slip} to forward"
    assert finding.location.line == 3


def test_what_cannot_be_run_at_all_is_named(tmp_path, monkeypatch):
    (finding,) = checked(tmp_path, monkeypatch, "class Bag(nn.Module):\n    def put(self, x):\n        self.x = x\n").findings
    assert finding.severity == "info"
    assert "Bag defines no forward" in finding.message


TRAINER = """
class Trainer(nn.Module):
    def __init__(self, data, width):
        super().__init__()
        self.net, self.data = nn.Linear(data.shape[1], width), data

    def test(self, on_train=False):
        return self.net(self.data[:4] if on_train else self.data[4:])
"""


def test_a_method_that_takes_switches_alone_is_no_way_in(tmp_path, monkeypatch):
    (finding,) = checked(tmp_path, monkeypatch, TRAINER).findings
    assert finding.severity == "info"
    assert "Trainer defines no forward" in finding.message


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 3), nn.Linear(5, 3)

    def left(self, a):
        return self.one(a)

    def right(self, b):
        return self.two(b)


def test_a_model_of_the_user_is_as_before():
    model = Pair()
    report = netcheck.check(model, devices=2)
    assert type(model) is Pair
    assert report.summary is not None
    assert report.summary.weight_layers == 2
    assert report.gradients is not None
    assert report.batches is not None
    assert type(model) is Pair
    with pytest.raises(NotImplementedError):
        model(torch.zeros(1, 4))


def test_inputs_that_are_given_are_for_the_first_method():
    report = netcheck.check(Pair(), torch.zeros(2, 4), probe=False)
    assert report.summary is not None
    assert report.summary.weight_layers == 1


def test_probabilities_that_a_policy_returns_go_to_no_loss(tmp_path, monkeypatch):
    text = """
        class ActorCritic(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc, self.out, self.value = nn.Linear(4, 64), nn.Linear(64, 2), nn.Linear(64, 1)
            def pi(self, x):
                return torch.softmax(self.out(torch.sigmoid(self.fc(x))), dim=-1)
            def v(self, x):
                return self.value(torch.sigmoid(self.fc(x)))
        """
    assert not [one for one in checked(tmp_path, monkeypatch, text).findings if one.code == "NC107"]


DECODER = """
import torch
from torch import nn

class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(20, 8), nn.Linear(8, 20)

    def decode(self, words: torch.Tensor):
        with torch.no_grad():
            scores = self.head(self.table(words))
        return (scores + 0).argmax(-1).tolist()
"""


def test_a_method_that_decodes_is_not_held_to_what_training_needs(tmp_path, monkeypatch):
    (tmp_path / "decoder.py").write_text(DECODER)
    monkeypatch.chdir(tmp_path)
    (report,) = (check_target(target, Settings(probe=False)) for target in expand(["decoder.py"]).targets)
    assert "by decode" in report.inputs
    assert not report.at_least("warning")
