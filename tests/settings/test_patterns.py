"""What patterns in settings match."""

from __future__ import annotations

import os

import pytest

from netcheck.settings.patterns import matches_file, matches_part


@pytest.mark.parametrize(
    ("path", "pattern", "matched"),
    [
        ("src/net.py", "net.py", True),
        ("src/net.py", "src", True),
        ("src/net.py", "src/", True),
        ("src/net.py", "*.py", True),
        ("src/net.py", "src/*.py", True),
        ("src/net.py", "./src/*", True),
        ("src/old/net.py", "src/old", True),
        ("src/old/net.py", "old/net.py", False),  # a path starts from the root
        ("src/old/net.py", "old", True),
        ("src/net.py", "sr", False),
        ("src/net.py", "tests/*", False),
        ("src/net.py", "NET.py", False),
        ("src/[a].py", "src/[[]a].py", True),
    ],
)
def test_files(path: str, pattern: str, matched: bool) -> None:
    assert matches_file(path, pattern) is matched
    assert matches_file(os.path.abspath(path), pattern) is matched
    assert matches_file(os.path.join("/elsewhere", path), pattern, "/elsewhere") is matched


@pytest.mark.parametrize(
    ("path", "pattern", "matched"),
    [
        ("encoder.layers.0", "Net.encoder.*", True),
        ("encoder", "Net.encoder.*", False),
        ("encoder", "Net.encoder", True),
        ("encoder.layers.0", "Net.encoder", True),
        ("encoder.layers.0", "Net", True),
        ("", "Net", True),
        ("", "Net.*", False),
        ("encoder2", "Net.encoder", False),
        ("encoder", "*.encoder", True),
        ("decoder.norm", "*.norm", True),
        ("encoder", "Other", False),
    ],
)
def test_parts_of_models(path: str, pattern: str, matched: bool) -> None:
    assert matches_part("Net", path, pattern) is matched
