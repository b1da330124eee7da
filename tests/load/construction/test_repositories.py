"""How made-up repositories build their models, found out without being told."""

from __future__ import annotations

from pathlib import Path

import pytest

from netcheck.load import fence
from netcheck.load.target import load
from netcheck.source.construction.evidence import evidence
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


@pytest.mark.parametrize("target", ["old/net.py:Net", "wrapped.py:Wrapper"])
def test_what_is_built_after_others_rests_on_their_calls(target: str, tmp_path: Path) -> None:
    found = []
    for width in ("6", "9"):
        for file, text in REPOSITORIES["what resembles what is built"].files.items():
            (tmp_path / width / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / width / file).write_text(text.replace("Net(6,", f"Net({width},"))
        (tmp_path / width / "setup.py").write_text("")
        file, _, name = target.partition(":")
        found.append([part.replace(str(tmp_path / width), "") for part in evidence(str(tmp_path / width / file), name)])
    assert found[0] != found[1]
