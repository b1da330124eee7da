"""What must hold of netcheck on any net, and where it does not.

    faults(source, path, training=True)    [Fault("NC006", "the real pass failed: ...")]

`check` and every form of its report never raise; no rule fails (NC008); that forward or the probe failed (NC003, NC006) is said
only where PyTorch fails too, and then it is said; the graph's module gives what the model gives, bit for bit, or refuses; and
nothing is changed.
"""

from __future__ import annotations

import copy
import json
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

import netcheck
from tests.random_nets import eager, traces
from tests.random_nets.writing import loaded

NEVER = ("NC001", "NC002", "NC004", "NC007", "NC008")  # there is a model, it has inputs, and no rule may fail


@dataclass(frozen=True)
class Fault:
    """One thing that does not hold: which, and what was seen."""

    kind: str
    seen: str


@dataclass(frozen=True)
class Net:
    """A net whose source was loaded."""

    module: ModuleType

    def build(self) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
        """The same net and the same inputs each time."""
        eager.seed_all()
        model = self.module.Net()
        args, kwargs = self.module.inputs()
        return model, args, kwargs


def faults(source: str, path: Path, *, training: bool, forms: bool = True) -> list[Fault]:
    """What does not hold of netcheck on the net of this source, in one of its modes; its file is written to `path`.

    `forms` tells whether the report is asked for in every form: most of the work is the cost of training, which some of them show.
    """
    with loaded(source, path) as module, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = Net(module)
        runs = [eager.run(net.build, training=mode) for mode in dict.fromkeys((training, True))]
        return [*of_check(net, training, runs, forms), *of_graph(net, training, runs[0])]


def of_check(net: Net, training: bool, runs: list[eager.Eager], forms: bool) -> Iterator[Fault]:
    """What does not hold of `check` and of what it reports; a net in eval mode is judged as it is trained."""
    model, args, kwargs = net.build()
    model.train(training)
    before = traces.snapshot(model, (args, kwargs))
    try:
        report = netcheck.check(model, kwargs or tuple(args), seeds=1)
        text = str(report)
        if forms:
            json.dumps(report.to_dict())
            report._repr_html_()
    except Exception as error:
        yield Fault("raised", where(error))
        return
    yield from (Fault("changed", name) for name in traces.changes(before, traces.snapshot(model, (args, kwargs))))
    if type(model).__name__ not in text:
        yield Fault("nameless", text[:80])
    yield from of_findings(report, runs)


def of_findings(report: netcheck.Report, runs: list[eager.Eager]) -> Iterator[Fault]:
    """Findings that are not true of the net by what PyTorch says of it, and what PyTorch says that is no finding."""
    said = {finding.code: f"{finding.message} {finding.evidence.text if finding.evidence else ''}" for finding in report.findings}
    yield from (Fault(code, said[code]) for code in NEVER if code in said)
    if "NC003" in said and not any(run.forward for run in runs):
        yield Fault("NC003", said["NC003"])
    if "NC006" in said and not any(run.forward or run.backward for run in runs):
        yield Fault("NC006", said["NC006"])
    if all(run.forward for run in runs) and "NC003" not in said:
        yield Fault("unsaid", f"forward raises {runs[0].forward}")
    if runs[-1].untrainable and not {"NC003", "NC006"} & said.keys():
        yield Fault("unsaid", f"backward raises {runs[-1].backward}")


def of_graph(net: Net, training: bool, expected: eager.Eager) -> Iterator[Fault]:
    """Whether the graph's module gives what the model gives, or refuses to."""
    if expected.forward:
        return
    model, args, kwargs = net.build()
    model.train(training)
    before = traces.snapshot(model, (args, kwargs))
    try:
        graph = netcheck.trace(model, kwargs or tuple(args))
    except Exception as error:
        yield Fault("trace raised", where(error))
        return
    yield from (Fault("trace changed", name) for name in traces.changes(before, traces.snapshot(model, (args, kwargs))))
    if graph.model is not model:  # of a lazy net, a copy whose weights were drawn already
        expected = eager.run_on(copy.deepcopy(graph.model), *net.build()[1:])
    try:
        module = graph.module
        eager.seed_all()
        given = list(eager.leaves(eager.called(module, args, kwargs)))
    except netcheck.NetcheckError:
        return
    except Exception as error:
        yield Fault("graph raised", where(error))
        return
    exactly = eager.agree(given, expected.result)
    nearly = exactly or eager.agree(given, expected.result, eager.close)
    if not (exactly or (nearly and not eager.is_repeatable(net.build, training=training))):
        yield Fault("graph differs", f"{brief(given)} is not {brief(expected.result)}")


def brief(values: list[Any]) -> str:
    """Values in few words."""
    return ", ".join(
        f"{tuple(v.shape)} {v.flatten()[:3].tolist()}" if isinstance(v, torch.Tensor) else repr(v)[:40] for v in values
    )[:300]


def where(error: BaseException) -> str:
    """An exception, and the last places of netcheck that it passed."""
    frames = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
    return f"{type(error).__name__}: {str(error)[:200]} at {' '.join(frames[-4:])}"
