"""What a training step costs, for a person."""

from __future__ import annotations

from netcheck.figures.cost import Cost, LayerCost, Memory
from netcheck.findings import Report
from netcheck.report import cost, text

MEMORY = {"sgd": Memory(10, 8, 8, 100, 0), "adam": Memory(2**20, 8, 0, 2**20, 8)}
ROW = LayerCost("layers.0", "nn.Linear", 1_500_000, 0, 2048, 0)
FOUND = Cost(2, 10**9, 2 * 10**9, 10, 8, 3 * 2**20, MEMORY, layers=(ROW,))


def test_the_line() -> None:
    expected = "cost: 3.0 GFLOPs and 3.0 MiB of saved activations a step of 2 samples, 2.0 MiB at the peak with Adam"
    assert cost.line(FOUND) == expected
    report = Report("Net", known_cost=FOUND)
    assert expected not in text.render([report], colour=False)


def test_figures_that_a_person_reads() -> None:
    assert [cost.flops(n) for n in (0, 999, 1500, 2.5e15)] == [
        "0 FLOPs",
        "999 FLOPs",
        "1.5 KFLOPs",
        "2.5 PFLOPs",
    ]
    assert [cost.size(n) for n in (0, 1023, 1024, 3 * 2**40)] == ["0 B", "1,023 B", "1.0 KiB", "3.0 TiB"]


def test_the_table() -> None:
    header, _, row = cost.table(FOUND).splitlines()
    assert header.split() == ["module", "operation", "forward", "backward", "parameters", "saved"]
    assert row.split() == ["layers.0", "nn.Linear", "1.5", "MFLOPs", "2.0", "KiB"]
