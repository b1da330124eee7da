"""A model that netcheck builds has the same weights in every check, and no generator of the user's moves."""

from __future__ import annotations

import itertools
import random
import textwrap
from pathlib import Path

import numpy
import pytest
import torch
from torch import nn

import netcheck
from netcheck.engine import check_target
from netcheck.load.randomness import seeded
from netcheck.settings import Settings
from netcheck.source.targets import Target


def states() -> tuple[object, ...]:
    return random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


def draws() -> tuple[float, ...]:
    return random.random(), float(numpy.random.rand()), float(torch.rand(()))


def test_a_seed_gives_the_same_numbers_and_disturbs_nobody() -> None:
    before = states()
    with seeded(3):
        first = draws()
    with seeded(3):
        assert draws() == first
    with seeded(4):
        assert draws() != first
    assert states() == before


def test_generators_are_as_they_were_after_an_exception() -> None:
    before = states()
    with pytest.raises(ZeroDivisionError), seeded(0):
        sum(draws()) / 0
    assert states() == before


class Drawn(nn.Sequential):
    """Twelve tanh layers whose width hangs on what Python, numpy and torch draw."""

    def __init__(self) -> None:
        widths = [random.randint(8, 200) + numpy.random.randint(9) + int(torch.randint(9, ())) for _ in range(13)]
        layers = [(nn.Linear(a, b), nn.Tanh()) for a, b in itertools.pairwise(widths)]
        super().__init__(*[part for pair in layers for part in pair])


def test_a_class_is_built_alike_in_every_check() -> None:
    before = states()
    first = netcheck.check(Drawn)
    assert first.findings
    assert netcheck.check(Drawn).inputs == first.inputs
    assert [found.evidence for found in netcheck.check(Drawn).findings] == [found.evidence for found in first.findings]
    assert netcheck.check(Drawn, seed=1).inputs != first.inputs
    assert states() == before


SOURCE = """
    import random
    import numpy
    from torch import nn

    WIDTH = 8 + random.randint(0, 99) + numpy.random.randint(99)

    class Net(nn.Sequential):
        def __init__(self):
            super().__init__(*[part for _ in range(12) for part in (nn.Linear(WIDTH, WIDTH), nn.Tanh())])
"""


def test_a_target_is_built_alike_in_every_check(tmp_path: Path) -> None:
    said = []
    for name in ("first", "second"):
        file = tmp_path / f"{name}.py"
        file.write_text(textwrap.dedent(SOURCE))
        report = check_target(Target(file=str(file), symbol="Net"), Settings())
        said.append((report.inputs, [found.evidence for found in report.findings]))
    assert said[0] == said[1]
    assert said[0][1]
