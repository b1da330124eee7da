"""What holds for all tests."""

from __future__ import annotations

import os

# Commands that tests run answer for the code of the test, not for what an earlier one found.
os.environ["NETCHECK_CACHE"] = "false"
