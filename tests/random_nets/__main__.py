"""python -m tests.random_nets 17        print net 17, check it in both modes, and say what does not hold
python -m tests.random_nets 0 200     only say what does not hold of nets 0 to 199
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.random_nets import compose
from tests.random_nets.grammar import subject
from tests.random_nets.oracle import faults


def main(first: int, last: int | None = None) -> None:
    """Check the nets of some seeds."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + 1 if last is None else last):
            source = compose(seed)
            if last is None:
                print(source)
            for training in (True, False):
                for fault in faults(source, Path(folder, f"net_{seed}.py"), training=training):
                    counts[fault.kind] += 1
                    print(f"{seed} {'train' if training else 'eval'} {fault.kind} [{subject(seed)}]: {fault.seen}", flush=True)
    print(dict(counts) or "all holds")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
