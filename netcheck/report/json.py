"""The report that a program reads: JSON, schema 1.

The document:

    schema      int, 1. It grows only when a key changes its meaning or goes; new keys may come at any time.
    netcheck    str, netcheck's version
    models      list of models, in the order in which they were checked
    errors      list of str: a sentence for each target of which nothing could be checked, or was when the run was ended
                (by Ctrl-C): such a target is not among the models
    checked     int, models that were checked
    unchecked   list of reasons why others were not, the most frequent first: reason (str, "needs-arguments", as in a
                model), models (int), targets (list of str), advice (str, the one thing to do)

With `--statistics` there is, instead of `models`:

    statistics  list of how often each rule found something that counts, the most frequent first:
                code, name, severity (str), findings, models (int)

A model:

    model       str, the model's class or the target that the user gave
    target      str, how the user named it (`model.py:Net`); "" for a model that was given as an object
    ok          bool, no warning and no error
    headline    str, the first sentence: what is the matter and what to do, for somebody who knows none of the terms; "" if
                nothing is known
    well        list of str: what was measured to be well
    inputs      str, which example input was used and how it was found; "" if it came to none
    wrapped     str, how the model was checked where something stood around it (torch.compile, DDP, FSDP2); "" where nothing did
    seconds     float, how long the check took
    summary     a summary, or null if the model could not be traced
    network     the traced graph, or null if the model could not be traced
    cost        what one training step costs, or null if that could not be told
    batches     how a batch splits over devices, or null where nobody asked
    step        what one training step showed, or null where neither the user nor the file has a loss or an optimizer
    findings    list of findings, worst first
    gradients   what the probe measured, or null if there was none; decades are log10
    suppressed  list of findings that comments in the source suppress; they do not count
    known       list of findings that the project's baseline knows; they do not count either
    skipped     list of str: what was not checked, a sentence each
    unshown     str, why a part of this entry is missing: what of it could not be written, and why; else ""
    left_out    list of lines of the user's code that were not let write, send, start or train anything, or that were not run:
                file (str), line (int), reason (str), trains (bool)
    construction  how it was built, or null where its class needs no arguments or they were given
    unchecked   str, why it was not checked: "missing-package", "cannot-be-imported", "needs-arguments", "cannot-be-built",
                "no-forward", "no-inputs", "not-traced", "crashed", "too-slow", "too-large", "netcheck-failed", "ended-before";
                null if it was, or if there was no model

A construction:

    call           str, "Net(in_channels=3, num_classes=10)"
    place          str, the call of the project that it follows, "train.py:40"; "" if there is none
    arguments      list of name, value (as Python writes it), origin ("train.py:40"; "" if netcheck assumes it)
    assumptions    list of kind ("argument"), name, value (str): what the source does not show
    kwargs         object, for `[[tool.netcheck.model]]`; null where a configuration file cannot hold them

Gradients:

    pooled                   float, decades of the gain that averaging over many positions takes: not held against it
    gain, gain_spread        float, signed decades from the head's input to the first activations; largest less smallest
    profile                  list of operations in execution order: node, path, operation, kind (str), mean, rms, dead,
                             saturated, gradient_rms, gradient_norm (float or null), is_weight_layer (bool)
    parameters               list of trained parameters: name (str), gradient_rms, relative (|g| / |w|)
    homogeneity              float or null, P90 - P10 of log10(|g| / |w|) over the weights
    effective_rank           float or null, of the head's input over the samples: 0 on a line, 1 all directions
    between_sample_variance  float or null, the share of its mean square that differs between samples
    unpredictability         float or null, 1 - cosine of the gradient before and after a small step
    risk                     sgd, adam (float, the probability that it does not train with that optimizer); or null
    slope                    per_layer (decades a weight layer, towards the input), fit (R squared), layers; or null
    range                    float or null, decades between the largest and the smallest gradient norm of a weight layer
    first_nonfinite          str or null, the operation that first made a NaN or an infinity, in the nonfinite_pass
                             ("forward" or "backward")
    all_learn                bool, whether each trained parameter, and each channel, field and step of the inputs, was seen to
                             have a gradient
    recurrent                bool, whether the model runs over steps with a state
    dead                     object, share of dead units by operation, where there are any
    unreached                list of str, trained parameters that no gradient can reach
    device, dtype            str
    own_types                bool, whether every tensor kept the type that it has; `dtype` is then that of most parameters
    batch, passes, seed      int; batch may be null
    fresh_initialization, fresh_inputs   bool, whether each pass drew new ones
    remarks                  list of str, what was done otherwise than asked
    remedies                 list of changes that were tried and work: change (str: init, saturation, no norm, no skip;
                             "init + no norm" for two together; three at most), gain, effective_rank (float or null), risk
                             (float or null: that it does not train with SGD)

A summary:

    operations     int, operations that forward made
    weight_layers  int, operations with a weight that multiplies their input
    parameters     int, scalars, shared ones counted once
    depth          int, the most weight layers on any way from input to output
    plain_depth    int, the fewest
    unknown        list of str, an entry for each operation that was not understood
    tensors        "fake": nothing was computed; "real": values were needed, so forward ran on the CPU
    layers         list of layers: path, operation, kind (str), shape (list of int, batch first, or null),
                   parameters (int), place (a location or null), note (str)

A network:

    operations     list of what forward does with its inputs, in order: name, path, operation, kind (str), shape (list of int,
                   batch first, or null), parameters (int, scalars that it is the first to use), inputs (list of int: the
                   operations whose values it takes, by their places in this list), is_weight_layer (bool)
    modules        list of pairs of path and class name (str) of the modules that these run in

A cost:

    batch_size     int or null, samples of the batch
    forward, backward   int, FLOPs of the batch; a multiply-add is two
    flops          int, both together
    parameters, trainable   int, bytes of all parameters, and of those that are trained
    saved_bytes    int, activations that forward keeps for backward
    peak_bytes     int, the most that a training step with Adam takes at one moment
    memory         by optimizer ("sgd" with momentum, "adam"): bytes of parameters (with buffers), gradients, optimizer
                   (its state), working (inputs, activations and gradients at their most), update (the optimizer's step)
    device_memory  int or null, bytes that the device has
    largest_batch  the most samples that fit, by optimizer; null if not known
    layers         list of rows by module: path, operation, forward, backward, parameters, saved (bytes)
    uncounted      list of str, operations whose cost could not be told
    scaled_from    list of int, the batches from whose costs these are carried on in a straight line; mostly empty
    fit            null where no device is named and there is room, else: samples, limit (int, bytes of the device), peak (of a
                   step with Adam: nbytes, phase "forward", "backward" or "update", path of the module, and bytes of parameters,
                   gradients, optimizer, activations), ways (the cheapest first: changes and the peak that they leave; a change
                   has kind "optimizer", "autocast", "batch", "checkpoint" or "fsdp", what, cost, modules, number)
    inference      null where nobody asks, else: samples, context (tokens), weights, cache, working (bytes), limit and
                   most_context (int or null)

Batches:

    batch_size, devices, example_size   int, samples of the batch and of the example that was traced
    shards         what nn.DataParallel gives each device that works: device, samples (int), shapes (list of list of int),
                   loss (float or null), memory (as that of a cost, of a step on these samples, or null)
    sampler        list of int, samples of each process by DistributedSampler; duplicates (int) of them come twice
    inputs         list of name, shape, axis (int or null: the dimension that holds the batch)
    refusal        str, why nn.DataParallel would raise; dropped (int), samples that reach no device
    gathered       list of path, shape, axis, result, why: what nn.DataParallel does not give back as it was
    norms, mixing  lists of operations: batch normalizations, and all that mix samples: name, target, kind, detail, path,
                   module, shape, built_at, called_at (locations or null), values
    size_fault     str, how forward fails at another batch size; fault_at (a location or null); fixed (an operation or
                   null), what has a batch size written into it; share_fault (str), how it fails on a share; single_fault
                   (str), what becomes of a batch of one
    unjudged       str, why operations could not be judged; judged (str), how they were where the shards were not run
    training_only, doubtful   bool, of samples that are looked at without devices: nothing mixes in eval mode; nothing tells that
                   the first dimension is the batch
    comparison     null, or the shards against the whole: samples, dtype, outputs, gradients, mean_of_means, synced
                   (relative differences), unused, by_rank (lists of str), losses, engine, failure, stalled (str), data_parallel:
                   null, or nn.DataParallel on real devices: engine, outputs, gradients, failure
    equal          bool or null; engine, str

A step:

    loss           str, the loss's class or function; "" where the model computes it. value (float or null), the first loss
    error          str, what the loss raised; connected (bool), whether a gradient leads from it to a parameter
    output         list of int, the shape of what it is given; given (str), "softmax", "log-softmax", "sigmoid", "rectifier" or ""
                   also classes (int or null); unused, the outputs, by number, that it does not depend on
    blind          float or null, the loss of a guess that knows nothing
    targets        shape, dtype, low, high (float or null), ignored (float), by_device (list of int); null where nobody gave any
    broadcast      list of two shapes that an operation of the loss spread over each other
    drawn          bool, whether the targets were made up for this output: the file has the loss, and nobody gave any
    place          where the file makes the loss, or null (as a location)
    update         null without an optimizer, else: name, parameters, rate, decay, epsilon, precision, place (of the optimizer);
                   missing, frozen, repeated, decayed, half (lists of names); foreign, replaced (int); before and after (float or
                   null), the loss around one step; changed, moved (float or null)
    remarks        list of str

A finding:

    code, name     str, the rule's ("NC501", "poor-init")
    severity       "error", "warning" or "info"
    verdict        "suspected" (static only), "confirmed" or "cleared" (measured to do no harm)
    message        str, the fact
    help           str, what to write instead; may have several lines
    evidence       value (float), unit (str), text (str, the whole phrase), limit (float or null)
    modules        list of str, module paths, "" for the model itself
    locations      list of locations, the one to look at first in front
    count          int, how many occurrences the finding stands for
    belongs_to     str or null, the code of the finding that names the cause of this pattern
    more           str, the command that prints the documentation of its rule
    operations     list of str, the operations of the graph that it is about, by `node` of the profile; empty where it is about
                   a module or an input as a whole
    fix            a fix, with --diff and --fix and where one was tried and holds; else null
    by_hand        str, why no fix holds or can be made: the end of a sentence; "" where there is none, and where nobody asked

A fix:

    title          str, what it does, as an order
    safe           bool, whether outputs and gradients stay the same
    edits          list of ranges that it changes, in order and apart: file (str), line, column, end_line, end_column (int, as in
                   a location), content (str, what is to stand there); none where it builds on the lines of another fix
    note           str, what else it changes; "" for nothing
    gain_before, gain_after   float or null, decades of the gradient's gain before all fixes of the model, and after
    structural     bool, whether it makes another network of it: an offer, which is never applied

A location:

    file           str
    line, column   int, from 1
    end_line, end_column   int, past the last character, or null
    function       str, qualified name of the function that holds the line; "" if not known
    cell, cell_line   int, of a notebook alone: the cell, from 1 of all cells, and the line in it; `line` is then that of
                   the notebook's JSON, where each line of code has one of its own, else that of its code

Numbers that JSON lacks are the strings "NaN", "Infinity" and "-Infinity", wherever a float may stand.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Any

import netcheck
from netcheck.findings import INTERRUPTED, Finding, Report, by_importance
from netcheck.report import headline, selection
from netcheck.report.isolation import isolated, isolated_one
from netcheck.report.selection import documentation_of
from netcheck.source.spots import cell_line

if TYPE_CHECKING:
    from netcheck.figures.batches import Batches
    from netcheck.figures.cost import Cost

SCHEMA = 1

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None


@isolated
def render(reports: Sequence[Report], *, statistics: bool = False) -> str:
    """All reports as one JSON document in ASCII, indented, with a newline at the end.

    Args:
        reports: one a model.
        statistics: write how often each rule found something, and not each finding.
    """
    return json.dumps(document(reports, statistics=statistics), indent=2, allow_nan=False) + "\n"


def document(reports: Sequence[Report], *, statistics: bool = False) -> dict[str, Any]:
    """All reports as the document that this module describes."""
    return {
        "schema": SCHEMA,
        "netcheck": netcheck.__version__,
        "checked": checked(reports),
        **(
            {"statistics": counts(reports)}
            if statistics
            else {"models": [model_entry(report) for report in reports if not report.interrupted]}
        ),
        "errors": [
            plain(f"{report.target or report.model}: {INTERRUPTED if report.interrupted else report.findings[0].message}")
            for report in reports
            if report.interrupted or (report.summary is None and report.findings)
        ],
        "unchecked": unchecked(reports),
    }


def checked(reports: Sequence[Report]) -> int:
    """How many models were checked."""
    return sum(report.summary is not None for report in reports)


def unchecked(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """How many models were not checked, by reason."""
    return [
        {
            "reason": group.reason.key,
            "models": len(group.reports),
            "targets": [plain(one.target or one.model) for one in group.reports],
            "advice": plain(group.advice),
        }
        for group in selection.not_checked(reports)
    ]


def counts(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """How often each rule found something."""
    return [one._asdict() for one in selection.statistics(reports)]


@isolated_one
def model_entry(report: Report) -> dict[str, Any]:
    """One report as plain JSON data."""
    entry = {
        "model": report.model,
        "target": report.target,
        "ok": report.ok,
        "headline": str(headline.headline(report) or ""),
        "well": list(headline.well(report)),
        "inputs": report.inputs,
        "wrapped": report.wrapped,
        "seconds": report.seconds,
        "summary": None if report.summary is None else asdict(report.summary),
        "gradients": None if report.gradients is None else report.gradients.to_dict(),
        "network": None if report.network is None else asdict(report.network),
        "cost": None if report.cost is None else cost_entry(report.cost),
        "batches": None if report.known_batches is None else batches_entry(report.known_batches),
        "step": None if report.step is None else asdict(report.step),
        "findings": [finding_entry(finding) for finding in by_importance(report.findings)],
        "suppressed": [finding_entry(finding) for finding in report.suppressed],
        "known": [finding_entry(finding) for finding in report.known],
        "skipped": report.skipped,
        "unshown": report.unshown,
        "left_out": [asdict(one) for one in report.left_out],
        "construction": None if report.construction is None else asdict(report.construction),
        "unchecked": None if report.unchecked is None else report.unchecked.reason.key,
    }
    return {key: plain(value) for key, value in entry.items()}


def finding_entry(finding: Finding) -> dict[str, Any]:
    """A finding, with the cells of its places in notebooks."""
    entry = {**finding.to_dict(), "more": documentation_of(finding.code)}
    for place in entry["locations"]:
        if (here := cell_line(place["file"], place["line"])) is not None:
            place |= {"cell": here.cell, "cell_line": here.number}
    return entry


def cost_entry(cost: Cost) -> dict[str, Any]:
    """The figures of a cost, those that follow from others too."""
    return {**asdict(cost), "flops": cost.flops, "peak_bytes": cost.peak_bytes}


def batches_entry(batches: Batches) -> dict[str, Any]:
    """The figures of a split, those that follow from others too."""
    return {**asdict(batches), "equal": batches.equal, "engine": batches.engine, "dropped": batches.dropped}


def plain(value: Any) -> Json:
    """`value` in the types that strict JSON has: foreign scalars become numbers, the unknown its text."""
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else named_float(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "item"):  # a scalar of numpy or torch
        try:
            return plain(value.item())
        except (RuntimeError, ValueError, TypeError):
            return str(value)
    return str(value)


def named_float(value: float) -> str:
    """The string that stands for a number that JSON lacks."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
