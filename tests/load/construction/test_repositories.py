"""How made-up repositories build their models, found out without being told."""

from __future__ import annotations

from pathlib import Path

import pytest

from netcheck.load import fence
from netcheck.load.target import load
from tests.load.construction.repositories import REPOSITORIES

CASES = [(name, target) for name, one in REPOSITORIES.items() for target in one.built]


@pytest.mark.parametrize(("name", "target"), CASES)
def test_how_a_repository_builds_its_models(name: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file, text in REPOSITORIES[name].files.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    (tmp_path / "setup.py").write_text("")
    monkeypatch.chdir(tmp_path)
    with fence.closed():
        loaded = load(target)
        assert str(loaded.construction) == REPOSITORIES[name].built[target]
        assert loaded.factory is not None
        again = loaded.factory()
    assert type(again) is type(loaded.model)
    assert again is not loaded.model
