"""Checking in child processes, so that nothing a user's file does can harm the run. Imports no torch.

    this process                  worker (imports torch once)         child (one for each target, forked)
    check_all(targets) --command--> serve() ------------fork------------> check_target(target, settings)
        ^  ^  ^                        |                                    |     |      |
        |  |  +------- control --------+  started, ended                    |     |      |
        |  +---------- results ---------------------------------------------+     |      |
        +------------- output, bounded -------------------------------------------+      |
        +------------- faults: where it stood when it died ------------------------------+

A child has its own session, no standard input, a time limit and a memory limit. Whatever it leaves behind is
killed. It shares nothing with the next child: what it did to torch, to builtins or to its standard output
ends with it.
"""

from __future__ import annotations

from netcheck.worker.limits import Limits
from netcheck.worker.pool import Event, check_all

__all__ = ["Event", "Limits", "check_all"]
