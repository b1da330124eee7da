"""torch's compiler is not imported for a check that does not need it, and is itself for one that does."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

NEEDS_NONE = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        x = self.head(torch.relu(self.norm(self.conv(x))).flatten(2).transpose(1, 2))
        return self.attention(x, x, x)[0].mean(1)
"""


def printed(program: str) -> str:
    """What a program prints in a fresh process that has put the compiler off."""
    begin = "import sys, torch\nfrom torch import nn\nfrom netcheck import compiler\ncompiler.put_off()\nimport netcheck\n"
    done = subprocess.run(
        [sys.executable, "-c", begin + textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_whole_check_does_without_and_finds_the_same() -> None:
    check = """
    report = netcheck.check(Net(), torch.randn(4, 3, 16, 16), seed=0)
    inferred = netcheck.check(Net(), seed=0)
    before = compiler.loaded()
    compiler.load()
    print(before, compiler.loaded(), report.findings == netcheck.check(Net(), torch.randn(4, 3, 16, 16), seed=0).findings)
    print(inferred.inputs)
    """
    first, second = printed(NEEDS_NONE + textwrap.dedent(check)).splitlines()
    assert first == "False True True"
    assert second


@pytest.mark.parametrize(
    "statement",
    [
        "import torch._dynamo.utils",
        "from torch._dynamo import eval_frame",
        "torch.compiler.disable(torch.relu)",
    ],
)
def test_what_asks_for_more_gets_the_compiler_itself(statement: str) -> None:
    program = f"""
    held, settings = torch._dynamo, torch._dynamo.config
    {statement}
    parts = [name for name in sys.modules if name.startswith("torch._dynamo.")]
    twice = [name for name in parts if isinstance(eval(name), type(sys)) and sys.modules[name] is not eval(name)]
    specs = [name for name in parts if getattr(sys.modules[name].__spec__, "origin", "") in (None, "")]
    print(compiler.loaded(), len(parts) > 20, twice, specs, torch._dynamo.config is settings, held.utils is torch._dynamo.utils)
    """
    assert printed(program) == "True True [] [] True True\n"


def test_settings_that_are_changed_before_it_comes_hold() -> None:
    program = """
    torch._dynamo.config.suppress_errors = True
    assert not compiler.loaded()
    compiler.load()
    print(torch._dynamo.config.suppress_errors)
    """
    assert printed(program) == "True\n"


def test_a_forward_that_compiles_is_checked_and_nothing_is_compiled() -> None:
    program = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, x):
            run = torch.compile(lambda x: torch.relu(self.first(x)), backend=seen)
            return self.second(run(x))

    compilations = []
    def seen(graph, inputs):
        compilations.append(graph)
        return graph.forward

    graph = netcheck.trace(Net(), torch.randn(4, 8))
    names = [node.name for node in graph.nodes if node.op.startswith("call")]
    print(names, compiler.loaded(), len(compilations), compiler.stance().stance)
    with torch.no_grad():
        Net()(torch.randn(4, 8))
    print(len(compilations))
    """
    assert printed(program) == "['first', 'relu', 'second'] True 0 default\n1\n"


def test_what_torch_exempts_stays_exempt_when_the_compiler_comes() -> None:
    program = """
    ran = []
    def exempt(x):
        ran.append(torch.compiler.is_compiling())
        return x + 1
    from torch._compile import _disable_dynamo
    hidden = _disable_dynamo(exempt)
    hidden(torch.ones(2))
    assert not compiler.loaded()
    graphs = []
    def seen(graph, inputs):
        graphs.append(graph)
        return graph.forward
    run = torch.compile(lambda x: hidden(x * 2) * 3, backend=seen)
    print(run(torch.ones(2)).tolist(), ran, len(graphs))
    """
    assert printed(program) == "[9.0, 9.0] [False, False] 2\n"


def test_a_torch_whose_compiler_does_not_import_is_checked_without() -> None:
    check = """
    sys.modules["torch._dynamo.convert_frame"] = None
    first = netcheck.check(Net(), torch.randn(4, 3, 16, 16), seed=0).findings
    asked = hasattr(torch._dynamo, "reset")
    print(asked, compiler.loaded(), first == netcheck.check(Net(), torch.randn(4, 3, 16, 16), seed=0).findings)
    """
    assert printed(NEEDS_NONE + textwrap.dedent(check)) == "False False True\n"
