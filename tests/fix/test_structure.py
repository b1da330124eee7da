"""Another structure, where the source has a form that takes it: offered as a diff, applied by nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netcheck.fix import writing
from netcheck.report import fixes, output
from netcheck.settings import Settings
from tests.fix.mending import PRELUDE, Mender

SKIPS = """
def block():
    return nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 10)
        self.blocks = BLOCKS

    def forward(self, x):
        x = self.stem(x)
        RUN
        return self.head(x.mean((2, 3)))
"""
BRANCH = """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(64, 64),  # as wide
            nn.ReLU(), nn.Linear(64, 64),
        )
        for layer in (self.body[0], self.body[-1]):
            nn.init.kaiming_normal_(layer.weight)

    def forward(self, x):
        return x + self.body(x)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks, self.head = nn.Sequential(*[Block() for _ in range(40)]), nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.blocks(x))
"""
LOOP = "for block in self.blocks:\n            x = block(x)"
FORMS = {
    "a loop over a ModuleList": ("nn.ModuleList(block() for _ in range(32))", LOOP, "+            x = x + block(x)\n"),
    "a loop of two lines": (
        "nn.ModuleList(block() for _ in range(32))",
        "for block in self.blocks:\n            x = block(x)\n            x = 0.5 * x",
        "+            x = x + identity\n",
    ),
    "a Sequential": ("nn.Sequential(*[block() for _ in range(32)])", "x = self.blocks(x)", "+            x = x + block(x)\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_skip_around_each_block_is_offered_and_not_applied(form: str, tmp_path: Path, mender: Mender) -> None:
    built, run, added = FORMS[form]
    file = tmp_path / "net.py"
    file.write_text(PRELUDE + SKIPS.replace("BLOCKS", built).replace("RUN", run))
    offer = mender.offer(file, "Net", inputs=("4x3x8x8",))
    assert not offer.texts
    ((_, diff),) = writing.between(offer.structures[0].before, offer.structures[0].after)
    assert added in diff
    (found,) = [one for one in offer.reports[0].findings if one.code == "NC401"]
    assert found.fix is not None
    assert found.fix.structural
    shown = fixes.render(offer.reports, [], offer.left, [[("net.py", diff)]], colour=False, written=False)
    assert "Offered, and never applied:" in shown
    assert "There is nothing to fix." in shown
    document = json.loads(output.rendered(offer.reports, Settings(format="json"), colour=False))
    assert [one["fix"]["structural"] for one in document["models"][0]["findings"] if one["fix"]] == [True]


def test_a_norm_behind_each_layer_of_a_branch_is_offered(tmp_path: Path, mender: Mender) -> None:
    file = tmp_path / "net.py"
    file.write_text(PRELUDE + BRANCH)
    offer = mender.offer(file, "Net", inputs=("8x64",))
    (offered,) = [one for one in offer.structures if one.proposal.cases[0][1].code == "NC301"]
    ((_, text),) = offered.after
    assert b"            nn.Linear(64, 64), nn.LayerNorm(64),  # as wide\n            nn.ReLU(), nn.Linear(64, 64),\n" in text
    assert not offer.texts


def test_where_the_source_has_no_form_for_it_nothing_is_said(tmp_path: Path, mender: Mender) -> None:
    file = tmp_path / "net.py"
    file.write_text(PRELUDE + SKIPS.replace("BLOCKS", "[block() for _ in range(32)]").replace("RUN", "pass"))
    source = "model = nn.Sequential(nn.Conv2d(3, 8, 3), *[block() for _ in range(32)], nn.Flatten(), nn.Linear(8 * 36, 10))\n"
    file.write_text(file.read_text().partition("class Net")[0] + source)
    offer = mender.offer(file, "model", inputs=("4x3x8x8",))
    (found,) = [one for one in offer.reports[0].findings if one.code == "NC401"]
    assert (found.fix, found.by_hand) == (None, "")
