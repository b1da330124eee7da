"""`python -m netcheck.worker`: what the parent starts. Not for people."""

import sys

from netcheck.worker import processes
from netcheck.worker.serve import main


def look_in_checkout_last() -> None:
    """Look for modules of a checkout of netcheck after all others: it has `tests` and `examples` of its own."""
    root = processes.checkout()
    if root in sys.path:
        sys.path[:] = [*(entry for entry in sys.path if entry != root), root]


if __name__ == "__main__":
    look_in_checkout_last()
    main(sys.argv[1:])
