"""Whether advice helps: networks with a warning about gradients, trained again as its first advice makes them.

    python -m tests.calibration.advice OUTCOMES.jsonl ADVICE.jsonl [--silent]     a line a network; lines that are there are kept
    python -m tests.calibration.advice OUTCOMES.jsonl ADVICE.jsonl --figures      what came of it

The first advice is the best change that the probe has tried, or, where none of those worked, the first in the help of the
finding. Networks without a warning, as many of each family, get the changes that those with one got: what helps everybody tells
nothing.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from netcheck.findings import Finding, Report
from netcheck.rules.helpers import advice, depth_budget
from tests.calibration.features import GRADIENTS, checked
from tests.calibration.networks import Config
from tests.calibration.outcomes import TRAINED, best, entries

CLEARLY = 0.2  # progress: accuracy above chance, or explained variance

NORMS = {"mlp": "batch", "cnn": "batch", "rescnn": "batch", "transformer": "before", "recurrent": "layer"}
SKIPS = {"mlp": "add", "cnn": "add", "rescnn": "after", "transformer": "add"}
# What a finding advises first where nothing that was tried works: the first of these that the network's form allows.
FIRST = {"NC301": ("no norm",), "NC401": ("no skip",), "NC402": ("no skip",), "NC610": ("no skip", "no norm", "init")}
ELSE = ("init", "no norm", "no skip")


def about_gradients(report: Report) -> list[Finding]:
    """The warnings and errors that speak of gradients; of layers without an activation between them (NC103) it is not said."""
    return [one for one in report.at_least("warning") if one.code.startswith(GRADIENTS) and one.code != "NC103"]


def first_advice(report: Report, config: Config) -> str | None:
    """What the report advises first, as a change of `netcheck.trace.budget.Cause`; None without a warning about gradients."""
    if not (found := about_gradients(report)):
        return None
    for form, change in ((advice.STATES, "states"), (advice.ATTENTION, "blocks"), (advice.IDENTITY, "identity")):
        if any(one.help.startswith(form) for one in found):
            return change
    if report.gradients is not None and report.gradients.remedies:
        change = depth_budget.first(report.gradients.remedies, found[0].code).change
        return f"{change} + no norm" if found[0].help.partition("\n")[0].endswith(f"and {advice.BLOCKS}") else change
    asked = ("no norm",) if found[0].help.startswith("normalize") else FIRST.get(found[0].code, ELSE)
    return next((change for change in asked if advised(config, change) != config), None)


def advised(config: Config, changes: str) -> Config:
    """A network with changes made to it: "init + no norm"."""
    made = dict(config)
    for change in changes.split(" + "):
        match change:
            case "init" | "states":
                made["init"] = "advised"
            case "blocks":
                made |= {"norm": "before", "skip": "add"}
            case "identity":
                made["skip"] = "after"
            case "saturation":
                made |= {"activation": "relu", "init": "advised"}
            case "no norm" if made.get("cell") == "by hand":
                made["norm"] = "steps"
            case "no norm" if made["norm"] == "none":
                made["norm"] = NORMS[made["family"]]
            case "no skip" if made["family"] in SKIPS:
                made["skip"] = SKIPS[made["family"]]
    return made


def main(outcomes: Path, target: Path) -> None:
    """Train what the advice makes of each network that has a warning."""
    torch.set_num_threads(1)
    known = {entry["name"] for entry in entries(target)}
    with target.open("a") as file:
        for entry in entries(outcomes):
            if entry["name"] not in known:
                print(json.dumps(line(entry)), file=file, flush=True)


def line(entry: dict[str, Any]) -> dict[str, Any]:
    """A network, the codes of its warnings, the change that they advise, and how far it trains then."""
    config = entry["config"]
    report = checked(config)
    change = first_advice(report, config)
    codes = [one.code for one in about_gradients(report)]
    after = best(advised(config, change), "sgd") if change else None
    return {"name": entry["name"], "codes": codes, "change": change, "before": entry["sgd"], "after": after}


def silent(outcomes: Path, target: Path) -> None:
    """Train networks without a warning with the changes that were advised to others of their family."""
    torch.set_num_threads(1)
    configs = {entry["name"]: entry["config"] for entry in entries(outcomes)}
    lines = entries(target)
    done = {one["name"] for one in lines if one.get("like")}
    with target.open("a") as file:
        for name, like in pairs([one for one in lines if not one.get("like")]):
            if name not in done:
                after = best(advised(configs[name], like["change"]), "sgd")
                before = next(one["before"] for one in lines if one["name"] == name)
                made = {
                    "name": name,
                    "codes": [],
                    "change": like["change"],
                    "like": like["name"],
                    "before": before,
                    "after": after,
                }
                print(json.dumps(made), file=file, flush=True)


def pairs(lines: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A silent network for each that was advised, of its family."""
    chosen = random.Random(0)
    first = [one for one in lines if not one.get("like")]
    quiet = [one["name"] for one in first if not one["codes"]]
    chosen.shuffle(quiet)
    for one in first:
        if one["change"] is not None:
            family = one["name"].split()[0]
            name = next((name for name in quiet if name.split()[0] == family), None)
            if name is not None:
                quiet.remove(name)
                yield name, one


def figures(target: Path) -> None:
    """Print what share was helped."""
    lines = [one for one in entries(target) if one["after"] is not None]
    for title, group in (
        ("advised", [one for one in lines if one["codes"]]),
        ("silent", [one for one in lines if not one["codes"]]),
    ):
        trains = sum(one["after"]["progress"] >= TRAINED for one in group)
        gained = sum(gains(one) for one in group)
        either = sum(gains(one) or one["after"]["progress"] >= TRAINED for one in group)
        print(f"{title}: {len(group)} networks, {trains} train afterwards, {gained} gain, {either} train or gain")


def gains(one: dict[str, Any]) -> bool:
    """Whether a network trains that did not, or goes clearly further."""
    before, after = one["before"]["progress"], one["after"]["progress"]
    return (before < TRAINED <= after) or after >= before + CLEARLY


if __name__ == "__main__":
    _, first, second, *rest = sys.argv
    match rest:
        case ["--silent"]:
            silent(Path(first), Path(second))
        case ["--figures"]:
            figures(Path(second))
        case _:
            main(Path(first), Path(second))
