"""What one run of netcheck was asked to do. Plain data; imports neither torch nor click."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netcheck.errors import UsageError
from netcheck.findings import Severity

OPTIMIZERS = ("sgd", "adam")
DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d+)?")
FORMATS = ("text", "full", "concise", "json", "json-lines", "github", "sarif", "junit", "markdown")
WITH_STATISTICS = ("text", "full", "concise", "markdown")  # the others say it all by themselves


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
        format: one of `FORMATS`; "full" is another name for "text".
        statistics: show how often each rule found something, and not each finding.
        output_file: where the report goes; None means standard output.
        colour: True or False as asked for; None means as the stream and the environment say.
        probe: whether to run the model forward and backward for real, and measure its gradients.
        device: where: "auto" (cuda, then mps, then cpu), or the name of a device.
        seeds: how many passes it makes, each with fresh inputs and a fresh initialization where a model can be built anew.
        optimizer: what the model will be trained with, one of `OPTIMIZERS`: Adam forgives a gradient's scale in part.
        batch_size: samples of the batch that the cost is told for; None means those of the inputs.
        device_memory: bytes that the device has; None means what the accelerator has, if there is one.
        timeout: seconds that the check of one target may take.
        jobs: how many targets are checked at a time.
        seed: what the random number generators start from where models are built and probed, from 0 to 2**32 - 1 (the most
            that numpy takes).

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
    statistics: bool = False
    output_file: Path | None = None
    colour: bool | None = None
    verbose: bool = False
    quiet: bool = False
    probe: bool = True
    device: str = "auto"
    seeds: int = 3
    optimizer: str = "sgd"
    batch_size: int | None = None
    device_memory: int | None = None
    timeout: float = 300.0
    jobs: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise UsageError(f"unknown format {self.format!r}: choose one of {', '.join(FORMATS)}")
        if self.optimizer not in OPTIMIZERS:
            raise UsageError(f"unknown optimizer {self.optimizer!r}: choose one of {', '.join(OPTIMIZERS)}")
        if not DEVICE.fullmatch(self.device):
            raise UsageError(f"unknown device {self.device!r}: choose auto, cpu, mps, cuda or cuda:N")
        if self.seeds < 1:
            raise UsageError(f"--seeds {self.seeds} makes no sense: give the number of passes to make, 1 or more")
        if self.statistics and self.format not in WITH_STATISTICS:
            raise UsageError(
                f"--statistics does not go with --format {self.format}: choose one of {', '.join(WITH_STATISTICS)}"
            )
        if not (math.isfinite(self.timeout) and self.timeout > 0):
            raise UsageError(f"--timeout {self.timeout:g} makes no sense: give a number of seconds above 0")
        if self.jobs < 1:
            raise UsageError(
                f"--jobs {self.jobs} makes no sense: give the number of targets to check at a time, 1 or more"
            )
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"--seed {self.seed} makes no sense: give a whole number from 0 to {2**32 - 1}")
        if self.batch_size is not None and self.batch_size < 1:
            raise UsageError(f"--batch-size {self.batch_size} makes no sense: give a number of samples, 1 or more")
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
        options["device_memory"] = parse_bytes(options.get("device_memory"))
        return cls(**{**options, "fail_on": Severity(options.get("fail_on", "warning"))})

    @property
    def chosen(self) -> tuple[str, ...]:
        """The selectors of the rules to run, before those of `ignore`; none means all."""
        return (*(self.select or ("ALL",)), *self.extend_select) if self.extend_select else self.select

    @property
    def tells_cost(self) -> bool:
        """Whether the report shows what training costs, whatever the rules find."""
        asked = self.batch_size is not None or self.device_memory is not None
        return asked or self.verbose or self.format in ("json", "json-lines")


def parse_bytes(size: str | int | None) -> int | None:
    """A number of bytes from "24GiB", "80 GB", "512MiB" or a plain number.

    Raises:
        UsageError: it is none of these, or 0.
    """
    if size is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b)?\s*", str(size), re.IGNORECASE | re.ASCII)
    number = 0.0
    if match:
        base = 1024 if match[3] else 1000
        number = float(match[1]) * base ** (" kmgt".index(match[2].lower()) if match[2] else 0)
    if not 1 <= number < 2**63:
        raise UsageError(f"{size!r} is not a size of memory: write it as 24GiB, 512MiB or 80GB")
    return int(number)


def split_selectors(values: tuple[str, ...]) -> tuple[str, ...]:
    """Selectors from an option that may be repeated and hold commas: ("NC1,NC501", "x") gives three."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())
