"""From a target to a live model: naming, layouts of projects, arguments, and what user code may raise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

from netcheck.errors import LoadError, NeedsArguments
from netcheck.findings import Construction, GivenArgument, Location
from netcheck.load.arguments import needs_arguments, required
from netcheck.load.target import NotAModel, load
from netcheck.source.places import built_at
from netcheck.source.targets import expand

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.fc = nn.Linear(3, width)

    def forward(self, x):
        return self.fc(x)
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__slash__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return tmp_path

    yield write
    left = list(tmp_path.rglob("*.pyc"))
    assert not left, "bytecode was left beside the user's files"


def write_all(project, files):
    project(**{name.replace("/", "__slash__"): text for name, text in files.items()})


def load_in(project, files, target, **given):
    write_all(project, files)
    return load(target, **given)


@pytest.mark.parametrize("target", ["model.py", "model.py:Net", "model:Net", "model", "./model.py:Net"])
def test_ways_to_name_a_model(project, target):
    loaded = load_in(project, {"model.py": NET}, target)
    assert type(loaded.model).__name__ == "Net"
    assert loaded.location.line == 5
    assert Path(loaded.location.file).name == "model.py"
    assert loaded.factory().fc.weight is not loaded.model.fc.weight


def test_an_instance_and_a_factory(project):
    text = NET + "\ndef make(width: int = 7) -> nn.Module:\n    return Net(width)\n\nready = Net(9)\n"
    write_all(project, {"model.py": text})
    assert load("model.py:make").model.fc.out_features == 7
    assert load("model.py:make", kwargs={"width": 8}).model.fc.out_features == 8
    ready = load("model.py:ready")
    assert (ready.model.fc.out_features, ready.factory, ready.location.line) == (9, None, 16)


LAYOUTS = {
    "relative imports in a package": (
        {
            "pack/__init__.py": "",
            "pack/net.py": NET,
            "pack/top.py": "from .net import Net as N\nclass Top(N): pass\n",
        },
        "pack/top.py:Top",
    ),
    "relative imports without __init__": (
        {"loose/net.py": NET, "loose/top.py": "from .net import Net as N\nclass Top(N): pass\n"},
        "loose/top.py:Top",
    ),
    "two levels up": (
        {
            "pack/__init__.py": "",
            "pack/net.py": NET,
            "pack/sub/__init__.py": "",
            "pack/sub/top.py": "from ..net import Net as N\nclass Top(N): pass\n",
        },
        "pack/sub/top.py:Top",
    ),
    "src layout": (
        {
            "pyproject.toml": "",
            "src/pack/__init__.py": "",
            "src/pack/net.py": NET,
            "scripts/top.py": "from pack.net import Net as N\nclass Top(N): pass\n",
        },
        "scripts/top.py:Top",
    ),
    "sibling": (
        {"pyproject.toml": "", "a/net.py": NET, "a/top.py": "import net\nclass Top(net.Net): pass\n"},
        "a/top.py",
    ),
    "from the root": (
        {"pyproject.toml": "", "a/net.py": NET, "b/top.py": "from a.net import Net\nclass Top(Net): pass\n"},
        "b/top.py",
    ),
    "dotted module": (
        {"pack/__init__.py": "", "pack/net.py": NET + "class Top(Net): pass\n"},
        "pack.net:Top",
    ),
    "package itself": ({"pack/__init__.py": NET + "class Top(Net): pass\n"}, "pack/__init__.py:Top"),
    "script with a guard": (
        {"top.py": NET + "class Top(Net): pass\nif __name__ == '__main__':\n    raise SystemExit(1)\n"},
        "top.py:Top",
    ),
    "types.py": ({"types.py": NET + "class Top(Net): pass\n"}, "types.py:Top"),
    "queue.py beside random.py": (
        {"random.py": "raise RuntimeError('shadows random')\n", "queue.py": NET + "class Top(Net): pass\n"},
        "queue.py:Top",
    ),
    "torch.py": ({"torch.py": NET + "class Top(Net): pass\n"}, "torch.py:Top"),
    "spaces and dashes": ({"my model-v2.1.py": NET + "class Top(Net): pass\n"}, "my model-v2.1.py:Top"),
    "__main__.py": (
        {"app/__init__.py": "", "app/__main__.py": NET + "class Top(Net): pass\n"},
        "app/__main__.py:Top",
    ),
    "future annotations": (
        {"m.py": "from __future__ import annotations" + NET + "class Top(Net): pass\n"},
        "m.py:Top",
    ),
    "BOM and CRLF": ({"m.py": "\ufeff" + NET.replace("\n", "\r\n") + "class Top(Net): pass\n"}, "m.py:Top"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_projects(project, layout):
    files, target = LAYOUTS[layout]
    loaded = load_in(project, files, target)
    assert type(loaded.model).__name__ == "Top"
    assert loaded.model(torch.ones(1, 3)).shape == (1, 4)
    assert built_at(loaded.model, loaded.defined)["fc"].line == 8
    assert sys.modules["random"].__name__ == "random"
    assert "shadows" not in str(sys.modules.get("random"))


def test_two_projects_may_use_one_name(project):
    top = "import helper\nfrom torch import nn\nclass Top(nn.Linear):\n"
    top += "    def __init__(self): super().__init__(2, helper.N)\n"
    write_all(project, {"a/top.py": top, "a/helper.py": "N = 3\n", "b/top.py": top, "b/helper.py": "N = 5\n"})
    assert [load(f"{name}/top.py:Top").model.out_features for name in ("a", "b", "a")] == [3, 5, 3]


def test_a_script_that_trains_is_not_trained(project):
    text = (
        NET
        + """
net = Net(6)
net.extra = nn.Linear(1, 1)
print("training")
for step in range(10 ** 9):
    net(torch.ones(1, 3)).sum().backward()
"""
    )
    loaded = load_in(project, {"train.py": text}, "train.py")
    assert loaded.model.fc.out_features == 6
    assert loaded.model.extra.in_features == 1


def notebook(*cells):
    content = [{"cell_type": "code", "metadata": {}, "source": text.splitlines(keepends=True)} for text in cells]
    return json.dumps({"cells": content, "metadata": {}, "nbformat": 4}, indent=1)


def test_a_notebook_runs_what_its_model_needs(project):
    text = notebook(
        "%matplotlib inline\nimport absent_plotting\nimport torch\nfrom torch import nn\n!nvidia-smi\n",
        "WIDTH = 5\nraise RuntimeError('a cell that nobody needs')\n",
        "net = nn.Sequential(\n    nn.Linear(3, WIDTH),\n    nn.ReLU(),\n)\n",
    )
    loaded = load_in(project, {"study.ipynb": text}, "study.ipynb")
    place = built_at(loaded.model, loaded.defined)["0"]
    assert "nn.Linear(3, WIDTH)" in Path("study.ipynb").read_text().splitlines()[place.line - 1]


CONFIGURED = {
    "annotated dataclass": """
        @dataclass
        class Options:
            width: int = 5
        class Net(nn.Linear):
            def __init__(self, options: Options): super().__init__(3, options.width)
        """,
    "annotation as text": """
        @dataclass
        class Options:
            width: int = 5
        class Net(nn.Linear):
            def __init__(self, options: "Options"): super().__init__(3, options.width)
        """,
    "plain config class": """
        class NetConfig:
            def __init__(self, width=5): self.width = width
        class Net(nn.Linear):
            def __init__(self, c: NetConfig): super().__init__(3, c.width)
        """,
    "by name": """
        @dataclass
        class NetConfig:
            width: int = 5
        @dataclass
        class TrainConfig:
            lr: float = 0.1
        class Net(nn.Linear):
            def __init__(self, config): super().__init__(3, config.width)
        """,
    "config_class": """
        class Options:
            width = 5
        class Net(nn.Linear):
            config_class = Options
            def __init__(self, config): super().__init__(3, config.width)
        """,
    "keyword only": """
        @dataclass
        class NetConfig:
            width: int = 5
        class Net(nn.Linear):
            def __init__(self, *, config: NetConfig): super().__init__(3, config.width)
        """,
}
HEADER = "from dataclasses import dataclass\nimport torch\nfrom torch import nn\n"


@pytest.mark.parametrize("way", CONFIGURED)
def test_configuration_with_defaults_is_built(project, way):
    text = HEADER + textwrap.dedent(CONFIGURED[way])
    assert load_in(project, {"m.py": text}, "m.py:Net").model.out_features == 5


@pytest.mark.parametrize(
    ("signature", "missing"),
    [
        ("self, width: int", "width"),
        ("self, width, *, depth: float", "width and depth"),
        ("self, config: Incomplete", "config"),
        ("self, a, b=3, *args, c: bool, **kwargs", "a and c"),
    ],
)
def test_what_cannot_be_guessed_is_named(project, signature, missing):
    text = HEADER + "@dataclass\nclass Incomplete:\n    width: int\n"
    text += f"class Net(nn.Module):\n    def __init__({signature}): raise OSError('no such table')\n"
    text += "    def forward(self, x): return x\n"
    write_all(project, {"m.py": text})
    message = f"^Net cannot be built without {missing}: with the best guess it raised OSError: no such table$"
    with pytest.raises(NeedsArguments, match=message) as caught:
        load("m.py:Net")
    assert caught.value.location.line == 7
    assert "def netcheck_model() -> nn.Module:\n        return Net(" in caught.value.help


def test_the_lines_of_the_help_work_as_they_are(project):
    text = (
        HEADER + "class Net(nn.Linear):\n" + "    def __init__(self, width: int, bias: bool): super().__init__(3, width, bias)\n"
    )
    write_all(project, {"m.py": text})
    net = type(load("m.py:Net").model)
    error = needs_arguments(net, "m.py:Net", required(net), Location("m.py", 4))
    assert "width and bias are an example of what the annotation says" in error.help
    assert "return Net(width=64, bias=True)" in error.help
    given = (GivenArgument("width", "64", "train.py:40"), GivenArgument("bias", "True"))
    error = needs_arguments(net, "m.py:Net", required(net), Location("m.py", 4), Construction("Net(...)", arguments=given))
    assert "width is as in train.py:40, bias is guessed" in error.help
    assert error.kwargs_wanted == {"width": 64, "bias": True}
    lines = textwrap.dedent(error.help.split(":\n\n", 1)[1])
    write_all(project, {"m.py": text + "\n" + lines})
    sys.modules.pop("m", None)
    assert load("m.py:netcheck_model").model.out_features == 64


def test_who_gives_some_arguments_means_to_give_all(project):
    write_all(project, {"m.py": HEADER + "class Net(nn.Linear):\n    def __init__(self, n, k): super().__init__(n, k)\n"})
    with pytest.raises(NeedsArguments, match=r"^Net cannot be built without k$"):
        load("m.py:Net", kwargs={"n": 3})


def test_arguments_that_do_not_fit(project):
    write_all(project, {"model.py": NET})
    assert load("model.py:Net", args=[8]).model.fc.out_features == 8
    with pytest.raises(LoadError, match=r"does not take the arguments given.*'depth'"):
        load("model.py:Net", kwargs={"depth": 3})


RAISES = {
    "missing dependency": (
        "import absent_package\n",
        "ModuleNotFoundError: No module named 'absent_package'",
        1,
        "install",
    ),
    "import error": ("from os import absent\n", "ImportError: cannot import name 'absent'", 1, ""),
    "sys.exit": ("import sys\nsys.exit(3)\n", "SystemExit: 3", 2, "__main__"),
    "keyboard interrupt": ("\nraise KeyboardInterrupt\n", "KeyboardInterrupt", 2, ""),
    "recursion": ("def f():\n    f()\nf()\n", "RecursionError: maximum recursion depth", 2, "recursion"),
    "its own exception": ("class E(BaseException): pass\nraise E('why')\n", "E: why", 2, ""),
    "unprintable": (
        "class E(Exception):\n    def __str__(self): raise ValueError\nraise E\n",
        "raised E$",
        3,
        "",
    ),
    "in __init__": (NET.replace("super()", "1 / 0; super()") + "net = Net()\n", "ZeroDivisionError", 7, ""),
    "inside a library": ("import json\njson.loads('{')\n", "JSONDecodeError", 2, ""),
    "null bytes": ("x = '\0'\n", "holds null bytes", 1, ""),
    "syntax error": ("x = 1\ndef f(:\n", "has a syntax error", 2, ""),
    "syntax error in an import": ("import broken\n", "SyntaxError", 1, ""),
    "super().__init__ forgotten": (
        "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        self.fc = nn.Linear(1, 1)\nnet = Net()\n",
        "AttributeError: cannot assign module before Module.__init__",
        4,
        "",
    ),
}


@pytest.mark.parametrize("way", RAISES)
def test_what_a_file_raises_is_an_error_at_its_line(project, way, monkeypatch):
    import signal

    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_IGN)  # as in a worker
    text, message, line, help = RAISES[way]
    write_all(project, {"m.py": text, "broken.py": "def f(:\n"})
    with pytest.raises(LoadError, match=message) as caught:
        load("m.py:net")
    assert caught.value.location.line == line
    assert help in caught.value.help
    assert "m.py" in str(caught.value) or way == "syntax error in an import"


def test_ctrl_c_is_not_swallowed(project):
    write_all(project, {"m.py": "raise KeyboardInterrupt\n"})
    with pytest.raises(KeyboardInterrupt):
        load("m.py:net")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("net = 3\n", "is a int, not a model"),
        ("class net: pass\n", "is not an nn.Module"),
        ("def net(): return 3\n", "net returned a int, not an nn.Module"),
        (
            "from torch import nn\nclass net(nn.Module):\n    def __init__(self): pass\n",
            "does not initialize nn.Module",
        ),
        (NET, "has no net"),
    ],
)
def test_what_is_no_model(project, text, message):
    write_all(project, {"m.py": text})
    with pytest.raises(LoadError, match=message):
        load("m.py:net")


def test_targets_that_name_nothing_or_too_much(project):
    write_all(project, {"two.py": NET + "a = Net()\nb = Net()\n", "none.py": "x = 1\n"})
    for target, message in [
        ("absent.py", "absent.py does not exist"),
        ("absent.py:Net", "absent.py does not exist"),
        ("none.py", "none.py defines no model"),
        ("two.py", "two.py defines 2 models"),
        ("absent.module", "neither a file"),
    ]:
        with pytest.raises(LoadError, match=message):
            load(target)


def test_expanding_targets_imports_no_torch(project):
    write_all(project, {"src/a.py": NET, "b.py": NET.replace("Net", "B"), "c.py": "x = 1\n"})
    code = (
        "import sys\nfrom netcheck.source.targets import expand\n"
        "found = expand(['src', 'b.py', 'b.py:B', 'c.py', 'absent', 'src/a.py:anything'])\n"
        "print([t.name for t in found.targets], sorted(s.file for s in found.skipped))\n"
        "assert 'torch' not in sys.modules"
    )
    root = str(Path(__file__).parents[2])
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root})
    assert result.stderr == ""
    assert result.stdout == "['src/a.py:Net', 'b.py:B', 'src/a.py:anything'] ['absent', 'c.py']\n"


def test_a_class_discovered_by_mistake_is_told_apart(project):
    write_all(project, {"m.py": "class Net:\n    def forward(self): ...\n"})
    with pytest.raises(NotAModel):
        load("m.py:Net")
    assert expand(["m.py"]).targets == ()


def saved(path, content):
    torch.save(content, path)
    return path


@pytest.mark.parametrize("wrap", ["plain", "state_dict", "lightning", "parallel", "safetensors", "compiled"])
def test_weights_are_loaded(project, wrap):
    write_all(project, {"model.py": NET})
    trained = nn.ModuleDict({"fc": nn.Linear(3, 4)}).state_dict()
    if wrap == "safetensors":
        import safetensors.torch

        safetensors.torch.save_file(trained, "w.safetensors")
        path = "w.safetensors"
    else:
        content = {
            "plain": trained,
            "state_dict": {"state_dict": trained, "epoch": 3},
            "lightning": {"state_dict": {f"model.{k}": v for k, v in trained.items()}, "epoch": 3},
            "parallel": {"model": {f"module.{k}": v for k, v in trained.items()}},
            "compiled": {f"_orig_mod.{k}": v for k, v in trained.items()},
        }[wrap]
        path = saved("w.pt", content)
    model = load("model.py:Net", weights=path).model
    assert torch.equal(model.fc.weight, trained["fc.weight"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: saved("w.pt", nn.Linear(2, 2)), "holds more than tensors"),
        (lambda: saved("w.pt", {"fc.weight": torch.ones(4, 3)}), r"1 missing \(fc.bias\)"),
        (
            lambda: saved("w.pt", nn.Linear(9, 9).state_dict()),
            r"2 missing .*2 not in the model \(weight, bias\)",
        ),
        (
            lambda: saved("w.pt", {"fc.weight": torch.ones(9, 3), "fc.bias": torch.ones(4)}),
            r"fc.weight is \(9, 3\), not \(4, 3\)",
        ),
        (lambda: saved("w.pt", [1, 2]), "holds a list, not a state dict"),
        (
            lambda: Path("w.pt").write_bytes(b"garbage" * 100) and "w.pt",
            "(cannot be read as a checkpoint|holds more than)",
        ),
        (
            lambda: Path("w.safetensors").write_bytes(b"garbage") and "w.safetensors",
            "cannot be read as a checkpoint",
        ),
        (lambda: "absent.pt", "there is no weights file"),
    ],
)
def test_weights_that_do_not_fit(project, make, message):
    write_all(project, {"model.py": NET})
    with pytest.raises(LoadError, match=message):
        load("model.py:Net", weights=make())
