"""netcheck on random nets: `python -m tests.random_nets SEED` shows a net, and what does not hold of netcheck on it.

Of the nets of the quick suite, each is checked in one of its modes, and every third report is asked for in every form; the slow
suite does all of that for all nets.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.random_nets import compose, forms
from tests.random_nets.grammar import catalogue, subject, tried
from tests.random_nets.layers import layer_names
from tests.random_nets.oracle import faults
from tests.random_nets.writing import Draw, NotHereError

QUICK, ALL = 200, 2000  # nets
BLOCK = 90  # nets in one test


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """These nets are so small that threads take more time than they save."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def found(seeds: range, modes: tuple[bool, ...], folder: Path, *, forms: bool = True) -> list[str]:
    """What does not hold on the nets of these seeds, a line each."""
    lines = []
    for seed in seeds:
        source = compose(seed)
        for training in modes:
            for fault in faults(source, folder / f"net_{seed}.py", training=training, forms=forms):
                lines.append(f"net {seed} ({subject(seed)}), {'train' if training else 'eval'}: {fault.kind}: {fault.seen}")
    return lines


@pytest.mark.parametrize("seed", range(QUICK))
def test_netcheck_is_right_about_a_random_net(seed: int, tmp_path: Path) -> None:
    wrong = found(range(seed, seed + 1), (seed % 3 > 0,), tmp_path, forms=seed % 3 == 1)
    assert not wrong, "\n".join([*wrong, f"python -m tests.random_nets {seed}"])


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, ALL, BLOCK))
def test_netcheck_is_right_about_all_random_nets_in_both_modes(first: int, tmp_path: Path) -> None:
    wrong = found(range(first, min(first + BLOCK, ALL)), (True, False), tmp_path)
    assert not wrong, "\n".join(wrong)


def test_the_source_of_a_net_hangs_on_its_seed_alone() -> None:
    first = [compose(seed) for seed in range(8)]
    torch.rand(3)
    assert [compose(seed) for seed in reversed(range(8))] == first[::-1]
    assert len(set(first)) == 8


def test_every_layer_of_torch_stands_in_some_net() -> None:
    subjects = {subject(seed) for seed in range(ALL)}
    assert subjects == set(catalogue())
    assert {f"nn.{name}" for name in layer_names()} <= subjects


def fits(name: str) -> bool:
    """Whether PyTorch runs a piece on any value that a net may start with."""
    for attempt, shape in [(attempt, shape) for attempt in range(4) for shape in forms.STARTS]:
        try:
            tried(catalogue()[name], Draw(random.Random(attempt)), shape)
        except NotHereError:
            continue
        return True
    return False


def test_every_piece_runs_on_some_value() -> None:
    assert [name for name in catalogue() if not fits(name)] == []
