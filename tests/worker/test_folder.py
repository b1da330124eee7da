"""One folder with everything that goes wrong in it: one run finds all of it, changes nothing and leaves nothing.

The files of tests/hostile/, models that are hard to show or to walk, and healthy ones, through the command line.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from .test_ended import GOOD, HEAD, Run, hashes, scratch, write
from .test_hostile import CORPUS, expectations, generated
from .test_worker import wait_until

pytestmark = pytest.mark.slow
__all__ = ["scratch"]  # a fixture

OURS = {  # file -> (its model, a code that it must have, or "" for none)
    "ours_nan": ("self.c(torch.exp(torch.relu(self.a(x)) * 1e6) - torch.exp(torch.relu(self.b(x)) * 1e6))", "NC609"),
    "ours_doubled": ("self.b(reduce(lambda y, _: y + y, range(60), self.a(x)))", "NC404"),
    "ours_sum": ("self.b(reduce(lambda y, i: y + torch.relu(x * (i + 1)), range(1400), self.a(x)))", ""),
    "ours_pairs": ("reduce(lambda y, _: (y, y), range(40), self.b(torch.relu(self.a(x))))", ""),
    "ours_deep": ("reduce(lambda y, _: [y], range(300), self.b(torch.relu(self.a(x))))", ""),
    "ours_zeros": ("self.b(torch.relu(self.a(x * 0 + 1)))", ""),
}
OTHERWISE = {  # what a whole check says, where the first line is about a mere import
    "attribute_recursion.py": "NC004: .*RecursionError",  # the search for inputs meets it first
    "loop_in_forward.py": "NC00[47]: .*did not end",  # within what the search or the run is let take: as the machine is busy
    "exits_in_forward.py": "NC004: .*SystemExit",  # so here
    "memory_of_a_child.py": "checked",  # no child is started
    "spawns_processes.py": "checked",  # the line is left out
    "not_a_module.py": "NC001: .* is a int, not a model",
    "patches_torch.py": "NC008: .*'NoneType' object is not callable",  # netcheck draws inputs with what is patched
}
NET = """from functools import reduce

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        return {}
"""


def fill(folder: Path) -> None:
    """Everything into one folder."""
    shutil.copytree(CORPUS, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    for name, (_, content) in generated().items():
        (folder / name).write_bytes(content)
    write(**{name: HEAD + NET.format(result) for name, (result, _) in OURS.items()}, a_healthy=GOOD, z_healthy=GOOD)


def by_file(document: Any) -> dict[str, list[Any]]:
    """The models of a JSON report by the file that they are in."""
    found: dict[str, list[Any]] = {}
    for model in document["models"]:
        found.setdefault(model["target"].rpartition(":")[0] or model["model"], []).append(model)
    return found


def summed_up(models: list[Any]) -> str:
    """What was found in the models of a file, a line each."""
    return "\n".join(f"{one['code']}: {one['message']}" for model in models for one in model["findings"])


def as_expected(name: str, models: list[Any], expected: str) -> bool:
    """Whether the models of a file came to what its first line says."""
    if expected.startswith("skipped: "):  # by the message of a finding, or without one
        said = "\n".join([summed_up(models), *(why for model in models for why in model["skipped"])])
        return re.search(expected.removeprefix("skipped: "), said) is not None
    said, expected = summed_up(models), OTHERWISE.get(name, expected.replace(": ", ": .*", 1))
    checked = all(model["summary"] is not None for model in models) and not re.search("^NC00[123478]: ", said, re.MULTILINE)
    if "checked" in expected and (checked or expected == "checked"):
        return checked
    return re.search(expected, said) is not None


def test_everything_in_one_run() -> None:
    here = Path.cwd()
    fill(here)
    before = hashes(here)
    code, text, errors = Run("--format", "json", "--timeout", "60", "--memory", "1GiB", "--jobs", "2").end()
    assert (code, errors) == (1, "")
    assert hashes(here) == before
    document = json.loads(text)
    models = by_file(document)
    for name, (_, expected) in OURS.items():
        (model,) = models[f"{name}.py"]
        codes = [found["code"] for found in model["findings"]]
        assert model["summary"] is not None, name
        assert model["unshown"] == ""
        assert "NC008" not in codes, (name, model["findings"])
        assert not expected or expected in codes
    for name in ("a_healthy.py", "z_healthy.py"):
        (model,) = models[name]
        assert model["findings"] == []
        assert model["gradients"] is not None
    otherwise = [
        f"{name}: {summed_up(models[name])}, not {expected}"
        for name, expected in expectations()
        if not name.endswith("_well_behaved.py") and not as_expected(name, models[name], expected)
    ]
    assert otherwise == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_end_in_the_middle(number: int, code: int) -> None:
    here = Path.cwd()
    fill(here)
    before = hashes(here)
    run = Run("--timeout", "60", "--memory", "1GiB", "--jobs", "2")
    run.wait_for("Sequential (a_healthy.py:model): no findings\n")
    run.wait_for("closes_stdout.py")
    time.sleep(1.0)  # into whatever comes next
    returned, text, errors = run.end(number)
    assert returned == code
    assert "Checked" in text
    assert "Not checked: ended before (" in text
    assert re.fullmatch(r"netcheck: ended before all was done: \d+ of \d+ are checked\n", errors)
    wait_until(lambda: hashes(here) == before)
