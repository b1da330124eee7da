"""Python's collector of garbage, kept from looking at what is there to stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def rarely_collected() -> Iterator[None]:
    """Have Python look through its oldest objects a hundred times more rarely.

    They are the model and its graph, which stay, and the passes make as many again for each operation: of 16,000 operations
    a fifth of the time would go there.
    """
    youngest, middle, oldest = gc.get_threshold()
    gc.set_threshold(youngest, middle, 100 * oldest)
    try:
        yield
    finally:
        gc.set_threshold(youngest, middle, oldest)
