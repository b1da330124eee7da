"""netcheck/README.md, the map of the package: what it names is there, and what is there has its floor."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.test_architecture import FILES, ORDER, PACKAGE, part_of

MAP = (PACKAGE / "README.md").read_text("utf-8")
NAMES = re.findall(r"`([^`]+)`", MAP)
PATHS = [name for name in NAMES if re.fullmatch(r"[\w/]+(\.py|/)|tests/[\w/.<>]+", name) and "<" not in name]
CLASSES = [
    name for name in NAMES if re.fullmatch(r"@?[A-Z]\w+|question|changes|render|code|name|severity|check", name.strip("@"))
]
FLOORS = re.findall(r"^\| (`.*?) \|", MAP, re.M)


@pytest.mark.parametrize("path", sorted(set(PATHS)))
def test_a_place_that_the_map_names_is_there(path: str) -> None:
    root = PACKAGE.parent if path.startswith("tests/") else PACKAGE
    assert (root / path).exists()


@pytest.mark.parametrize("name", sorted({name.strip("@") for name in CLASSES} - {"CODE"}))
def test_a_name_that_the_map_uses_is_defined(name: str) -> None:
    assert any(name in defined(file) for file in FILES)


def defined(file: Path) -> set[str]:
    """The classes, functions and variables that a file defines at its top and in its classes."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def test_floors_stand_in_the_order_that_is_held() -> None:
    floors = [part for floor in FLOORS for part in re.findall(r"`(\w+)(?:\.py|/)`", floor)]
    assert floors == sorted(floors, key=ORDER.index)
    assert {part_of(file) for file in FILES} - {"__init__", "__main__"} == set(floors)


def test_it_is_one_page() -> None:
    assert len(MAP.split()) < 1000
    assert len(PATHS) > 30
