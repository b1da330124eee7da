"""`python -m netcheck.worker`: what the parent starts. Not for people."""

import os
import sys
import sysconfig

import netcheck
from netcheck.worker.serve import main


def look_in_checkout_last() -> None:
    """Look for modules of a checkout of netcheck after all others: it has `tests` and `examples` of its own."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(netcheck.__file__ or __file__)))
    if root in sys.path and root not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        sys.path[:] = [*(entry for entry in sys.path if entry != root), root]


if __name__ == "__main__":
    look_in_checkout_last()
    main(sys.argv[1:])
