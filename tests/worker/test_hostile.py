"""Files that do everything wrong, each checked beside well-behaved ones.

Every file under tests/hostile/ says in its first line what must come of it: `# expect: CODE: message` (a
regular expression), `# expect: checked` for a whole report, or `# expect: skipped: reason`. What no
repository should hold (large or binary files) is made here.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from netcheck.source.targets import expand
from netcheck.worker import Limits, check_all
from tests.worker.test_worker import HERE, NET, PATIENCE, strays

CORPUS = HERE.parent / "hostile"
WELL_BEHAVED = "# expect: checked\n" + NET
CLASS = b"from torch import nn\nclass Net(nn.Module):\n    def forward(self, x): return x\n"


def generated():
    """Files too large or too strange to be committed: name -> content."""
    layers = "".join(f"        self.fc{n} = nn.Linear(4, 4)\n" for n in range(2500))
    calls = "".join(f"        x = self.fc{n}(x)\n" for n in range(2500))
    large = "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    return {
        "five_thousand_lines.py": (
            "checked",
            (large + f"{layers}    def forward(self, x):\n{calls}        return x\n").encode(),
        ),
        "fifty_megabytes.py": ("skipped: is 50.0 MiB, more than", CLASS.ljust(50 * 2**20, b"#")),
        "binary_garbage.py": ("skipped: holds null bytes", CLASS + bytes(range(256)) * 1000),
        "utf16.py": ("skipped: is UTF-16", CLASS.decode().encode("utf-16")),
        "null_bytes.py": ("skipped: holds null bytes", CLASS + b"x = '\0'\n"),
        "latin1.py": ("skipped: cannot be decoded", CLASS + b"x = '\xe9'\n"),
        "deeply_nested.py": ("skipped: ", CLASS + b"x = " + b"(" * 3000 + b")" * 3000),
        "broken_notebook.ipynb": ("skipped: is not a notebook", b'{"cells": [{"source": "import torch'),
    }


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """All files checked in one call: what became of each, and what was left behind."""
    folder = tmp_path_factory.mktemp("hostile")
    place = folder / "corpus"
    shutil.copytree(CORPUS, place, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (_, content) in generated().items():
        (place / name).write_bytes(content)
    for number in range(4):
        (place / f"{'amsz'[number]}_well_behaved.py").write_text(WELL_BEHAVED)
    scratch = folder / "scratch"
    scratch.mkdir()
    before = set(place.rglob("*"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(scratch))
        patch.setenv("TMPDIR", str(scratch))  # tells our processes from those of another run
        patch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parents[1])]))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.chdir(folder)
        found = expand(["corpus"])
        hanging, ending = split(found.targets, place)
        memory = 2**30
        reports = list(check_all(ending, check="support:check", jobs=2, limits=Limits(PATIENCE, memory)))
        reports += ended(hanging, memory)
        running = strays()
    left = sorted(str(path) for path in {*place.rglob("*")} - before | {*scratch.rglob("*")})
    by_file: dict[str, list[str]] = {}
    for report in reports:
        said = [f"{one.code}: {one.message}" for one in report.findings] or report.skipped or ["nothing"]
        by_file.setdefault(report.target.rpartition(":")[0].removeprefix("corpus/"), []).extend(said)
    for skipped in found.skipped:
        by_file.setdefault(skipped.file.removeprefix("corpus/"), []).append(f"skipped: {skipped.reason}")
    return by_file, reports, left, running


def ended(hanging, memory):
    """The reports on targets that run into the time limit, and on those among them that end.

    Where they stood by then, and whether the others have ended, is a matter of how busy the machine is: what did not come as
    far as expected is given longer.
    """
    expected, reports, left, seconds = dict(expectations()), {}, hanging, 3.0
    while left and seconds < PATIENCE:
        found = check_all(left, check="support:check", jobs=3, limits=Limits(seconds, memory))
        reports.update(zip(left, found, strict=True))
        left = [target for target in left if not came_as_far(reports[target], expected[name_of(target)])]
        seconds *= 4
    return list(reports.values())


def came_as_far(report, expected):
    """Whether a report tells what is expected."""
    said = f"{report.findings[0].code}: {report.findings[0].message}"
    return re.match("NC999: ran" if expected == "checked" else expected.replace(": ", ": .*", 1), said) is not None


def name_of(target):
    """The file of a target, within the corpus."""
    return target.file.removeprefix("corpus/")


def split(targets, place):
    """The targets that must run into the time limit, with the well-behaved ones among them, and all others.

    Apart, so that the first need not wait long.
    """
    hangs = {name for name, expected in expectations() if "did not end" in expected}
    named = [(name_of(target), target) for target in targets]
    hanging = [target for name, target in named if name in hangs or "well_behaved" in name]
    return hanging, [target for name, target in named if name not in hangs]


def expectations():
    for path in sorted(CORPUS.rglob("*.py")):
        if found := re.match(r"# expect: (.*)", path.read_text().splitlines()[0] if path.stat().st_size else ""):
            yield str(path.relative_to(CORPUS)), found[1]
    yield from ((name, expected) for name, (expected, _) in generated().items())
    yield from ((f"{letter}_well_behaved.py", "checked") for letter in "amsz")


@pytest.mark.parametrize(("name", "expected"), list(expectations()))
def test_each_file_has_its_own_finding_or_message(outcome, name, expected):
    by_file, *_ = outcome
    assert name in by_file
    code, _, message = expected.partition(": ")
    for said in by_file[name]:
        if expected == "checked":
            assert said == "NC999: ran"
        elif code.startswith("("):
            assert re.search(expected.replace("checked", "NC999: ran").replace(": ", ": .*", 1), said)
        else:
            assert re.match(f"{code}: .*{message}", said)
        assert "\n" not in said
        assert "Traceback" not in said


def test_the_findings_of_all_others_are_whole(outcome):
    _, reports, *_ = outcome
    checked = [report for report in reports if report.findings[:1] and report.findings[0].code == "NC999"]
    assert len(checked) > 20
    assert {report.findings[0].evidence.text for report in checked} == {"2.28478"}


def test_every_finding_has_a_place_and_advice(outcome):
    _, reports, *_ = outcome
    for report in reports:
        for finding in report.findings:
            if finding.code.startswith("NC0") and finding.code != "NC003":
                assert finding.location is not None
                assert finding.location.line >= 1
                assert Path(finding.location.file).suffix in (".py", ".ipynb")
                assert finding.help


def test_nothing_is_left_behind(outcome):
    *_, left, running = outcome
    assert left == []
    assert running == []


def test_the_corpus_is_large_enough():
    assert len(list(expectations())) >= 60
