"""The line that built each submodule.

Every style marks its lines itself: `#: path` names the module that the line must be found for.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import textwrap
import time

import pytest

from netcheck.source.locate import Definition, Step, locate_child, locate_definition, siblings_of
from netcheck.source.places import built_at

STYLES = {
    "plain attributes": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(3, 8, 3)  #: conv
                self.head = nn.Linear(  #: head
                    8,
                    10,
                )
        """,
    "sequential by index": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.Sequential(  #: layers
                    nn.Linear(8, 8),  #: layers.0
                    nn.Tanh(),  #: layers.1
                    nn.Sequential(  #: layers.2
                        nn.Linear(8, 8),  #: layers.2.0
                        nn.ReLU(),  #: layers.2.1
                    ),
                )
        """,
    "ordered dict of pairs": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.net = nn.Sequential(OrderedDict([
                    ("conv1", nn.Conv2d(1, 20, 5)),  #: net.conv1
                    ("relu1", nn.ReLU()),  #: net.relu1
                ]))
        """,
    "ordered dict filled by key": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                parts = OrderedDict()
                parts["first"] = nn.Linear(4, 4)  #: net.first
                for i in range(2):
                    parts[f"block{i}"] = nn.Linear(4, 4)  #: net.block0, net.block1
                self.net = nn.Sequential(parts)  #: net
        """,
    "add_module": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.add_module("stem", nn.Conv2d(3, 8, 3))  #: stem
                self.body = nn.Sequential()  #: body
                for i in range(2):
                    layer = nn.Linear(8, 8)  #: body.fc1, body.fc2
                    self.body.add_module("fc%d" % (i + 1), layer)
                self.register_module("tail", nn.Linear(8, 2))  #: tail
        """,
    "module list comprehension": """
        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)  #: blocks.0.fc, blocks.2.fc

        class Net(nn.Module):
            def __init__(self, n=3):
                super().__init__()
                self.blocks = nn.ModuleList([Block() for _ in range(n)])  #: blocks, blocks.0, blocks.2
        """,
    "local list with loop and last layer": """
        class Net(nn.Module):
            def __init__(self, widths=(8, 8, 8)):
                super().__init__()
                layers = [nn.Flatten()]  #: net.0
                for w in widths:
                    layers += [
                        nn.Linear(8, w),  #: net.1, net.3, net.5
                        nn.ReLU(),  #: net.2, net.6
                    ]
                layers.append(nn.Linear(8, 2))  #: net.7
                self.net = nn.Sequential(*layers)  #: net
        """,
    "loop with a branch": """
        class Net(nn.Module):
            def __init__(self, cfg=(8, "M", 16, "M", 16)):
                super().__init__()
                layers = []
                c = 3
                for v in cfg:
                    if v == "M":
                        layers.append(nn.MaxPool2d(2))  #: features.2, features.5
                    else:
                        conv = nn.Conv2d(c, v, 3)  #: features.0, features.3, features.6
                        layers += [conv, nn.ReLU(True)]  #: features.1, features.7
                        c = v
                self.features = nn.Sequential(*layers)
        """,
    "extend in loops": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                layers: list[nn.Module] = []
                for _ in range(2):
                    layers.extend((
                        nn.Linear(4, 4),  #: net.0, net.2
                        nn.Tanh(),  #: net.1, net.3
                    ))
                layers.extend(nn.Dropout() for _ in range(2))  #: net.4, net.5
                self.net = nn.Sequential(*layers, nn.Linear(4, 1))  #: net.6
        """,
    "list reused": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                layers = []
                layers.append(nn.Linear(4, 4))  #: encoder.0
                self.encoder = nn.Sequential(*layers)
                layers = []
                layers.append(nn.Linear(4, 4))  #: decoder.0
                self.decoder = nn.Sequential(*layers)
        """,
    "list per stage": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.stages = nn.ModuleList()  #: stages
                for s in range(2):
                    blocks = []
                    for b in range(2):
                        blocks.append(nn.Linear(4, 4))  #: stages.0.0, stages.1.1
                    blocks.append(nn.ReLU())  #: stages.0.2, stages.1.2
                    self.stages.append(nn.Sequential(*blocks))  #: stages.0, stages.1
        """,
    "setattr": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                for i in range(3):
                    setattr(self, f"fc{i}", nn.Linear(4, 4))  #: fc0, fc2
                    setattr(self, "bn" + str(i), nn.BatchNorm1d(4))  #: bn1
                    self.add_module("act_{}".format(i), nn.ReLU())  #: act_0
        """,
    "conditional assignment": """
        class Net(nn.Module):
            def __init__(self, norm="layer"):
                super().__init__()
                if norm == "batch":
                    self.norm = nn.BatchNorm1d(4)
                else:
                    self.norm = nn.LayerNorm(4)  #: norm
                self.act = nn.ReLU() if norm == "batch" else (
                    nn.GELU()  #: act
                )
        """,
    "helper method": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer1 = self._make_layer(3)  #: layer1
            def _make_layer(self, n):
                layers = []
                for _ in range(n):
                    layers.append(nn.Linear(4, 4))  #: layer1.0, layer1.2
                return nn.Sequential(*layers)
        """,
    "inherited helper and initializer": """
        class Base(nn.Module):
            def __init__(self):
                super().__init__()
                self.stem = nn.Linear(4, 4)  #: stem
                self.body = self.make()  #: body
            def make(self):
                return nn.Sequential(nn.Linear(4, 4), nn.ReLU())

        class Net(Base):
            def __init__(self):
                super().__init__()
                self.head = nn.Linear(4, 2)  #: head
        """,
    "module-level factory": """
        def conv_bn(i, o):
            return nn.Sequential(
                nn.Conv2d(i, o, 3, bias=False),  #: stem.0
                nn.BatchNorm2d(o),  #: stem.1
            )

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.stem = conv_bn(3, 8)  #: stem
        """,
    "aliases": """
        from torch.nn import Linear as Dense
        Conv = nn.Conv2d

        class Net(nn.Module):
            def __init__(self, fancy=False):
                super().__init__()
                norm = nn.BatchNorm2d if fancy else nn.GroupNorm
                if fancy:
                    self.a = nn.Identity()
                else:
                    self.a = Conv(3, 8, 3)  #: a
                self.b = Dense(8, 8)  #: b
                self.n = norm(2, 8)  #: n
        """,
    "module dict": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.heads = nn.ModuleDict({
                    "mean": nn.Linear(4, 1),  #: heads.mean
                    "scale": nn.Linear(4, 1),  #: heads.scale
                })
                self.heads["extra"] = nn.Linear(4, 1)  #: heads.extra
                self.towers = nn.ModuleDict({str(i): nn.Linear(4, i + 1) for i in range(3)})  #: towers.2
        """,
    "subclass of sequential": """
        class ConvBlock(nn.Sequential):
            def __init__(self, i, o):
                layers = [nn.Conv2d(i, o, 3)]  #: block.0
                layers.append(nn.ReLU())  #: block.1
                super().__init__(*layers)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.block = ConvBlock(3, 8)  #: block
        """,
    "bare subclass of sequential": """
        class Stack(nn.Sequential):
            pass

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.stack = Stack(  #: stack
                    nn.Linear(4, 4),  #: stack.0
                    nn.ReLU(),  #: stack.1
                )
        """,
    "passed in by the caller": """
        class Residual(nn.Module):
            def __init__(self, fn):
                super().__init__()
                self.norm = nn.LayerNorm(4)  #: first.norm
                self.fn = fn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.first = Residual(  #: first
                    nn.Linear(4, 4)  #: first.fn
                )
                self.second = Residual(fn=nn.Sequential(
                    nn.Linear(4, 4),  #: second.fn.0
                    nn.Tanh(),  #: second.fn.1
                ))
        """,
    "replaced head": """
        class Backbone(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 1000)
                self.body = nn.Linear(4, 4)  #: backbone.body

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.backbone = Backbone()  #: backbone
                self.backbone.fc = nn.Linear(4, 2)  #: backbone.fc
        """,
    "wrapped": """
        from torch.nn.utils.parametrizations import weight_norm

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a = weight_norm(
                    nn.Linear(4, 4)  #: a
                )
                self.b = nn.Sequential(
                    nn.Linear(4, 4),  #: b.0
                ).to("cpu")
        """,
    "repeated list and sum": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.net = nn.Sequential(*(
                    [nn.Flatten()]  #: net.0
                    + [nn.Linear(4, 4)] * 1  #: net.1
                    + ([nn.Dropout()] if False else [])
                    + [nn.Linear(4, 2)]  #: net.2
                ))
        """,
    "nested comprehension": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.net = nn.Sequential(*[m for _ in range(2) for m in (
                    nn.Linear(4, 4),  #: net.0, net.2
                    nn.ReLU(),  #: net.1, net.3
                )])
        """,
    "local variable and sharing": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                embed = nn.Embedding(10, 4)  #: embed
                self.embed = embed
                a, b = nn.Linear(4, 4), nn.Linear(4, 2)  #: a, b
                self.a, self.b = a, b
        """,
    "built in another method": """
        class Net(nn.Module):
            def __init__(this):
                super(Net, this).__init__()
                this.build(2)
            def build(this, n):
                this.fc = nn.Linear(4, 4)  #: fc
                this.rest = nn.ModuleList()
                for i in range(n):
                    this.rest.append(nn.Linear(4, 4))  #: rest.0, rest.1
        """,
    "class inside a function": """
        def make():
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(4, 4)  #: fc
            return Net
        Net = make()
        """,
    "inside torch's own module": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                layer = nn.TransformerEncoderLayer(8, 2)
                self.encoder = nn.TransformerEncoder(layer, 2)  #: encoder, encoder.layers.0.linear1
        """,
    "not ASCII before it": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                größe = 4; self.fc = nn.Linear(größe, größe)  #: fc
        """,
}


def load(path):
    spec = importlib.util.spec_from_file_location(f"style_{abs(hash(str(path)))}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # inspect finds the file of a class through it
    spec.loader.exec_module(module)
    return module


def write(path, source):
    header = "from collections import OrderedDict\nimport torch\nfrom torch import nn\n"
    path.write_text(header + textwrap.dedent(source), encoding="utf-8")
    return path


def marks(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if found := re.search(r"#: (.*)", line):
            for name in found[1].split(","):
                yield name.strip(), number


@pytest.mark.parametrize("style", STYLES)
def test_every_marked_line_is_found(style, tmp_path):
    path = write(tmp_path / "model.py", STYLES[style])
    places = built_at(load(path).Net())
    expected = dict(marks(path))
    assert expected
    assert {name: places[name].line for name in expected} == expected
    assert {places[name].file for name in expected} == {str(path)}


def test_a_location_spans_the_call_in_characters(tmp_path):
    path = write(tmp_path / "model.py", STYLES["not ASCII before it"])
    place = built_at(load(path).Net())["fc"]
    text = path.read_text(encoding="utf-8").splitlines()[place.line - 1]
    assert text[place.column - 1 : place.end_column - 1] == "nn.Linear(größe, größe)"
    assert place.function == "Net.__init__"


def test_base_class_and_factory_in_other_files(tmp_path):
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "blocks.py").write_text(
        "from torch import nn\n\ndef conv_bn():\n    return nn.Sequential(\n        nn.Conv2d(3, 8, 3),\n    )\n"
    )
    (tmp_path / "net.py").write_text(
        "from torch import nn\nfrom .blocks import conv_bn\n\n"
        "class Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.stem = conv_bn()\n"
    )
    here = [Definition(str(tmp_path / "net.py"), "Net")]
    assert locate_child(here, ["stem"], "Sequential").line == 7
    inner = locate_child(here, ["stem", "0"], "Conv2d")
    assert (inner.file, inner.line) == (str(tmp_path / "blocks.py"), 5)


@pytest.mark.parametrize(
    ("name", "line", "children"),
    [
        ("model", 4, (("0", "Linear", 4), ("1", "ReLU", 4), ("2", "Linear", 5))),
        ("build", 7, (("0", "Flatten", 8), ("1", "Linear", 9))),
        ("main.<locals>.net", 13, (("0", "Linear", 13), ("head", "Linear", 14))),
    ],
)
def test_models_that_a_variable_or_factory_holds(tmp_path, name, line, children):
    path = write(
        tmp_path / "script.py",
        """\
        model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        model.append(nn.Linear(4, 2))

        def build():
            return nn.Sequential(nn.Flatten(),
                nn.Linear(4, 4))

        def main():
            global other
            net = nn.Sequential(nn.Linear(4, 4))
            net.add_module("head", nn.Linear(4, 2))
            return net
        """,
    )
    definition = Definition(str(path), name)
    siblings = siblings_of(tuple((child, kind) for child, kind, _ in children))
    found = [locate_child([definition], [Step(child, kind, siblings)], kind) for child, kind, _ in children]
    assert [place.line for place in found] == [expected for *_, expected in children]
    assert locate_definition(definition).line == line


def test_five_thousand_modules_take_well_under_a_second(tmp_path):
    source = """
        class Layer(nn.Module):
            def __init__(self, depth=0):
                super().__init__()
                self.attention = nn.ModuleDict({name: nn.Linear(2, 2) for name in ("q", "k", "v")})
                self.mlp = nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 2))
                self.norm1, self.norm2 = nn.LayerNorm(2), nn.LayerNorm(2)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([Layer(i) for i in range(480)])
        """
    model = load(write(tmp_path / "model.py", source)).Net()
    count = sum(1 for _ in model.modules())
    assert count > 5000
    started = time.process_time()
    places = built_at(model)
    assert time.process_time() - started < 1.0
    assert len(places) == count


def test_what_cannot_be_known_is_not_guessed(tmp_path):
    path = write(
        tmp_path / "model.py",
        "class Net(nn.Module):\n    def __init__(self, fn):\n        super().__init__()\n        self.fn = fn\n",
    )
    here = [Definition(str(path), "Net")]
    assert locate_child(here, ["fn"], "Linear") is None
    assert locate_child(here, ["absent"], "Linear") is None
    assert locate_child([Definition(str(tmp_path / "absent.py"), "Net")], ["fn"], "Linear") is None
