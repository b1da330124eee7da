"""Comments that suppress findings, and those that suppress nothing."""

from __future__ import annotations

import importlib.util
import sys
import textwrap
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from netcheck import engine, worker
from netcheck.findings import Finding, Report
from netcheck.settings import Settings

PLAIN = """
import torch
from torch import nn

class Net(nn.Module):{on_class}
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(64, 64) for _ in range(24){on_layers}
        )
        self.head = nn.Linear(64, 4){on_head}

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x)){on_call}
        return self.head(x)
"""


@pytest.fixture(autouse=True)
def without_children(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(worker, "check_all", lambda targets, settings, **_: [engine.check_target(t, settings) for t in targets])


numbers = count()


def check(source: str, symbol: str = "", **options: Any) -> list[Report]:
    """The reports on a file with this source, each time another one: Python keeps what it has imported."""
    file = f"net{next(numbers)}.py"
    Path(file).write_text(textwrap.dedent(source))
    target = f"{file}:{symbol}" if symbol else file
    settings = Settings(**{"targets": (target,), "probe": False, **options})
    return worker.check_targets(settings)


def found(reports: list[Report]) -> list[str]:
    return [one.code for report in reports for one in report if one.code in ("NC009", "NC103") or one.severity > "info"]


def idle(reports: list[Report]) -> list[Finding]:
    return [one for report in reports for one in report if one.code == "NC009"]


def plain(**comments: str) -> str:
    places = dict.fromkeys(("on_class", "on_layers", "on_head", "on_call"), "")
    return PLAIN.format(**{**places, **{place: f"  # {text}" for place, text in comments.items()}})


@pytest.mark.parametrize("place", ["on_class", "on_layers", "on_call"])
@pytest.mark.parametrize(
    "text",
    [
        "netcheck: ignore[NC501] on purpose",
        "netcheck:ignore[nc5,]",
        "noqa: E501  # netcheck: ignore[poor-init]",
        "netcheck: ignore",
    ],
)
def test_a_comment_suppresses_where_the_finding_is(place: str, text: str) -> None:
    reports = check(plain(**{place: text}))
    assert found(reports) == []
    assert [one.code for one in reports[0].suppressed if one.code == "NC501"] == ["NC501"]


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("on_head", "netcheck: ignore[NC501]"),
        ("on_layers", "netcheck: ignore[NC101]"),
        ("on_layers", "netcheck: ignore[]"),
        ("on_layers", "netcheck ignore[NC501]"),
        ("on_layers", "netcheck: ignored"),
    ],
)
def test_elsewhere_or_for_another_rule_it_does_not(place: str, text: str) -> None:
    assert "NC501" in found(check(plain(**{place: text})))


def test_a_comment_alone_on_its_line_is_about_the_next_line_of_code() -> None:
    above = "            # netcheck: ignore[NC501]\n\n            # x\n"
    source = plain().replace("            nn.Linear(64", f"{above}            nn.Linear(64")
    assert "# netcheck" in source
    assert found(check(source)) == []


def test_text_that_looks_like_a_comment_is_none() -> None:
    source = plain().replace("range(24)", 'range(24) or "# netcheck: ignore[NC501]"')
    assert "ignore[NC501]" in source
    assert found(check(source)) == ["NC501"]


def test_a_variable_and_a_function_are_covered_by_their_line() -> None:
    layers = "nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))"
    for source in (
        f"from torch import nn\nmodel = {layers}  # netcheck: ignore[NC103]\n",
        f"from torch import nn\ndef make() -> nn.Module:  # netcheck: ignore[NC103]\n    return {layers}\n",
        f"from torch import nn\nmodel = {layers.replace('nn.Lin', chr(10) + 'nn.Lin')}  # netcheck: ignore[NC103]\n",
    ):
        reports = check(source)
        assert [one.code for one in reports[0].suppressed] == ["NC103"]
        assert found(reports) == []


BLOCKS = """
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)
        self.b = nn.Linear(8, 8){on_b}

    def forward(self, x):
        return self.b(self.a(x))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = Block(), Block()
        self.relu, self.c, self.d = nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x):
        x = self.relu(self.two(self.relu(self.one(x))))
        x = self.c(x){on_c}
        return self.d(x){on_d}
"""


def blocks(**comments: str) -> str:
    places = dict.fromkeys(("on_b", "on_c", "on_d"), "")
    return BLOCKS.format(**{**places, **{place: f"  # netcheck: ignore[{text}]" for place, text in comments.items()}})


def test_a_finding_of_many_parts_needs_all_of_them_or_the_first() -> None:
    (report,) = check(blocks())
    (finding,) = [one for one in report if one.code == "NC103"]
    lines = [place.line for place in finding.locations]
    first = blocks().splitlines()[lines[0] - 1]
    marked = blocks().replace(first, f"{first}  # netcheck: ignore[NC103]")
    assert found(check(marked)) == []
    later = [number for number in lines if number != lines[0]]
    one = blocks().splitlines()
    one[later[-1] - 1] += "  # netcheck: ignore[NC103]"
    assert found(check("\n".join(one))) == ["NC103", "NC009"]  # one of several parts is not enough


def test_what_suppresses_nothing_is_said() -> None:
    (one,) = idle(check(plain(on_head="netcheck: ignore[NC501] why")))
    assert (one.severity, one.message) == ("info", "the comment suppresses nothing")
    assert one.location is not None
    assert plain(on_head="netcheck").splitlines()[one.location.line - 1].strip().startswith("self.head")
    assert one.location.column == plain(on_head="netcheck").splitlines()[one.location.line - 1].index("#") + 1


def test_a_comment_inside_an_expression_is_told_where_to_stand() -> None:
    source = """
    from torch import nn

    @(lambda kind: kind){on_decorator}
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(8, 4)
            self.unused = nn.Linear({first}
                8,{second}
                4,
            ){last}

        def forward(self, x):
            return self.fc(x)
    """
    none = dict.fromkeys(("on_decorator", "first", "second", "last"), "")
    comment = "  # netcheck: ignore[NC902]"
    for place in ("on_decorator", "first", "last"):
        assert found(check(source.format(**{**none, place: comment}))) == []
    (one,) = idle(check(source.format(**{**none, "second": comment})))
    assert one.help == "put it on line 9 or line 12, where the expression begins or ends"
    (one,) = idle(check(source.format(**{**none, "second": "  # netcheck: ignore[NC107]"})))
    assert one.help == "remove the comment"


def test_a_part_that_suppresses_nothing_is_said() -> None:
    (one,) = idle(check(plain(on_layers="netcheck: ignore[NC501, NC104]")))
    assert one.message == "NC104 in this comment suppresses nothing"
    assert one.help == "remove NC104 from it"
    (one,) = idle(check(plain(on_layers="netcheck: ignore[NC501, NC104, NC103]")))
    assert one.message == "NC104, NC103 in this comment suppress nothing"
    (one,) = idle(check(plain(on_layers="netcheck: ignore[NC501, NC1O4]")))
    assert one.message == "NC1O4 in this comment suppresses nothing: there is no rule 'NC1O4': did you mean NC104?"
    assert idle(check(plain(on_layers="netcheck: ignore[NC501, NC601]"))) == []  # nothing was measured


def test_what_was_not_looked_for_is_not_unused() -> None:
    source = plain(on_head="netcheck: ignore[NC501]")
    assert idle(check(source, ignore=("NC501",))) == []
    assert idle(check(source, select=("NC1",))) == []
    assert idle(check(source, ignore=("NC009",))) == []
    assert idle(check(source, per_file_ignores=(("net*.py", ("NC009",)),))) == []
    assert len(idle(check(source))) == 1


def test_a_comment_that_one_of_several_models_needs_is_used() -> None:
    source = plain(on_layers="netcheck: ignore[NC501]").replace("def __init__(self)", "def __init__(self, depth=24)")
    source = source.replace("range(24)", "range(depth)")
    both = source + "\nshort = Net(2)\nlong = Net(24)\n"
    assert found(check(both)) == []
    assert found(check(both, "short")) == ["NC009"]  # in the model's own class
    block = both.replace("class Net(", "class Whole(nn.Module):\n    pass\n\nclass Net(")
    assert found(check(block, "long")) == []


def test_of_a_file_that_is_not_checked_whole_only_the_models_own_class_is_judged() -> None:
    source = blocks(on_b="NC104")
    assert found(check(source)) == ["NC103", "NC009"]
    assert found(check(source, "Net")) == ["NC103"]
    assert found(check(blocks(on_d="NC104"), "Net")) == ["NC103", "NC009"]


def test_beside_a_model_that_could_not_be_checked_nothing_is_called_unused() -> None:
    broken = "\nclass Broken(nn.Module):\n    def forward(self, x):\n        raise ValueError('x')\n"
    assert idle(check(blocks(on_b="NC104") + broken)) == []


def test_a_failure_can_be_suppressed() -> None:
    source = plain(on_class="netcheck: ignore[NC002] a base class").replace("__init__(self)", "__init__(self, n)")
    source = source.replace("super().__init__()", "super().__init__(); assert n**2 == 1681")
    (report,) = check(source)
    assert report.findings == []
    assert "(NC002, suppressed)" in report.skipped[0]


def test_the_function_check_knows_them_too() -> None:
    Path("net.py").write_text(plain(on_layers="netcheck: ignore[NC501]", on_head="netcheck: ignore[NC104]"))
    spec = importlib.util.spec_from_file_location("net_of_suppressions", "net.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    report = engine.check(module.Net, probe=False)
    assert found([report]) == ["NC009"]
    assert "Suppressed " in str(report)


def test_added_comments_suppress_and_a_second_run_adds_none() -> None:
    from click.testing import CliRunner

    from netcheck.cli import cli

    Path("added.py").write_text(plain())
    arguments = ["added.py", "--no-probe", "--isolated", "--add-ignores"]
    first = CliRunner().invoke(cli, arguments)
    assert (first.exit_code, first.output) == (0, "Added comments for 1 of 1 finding.\n")
    assert "range(24)  # netcheck: ignore[NC501]" in Path("added.py").read_text()
    Path("again.py").write_text(Path("added.py").read_text())
    second = CliRunner().invoke(cli, ["again.py", *arguments[1:]])
    assert (second.exit_code, second.output) == (0, "Added comments for 0 of 0 findings.\n")


def test_comments_that_cannot_be_written_are_a_failure_of_netcheck(monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from netcheck.cli import cli
    from netcheck.source import annotate

    def refused(file: str, raw: bytes) -> None:
        raise PermissionError(13, "Permission denied", file)

    monkeypatch.setattr(annotate, "replace_file", refused)
    Path("locked.py").write_text(plain())
    ran = CliRunner().invoke(cli, ["locked.py", "--no-probe", "--isolated", "--add-ignores"])
    assert (ran.exit_code, ran.stdout) == (2, "Added comments for 0 of 1 finding.\n")
    assert "has no comment: the file cannot be written: Permission denied" in ran.stderr
