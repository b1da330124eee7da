"""Made-up repositories, each with its own way of saying how its models are built.

REPOSITORIES["argparse"].files       name -> text
REPOSITORIES["argparse"].built       target -> the line of the report about how it was built
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Repository:
    """The files of a repository, and how its classes are built."""

    files: dict[str, str]
    built: dict[str, str]


MODEL = """
from torch import nn

class Net(nn.Module):
    def __init__(self, features, hidden, classes, dropout=0.0):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes))

    def forward(self, x):
        return self.net(x)
"""


BY_THREES = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width, *, depth):
        super().__init__()
        assert width % 3 == 0
        self.width, self.layers = width, nn.Sequential(*(nn.Linear(width, width) for _ in range(depth)))

    def forward(self, x):
        return self.layers(x)
"""


def repository(built: dict[str, str], files: dict[str, str]) -> Repository:
    """A repository; its files may be indented, and begin after a line break."""
    return Repository({name: textwrap.dedent(text).lstrip("\n") for name, text in files.items()}, built)


def notebook(*cells: str) -> str:
    """A notebook of these cells of code."""
    sources = [textwrap.dedent(cell).strip("\n") for cell in cells]
    return json.dumps({"cells": [{"cell_type": "code", "source": source} for source in sources], "nbformat": 4})


REPOSITORIES = {
    "factories of options": repository(
        {
            "net.py:small": "small(classes=10), assumed",
            "net.py:sized": "sized(width=6, classes=3), as train.py:2 does",
        },
        {
            "net.py": f"""{MODEL}
def small(**options):
    return Net(8, 4, **options)

def sized(**options):
    return Net(5, options.pop("width"), **options)
""",
            "train.py": """
            from net import sized
            net = sized(width=6, classes=3) if __name__ == "__main__" else None
            """,
        },
    ),
    "what resembles what is built": repository(
        {
            "old/net.py:Net": "Net(width=6, depth=2), assumed",
            "wrapped.py:Wrapper": "Wrapper(inner=Net(6, depth=2), steps=2), assumed",
        },
        {
            "net.py": BY_THREES,
            "old/net.py": BY_THREES.replace("self.layers(x)", "self.layers(x).relu()"),
            "wrapped.py": """
            from torch import nn

            class Wrapper(nn.Module):
                def __init__(self, inner, steps):
                    super().__init__()
                    self.inner, self.steps = inner, steps
                    self.head = nn.Linear(inner.width, 2)

                def forward(self, x):
                    for _ in range(self.steps):
                        x = self.inner(x)
                    return self.head(x)
            """,
            "train.py": """
            from net import Net

            class Trainer:
                def __init__(self, inner, rate):
                    self.inner, self.rate = inner, rate

            trainer = Trainer(Net(6, depth=2), 0.1)
            """,
        },
    ),
    "a folder that is added from where the script is run": repository(
        {"src/net.py:Net": "Net(width=6), as net.py:13 does"},
        {
            "src/utils/parts.py": """
            from torch import nn

            class Part(nn.Linear):
                pass
            """,
            "src/net.py": """
            import sys
            from torch import nn
            sys.path.append("utils")
            from parts import Part

            class Net(nn.Module):
                def __init__(self, width):
                    super().__init__()
                    self.part = Part(width, width)

                def forward(self, x):
                    return self.part(x)
            net = Net(6) if __name__ == "__main__" else None
            """,
        },
    ),
    "examples in the README": repository(
        {
            "nets/small.py:Net": "Net(width=6, classes=3), as README.md:7 does",
            "nets/wrapped.py:Net": "Net(inner=Inner(9), steps=2), as README.md:30 does",
        },
        {
            "README.md": """
            # Nets

            ```python
            import torch
            from nets.small import Net

            net = Net(width = 6, classes = 3)
            net(torch.rand(2, 6))
            ```

            ```bash
            Net(width = 7)
            ```

            ```python
            $ python train.py
            ```

            Around another:

            ```python
            from nets.wrapped import Inner, Net

            inner = Inner(9)
            ```

            and then

            ```py
            >>> net = Net(inner, steps = 2)
            >>> net(torch.rand(2, 9)).shape
            (2, 9)
            ```
            """,
            "nets/__init__.py": "",
            "nets/small.py": """
            from torch import nn

            class Net(nn.Module):
                def __init__(self, *, width, classes):
                    super().__init__()
                    self.layer = nn.Linear(width, classes)

                def forward(self, x):
                    return self.layer(x)
            """,
            "nets/wrapped.py": """
            from torch import nn

            class Inner(nn.Module):
                def __init__(self, width):
                    super().__init__()
                    self.layer = nn.Linear(width, width)

                def forward(self, x):
                    return self.layer(x)

            class Net(nn.Module):
                def __init__(self, inner, *, steps):
                    super().__init__()
                    self.inner, self.steps = inner, steps

                def forward(self, x):
                    for _ in range(self.steps):
                        x = self.inner(x)
                    return x
            """,
        },
    ),
    "attributes that a builder sets": repository(
        {"models/detector.py:Detector": "Detector(backbone=Joined(Backbone('small'), 4), classes=7), as detector.py:14 does"},
        {
            "models/__init__.py": "",
            "models/backbone.py": """
            from torch import nn

            class Base(nn.Module):
                def __init__(self, body, channels):
                    super().__init__()
                    self.body, self.channels = body, channels

                def forward(self, x):
                    return self.body(x)

            class Backbone(Base):
                def __init__(self, name):
                    channels = 8 if name in ("small", "tiny") else 16
                    super().__init__(nn.Conv2d(3, channels, 3, padding=1), channels)

            class Joined(nn.Sequential):
                def __init__(self, backbone, stride):
                    super().__init__(backbone, nn.MaxPool2d(stride))

            def build_backbone(args):
                backbone = Backbone(args.backbone)
                model = Joined(backbone, args.stride)
                model.channels = backbone.channels
                return model
            """,
            "models/detector.py": """
            from torch import nn
            from .backbone import build_backbone

            class Detector(nn.Module):
                def __init__(self, backbone, classes):
                    super().__init__()
                    self.backbone, self.head = backbone, nn.Conv2d(backbone.channels, classes, 1)

                def forward(self, images):
                    return self.head(self.backbone(images))

            def build(args):
                backbone = build_backbone(args)
                model = Detector(backbone, classes=args.classes)
                return model
            """,
            "main.py": """
            import argparse
            from models.detector import build

            def options():
                parser = argparse.ArgumentParser()
                parser.add_argument("--backbone", default="small")
                parser.add_argument("--stride", default=4, type=int)
                parser.add_argument("--classes", default=7, type=int)
                return parser

            if __name__ == "__main__":
                model = build(options().parse_args())
            """,
        },
    ),
    "its own method": repository(
        {"net.py:Net": "Net.from_name(name='small'), as demo.py:3 does"},
        {
            "net.py": """
            from torch import nn

            CODES = {"small": "r1_i8_o16", "large": "r3_i16_o32"}

            class Net(nn.Module):
                def __init__(self, codes):
                    super().__init__()
                    sizes = [int(part[1:]) for part in codes.decode("ascii").split("_")]
                    self.layers = nn.Sequential(*[nn.Linear(sizes[1], sizes[1]) for _ in range(sizes[0])], nn.Linear(*sizes[1:]))

                @classmethod
                def from_pretrained(cls, name):
                    raise OSError("no network")

                @classmethod
                def from_name(cls, name):
                    return cls(CODES[name].encode())

                def forward(self, x):
                    return self.layers(x)
            """,
            "demo.py": """
            from net import Net

            net = Net.from_name("small")
            trained = Net.from_pretrained("small")
            """,
        },
    ),
    "same file": repository(
        {"model.py:Net": "Net(features=12, hidden=24, classes=3), as model.py:15 does"},
        {
            "model.py": MODEL
            + """
WIDTH = 12

def main():
    sizes = {"hidden": WIDTH * 2, "classes": 3}
    net = Net(WIDTH, **sizes)
    return net.to("cuda")
""",
        },
    ),
    "argparse": repository(
        {"pack/model.py:Net": "Net(features=64, hidden=20, classes=5, dropout=0.25), as train.py:11 does; features assumed"},
        {
            "pack/__init__.py": "",
            "pack/model.py": MODEL,
            "train.py": """
            import argparse
            from pack.model import Net
            from data import load

            parser = argparse.ArgumentParser()
            parser.add_argument("--hidden-size", "-H", type=int, default="20", help="units")
            parser.add_argument("--dropout", type=float, default=0.25)
            args = parser.parse_args()
            args.classes = 5
            x, y, vocabulary = load()
            model = Net(x.shape[1], args.hidden_size, args.classes, dropout=args.dropout)
        """,
        },
    ),
    "options handed on": repository(
        {"model.py:Net": "Net(features=7, hidden=9, classes=2), as trainer.py:9 does"},
        {
            "model.py": MODEL,
            "options.py": """
            def add_model_options(parser):
                group = parser.add_argument_group("model")
                group.add_argument("--hidden", type=int, default=9)

            def get_parser():
                import argparse
                parser = argparse.ArgumentParser()
                parser.add_argument("--features", type=int, default=7)
                add_model_options(parser)
                return parser
        """,
            "trainer.py": """
            from model import Net

            class Base:
                def __init__(self, args, classes):
                    self.args = args
                    self.classes = classes
                    self.model = self.make()
                def make(self):
                    return Net(self.args.features, self.args.hidden, self.classes)

            class Trainer(Base):
                def __init__(self, args):
                    super().__init__(args, classes=2)
        """,
            "run.py": """
            from options import get_parser
            from trainer import Trainer

            if __name__ == "__main__":
                Chosen = Trainer
                Chosen(get_parser().parse_args()).fit()
        """,
        },
    ),
    "dataclass": repository(
        {"model.py:Net": "Net(cfg=Config(6, depth=3)), as train.py:5 does"},
        {
            "model.py": """
            from torch import nn

            class Net(nn.Module):
                def __init__(self, cfg):
                    super().__init__()
                    self.layers = nn.Sequential(*[nn.Linear(cfg.width, cfg.width) for _ in range(cfg.depth)])

                def forward(self, x):
                    return self.layers(x)
        """,
            "train.py": """
            from settings import Config
            from model import Net

            config = Config(6, depth=3)
            net = Net(config)
        """,
            "settings.py": """
            from dataclasses import dataclass

            @dataclass
            class Config:
                width: int
                depth: int = 2
        """,
        },
    ),
    "placeholder": repository(
        {"model.py:Net": "Net(args=Args()) with args.vocab=100, args.vocab assumed"},
        {
            "model.py": """
            from dataclasses import dataclass
            from torch import nn

            @dataclass
            class Args:
                width: int = 64
                vocab: int = -1

            class Net(nn.Module):
                def __init__(self, args: Args):
                    super().__init__()
                    self.embed = nn.Embedding(args.vocab, args.width)

                def forward(self, x):
                    return self.embed(x)
        """,
        },
    ),
    "yaml": repository(
        {
            "models/vae.py:Small": "Small(width=10, depth=1), as run.py:6 does",
            "models/vae.py:Large": "Large(width=30, depth=4), as run.py:6 does",
        },
        {
            "models/__init__.py": """
            from .vae import Large, Small
            MODELS = {"small": Small, "LargeNet": Large}
        """,
            "models/vae.py": """
            from torch import nn

            class Small(nn.Module):
                def __init__(self, width, depth, **rest):
                    super().__init__()
                    self.net = nn.Sequential(*[nn.Linear(width, width) for _ in range(depth)])
                def forward(self, x):
                    return self.net(x)

            class Large(nn.Module):
                def __init__(self, width, depth):
                    super().__init__()
                    self.net = nn.Sequential(*[nn.Linear(width, width) for _ in range(depth)])
                def forward(self, x):
                    return self.net(x)
        """,
            "run.py": """
            import yaml
            from models import MODELS

            def main(path="configs/small.yaml"):
                config = yaml.safe_load(open(path))
                return MODELS[config["model"]["name"]](**config["model"]["params"])
        """,
            "configs/small.yaml": """
            model:
              name: small   # the key in the table
              params: {width: 10, depth: 1}
        """,
            "configs/large.yaml": """
            model:
              name: 'LargeNet'
              params:
                width: 30
                depth: 4
        """,
        },
    ),
    "json object": repository(
        {"net.py:Net": "Net(h=h) with h.rates=[2, 4], h.width=12, h.block='1', as run.py:13 does"},
        {
            "net.py": """
            from torch import nn

            class Net(nn.Module):
                def __init__(self, h):
                    super().__init__()
                    self.net = nn.ModuleList([nn.Linear(h.width, h.width) for _ in h.rates])
                    self.block = nn.ReLU() if h.block == "1" else nn.GELU()

                def forward(self, x):
                    for layer in self.net:
                        x = self.block(layer(x))
                    return x
        """,
            "run.py": """
            import argparse
            import json
            from net import Net

            class AttrDict(dict):
                def __init__(self, *args):
                    super().__init__(*args)
                    self.__dict__ = self

            def main(path):
                with open(path) as f:
                    h = AttrDict(json.loads(f.read()))
                return Net(h)
        """,
            "config_v1.json": '{"rates": [2, 4], "width": 12, "block": "1"}',
        },
    ),
    "toml and click": repository(
        {"net.py:Net": "Net(features=3, hidden=11, classes=4), as cli.py:10 does"},
        {
            "net.py": MODEL,
            "cli.py": """
            import click
            import tomllib
            from net import Net

            @click.command()
            @click.option("--classes", "-c", default=4, show_default=True)
            def main(classes):
                with open("settings.toml", "rb") as file:
                    table = tomllib.load(file)
                Net(features=3, hidden=table["model"]["hidden"], classes=classes)
        """,
            "settings.toml": "[model]\nhidden = 11\n",
        },
    ),
    "nested": repository(
        {"seq2seq.py:Seq2Seq": "Seq2Seq(encoder=Encoder(50, 8), decoder=Decoder(40, 8)), as train.py:6 does"},
        {
            "parts.py": """
            from torch import nn

            class Encoder(nn.Module):
                def __init__(self, vocab, width):
                    super().__init__()
                    self.embed = nn.Embedding(vocab, width)
                    self.rnn = nn.GRU(width, width, batch_first=True)
                def forward(self, x):
                    return self.rnn(self.embed(x))[0]

            class Decoder(nn.Module):
                def __init__(self, vocab, width):
                    super().__init__()
                    self.head = nn.Linear(width, vocab)
                def forward(self, x):
                    return self.head(x)
        """,
            "seq2seq.py": """
            from torch import nn

            class Seq2Seq(nn.Module):
                def __init__(self, encoder, decoder):
                    super().__init__()
                    self.encoder, self.decoder = encoder, decoder
                def forward(self, x):
                    return self.decoder(self.encoder(x))
        """,
            "train.py": """
            from parts import Decoder, Encoder
            from seq2seq import Seq2Seq

            ENCODER = Encoder(50, 8)
            decoder = Decoder(vocab := 40, 8)
            model = Seq2Seq(ENCODER, Decoder(40, 8)).to("cuda")
        """,
        },
    ),
    "conditions": repository(
        {"model.py:Net": "Net(features=1433, hidden=16, classes=7), as train.py:14 does"},
        {
            "model.py": MODEL,
            "config.py": 'DATASET = "cora"\nHIDDEN = 16\n',
            "train.py": """
            import config
            from model import Net

            def sizes(name):
                if name == "citeseer":
                    return 3703, 6
                return 1433, 7

            if config.DATASET == "pubmed":
                features, classes = 500, 3
            else:
                features, classes = sizes(config.DATASET)
            for hidden in [config.HIDDEN, 32]:
                model = Net(features, hidden, classes)
        """,
        },
    ),
    "object of options": repository(
        {
            "model.py:GPT": "GPT(config=GPTConfig(data.vocab_size, 128, n_head=8, n_embd=32)) with config.vocab_size=100, "
            "as train.py:4 does; config.vocab_size assumed"
        },
        {
            "model.py": """
            from torch import nn

            class GPTConfig:
                drop = 0.2
                def __init__(self, vocab_size, block_size, **kwargs):
                    self.vocab_size, self.block_size = vocab_size, block_size
                    for name, value in kwargs.items():
                        setattr(self, name, value)

            class GPT(nn.Module):
                def __init__(self, config):
                    super().__init__()
                    self.embed = nn.Embedding(config.vocab_size, config.n_embd)
                    self.drop = nn.Dropout(config.drop)
                    assert config.n_embd % config.n_head == 0

                def forward(self, x):
                    return self.drop(self.embed(x))
        """,
            "train.py": """
            from model import GPT, GPTConfig
            data = load()
            config = GPTConfig(data.vocab_size, 128, n_head=8, n_embd=32)
            model = GPT(config)
        """,
        },
    ),
    "yacs": repository(
        {"model.py:Net": "Net(cfg=_C), as train.py:7 does"},
        {
            "model.py": """
            from torch import nn

            class Net(nn.Module):
                def __init__(self, cfg):
                    super().__init__()
                    self.net = nn.Sequential(*[nn.Linear(cfg.MODEL.WIDTH, cfg.MODEL.WIDTH) for _ in range(cfg.MODEL.DEPTH)])
                    assert len(self.net) == 3 and cfg.MODEL.WIDTH == 9

                def forward(self, x):
                    return self.net(x)
        """,
            "defaults.py": """
            from yacs.config import CfgNode as CN

            _C = CN()
            _C.MODEL = CN()
            _C.MODEL.WIDTH = 9
            _C.MODEL.DEPTH = 3
            cfg = _C
        """,
            "train.py": """
            from defaults import cfg
            from model import Net

            def main(path):
                cfg.merge_from_file(path)
                cfg.freeze()
                Net(cfg)
        """,
        },
    ),
    "handed on by name": repository(
        {
            "net.py:Net": "Net(features=5, hidden=6, classes=2), as build.py:5 does",
            "net.py:Other": "Other(width=4, depth=3), as net.py:22 does",
            "net.py:Third": "Third(width=7), as cli.py:12 does",
        },
        {
            "net.py": MODEL
            + """

class Other(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.net = nn.Sequential(*[nn.Linear(width, width) for _ in range(depth)])

    def forward(self, x):
        return self.net(x)

    @classmethod
    def build(cls, args):
        return cls(args.width, depth=args.depth)


class Third(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net = nn.Linear(width, 2)

    def forward(self, x):
        return self.net(x)
""",
            "build.py": """
            from net import Net

            def get_model(name, **options):
                if name == "net":
                    return Net(**options)
                raise ValueError(name)
        """,
            "cli.py": """
            import tyro
            from dataclasses import dataclass
            import net
            from build import get_model

            @dataclass
            class Args:
                width: int = 4
                depth: int = 3
                arch: str = "Other"

            model = getattr(net, Args().arch)(7) if tyro.cli(Args).arch == "Third" else net.Other.build(tyro.cli(Args))
            get_model("net", features=5, hidden=6, classes=2)
        """,
        },
    ),
    "by a name": repository(
        {
            "nets.py:Hydra": "Hydra(width=9), as hydra.yaml says",
            "nets.py:Template": "Template(width=5), as config.json says",
            "nets.py:Registered": "Registered(width=3), as train.py:2 does",
            "nets.py:Typed": "Typed(width=11), as train.py:3 does",
        },
        {
            "nets.py": """
            from torch import nn
            from registry import register

            class Base(nn.Module):
                def forward(self, x):
                    return self.net(x)

            class Hydra(Base):
                def __init__(self, width):
                    super().__init__()
                    self.net = nn.Linear(width, 2)

            class Template(Base):
                def __init__(self, width):
                    super().__init__()
                    self.net = nn.Linear(width, 2)

            @register("my_net")
            class Registered(Base):
                def __init__(self, width):
                    super().__init__()
                    self.net = nn.Linear(width, 2)

            class Typed(Base):
                def __init__(self, width):
                    super().__init__()
                    self.net = nn.Linear(width, 2)
        """,
            "registry.py": """
            TABLE = {}

            def register(name):
                def keep(cls):
                    TABLE[name] = cls
                    return cls
                return keep

            def build(name, **options):
                return TABLE[name](**options)
        """,
            "train.py": """
            from registry import build
            build("my_net", width=3)
            model = dict(type="Typed", width=11)
        """,
            "conf/model/hydra.yaml": "_target_: nets.Hydra\nwidth: 9\n",
            "config.json": '{"arch": {"type": "Template", "args": {"width": 5}}}',
        },
    ),
    "a notebook whose data is not there": repository(
        {
            "study.ipynb:Pair": "Pair(left=Left(words.vocab, 12), right=Right(12, 5)) with left.words=64, "
            "as study.ipynb, cell 3, line 4 does; left.words assumed",
        },
        {
            "study.ipynb": notebook(
                """
                from torch import nn
                from textdata import Field
                words = Field("words.txt")
                """,
                """
                class Left(nn.Module):
                    def __init__(self, words, width):
                        super().__init__()
                        self.look_up = nn.Embedding(words, width)

                    def forward(self, x):
                        return self.look_up(x).mean(1)

                class Right(nn.Module):
                    def __init__(self, width, classes):
                        super().__init__()
                        self.out = nn.Linear(width, classes)

                    def forward(self, x):
                        return self.out(x)

                class Pair(nn.Module):
                    def __init__(self, left, right):
                        super().__init__()
                        self.left, self.right = left, right

                    def forward(self, x):
                        return self.right(self.left(x))
                """,
                """
                WORDS = len(words.vocab)
                left = Left(WORDS, 12)
                right = Right(12, 5)
                pair = Pair(left, right)
                """,
            ),
        },
    ),
    "references in a configuration file": repository(
        {
            "model.py:Net": "Net(config=config) with config.other=64, as train.py:5 does; config.other assumed",
        },
        {
            "model.py": """
            from torch import nn

            class Net(nn.Module):
                def __init__(self, config):
                    super().__init__()
                    self.net = nn.Linear(config["steps"], config["width"] + config["other"])

                def forward(self, x):
                    return self.net(x)
            """,
            "train.py": """
            import hydra
            from model import Net
            @hydra.main(config_path="conf", config_name="config")
            def run(cfg):
                return Net(cfg.training)
            """,
            "conf/config.yaml": """
            data:
              steps: 7
            sizes:
              width: ${net.width}
            net:
              width: 10
            training:
              steps: ${data.steps}
              width: ${sizes.width}
              other: ${nowhere.width}
            """,
        },
    ),
    "None by default, and called": repository(
        {
            "model.py:Block": "Block(inner=3, outer=16, norm=nn.BatchNorm2d), assumed",
            "model.py:Slim": "Slim(norm=nn.BatchNorm2d), assumed",
            "model.py:Wide": "Wide(stride=2, norm=BatchNorm2d), as build.py:4 does",
        },
        {
            "model.py": """
            from torch import nn

            class Base(nn.Module):
                def forward(self, x):
                    return self.net(x)

            class Block(Base):
                def __init__(self, inner, outer, norm=None):
                    super().__init__()
                    self.net = nn.Sequential(nn.Conv2d(inner, outer, 3), norm(outer))

            class Slim(Base):
                def __init__(self, stride=1, norm=None):
                    super().__init__()
                    self.net = nn.Sequential(nn.Conv2d(3, 8, 3, stride), norm(8))

            class Wide(Base):
                def __init__(self, stride=1, norm=None):
                    super().__init__()
                    self.net = nn.Sequential(nn.Conv2d(3, 80, 3, stride), norm(80))
            """,
            "build.py": """
            from torch import nn
            import model
            def build(norm=nn.BatchNorm2d):
                return model.Wide(2, norm)
            """,
        },
    ),
    "a part with weights that would be loaded": repository(
        {"model.py:Whole": "Whole(part=Part(wide=True), classes=2), as train.py:2 does"},
        {
            "model.py": """
            from torch import nn
            from torch.hub import load_state_dict_from_url

            class Part(nn.Module):
                def __init__(self, wide=False, pretrained=True):
                    super().__init__()
                    self.net = nn.Linear(4, 8)
                    if pretrained:
                        self.load_state_dict(load_state_dict_from_url("https://example.org/part.pth"))

                def forward(self, x):
                    return {"out": self.net(x)}

            class Whole(nn.Module):
                def __init__(self, part, classes):
                    super().__init__()
                    self.part, self.out = part, nn.Linear(8, classes)

                def forward(self, x):
                    return self.out(self.part(x)["out"])
            """,
            "train.py": """
            from model import Part, Whole
            model = Whole(Part(wide=True), 2)
            """,
        },
    ),
    "the shape of an image": repository(
        {"model.py:See": "See(input_shape=[3, 64, 64], num_actions=4), assumed"},
        {
            "model.py": """
            import torch
            from torch import nn

            class See(nn.Module):
                def __init__(self, input_shape, num_actions):
                    super().__init__()
                    self.input_shape = input_shape
                    self.features = nn.Sequential(nn.Conv2d(input_shape[0], 8, 8, 4), nn.ReLU(), nn.Conv2d(8, 8, 4, 2), nn.ReLU())
                    self.out = nn.Linear(self.size(), num_actions)

                def size(self):
                    return self.features(torch.zeros(1, *self.input_shape)).flatten(1).shape[1]

                def forward(self, x):
                    return self.out(self.features(x).flatten(1))
            """,
        },
    ),
    "options that are handed on to a part": repository(
        {"model.py:Whole": "Whole(width=64, part_config={'n_layers': 2, 'n_channels': 3}), assumed"},
        {
            "model.py": """
            from torch import nn

            class Part(nn.Module):
                def __init__(self, width, n_layers, n_channels):
                    super().__init__()
                    parts = [nn.Linear(width, n_channels), *(nn.Linear(n_channels, n_channels) for _ in range(n_layers))]
                    self.net = nn.Sequential(*parts)

                def forward(self, x):
                    return self.net(x)

            class Whole(nn.Module):
                def __init__(self, width, part_config):
                    super().__init__()
                    self.part = Part(width, **part_config)

                def forward(self, x):
                    return self.part(x)
            """,
        },
    ),
    "a script of Python 2": repository(
        {"model.py:Net": "Net(width=12, depth=3), as train.py:10 does"},
        {
            "model.py": """
            from torch import nn

            class Net(nn.Module):
                def __init__(self, width, depth):
                    super().__init__()
                    self.layers = nn.Sequential(*(nn.Linear(width, width) for _ in range(depth)))

                def forward(self, x):
                    return self.layers(x)
            """,
            "train.py": """
            from model import Net

            def train(model, loader):
                for x, y in loader:
                    loss = (model(x.cuda(async=True)) - y).mean()
                    print "loss", loss
                    print "%d of %d" % (
                        loss, len(loader))

            model = Net(12, 3)
            train(model, [])
            """,
        },
    ),
    "a table of vectors that only the data give": repository(
        {
            "model.py:Reader": "Reader(vocab_size=100, embedding_length=32, weights=torch.randn(100, 32), classes=10), assumed",
            "model.py:Copier": "Copier(vocab_size=100, embedding_length=32, weights=torch.randn(100, 32), classes=10), assumed",
        },
        {
            "model.py": """
            import torch
            from torch import nn

            class Reader(nn.Module):
                def __init__(self, vocab_size, embedding_length, weights, classes):
                    super().__init__()
                    self.words = nn.Embedding(vocab_size, embedding_length)
                    self.words.weight = nn.Parameter(weights, requires_grad=False)
                    self.head = nn.Linear(embedding_length, classes)

                def forward(self, sentence):
                    return self.head(self.words(sentence).mean(1))

            class Copier(nn.Module):
                def __init__(self, vocab_size, embedding_length, weights, classes):
                    super().__init__()
                    self.words = nn.Embedding(vocab_size, embedding_length)
                    self.words.load_state_dict({"weight": weights})
                    self.head = nn.Linear(embedding_length, classes)

                def forward(self, sentence):
                    return self.head(self.words(sentence).mean(1))
            """,
        },
    ),
    "a text as an image of one channel": repository(
        {
            "model.py:Reader": "Reader(in_channels=1, out_channels=16, kernel_heights=[3, 3, 3], width=64), assumed",
        },
        {
            "model.py": """
            import torch
            from torch import nn

            class Reader(nn.Module):
                def __init__(self, in_channels, out_channels, kernel_heights, width):
                    super().__init__()
                    self.words = nn.Embedding(90, width)
                    self.short = nn.Conv2d(in_channels, out_channels, (kernel_heights[0], width))
                    self.middle = nn.Conv2d(in_channels, out_channels, (kernel_heights[1], width))
                    self.long = nn.Conv2d(in_channels, out_channels, (kernel_heights[2], width))
                    self.head = nn.Linear(len(kernel_heights) * out_channels, 2)

                def forward(self, sentence):
                    x = self.words(sentence).unsqueeze(1)
                    found = [layer(x).squeeze(3).amax(2) for layer in (self.short, self.middle, self.long)]
                    return self.head(torch.cat(found, 1))
            """,
        },
    ),
    "the same unknown in several places": repository(
        {
            "model.py:Few": "Few(encoder=Sequential(Sequential(Linear(options.read, options.width ...) with "
            "encoder.0.0.in_features=16, encoder.0.0.out_features=10, encoder.2.out_features=10, as model.py:17 does; "
            "encoder.0.0.in_features, encoder.0.0.out_features and encoder.2.out_features assumed",
        },
        {
            "model.py": """
            from torch import nn

            class Few(nn.Module):
                def __init__(self, encoder):
                    super().__init__()
                    self.encoder = encoder

                def forward(self, x):
                    return self.encoder(x)

            def load_few(**options):
                width = options["width"]

                def block(n_in, n_out):
                    return nn.Sequential(nn.Linear(n_in, n_out), nn.ReLU())

                return Few(nn.Sequential(block(options["read"], width), block(width, width), nn.Linear(width, options["out"])))
            """,
        },
    ),
}
