"""One worker for all tests of fixes: torch is imported once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("libcst")

from netcheck import worker
from netcheck.settings import Settings
from tests.fix.mending import Mender


@pytest.fixture(scope="session")
def mender() -> Iterator[Mender]:
    """Mends files."""
    keeper = worker.Keeper(Settings())
    yield Mender(keeper)
    keeper.stop()
