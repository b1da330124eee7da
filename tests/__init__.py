"""The tests: a package, so that no other `tests` can stand in its place."""

import os

# Before torch is imported. Its threads else wait for each other by spinning: with a worker of pytest on every core, a probe of a
# small net took ten times the CPU time.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
