"""One worker for all tests of fixes: torch is imported once. It ends with them: other tests look for what is left running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("libcst")

from netcheck import worker
from netcheck.settings import Settings
from tests.fix.mending import Mender


@pytest.fixture(scope="package")
def mender() -> Iterator[Mender]:
    """Mends files."""
    keeper = worker.Keeper(Settings())
    yield Mender(keeper)
    keeper.stop()
