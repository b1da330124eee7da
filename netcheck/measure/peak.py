"""The most memory that forward and backward take at one moment.

Time runs from 0 to 2n for n operations: operation i runs forward at i and backward at 2n - 1 - i. A piece of memory lives

    an activation              from where it is made to its last use forward, or to the backward of the first that saved it
    an activation's gradient   from the backward of its last reader to that of its maker
    a parameter's gradient     from the backward of its last reader to the end
    an input                   all the time
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from netcheck.measure.replay import Step, Storage


def working_peak(steps: Sequence[Step]) -> int:
    """Bytes of inputs, activations and gradients at the moment when they are most; parameters are not in it."""
    return max(loads(steps), default=0)


def loads(steps: Sequence[Step]) -> list[int]:
    """These bytes at each moment."""
    ends = 2 * len(steps)
    change = [0] * (ends + 2)
    for start, end, nbytes in lifetimes(steps, ends):
        change[start] += nbytes
        change[end + 1] -= nbytes
    return list(accumulate(change))


def lifetimes(steps: Sequence[Step], ends: int) -> list[tuple[int, int, int]]:
    """When each piece of memory comes and goes, as (first moment, last moment, bytes)."""
    made: dict[Storage, int] = {}
    last_read: dict[Storage, int] = {}
    first_saved: dict[Storage, int] = {}
    for index, step in enumerate(steps):
        for storage in (*step.makes, *step.saved):  # a dropout's mask is saved without being returned
            made.setdefault(storage, index)
        for storage in step.reads:
            last_read[storage] = index
        for storage in step.saved if step.node.live else ():
            first_saved.setdefault(storage, index)
    spans = []
    for storage in {**made, **last_read}:
        begin, read = made.get(storage, 0), last_read.get(storage, made.get(storage, 0))
        if not storage.state:
            end = ends - 1 - first_saved[storage] if storage in first_saved else read
            spans.append((begin, ends if storage.given else max(read, end), storage.nbytes))
        if storage.learns:
            spans.append((ends - 1 - read, ends if storage.state else ends - 1 - begin, storage.nbytes))
    return spans
