"""Which symbols of which files are models, without importing torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

from netcheck.source.discover import discover
from netcheck.source.targets import expand

TORCH = "import torch\nimport torch.nn as nn\n"
NET = "class {name}({base}):\n    def forward(self, x):\n        return x\n"


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return root


def found_in(folder):
    return {(c.file.removeprefix(f"{folder}/"), c.symbol, c.kind) for c in discover([str(folder)]).candidates}


def symbols(tmp_path, text):
    write(tmp_path, {"model.py": text})
    return {(symbol, kind) for _, symbol, kind in found_in(tmp_path)}


@pytest.mark.parametrize(
    ("imports", "base"),
    [
        ("import torch", "torch.nn.Module"),
        ("import torch.nn as nn", "nn.Module"),
        ("from torch import nn", "nn.Module"),
        ("from torch.nn import Module as M", "M"),
        ("from torch.nn import *", "Module"),
        ("import torch.nn.modules.module as m", "m.Module"),
        ("from torch import nn", "nn.Sequential"),
        ("import lightning as L", "L.LightningModule"),
        ("import pytorch_lightning as pl", "pl.LightningModule"),
        ("from transformers import PreTrainedModel", "PreTrainedModel"),
        ("from transformers import BertModel", "BertModel"),
        (
            "from torch import nn\nfrom typing import Generic, TypeVar\nT = TypeVar('T')",
            "nn.Module, Generic[T]",
        ),
    ],
)
def test_a_class_is_a_model_by_any_alias_of_its_base(tmp_path, imports, base):
    assert symbols(tmp_path, f"{imports}\n{NET.format(name='Net', base=base)}") == {("Net", "class")}


@pytest.mark.parametrize(
    "base",
    [
        "object",
        "Exception",
        "torch.autograd.Function",
        "torch.utils.data.Dataset",
        "torch.optim.Optimizer",
        "dict",
    ],
)
def test_what_is_no_module_is_no_model(tmp_path, base):
    assert symbols(tmp_path, TORCH + NET.format(name="Net", base=base)) == set()


def test_first_party_bases_across_files(tmp_path):
    write(
        tmp_path,
        {
            "pyproject.toml": "",
            "src/pack/__init__.py": "from .base import Base\n",
            "src/pack/base.py": TORCH + "class Base(nn.Module):\n    pass\n",
            "src/pack/relative.py": "from .base import Base as B\n" + NET.format(name="A", base="B"),
            "src/pack/deep/absolute.py": "from pack.base import Base\n" + NET.format(name="C", base="Base"),
            "src/pack/reexported.py": "from pack import Base\n" + NET.format(name="D", base="Base"),
            "src/pack/second.py": "from pack import relative\n" + NET.format(name="E", base="relative.A"),
            "src/pack/other.py": "class Base:\n    pass\n" + NET.format(name="F", base="Base"),
        },
    )
    names = {symbol for _, symbol, _ in found_in(tmp_path)}
    assert names == {"A", "C", "D", "E"}


def test_a_file_that_does_not_parse_counts_only_where_it_is_about_models(tmp_path):
    texts = {"other.py": "import tensorflow as tf\nNet = tf.Net()\nprint 'Net'\n", "own.py": "class Own(Net):\n    print 1\n"}
    write(tmp_path, {"net.py": TORCH + NET.format(name="Net", base="nn.Module"), **texts})
    assert [os.path.basename(one.file) for one in discover([str(tmp_path)]).skipped] == ["own.py"]


def test_only_roots_are_reported(tmp_path):
    text = TORCH + textwrap.dedent("""
        class Block(nn.Module):
            def forward(self, x): return x
        class Bottleneck(nn.Module):
            def forward(self, x): return x
        class Gate(nn.Module):
            def forward(self, x): return x
        class Unused(nn.Module):
            def forward(self, x): return x
        GATES = {"soft": Gate}
        def make_gate(kind):
            return GATES[kind]()
        class Net(nn.Module):
            def __init__(self, block=Bottleneck):
                super().__init__()
                self.a, self.b, self.c = Block(), block(), make_gate("soft")
            def forward(self, x): return x
        def net(): return Net(Bottleneck)
        """)
    assert symbols(tmp_path, text) == {("net", "factory"), ("Unused", "class")}


@pytest.mark.parametrize("argument", [".", "pack", "./pack/", "absolute"])
def test_what_another_file_builds_is_no_root_however_it_is_named(tmp_path, monkeypatch, argument):
    write(
        tmp_path,
        {
            "pack/__init__.py": "",
            "pack/block.py": TORCH + NET.format(name="Block", base="nn.Module"),
            "pack/net.py": TORCH
            + "from .block import Block\n"
            + NET.format(name="Net", base="nn.Module").replace("return x", "return Block()(x)"),
        },
    )
    monkeypatch.chdir(tmp_path)
    found = discover([str(tmp_path) if argument == "absolute" else argument]).candidates
    expected = "pack/net.py" if argument != "absolute" else str(tmp_path / "pack/net.py")
    assert [(c.file, c.symbol) for c in found] == [(expected, "Net")]


def test_a_ring_of_classes_keeps_its_first(tmp_path):
    text = TORCH + textwrap.dedent("""
        class A(nn.Module):
            def make(self): return B()
            def forward(self, x): return x
        class B(nn.Module):
            def make(self): return A()
            def forward(self, x): return x
        """)
    assert symbols(tmp_path, text) == {("A", "class")}


def test_parts_of_a_class_that_cannot_run_are_roots(tmp_path):
    text = TORCH + textwrap.dedent("""
        import lightning
        class Generator(nn.Module):
            def forward(self, x): return x
        class Gan(lightning.LightningModule):
            def __init__(self):
                super().__init__()
                self.g = Generator()
            def training_step(self, batch): ...
        """)
    assert symbols(tmp_path, text) == {("Generator", "class"), ("Gan", "class")}
    trained = text.replace("training_step(self, batch): ...", "training_step(self, batch): return self.g(batch)")
    assert symbols(tmp_path, trained) == {("Gan", "class")}


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("model = Net()", True),
        ("model: nn.Module = Net()", True),
        ("model = Net().to('cpu').eval()", True),
        ("model = torch.compile(Net())", True),
        ("model = nn.DataParallel(Net())", True),
        ("model = nn.Sequential(nn.Linear(2, 2))", True),
        ("import torchvision\nmodel = torchvision.models.resnet18()", True),
        ("import timm\nmodel = timm.create_model('resnet18')", True),
        ("if True:\n    model = Net()", True),
        ("model = nn.CrossEntropyLoss()", False),
        ("model = nn.Parameter(torch.ones(2))", False),
        ("model = torch.zeros(3)", False),
        ("if __name__ == '__main__':\n    model = Net()", False),
    ],
)
def test_instances_at_the_top_of_a_file(tmp_path, line, is_found):
    found = symbols(tmp_path, TORCH + NET.format(name="Net", base="nn.Module") + line + "\n")
    assert (("model", "instance") in found) == is_found
    assert (("Net", "class") in found) == (not is_found or "Net" not in line)


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("def make() -> nn.Module: ...", True),
        ("def make() -> Net: ...", True),
        ("def make() -> 'Net': ...", True),
        ("def make(width: int = 3) -> nn.Sequential: ...", True),
        ("def make():\n    net = Net()\n    return net", True),
        ("def make(width) -> nn.Module: ...", False),
        ("def make(*, width) -> nn.Module: ...", False),
        ("def make() -> int: ...", False),
        ("def make():\n    return 3", False),
        ("def _make() -> nn.Module: ...", False),
        ("def make() -> nn.Module:\n    net = Net()\n    loss(net).backward()\n    return net", False),
        ("@pytest.fixture\ndef make() -> nn.Module: ...", False),
    ],
)
def test_factories(tmp_path, text, is_found):
    found = symbols(tmp_path, TORCH + NET.format(name="Net", base="nn.Module") + text + "\n")
    assert (("make", "factory") in found) == is_found


def test_abstract_classes_and_headless_bases_are_no_candidates(tmp_path):
    text = TORCH + textwrap.dedent("""
        from abc import abstractmethod
        class Abstract(nn.Module):
            @abstractmethod
            def encode(self, x): ...
            def forward(self, x): return x
        class Headless(nn.Module):
            pass
        class Base(nn.Module):
            pass
        class Derived(Base):
            def forward(self, x): return x
        """)
    assert symbols(tmp_path, text) == {("Headless", "class"), ("Derived", "class")}


def notebook_json(*cells, indent=1):
    content = {
        "cells": [{"cell_type": kind, "metadata": {}, "source": text.splitlines(keepends=True)} for kind, text in cells],
        "metadata": {"kernelspec": {"language": "python"}},
        "nbformat": 4,
    }
    return json.dumps(content, indent=indent)


def test_a_notebook_is_read_with_the_lines_of_its_file(tmp_path):
    path = tmp_path / "study.ipynb"
    path.write_text(
        notebook_json(
            ("markdown", "# Title\nclass NotCode(nn.Module):\n"),
            ("code", "%matplotlib inline\nimport torch.nn as nn\n!pip list\n"),
            ("code", "%%bash\nclass Bash(nn.Module):\n"),
            ("code", "%%time\n" + NET.format(name="Net", base="nn.Module") + "net = Net()\n"),
        )
    )
    [candidate] = discover([str(path)]).candidates
    assert (candidate.symbol, candidate.kind) == ("net", "instance")
    assert "net = Net()" in path.read_text().splitlines()[candidate.line - 1]


def test_a_notebook_on_one_line_counts_the_lines_of_its_code(tmp_path):
    path = tmp_path / "study.ipynb"
    path.write_text(notebook_json(("code", "from torch import nn\nnet = nn.Sequential()\n"), indent=None))
    assert [c.line for c in discover([str(path)]).candidates] == [2]


@pytest.mark.parametrize(
    ("name", "content", "reason", "line"),
    [
        ("syntax.py", b"import torch\nclass Net(torch.nn.Module:\n    pass\n", "syntax error", 2),
        ("utf16.py", "import torch\nclass N(torch.nn.Module): ...\n".encode("utf-16"), "UTF-16", None),
        ("null.py", b"import torch\nclass N(torch.nn.Module):\n  x = '\0'\n", "null bytes", 3),
        ("latin.py", b"import torch\nclass N(torch.nn.Module):\n    s = '\xe9'\n", "decode", None),
        ("garbage.py", bytes(range(256)) * 40, "null bytes", 1),
        (
            "deep.py",
            b"import torch\nclass N(torch.nn.Module): ...\nx = " + b"(" * 5000 + b")" * 5000,
            "",
            None,
        ),
        ("huge.py", b"import torch\nclass N(torch.nn.Module): ...\n" + b"#" * (3 * 2**20), "MiB", None),
        ("broken.ipynb", b'{"cells": [', "not a notebook", None),
        ("list.ipynb", b"[1, 2]", "not a notebook", None),
        ("empty.py", b"", "defines no model", None),
        ("plain.py", b"import os\n", "defines no model", None),
    ],
)
def test_a_named_file_without_a_model_gets_a_reason(tmp_path, name, content, reason, line):
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.py").write_text(TORCH + NET.format(name="Net", base="nn.Module"))
    found = discover([str(tmp_path / name), str(tmp_path / "good.py")])
    [skipped] = found.skipped
    assert skipped.file == str(tmp_path / name)
    assert reason in skipped.reason
    assert line is None or skipped.line == line
    assert [c.symbol for c in found.candidates] == ["Net"]


def test_files_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    os.symlink("loop.py", tmp_path / "loop.py")
    paths = [str(tmp_path / name) for name in ("pipe.py", "loop.py", "absent.py")]
    found = discover(paths)
    assert [skipped.file for skipped in found.skipped] == paths
    assert "regular file" in found.skipped[0].reason
    assert discover([str(tmp_path)]).candidates == ()


def test_links_between_folders_end(tmp_path):
    write(tmp_path, {"a/model.py": TORCH + NET.format(name="Net", base="nn.Module")})
    os.symlink(tmp_path / "a", tmp_path / "a" / "again")
    assert found_in(tmp_path) == {("a/model.py", "Net", "class")}


def test_folders_that_hold_no_code_of_the_project(tmp_path):
    model = TORCH + NET.format(name="Net", base="nn.Module")
    names = [".hidden/m.py", "venv/m.py", "odd/m.py", "node_modules/m.py", "ok/m.py"]
    write(tmp_path, dict.fromkeys(names, model) | {"odd/pyvenv.cfg": ""})
    assert found_in(tmp_path) == {("ok/m.py", "Net", "class")}


def test_git_decides_in_a_work_tree(tmp_path):
    model = TORCH + NET.format(name="Net", base="nn.Module")
    names = ["tracked.py", "untracked.py", "ignored.py", "build/m.py", "gone.py", "with spaç.py"]
    write(tmp_path, dict.fromkeys(names, model) | {".gitignore": "ignored.py\nbuild/\n"})
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "add", "tracked.py", "gone.py"], check=True)
    (tmp_path / "gone.py").unlink()
    assert {file for file, *_ in found_in(tmp_path)} == {"tracked.py", "untracked.py", "with spaç.py"}
    assert len(discover([str(tmp_path / "build")]).candidates) == 1  # named on purpose


def test_a_thousand_files_without_a_model_need_no_torch(tmp_path):
    body = "import os\n" + "".join(f"def function_{i}(a, b):\n    return os.path.join(a, b)\n\n" for i in range(60))
    for number in range(900):
        (tmp_path / f"plain_{number}.py").write_text(body)
    for number in range(100):
        (tmp_path / f"script_{number}.py").write_text("import torch\n" + body)
    code = (
        "import sys; from netcheck.source.discover import discover\n"
        "found = discover([sys.argv[1]]); assert not found.candidates and not found.skipped\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env={**os.environ, "PYTHONPATH": os.getcwd()})


def test_a_star_import_hands_on_what_its_module_imports(tmp_path):
    files = {
        "parts.py": TORCH + "class Block(nn.Module):\n    def __init__(self, width):\n        super().__init__()\n\n"
        "    def forward(self, x):\n        return x\n",
        "layers.py": "from parts import *\nfrom json import *\n",
        "whole.py": "from layers import *\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.block = Block(3)\n\n    def forward(self, x):\n        return self.block(x)\n",
    }
    assert found_in(write(tmp_path, files)) == {("whole.py", "Net", "class")}


def test_a_thousand_branches_and_a_class_that_hundreds_of_files_share(tmp_path):
    branches = "".join(f"    elif kind == {i}:\n        return nn.Linear({i}, 1)\n" for i in range(1, 1000))
    factory = f"def make(kind=0):\n    if kind == 0:\n        return nn.Linear(1, 1)\n{branches}    return nn.Linear(0, 1)\n"
    files = {f"use{i}.py": f"{TORCH}from base import Part\n" + NET.format(name=f"Net{i}", base="Part") for i in range(600)}
    again = "model = nn.Linear(1, 1)\n" + "model = model.to(0)\n" * 60
    write(tmp_path, {"base.py": TORCH + NET.format(name="Part", base="nn.Module") + factory + again, **files})
    uses = "".join(f"class All{i}(nn.Module):\n    def forward(self, x):\n        return Part()(x)\n" for i in range(3))
    write(tmp_path, {"zz.py": TORCH + "from base import Part\n" + uses})
    found = found_in(tmp_path)
    assert ("base.py", "Part", "class") not in found
    assert {("base.py", "make", "factory"), ("base.py", "model", "instance"), ("zz.py", "All0", "class")} <= found
    assert len(found) == 605


def test_names_are_those_of_their_scope(tmp_path):
    write(
        tmp_path,
        {
            "m.py": """
                import torch.nn as nn
                class Attention(nn.Module):
                    def forward(self, x):
                        q, k, v = x.chunk(3)
                        return [_ for _ in (q, k, v)]
                class Net(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.attention = Attention()
                    def forward(self, x): return self.attention(x)
                class Outer(nn.Module):
                    def __init__(self):
                        super().__init__()
                        global shared
                        self.made = shared
                    def forward(self, x): return self.made(x)
                class Shared(nn.Module):
                    def forward(self, x): return x
                v, _ = Net(), 3
                shared = Shared()
                """
        },
    )
    assert {symbol for _, symbol, _ in found_in(tmp_path)} == {"v", "Outer"}


def test_names_may_be_written_in_any_alphabet(tmp_path):
    write(tmp_path, {"réseau.py": "from torch import nn\nclass Réseau(nn.Module):\n    def forward(self, x): return x\n"})
    assert {symbol for _, symbol, _ in found_in(tmp_path)} == {"Réseau"}


def test_classes_that_no_name_leads_to_are_named(tmp_path):
    write(
        tmp_path,
        {
            "m.py": """
                import torch.nn as nn
                class Net(nn.Module):
                    def forward(self, x): return x
                if nn.Linear:
                    class Net(nn.Module):
                        def forward(self, x): return x + 1
                def make(width):
                    class Made(nn.Module):
                        def forward(self, x): return x
                    return Made
                def build():
                    class Built(nn.Module):
                        def forward(self, x): return x
                    return Built()
                def test():
                    class Tried(nn.Module):
                        def forward(self, x): return x
                    assert Tried()
                """
        },
    )
    found = expand([str(tmp_path)])
    assert {target.symbol for target in found.targets} == {"Net", "build"}
    assert [one.reason for one in found.skipped] == [
        "line 3: class Net is not checked, for line 6 defines another one",
        "line 9: class Made is not checked, for make makes it: name a function that builds it",
    ]


def test_what_a_comprehension_goes_over_is_no_variable_of_the_module(tmp_path):
    (tmp_path / "net.py").write_text(
        TORCH + "class Layer(nn.Linear):\n    def __init__(self):\n        super().__init__(3, 3)\n\n"
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.layers = nn.ModuleList([Layer() for _ in range(3)])\n\n"
        "    def forward(self, x):\n        return self.layers[0](x)\n\n"
        "class Whole(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.net = Net()\n\n"
        "    def forward(self, x):\n        return self.net(x), x\n\n"
        "if __name__ == '__main__':\n    model = Whole()\n    out, _ = model(torch.ones(1, 3))\n"
    )
    assert [one.symbol for one in discover([str(tmp_path / "net.py")]).candidates] == ["Whole"]


def test_a_variable_that_another_one_is_built_from_is_no_root_whatever_the_path(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(
        TORCH + "class Whole(nn.Module):\n    def __init__(self, part):\n        super().__init__()\n        self.part = part\n\n"
        "    def forward(self, x):\n        return self.part(x)\n\npart = nn.Linear(3, 3)\nwhole = Whole(part)\n"
    )
    monkeypatch.chdir(tmp_path)
    assert [one.symbol for one in discover(["net.py"]).candidates] == ["whole"]
    assert [one.symbol for one in discover([str(tmp_path / "net.py")]).candidates] == ["whole"]
