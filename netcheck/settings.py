"""What one run of netcheck was asked to do. Plain data; imports neither torch nor click."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netcheck.errors import UsageError
from netcheck.findings import Severity

FORMATS = ("text", "json")


@dataclass(frozen=True, slots=True)
class Settings:
    """One run's options, validated when they are put together.

    Attributes:
        targets: files, directories, `file.py:Symbol` or `package.module:Symbol`.
        inputs: example inputs as written on the command line ("2x3x32x32", "ids=long:2x16"); none: inferred.
        select: codes, beginnings of codes or names of the rules to run; none means all.
        extend_select: rules to run on top of `select`.
        ignore: rules to leave out; the longer selector wins over a shorter one.
        fail_on: the least severity that makes the run exit with 1.
        exit_zero: exit with 0 whatever was found.
        format: one of `FORMATS`.
        output_file: where the report goes; None means standard output.
        colour: True or False as asked for; None means as the stream and the environment say.
        timeout: seconds that the check of one target may take.
        jobs: how many targets are checked at a time.
        seed: what the random number generators start from, from 0 to 2**32 - 1 (the most that numpy takes).

    Raises:
        UsageError: a value makes no sense, or two contradict each other.
    """

    targets: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: Severity = Severity.WARNING
    exit_zero: bool = False
    format: str = "text"
    output_file: Path | None = None
    colour: bool | None = None
    verbose: bool = False
    quiet: bool = False
    timeout: float = 300.0
    jobs: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise UsageError(f"unknown format {self.format!r}: choose one of {', '.join(FORMATS)}")
        if not (math.isfinite(self.timeout) and self.timeout > 0):
            raise UsageError(f"--timeout {self.timeout:g} makes no sense: give a number of seconds above 0")
        if self.jobs < 1:
            raise UsageError(
                f"--jobs {self.jobs} makes no sense: give the number of targets to check at a time, 1 or more"
            )
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"--seed {self.seed} makes no sense: give a whole number from 0 to {2**32 - 1}")
        if self.verbose and self.quiet:
            raise UsageError("--verbose and --quiet contradict each other: give one of them")
        if self.output_file is not None and self.output_file.is_dir():
            raise UsageError(f"--output-file {self.output_file} is a directory: name a file")
        if self.output_file is not None and not self.output_file.absolute().parent.is_dir():
            raise UsageError(
                f"--output-file {self.output_file}: there is no directory {self.output_file.parent}"
            )

    @classmethod
    def from_options(cls, **options: Any) -> Settings:
        """Settings from what a command line gives: lists as they were repeated, severities as text.

        Raises:
            UsageError: as for the settings themselves.
        """
        for name in ("select", "extend_select", "ignore"):
            options[name] = split_selectors(options.get(name, ()))
        return cls(**{**options, "fail_on": Severity(options.get("fail_on", "warning"))})

    @property
    def chosen(self) -> tuple[str, ...]:
        """The selectors of the rules to run, before those of `ignore`; none means all."""
        return (*(self.select or ("ALL",)), *self.extend_select) if self.extend_select else self.select


def split_selectors(values: tuple[str, ...]) -> tuple[str, ...]:
    """Selectors from an option that may be repeated and hold commas: ("NC1,NC501", "x") gives three."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())
