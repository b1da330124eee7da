"""Weights that a model would take over from another one, as its source says it."""

from __future__ import annotations

import ast

import pytest

from netcheck.engine.absent_weights import is_copy


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("self.conv.weight.data = vgg.features[0].weight.data", True),
        ("l2.weight.data.copy_(l1.weight.data)", True),
        ("self.conv.bias.copy_(other.bias)", True),
        ("self.head.weight = embedding.weight", False),  # tied
        ("self.a.weight.data = self.b.weight.data", False),
        ("self.conv.weight.data = torch.zeros(3)", False),
        ("state.copy_(other.state)", False),
    ],
)
def test_a_copy_of_weights(statement: str, expected: bool) -> None:
    assert any(is_copy(node) for node in ast.walk(ast.parse(statement))) is expected
