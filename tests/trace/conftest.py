"""What holds for the tests of the tracer."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _collect_large_models(request: pytest.FixtureRequest) -> Iterator[None]:
    """A large model is few objects, so Python's collector waits for dozens of them: more than the memory of a laptop."""
    yield
    if request.node.get_closest_marker("slow") is not None:
        gc.collect()
