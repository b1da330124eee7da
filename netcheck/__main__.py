"""`netcheck` and `python -m netcheck`."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    try:
        from netcheck.cli import cli

        cli.main(prog_name="netcheck")
    except KeyboardInterrupt:  # while importing: later ones are the command's to handle
        sys.exit(130)


if __name__ == "__main__":
    main()
