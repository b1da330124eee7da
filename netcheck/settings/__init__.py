"""What one run of netcheck was asked to do. Plain data; imports neither torch nor click.

    command line  >  environment (NETCHECK_*)  >  [tool.netcheck] in pyproject.toml  >  default
         |                  |                               |                             |
         +------------------+---------- gather.py ----------+-----------------------------+--> Settings

`Settings` is the list of all options: adding one is one field with an `option` (see `options.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from netcheck.errors import UsageError
from netcheck.findings import Severity
from netcheck.settings import options
from netcheck.settings.models import ModelEntry, Models
from netcheck.settings.options import (
    Choice,
    DeviceMemory,
    File,
    Form,
    Number,
    Option,
    Patterns,
    Size,
    Switch,
    Texts,
    Thresholds,
    Whole,
    named,
    option,
)

MOST_DEVICES = 4096
STRATEGIES = ("dp", "ddp", "fsdp")
FORMATS = ("text", "full", "concise", "json", "json-lines", "github", "sarif", "junit", "markdown", "html", "svg")
STREAMED = ("text", "full", "concise", "json-lines")  # shown model by model, as each is checked
WITH_STATISTICS = ("text", "full", "concise", "json", "json-lines", "markdown")  # the others show findings
OPTIMIZERS = ("sgd", "adam")
DTYPES = ("auto", "float64", "float32", "bfloat16", "float16")
SEVERITIES = ("error", "warning", "info")
REQUIRED = ("none", "any", "all")

Ignores = tuple[tuple[str, tuple[str, ...]], ...]  # pairs of a pattern and selectors


@dataclass(frozen=True, slots=True)
class Settings:
    """One run's options, validated when they are put together.

    Attributes:
        targets: files, directories, `file.py:Symbol` or `package.module:Symbol`.
        root: the folder of the configuration file, from which its patterns and paths start; "" means the current one.
        inputs: example inputs as written on the command line ("2x3x32x32", "ids=long:2x16"); none: inferred.
        input_from: data to take the inputs from and to measure on, as file.py:name or package.module:name; "" for none.
        select: codes, beginnings of codes or names of the rules to run; none means all.
        extend_select: rules to run on top of `select`.
        ignore: rules to leave out; the longer selector wins over a shorter one.
        per_file_ignores: rules to leave out in files, as pairs of a pattern and selectors.
        per_model_ignores: rules to leave out in models and their parts ("Net.encoder.*").
        rules: thresholds by rule, as pairs of a code or name and (threshold, number) pairs.
        models: how single models are built and checked.
        exclude: files and folders in which no models are looked for.
        fail_on: the least severity that makes the run exit with 1.
        min_severity: the least severity of findings that the report shows.
        require: of how many models the check must come to an end, else the run exits with 2, one of `REQUIRED`.
        exit_zero: exit with 0 whatever was found.
        format: one of `FORMATS`; "full" is another name for "text".
        statistics: show how often each rule found something, and not each finding.
        output_file: where the report goes; None means standard output.
        colour: True or False as asked for; None means as the stream and the environment say.
        probe: whether to run the model forward and backward for real, and measure its gradients.
        device: where: "auto" (cuda, then mps, then cpu), or the name of a device.
        dtype: the precision of these runs, one of `DTYPES`; "auto" is float64 where that is affordable, else float32.
        seeds: how many passes it makes, each with fresh inputs and a fresh initialization where a model can be built anew.
        remedies: whether to try what would help where a measured gradient is bad.
        optimizer: what the model will be trained with, one of `OPTIMIZERS`: Adam forgives a gradient's scale in part.
        weights: a checkpoint for the model; None means the weights that it is built with.
        batch_size: samples of the batch that is split and whose cost is told; None means those of the inputs; of inferred
            ones, eight on each device are split.
        devices: over how many devices a batch is split; None means the machine's accelerators, and two if it has fewer.
        inference: whether to tell what the model takes to be used and not trained.
        context: tokens of each sample that the cache of keys and values holds; None means the example's.
        strategy: under what the shards run: "dp" (nn.DataParallel), "ddp" (DistributedDataParallel) or "fsdp" (FSDP2).
        device_memory: bytes that the device has; None means what the accelerator has, if there is one.
        baseline: the file of findings that are known and left out; None means none are.
        write_baseline: write that file instead of reporting.
        add_ignores: write comments that suppress the findings into the source instead of reporting them.
        diff: try edits that mend what is found, and show those that hold as a diff; write nothing.
        fix: the same, and write them into the files.
        unsafe_fixes: try those too that change what the model computes.
        timeout: seconds that the check of one target may take.
        memory: bytes that the check of one target may take; None means its share of most that the machine has.
        jobs: how many targets are checked at a time.
        cache: whether to take over what an earlier run found; the command does so unless it is told not to.
        cache_dir: where that is kept; None means this user's folder for caches.
        allow_writes: whether the code that is checked may write files, start processes, use the network and train.
        seed: what the random number generators start from where models are built and probed, from 0 to 2**32 - 1 (the most
            that numpy takes).

    Raises:
        UsageError: a value makes no sense, or two contradict each other.
    """

    targets: tuple[str, ...] = ()
    root: str = ""
    inputs: tuple[str, ...] = option(
        (),
        Texts(),
        "Example input, such as 8x3x32x32 or ids=long:2x16; once for each argument of forward. By default they are inferred.",
        flags=("--input",),
        key="input",
        metavar="SPEC",
        by_project=False,
        by_model=True,
    )
    input_from: str = option(
        "",
        Form(r"(.+:[\w.]+)?", "write file.py:name or package.module:name"),
        "Take the inputs from a DataLoader, or a function that returns one, and measure on its batches: data.py:loader.",
        metavar="NAME",
        by_project=False,
        by_model=True,
    )
    select: tuple[str, ...] = option(
        (),
        Texts(split=True),
        "Run these rules alone: codes (NC501), beginnings of codes (NC5) or names (poor-init), with commas between.",
        metavar="RULES",
    )
    extend_select: tuple[str, ...] = option((), Texts(split=True), "Run these rules on top of the selected.", metavar="RULES")
    ignore: tuple[str, ...] = option(
        (), Texts(split=True), "Leave these rules out. The longer selector wins over a shorter.", metavar="RULES"
    )
    per_file_ignores: Ignores = option((), Patterns(), flags=())
    per_model_ignores: Ignores = option((), Patterns(), flags=())
    rules: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = option((), Thresholds(), flags=())
    models: tuple[ModelEntry, ...] = option((), Models(), flags=(), key="model")
    exclude: tuple[str, ...] = option(
        (),
        Texts(),
        "Leave out files and folders that match, when a folder is searched for models.",
        metavar="PATTERN",
    )
    format: str = option("text", Choice(FORMATS), "How to write the report; full is another name for text.", result=False)
    statistics: bool = option(
        False,
        Switch(),
        "Show how often each rule found something, and not each finding.",
        by_project=False,
        result=False,
    )
    output_file: Path | None = option(
        None, File(), "Write the report to FILE; - is standard output.", metavar="FILE", result=False
    )
    fail_on: Severity = option(
        Severity.WARNING,
        Choice(SEVERITIES, Severity),
        "The least severity that makes the exit code 1.",
        result=False,
    )
    min_severity: Severity = option(
        Severity.INFO,
        Choice(SEVERITIES, Severity),
        "Show findings that are as bad as this or worse alone; the exit code counts all.",
        result=False,
    )
    require: str = option(
        "any",
        Choice(REQUIRED),
        "Of the models that there are, how many must be checked: if fewer are, the exit code is 2.",
        result=False,
    )
    exit_zero: bool = option(
        False,
        Switch(off="--no-exit-zero"),
        "Exit with 0 whatever is found, or do not. Default: --no-exit-zero.",
        result=False,
    )
    probe: bool = option(
        True,
        Switch(off="--no-probe"),
        "Run the model forward and backward for real and measure its gradients, or do not. Default: --probe.",
    )
    device: str = option(
        "auto",
        Form(r"auto|cpu|mps|(cuda|xpu)(:\d+)?", "choose auto, cpu, mps, cuda or cuda:N"),
        "Where to run it: auto (cuda, then mps, then cpu), cpu, mps, cuda or cuda:N.",
        metavar="DEVICE",
    )
    dtype: str = option(
        "auto",
        Choice(DTYPES),
        "The precision of these runs: auto (float64 where that is affordable, else float32), or what the model is trained in.",
    )
    seeds: int = option(
        3,
        Whole(least=1, advice="give the number of passes to make, 1 or more"),
        "Make K passes, each with fresh inputs and, where the model can be built anew, fresh weights.",
        metavar="K",
    )
    remedies: bool = option(
        True,
        Switch(off="--no-remedies"),
        "Where a measured gradient is bad, try on a run of the model what would help, or do not. Default: --remedies.",
    )
    optimizer: str = option(
        "sgd",
        Choice(OPTIMIZERS),
        "What the model will be trained with. Adam forgives a gradient's scale in part.",
    )
    weights: Path | None = option(
        None,
        File(),
        "Judge the model with the weights in FILE: a state dict that torch.save wrote, or safetensors.",
        metavar="FILE",
        by_project=False,
        by_model=True,
    )
    batch_size: int | None = option(
        None,
        Whole(least=1, advice="give a number of samples, 1 or more"),
        "Split a batch of N samples, and tell its cost. By default the example input's.",
        metavar="N",
        by_model=True,
        model_key="batch",
    )
    devices: int | None = option(
        None,
        Whole(least=1, most=MOST_DEVICES),
        "Split a batch over N devices: what each would see, and whether that gives the same.",
        metavar="N",
    )
    inference: bool = option(
        False,
        Switch("--no-inference"),
        "Tell what the model takes to be used, not trained: weights, the cache of keys and values, and activations.",
    )
    context: int | None = option(
        None,
        Whole(least=1, advice="give a number of tokens, 1 or more"),
        "With --inference: tokens of each sample that the cache holds. By default the example input's.",
        metavar="N",
    )
    strategy: str = option(
        "ddp",
        Choice(STRATEGIES),
        "Run the shards under nn.DataParallel, DistributedDataParallel or FSDP2 (fully_shard).",
    )
    device_memory: int | None = option(
        None,
        DeviceMemory(),
        "Memory of the device, such as 24GiB or 'RTX 4090': training must fit it, or what would make it is told. By default the "
        "accelerator's own.",
        metavar="SIZE",
    )
    baseline: Path | None = option(
        None,
        File(),
        "Leave out the findings that FILE knows, and drop from it what is fixed (but not where CI is set).",
        metavar="FILE",
        result=False,
    )
    write_baseline: bool = option(
        False,
        Switch(),
        "Write all findings into the file of --baseline, by default netcheck-baseline.json, and report nothing.",
        by_project=False,
        result=False,
    )
    add_ignores: bool = option(
        False,
        Switch(),
        "Write a comment into the source for each finding that would fail the run, and report nothing.",
        by_project=False,
        result=False,
    )
    diff: bool = option(
        False,
        Switch(),
        "Show as a diff what would mend the findings, where that was tried and holds. Needs the extra fix (LibCST).",
        by_project=False,
        result=False,
    )
    fix: bool = option(
        False,
        Switch(),
        "Write it into the files: what leaves the model's outputs and gradients as they are.",
        by_project=False,
        result=False,
    )
    unsafe_fixes: bool = option(
        False,
        Switch(off="--no-unsafe-fixes"),
        "With --diff or --fix, also what changes what the model computes, or do not. Default: --no-unsafe-fixes.",
        result=False,
    )
    timeout: float = option(
        300.0,
        Number(above=0, advice="give a number of seconds above 0"),
        "Seconds that a target may take.",
        metavar="S",
        result=False,
    )
    memory: int | None = option(
        None,
        Size(),
        "Memory that a target may take, such as 8GiB. By default most of the machine's.",
        metavar="SIZE",
        result=False,
    )
    jobs: int = option(
        1,
        Whole(least=1, advice="give the number of targets to check at a time, 1 or more"),
        "Check so many targets at a time.",
        flags=("-j", "--jobs"),
        metavar="N",
        result=False,
    )
    cache: bool = option(
        False,
        Switch(off="--no-cache"),
        "Take over what an earlier run found where nothing has changed, or check everything. Default: --cache.",
        result=False,
    )
    cache_dir: Path | None = option(
        None,
        File(),
        "Keep what was found in DIR. By default in this user's folder for caches.",
        metavar="DIR",
        result=False,
    )
    seed: int = option(
        0,
        Whole(least=0, most=2**32 - 1),
        "Start the random number generators from N before a model is built or probed.",
        metavar="N",
    )
    allow_writes: bool = option(
        False,
        Switch(off="--no-allow-writes"),
        "Let the code that is checked write files, start processes, use the network and train. Default: --no-allow-writes.",
    )
    verbose: bool = option(
        False,
        Switch(),
        "Also show the layers, every place and cleared findings.",
        flags=("-v", "--verbose"),
        by_project=False,
        result=False,
    )
    quiet: bool = option(
        False,
        Switch(),
        "Show findings and nothing else.",
        flags=("-q", "--quiet"),
        by_project=False,
        result=False,
    )
    colour: bool | None = option(
        None,
        Switch(off="--no-color"),
        "Colour the report, or do not. By default as NO_COLOR and FORCE_COLOR say, else on a terminal.",
        flags=("--color",),
        key="color",
        result=False,
    )

    def __post_init__(self) -> None:
        for name, one in OPTIONS.items():
            one.require_sense(getattr(self, name), one.label)
        if self.statistics and self.format not in WITH_STATISTICS:
            raise UsageError(f"--statistics does not go with --format {self.format}: choose one of {', '.join(WITH_STATISTICS)}")
        if self.write_baseline and self.add_ignores:
            raise UsageError("--write-baseline and --add-ignores contradict each other: give one of them")
        if self.fixes and (self.write_baseline or self.add_ignores):
            raise UsageError("--diff and --fix do not go with --write-baseline and --add-ignores: give one of them")
        if self.diff and self.fix:
            raise UsageError("--diff and --fix contradict each other: give one of them")
        if self.verbose and self.quiet:
            raise UsageError("--verbose and --quiet contradict each other: give one of them")
        if self.output_file is not None and self.output_file.is_dir():
            raise UsageError(f"--output-file {self.output_file} is a directory: name a file")
        if self.output_file is not None and not self.output_file.absolute().parent.is_dir():
            raise UsageError(f"--output-file {self.output_file}: there is no directory {self.output_file.parent}")

    @classmethod
    def from_options(cls, **options: Any) -> Settings:
        """Settings from what a command line gives, as text or in its own type; what is None or empty was not given.

        Raises:
            UsageError: as for the settings themselves.
        """
        given = {name: value for name, value in options.items() if value is not None and value != ()}
        return cls(**{n: OPTIONS[n].read(v, OPTIONS[n].label) if n in OPTIONS else v for n, v in given.items()})

    def of_model(self, file: str, symbol: str, module: str = "") -> tuple[Settings, ModelEntry | None]:
        """The settings for one model, and its entry in the configuration file if it has one."""
        found = next((one for one in self.models if one.names(file, symbol, module, self.root)), None)
        return (replace(self, **dict(found.options)), found) if found else (self, None)

    @property
    def fixes(self) -> bool:
        """Whether edits that mend what is found are to be tried."""
        return self.diff or self.fix

    @property
    def chosen(self) -> tuple[str, ...]:
        """The selectors of the rules to run, before those of `ignore`; none means all."""
        return (*(self.select or ("ALL",)), *self.extend_select) if self.extend_select else self.select

    @property
    def tells_cost(self) -> bool:
        """Whether the report shows what training costs, whatever the rules find."""
        asked = self.batch_size is not None or self.device_memory is not None or self.inference
        return asked or self.verbose or self.format in ("json", "json-lines", "html", "svg")


def memory_of_device(size: str | int | None) -> int | None:
    """A number of bytes from "24GiB", "80 GB" or a plain number, or from a device's name, such as "A100-80GB"; None stays None.

    Raises:
        UsageError: it is neither.
    """
    try:
        return None if size is None else options.memory_of_device(size)
    except ValueError as error:
        raise UsageError(str(error)) from error


OPTIONS: dict[str, Option] = {
    one.name: named(one.name, one.metadata["option"]) for one in fields(Settings) if "option" in one.metadata
}
