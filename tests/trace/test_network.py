"""The traced graph as plain data."""

from __future__ import annotations

import pickle
import sys

import torch
from torch import nn

import netcheck


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.shift = nn.Parameter(torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.relu(self.fc(x)) + self.shift


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = Block()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = torch.arange(3).sum()  # of constants alone
        return self.block(self.block(x)) + steps


def test_operations_inputs_and_modules() -> None:
    graph = netcheck.trace(Net(), torch.ones(2, 4))
    network = graph.network()
    first, *middle, last = network.operations
    assert (first.kind, first.operation) == ("input", "x")
    assert (last.kind, last.operation) == ("output", "output")
    assert network.modules == (("", "Net"), ("block", "Block"), ("block.fc", "Linear"))
    linear, other = [one for one in middle if one.is_weight_layer]
    assert (linear.path, linear.operation, linear.shape) == ("block.fc", "nn.Linear", (2, 4))
    assert (linear.parameters, other.parameters) == (20, 0), "shared parameters are counted once"
    assert sum(one.parameters for one in middle) == 24
    for place, one in enumerate(network.operations):
        assert all(source < place for source in one.inputs)
    skip = next(one for one in middle if len(one.inputs) == 2)
    assert network.operations[skip.inputs[0]] is first
    assert "arange" not in {one.operation.rpartition(".")[2] for one in network.operations}


def test_it_is_plain() -> None:
    network = netcheck.trace(Net(), torch.ones(2, 4)).network()
    assert pickle.loads(pickle.dumps(network)) == network
    assert "torch" not in sys.modules[type(network).__module__].__dict__
