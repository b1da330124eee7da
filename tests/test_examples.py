"""The lecture's models: what netcheck says of each, that their docstrings repeat it truly, and that they run.

The command is run as a user would, on the whole folder and without a seed: what is expected here must not depend on luck.
"""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from netcheck.rules import base

ROOT = Path(__file__).parent.parent
LECTURE = ROOT / "examples" / "lecture"

EXPECTED = {
    "batch_norm.py": {
        "SmallWeights": ["error NC501", "info NC301", "info NC401"],
        "NormalizedSmallWeights": ["info NC401"],
    },
    "crelu.py": {
        "CReLUStack": ["warning NC501", "info NC301", "info NC401"],
        "CReLUHeStack": ["info NC301", "info NC401"],
    },
    "data_parallel.py": {
        "Toy": [],
        "CentringToy": ["info NC705"],
    },
    "dropconnect.py": {
        "HarshStack": ["warning NC501", "info NC301", "info NC401"],
        "GentleStack": ["info NC301", "info NC401"],
    },
    "dropout.py": {
        "PixelDropout": ["warning NC201"],
        "SpatialDropout": [],
        "FeatureDropout": [],
    },
    "layer_norm.py": {
        "NormalizedSigmoids": ["error NC102", "info NC401"],
        "NormalizedReLUs": ["info NC401"],
    },
    "leaky_relu.py": {
        "LeakyStack": ["warning NC501", "info NC301", "info NC401"],
        "LeakyHeStack": ["info NC301", "info NC401"],
    },
    "looks_linear.py": {
        "CReLUStack": ["warning NC503", "info NC301"],
        "LooksLinearStack": ["info NC301"],
    },
    "maxout.py": {
        "ConstantMaxout": ["error NC502"],
        "MaxoutStack": ["warning NC501", "info NC301", "info NC401"],
        "MaxoutNet": [],
    },
    "relu.py": {
        "SigmoidStack": ["error NC102", "info NC301", "info NC401"],
        "ReLUStack": ["warning NC501", "info NC301", "info NC401"],
        "HeStack": ["info NC301", "info NC401"],
    },
    "residual_block.py": {
        "PlainNet": ["warning NC401"],
        "ResNet": [],
        "BareResNet": ["error NC301", "info NC501"],
    },
    "tanh_stack.py": {
        "TanhStack": ["warning NC501", "info NC101", "info NC301", "info NC401"],
        "XavierStack": ["info NC101", "info NC301", "info NC401"],
    },
}
FILES = sorted(EXPECTED)

Said = dict[str, dict[str, list[str]]]


@pytest.fixture(scope="module")
def said() -> Said:
    """What the command finds in each model of each file: severity and code, infos included."""
    done = subprocess.run(
        [sys.executable, "-m", "netcheck", "--format", "json", str(LECTURE)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    found: Said = {}
    for model in json.loads(done.stdout)["models"]:
        file, _, name = model["target"].rpartition(":")
        findings = [f"{finding['severity']} {finding['code']}" for finding in model["findings"]]
        found.setdefault(Path(file).name, {})[name] = sorted(findings, key=worst_first)
    return found


def worst_first(finding: str) -> tuple[int, str]:
    """The order in which findings are written here: by severity, whether the probe cleared them or not."""
    severity, code = finding.split()
    return ["error", "warning", "info"].index(severity), code


def claims(file: str) -> Said:
    """What a file's docstring says of its models, as `{model: {"findings": [...], "names": [...]}}`: what is wrong with its
    name, and the codes of what is only noted.
    """
    documentation = ast.get_docstring(ast.parse((LECTURE / file).read_text())) or ""
    lines = documentation.partition("netcheck says:\n")[2].splitlines()
    claimed: Said = {}
    model = ""
    for line in lines:
        if line.split(maxsplit=1)[0] == "noted:":
            claimed[model]["findings"] += [f"info {code}" for code in line.partition("noted:")[2].strip().split(", ")]
            continue
        model, verdict = line.split(maxsplit=1)
        match = re.match(r"(error|warning|info) (NC\d{3}) ([a-z-]+)(: |$)", verdict)
        assert match or re.match(r"nothing(: |$)", verdict), f"{file}: {line}"
        claimed[model] = {"findings": [f"{match[1]} {match[2]}"], "names": [match[3]]} if match else {"findings": []}
    return claimed


def test_every_example_is_expected(said: Said) -> None:
    assert sorted(path.name for path in LECTURE.glob("*.py")) == sorted(said) == FILES


@pytest.mark.parametrize("file", FILES)
def test_netcheck_says_of_each_model_what_is_expected(file: str, said: Said) -> None:
    assert said[file] == EXPECTED[file]


@pytest.mark.parametrize("file", FILES)
def test_a_docstring_says_what_netcheck_says(file: str, said: Said) -> None:
    claimed = claims(file)
    assert {model: claim["findings"] for model, claim in claimed.items()} == said[file]
    for claim in claimed.values():
        names = claim.get("names", [])
        codes = [finding.split()[1] for finding in claim["findings"][: len(names)]]  # what is named stands before what is noted
        assert [base.find(code).name for code in codes] == names


def run(file: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that a file prints as a script; the generator of random numbers is left as it was."""
    with torch.random.fork_rng():
        runpy.run_path(str(LECTURE / file), run_name="__main__")
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out.splitlines()


@pytest.mark.parametrize("file", FILES)
def test_a_file_runs_as_a_script(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(file, capsys)
    assert 1 < len(lines) < 20
    assert not any(re.search(r"\bnan\b|\binf\b", line) for line in lines)


def last_percent(line: str) -> int:
    return int(re.findall(r"(\d+)%", line)[-1])


def test_the_sick_stack_does_not_train_and_the_healthy_one_does(capsys: pytest.CaptureFixture[str]) -> None:
    sick, healthy = map(last_percent, run("tanh_stack.py", capsys))
    assert sick < 50 < 95 < healthy
    constant, deep, shallow = map(last_percent, run("maxout.py", capsys))  # per cent of the variance unexplained
    assert min(constant, deep) > 50 > 10 > shallow
