"""`python -m netcheck.worker`: what the parent starts. Not for people."""

import sys

from netcheck.worker.serve import main

if __name__ == "__main__":
    main(sys.argv[1:])
