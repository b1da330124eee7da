"""Small repositories of a few files, each with its own way of not being importable just like that.

A case says what becomes of every model that netcheck finds in the folder: "" for one that is traced, else words of the reason;
and, with `left out`, words of the lines that the report names.
"""

from __future__ import annotations

import textwrap

import pytest
import torch

from netcheck.engine import check_target
from netcheck.settings import Settings
from netcheck.source.targets import expand
from tests.load.test_target import NET

HEAD = "import torch\nfrom torch import nn\n"

# name: (files, what becomes of the models, words of what was left out)
REPOSITORIES = {
    "packages that are not installed": (
        {
            "train.py": """
                import absent_gym as gym
                from absent_plots import pyplot as plt
                from absent_tools import *
                import torch
                from torch import nn

                plt.style.use("ggplot")
                plt.rcParams["figure.dpi"] = 200
                env = gym.make("CartPole-v1")

                @registry.register("policy")
                class Policy(nn.Module, Saving):
                    def __init__(self, width: Annotated[int, "units"] = 8):
                        super().__init__()
                        self.fc = nn.Linear(4, width)

                    def forward(self, x):
                        return self.fc(x)

                class Wrapper(gym.Wrapper):
                    def step(self, action):
                        return self.env.step(action)

                env = Wrapper(env)
                for episode in range(env.episodes):
                    pass
                """
        },
        {"train.py:Policy": ""},
        ["absent_gym is not installed", "absent_plots is not installed", "absent_tools is not installed"],
    ),
    "models that need a package that is not installed": (
        {
            "models.py": HEAD
            + """
                import absent_sparse as sparse
                import absent_geometry

                class Sparse(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.fc = nn.Linear(4, 4)

                    def forward(self, x):
                        return sparse.scatter(self.fc(x))

                class Built(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.fc = nn.Linear(sparse.WIDTH, 4)

                    def forward(self, x):
                        return self.fc(x)

                class Holds(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.body = nn.Sequential(nn.Linear(4, 4), sparse.Layer(4))

                    def forward(self, x):
                        return self.body(x)

                class Derived(absent_geometry.nn.MessagePassing):
                    def __init__(self):
                        super().__init__()
                        self.fc = nn.Linear(4, 4)

                    def forward(self, x):
                        return self.fc(x)

                class Plain(nn.Linear):
                    def __init__(self):
                        super().__init__(3, 4)

                made = sparse.make_model()
                """
        },
        {
            "models.py:Sparse": "absent_sparse is not installed",
            "models.py:Built": "absent_sparse is not installed",
            "models.py:Holds": "absent_sparse is not installed",
            "models.py:Derived": "absent_geometry is not installed",
            "models.py:Plain": "",
        },
        ["absent_sparse is not installed", "absent_geometry is not installed"],
    ),
    "packages that are guarded": (
        {
            "model.py": NET
            + """
try:
    import absent_apex
except ImportError:
    absent_apex = None

class Top(Net):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4) if absent_apex is None else absent_apex.LayerNorm(4)

    def forward(self, x):
        return self.norm(self.fc(x))
"""
        },
        {"model.py:Net": "", "model.py:Top": ""},
        [],
    ),
    "lightning that is not installed": (
        {
            "lit.py": HEAD
            + """
                import absent_lightning as pl

                class Lit(pl.LightningModule):
                    def __init__(self, width=8, lr=0.1):
                        super().__init__()
                        self.save_hyperparameters()
                        self.fc = nn.Linear(4, self.hparams.width)
                        self.example_input_array = torch.zeros(5, 4)

                    def forward(self, x):
                        self.log("mean", x.mean())
                        return self.fc(x)

                    def configure_optimizers(self):
                        return torch.optim.Adam(self.parameters(), self.hparams["lr"])
                """
        },
        {"lit.py:Lit": ""},
        ["absent_lightning is not installed"],
    ),
    "a command line": (
        {
            "main.py": HEAD
            + """
                import argparse

                parser = argparse.ArgumentParser()
                parser.add_argument("source")
                parser.add_argument("--width", type=int, default=6)
                parser.add_argument("--data", required=True)
                args = parser.parse_args()
                text = open(args.data).read()
                vocabulary = sorted(set(text))
                model = nn.Sequential(nn.Linear(8, args.width), nn.ReLU())
                decoder = nn.Linear(args.width, len(vocabulary))
                """
        },
        {"main.py:model": "", "main.py:decoder": "--data is not given on a command line"},
        ["needs source, --data of a command line"],
    ),
    "arguments by hand": (
        {
            "main.py": HEAD
            + """
                import sys

                assert len(sys.argv) == 1 and sys.argv[0].endswith("main.py")
                width = int(sys.argv[1]) if len(sys.argv) > 1 else 6
                model = nn.Linear(8, width)
                """
        },
        {"main.py:model": ""},
        [],
    ),
    "a data file that is not there": (
        {
            "train.py": "from network import Net\nfrom corpus import words\nmodel = Net()\ncount = len(words)\n",
            "network.py": NET + "import corpus\nsize = len(corpus.words)\n",
            "corpus.py": "import csv\nrows = list(csv.reader(open('absent.csv')))\nwords = [row[0] for row in rows]\nLIMIT = 3\n",
            "sized.py": HEAD + "from corpus import words\nmodel = nn.Linear(4, len(words))\n",
        },
        {"train.py:model": "", "sized.py:model": "needs what was left out, line 3 of corpus.py: needs rows"},
        ["FileNotFoundError", "needs rows, which was left out"],
    ),
    "a top level that fails": (
        {
            "study.py": HEAD
            + """
                frame = {"a": 1}["b"]
                columns = frame.columns
                model = nn.Linear(4, 3)
                print(model.weight.grad.norm())
                torch.zeros(3)[7]
                raise SystemExit(3)
                """
        },
        {"study.py:model": ""},
        ["KeyError", "needs frame, which was left out", "AttributeError", "IndexError", "SystemExit"],
    ),
    "channels that a branch sets which is not taken": (
        {
            "gan.py": HEAD
            + """
                import argparse

                parser = argparse.ArgumentParser()
                parser.add_argument("--dataset", required=True)
                options = parser.parse_args()
                if options.dataset == "cifar10":
                    data, channels = open("absent.bin"), 1
                    channels = 3
                elif options.dataset == "mnist":
                    channels = 1

                class Net(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.conv = nn.Conv2d(channels, 8, 3)

                    def forward(self, x):
                        return self.conv(x)

                net = Net()
                """
        },
        {"gan.py:net": ""},
        ["channels = 3, of a branch that was not taken"],
    ),
    "old code": (
        {
            "old.py": HEAD
            + """
                from collections import Iterable, OrderedDict
                from torch._six import container_abcs
                import cPickle

                class Old(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in xrange(2)])
                        assert OrderedDict().popitem

                    def forward(self, x):
                        for layer in self.layers:
                            x = layer(x)
                        return x

                class Sound(nn.Linear):
                    def __init__(self):
                        super().__init__(3, len(OrderedDict(a=3)))
                """
        },
        {"old.py:Old": "xrange is Python 2: write range", "old.py:Sound": ""},
        ["collections.Iterable was removed in Python 3.10", "torch._six was removed in torch 2.0", "cPickle is Python 2"],
    ),
    "folders that are no packages": (
        {
            ".git/HEAD": "",
            "utils.py": "WIDTH = 5\n",
            "code/shared.py": "DEPTH = 2\n",
            "code/nets/utils.py": "raise RuntimeError('another one')\n",
            "code/nets/blocks.py": "from ..parts.conv import Conv\n",
            "code/parts/conv.py": HEAD + "class Conv(nn.Linear):\n    pass\n",
            "code/nets/net.py": HEAD
            + """
                from utils import WIDTH
                from shared import DEPTH
                from .blocks import Conv

                class Top(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.layers = nn.Sequential(*(Conv(WIDTH, WIDTH) for _ in range(DEPTH)))

                    def forward(self, x):
                        return self.layers(x)
                """,
        },
        {"code/nets/net.py:Top": ""},
        [],
    ),
    "names that functions bind for themselves": (
        {
            "main.py": HEAD
            + """
                images = open("absent.txt").read()
                _, out = images.split()
                x = len(images)

                class Net(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.rnn = nn.GRU(4, 4)

                    def forward(self, x):
                        out, _ = self.rnn(x)
                        return max((x * 2 for x in [out]), key=lambda images: images.sum())
                """
        },
        {"main.py:Net": ""},
        ["FileNotFoundError", "needs images, which was left out"],
    ),
    "values that calls change": (
        {
            "main.py": HEAD
            + """
                def fill(words, text):
                    for word in text.split():
                        words.setdefault(word, len(words))
                    return len(words)

                words, more = {}, {}
                count = fill(words, open("absent.txt").read())
                other = more.setdefault("a", open("absent.txt").read())
                model = nn.Linear(len(words) + 1, 8)
                second = nn.Linear(len(more) + 1, 8)
                third = nn.Linear(4, 3)
                """
        },
        {"main.py:model": "FileNotFoundError", "main.py:second": "FileNotFoundError", "main.py:third": ""},
        ["FileNotFoundError"],
    ),
    "a repository that is a package itself": (
        {
            ".git/HEAD": "",
            "__init__.py": "",
            "nets/__init__.py": "from nets.parts import Part\n",
            "nets/parts.py": HEAD + "class Part(nn.Linear):\n    def __init__(self):\n        super().__init__(4, 4)\n",
            "nets/net.py": "from . import Part\nclass Top(Part):\n    pass\n",
        },
        {"nets/parts.py:Part": "", "nets/net.py:Top": ""},
        [],
    ),
    "a download without version control": (
        {
            "layers/graph.py": HEAD + "class Graph(nn.Linear):\n    pass\n",
            "zoo/first/net.py": "from layers.graph import Graph\n\nclass Top(Graph):\n    def __init__(self):\n"
            "        super().__init__(3, 4)\n",
        },
        {"zoo/first/net.py:Top": ""},
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REPOSITORIES)
def test_what_becomes_of_the_models_of_a_repository(tmp_path, monkeypatch, name):
    files, expected, left_out = REPOSITORIES[name]
    for file, text in files.items():
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        head, _, rest = text.partition(HEAD)
        path.write_text(HEAD * (HEAD in text) + textwrap.dedent(rest or head) if not head or HEAD not in text else text)
    monkeypatch.chdir(tmp_path)
    reports = {target.name: check_target(target, Settings(probe=False)) for target in expand(["."]).targets}
    said = {
        target: "" if report.summary is not None else " ".join(f"{one.message} {one.help}" for one in report)
        for target, report in reports.items()
    }
    assert set(said) >= set(expected)
    for target, words in expected.items():
        assert words in said[target], target
        assert bool(words) == bool(said[target]), said[target]
    lines = [one.reason for report in reports.values() for one in report.left_out]
    for words in left_out:
        assert any(words in line for line in lines), (words, lines)
    assert bool(left_out) == bool(lines)


WEIGHTS = """
import torch
from torch import nn

class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 7)
        state = torch.load("absent.pth", map_location="cpu")
        known = self.state_dict()
        self.load_state_dict({key: value for key, value in state["model"].items() if key in known})
        more = torch.hub.load_state_dict_from_url("https://example.com/more.pth")
        more.pop("fc.weight", None)
        self.load_state_dict(more)

    def forward(self, x):
        return self.fc(x)

class Sized(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Embedding(len(torch.load("words.pt")), 7)

    def forward(self, x):
        return self.fc(x)
"""


def test_weights_that_are_not_there_are_done_without(tmp_path, monkeypatch):
    (tmp_path / "m.py").write_text(WEIGHTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    own, sized = (check_target(target, Settings(probe=False)) for target in expand(["m.py"]).targets)
    assert own.summary is not None
    assert [one.reason for one in own.left_out if not one.reason.startswith("makes")] == [
        "loads absent.pth, which is not there: built without it",
        "downloads more.pth: built without it",
    ]
    assert "words.pt is not there" in sized.findings[0].message
    with pytest.raises(FileNotFoundError):
        torch.load("absent.pth")


DEEP = """
import torch
from torch import nn

def deep():
    return nn.Sequential(*(part for _ in range(14) for part in (nn.Linear(32, 32), nn.ReLU())), nn.Linear(32, 4))

class Fresh(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = deep()

    def forward(self, x):
        return self.net(x)

class Trained(Fresh):
    def __init__(self):
        super().__init__()
        self.net.load_state_dict(torch.load("absent.pth"))
"""


@pytest.mark.parametrize("probe", [False, True])
def test_of_weights_that_are_not_there_nothing_is_a_warning(tmp_path, monkeypatch, probe):
    (tmp_path / "m.py").write_text(DEEP)
    monkeypatch.chdir(tmp_path)
    fresh, trained = (check_target(target, Settings(probe=probe)) for target in expand(["m.py"]).targets)
    assert "NC501" in [one.code for one in fresh.at_least("warning")]
    assert not trained.at_least("warning")
    assert any("the weights that it loads are not here" in one.evidence.text for one in trained)


USED = """
import torch
from torch import nn

class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Linear(32, 32), nn.ReLU()), nn.Linear(32, 4)
        {loads}

    def forward(self, x):
        with torch.no_grad():
            x = self.body(x)
        return self.head(x)
"""


@pytest.mark.parametrize(
    ("loads", "severity"), [("self.body.load_state_dict(torch.load('absent.pth'))", "info"), ("pass", "warning")]
)
def test_what_has_its_weights_from_elsewhere_may_be_kept_from_training(tmp_path, monkeypatch, loads, severity):
    (tmp_path / "m.py").write_text(USED.format(loads=loads))
    monkeypatch.chdir(tmp_path)
    (target,) = expand(["m.py"]).targets
    (found,) = [one for one in check_target(target, Settings(probe=False)) if one.code == "NC905"]
    assert found.severity == severity


OPTIONAL = """
import torch
from torch import nn

class Labelled(nn.Module):
    def __init__(self, width=16, num_classes=None):
        super().__init__()
        self.read, self.tell = nn.Linear(12, width), nn.Linear(width, 2)
        if num_classes is not None:
            self.label = nn.Embedding(num_classes, width)

    def forward(self, x, y):
        x = self.read(x)
        if y is not None:
            x = x + self.label(y)
        return self.tell(x)

class Fails(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.read = nn.Linear(12, width)

    def forward(self, x):
        return self.absent(x)
"""


def test_where_defaults_do_not_run_a_model_is_built_as_its_project_does(tmp_path, monkeypatch):
    (tmp_path / "m.py").write_text(OPTIONAL)
    (tmp_path / "train.py").write_text("from m import Labelled\n\ndef main():\n    model = Labelled(num_classes=7)\n")
    monkeypatch.chdir(tmp_path)
    reports = {target.symbol: check_target(target, Settings(probe=False)) for target in expand(["m.py"]).targets}
    assert str(reports["Labelled"].construction) == "Labelled(num_classes=7), as train.py:4 does"
    assert reports["Labelled"].summary is not None
    assert reports["Fails"].summary is None
    assert "absent" in next(iter(reports["Fails"])).message


def test_a_factory_that_reads_its_options_gets_them(tmp_path, monkeypatch):
    text = "from torch import nn\n\ndef make(**options) -> nn.Module:\n    return nn.Linear(options['width'], 2)\n"
    (tmp_path / "m.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    (report,) = (check_target(target, Settings(probe=False)) for target in expand(["m.py"]).targets)
    assert str(report.construction) == "make(width=64), assumed"
    assert not report.at_least("warning")


def test_options_that_nobody_guesses_are_named(tmp_path, monkeypatch):
    text = (
        "from torch import nn\n\ndef make(**options) -> nn.Module:\n"
        "    if options['width'] is not Ellipsis:\n        raise ValueError\n    return nn.Linear(2, 2)\n"
    )
    (tmp_path / "m.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    (report,) = (check_target(target, Settings(probe=False)) for target in expand(["m.py"]).targets)
    assert report.unchecked is not None
    assert report.unchecked.reason == "needs arguments"
    assert not report.at_least("warning")
    assert "make cannot be built without width" in next(iter(report)).message


def test_no_argument_is_blamed_for_what_was_removed(tmp_path, monkeypatch):
    text = "import time\nfrom torch import nn\n\nclass Net(nn.Module):\n    def __init__(self, width):\n"
    text += "        super().__init__()\n        self.began, self.fc = time.clock(), nn.Linear(width, 2)\n\n"
    text += "    def forward(self, x):\n        return self.fc(x)\n"
    (tmp_path / "m.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    (report,) = (check_target(target, Settings(probe=False)) for target in expand(["m.py"]).targets)
    assert "time.clock was removed in Python 3.8" in next(iter(report)).help
    assert "width" not in next(iter(report)).message


COPIED = """
from torch import nn

class Segment(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 2, 1)
        for layer in (self.one, self.two):
            layer.weight.data.zero_()

    def forward(self, x):
        return self.head(self.two(self.one(x).relu()).relu())

class Copied(Segment):
    def copy_from(self, trained):
        for own, other in zip((self.one, self.two), trained.features):
            own.weight.data = other.weight.data
"""


def test_of_weights_that_a_method_copies_nothing_is_a_warning(tmp_path, monkeypatch):
    (tmp_path / "m.py").write_text(COPIED)
    monkeypatch.chdir(tmp_path)
    copied, plain = (
        check_target(load_target, Settings(probe=False)) for load_target in expand(["m.py:Copied", "m.py:Segment"]).targets
    )
    assert "NC502" in [one.code for one in plain.at_least("warning")]
    assert not copied.at_least("warning")
    assert "NC502" in [one.code for one in copied]
