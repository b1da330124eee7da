"""Ids are drawn for each sample and column, within what forward lets them be."""

from __future__ import annotations

import torch
from torch import nn

import netcheck
from netcheck.load.inputs import infer_inputs

ROWS = (30, 12, 7, 25)


class Table(nn.Module):
    """Each column has rows of its own in one table, as in a factorization machine."""

    def __init__(self):
        super().__init__()
        self.rows = nn.Embedding(sum(ROWS), 8)
        self.register_buffer("starts", torch.tensor((0, *ROWS[:-1])).cumsum(0))
        self.body = nn.Sequential(nn.Linear(32, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, columns):
        return self.body(self.rows(columns + self.starts).flatten(1))


class Measured(nn.Module):
    """Some columns of one float tensor are ids."""

    def __init__(self):
        super().__init__()
        self.out, self.kinds = nn.Linear(8 + 3, 1), nn.Embedding(9, 8)

    def forward(self, row):
        return self.out(torch.cat([self.kinds(row[:, 0].long()), row[:, 1:4]], 1))


def test_shifted_ids_stay_in_the_table_and_use_all_of_it():
    model = Table()
    (columns,) = infer_inputs(model).args
    assert columns.max() > 1
    assert (columns + model.starts).max() < sum(ROWS)
    assert not torch.equal(columns[0], columns[1])
    found = netcheck.check(model)
    assert "NC607" not in [finding.code for finding in found]
    assert "NC006" not in [finding.code for finding in found]


def test_floats_that_become_ids_are_whole_and_in_the_table():
    model = Measured()
    (row,) = infer_inputs(model).args
    assert row.is_floating_point()
    assert row.min() >= 0
    assert row.max() < 9
    assert not {"NC003", "NC006"} & {finding.code for finding in netcheck.check(model)}
