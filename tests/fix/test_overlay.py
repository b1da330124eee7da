"""Texts in the place of files: read, parsed and imported, while the file stays as it is."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import pytest

from netcheck.load.modules import import_file
from netcheck.source.overlay import laid_over
from netcheck.source.parse import parse


def test_a_text_stands_in_the_place_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "overlaid.py"
    file.write_text("x = 1\n")
    assert len(parse(str(file)).tree.body) == 1
    with laid_over([(str(file), b"x = 1\ny = 2\n")]):
        assert len(parse(str(file)).tree.body) == 2
        assert import_file(str(file)).y == 2
    sys.modules.pop("overlaid", None)
    assert len(parse(str(file)).tree.body) == 1
    assert file.read_text() == "x = 1\n"
    assert not list(tmp_path.glob("**/*.pyc"))


def test_a_package_imports_the_text_and_finds_what_lies_beside_it(tmp_path: Path) -> None:
    package = tmp_path / "overlaid_package"
    package.mkdir()
    (package / "__init__.py").write_text("from .inner import value\n")
    (package / "inner.py").write_text("value = 1\n")
    (package / "beside.py").write_text("from .inner import value, told\n")
    try:
        with laid_over([(str(package / "inner.py"), b"value = 2\ndef told():\n    return value\n")]):
            module = import_file(str(package / "beside.py"))
            assert (module.value, module.told()) == (2, 2)
            assert "return value" in inspect.getsource(module.told)
    finally:
        for name in [name for name in sys.modules if name.startswith("overlaid_package")]:
            del sys.modules[name]


def test_what_was_laid_before_is_there_again(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("a = 1\n")
    with laid_over([(str(file), b"b = 1\n")]):
        with laid_over([(str(file), b"c = 1\n")]), pytest.raises(RuntimeError):
            raise RuntimeError
        assert parse(str(file)).raw == b"b = 1\n"
