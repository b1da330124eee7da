"""What made-up repositories call their models with, found out without being told; the real model runs on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from netcheck.load.inputs import infer_inputs
from netcheck.load.target import load
from tests.load.calling.repositories import REPOSITORIES

CASES = [(name, target) for name, one in REPOSITORIES.items() for target in one.called]


@pytest.mark.parametrize(("name", "target"), CASES)
def test_what_a_repository_calls_its_models_with(name: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file, text in REPOSITORIES[name].files.items():
        (tmp_path / file).write_text(text)
    (tmp_path / "setup.py").write_text("")
    monkeypatch.chdir(tmp_path)
    loaded = load(target)
    found = infer_inputs(loaded.model)
    assert found.description.removeprefix("inputs: ").startswith(REPOSITORIES[name].called[target]), found.description
    loaded.model(*found.args, **found.kwargs)
