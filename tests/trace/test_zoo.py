"""If it runs, it traces: torchvision, timm and transformers models, and torch.fx and torch.export beside netcheck.

pytest tests/trace/test_zoo.py                a sample
pytest tests/trace/test_zoo.py -m slow -s     the whole zoo, and the table of what each tracer can do
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import fx, nn

from netcheck.trace import ModelGraph, trace
from tests.trace.replay import fresh, require_replay
from tests.zoo import Entry, zoo

SAMPLE = (
    "torchvision/resnet18", "torchvision/mobilenet_v3_small", "torchvision/squeezenet1_1", "torchvision/shufflenet_v2_x0_5",
    "torchvision/mnasnet0_5", "torchvision/lraspp_mobilenet_v3_large", "torchvision/raft_small", "torchvision/swin_t",
    "timm/convit_tiny", "timm/coat_tiny", "timm/convnext_atto", "timm/edgenext_xx_small", "timm/ghostnet_050",
    "transformers/BertModel", "transformers/GPT2LMHeadModel", "transformers/LlamaForCausalLM",
    "transformers/T5ForConditionalGeneration", "transformers/BartForConditionalGeneration", "transformers/ViTModel",
    "transformers/Wav2Vec2Model", "transformers/MixtralForCausalLM", "transformers/CLIPModel", "transformers/MambaModel",
    "transformers/WhisperModel",
)  # fmt: skip
REPLAYED = 60_000_000  # parameters up to which the model and its graph are both run
EXPORT_LIMIT = 60  # seconds that torch.export may take for one model
UNKNOWN = 0.01  # share of operations that neither the table nor behaviour may leave unexplained

ROWS: list[dict[str, Any]] = []


def checked(entry: Entry) -> tuple[nn.Module, ModelGraph, float]:
    """Trace a model of the zoo; hold the graph to be complete and to compute what the model computes."""
    model = entry.build().eval()
    args, kwargs = entry.inputs(model)
    start = time.perf_counter()
    graph = trace(model, args, kwargs)
    seconds = time.perf_counter() - start
    assert not graph.lost
    assert len(graph.unknown) <= UNKNOWN * len(graph), Counter(node.target for node in graph.unknown)
    assert graph.depth >= 1
    if sum(parameter.numel() for parameter in model.parameters()) < REPLAYED:
        with torch.no_grad():
            require_replay(graph, model, *fresh((args, kwargs)))
    return model, graph, seconds


@pytest.mark.parametrize("entry", [e for e in zoo() if e.name in SAMPLE], ids=lambda entry: entry.name)
def test_a_sample(entry: Entry) -> None:
    checked(entry)


@pytest.mark.slow
@pytest.mark.parametrize("entry", zoo(), ids=lambda entry: entry.name)
def test_the_whole_zoo(entry: Entry) -> None:
    row: dict[str, Any] = {"model": entry.name, "netcheck": "no", "fx": "no", "export": "no"}
    ROWS.append(row)
    row |= in_this_process(entry)
    gc.collect()  # graphs and models hold each other: the largest must not wait for the collector
    row["export"], row["export seconds"] = within(EXPORT_LIMIT, export, entry)


def in_this_process(entry: Entry) -> dict[str, Any]:
    """What netcheck and torch.fx make of a model, which is gone afterwards."""
    model, graph, seconds = checked(entry)
    traced, fx_seconds = timed(lambda: fx.symbolic_trace(model))
    counts = {"nodes": len(graph), "unknown": len(graph.unknown)}
    return {"netcheck": "yes", "seconds": seconds, **counts, "fx": traced, "fx seconds": fx_seconds}


def timed(run: Callable[[], Any]) -> tuple[str, float]:
    """Whether `run` succeeds, and its seconds."""
    start = time.perf_counter()
    try:
        run()
    except Exception:
        return "no", time.perf_counter() - start
    return "yes", time.perf_counter() - start


def export(entry: Entry, answer: Any) -> None:
    """Export a model of the zoo without dynamo; in a process of its own, which can be stopped."""
    model = entry.build().eval()
    args, kwargs = entry.inputs(model)
    answer.send(timed(lambda: torch.export.export(model, args, kwargs, strict=False)))


def within(limit: float, work: Callable[..., None], entry: Entry) -> tuple[str, float]:
    """What `work` answers within `limit` seconds."""
    context = multiprocessing.get_context("fork")  # zoo entries are closures: they cannot be sent
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(entry, there))
    process.start()
    there.close()
    try:
        return here.recv() if here.poll(limit) else ("late", limit)
    except EOFError:
        return "crashed", 0.0
    finally:
        process.kill()
        process.join()


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    yield
    if not ROWS:
        return
    lines = []
    for package in dict.fromkeys(row["model"].partition("/")[0] for row in ROWS):
        rows = [row for row in ROWS if row["model"].startswith(package)]
        counts = {tool: sum(row[tool] == "yes" for row in rows) for tool in ("netcheck", "fx", "export")}
        nodes = sum(row.get("nodes", 0) for row in rows)
        unknown = sum(row.get("unknown", 0) for row in rows)
        seconds = [sum(row.get(key, 0.0) for row in rows) for key in ("seconds", "fx seconds", "export seconds")]
        lines.append([package, len(rows), *counts.values(), nodes, f"{unknown / max(1, nodes):.2%}", *seconds])
    headers = ["package", "models", "netcheck", "symbolic_trace", "export", "operations", "unknown",
               "netcheck s", "symbolic_trace s", "export s"]  # fmt: skip
    from tabulate import tabulate

    print("\n" + tabulate(lines, headers, floatfmt=".1f"))
    failed = [[row["model"], row["netcheck"], row["fx"], row["export"]] for row in ROWS]
    print(tabulate([row for row in failed if "no" in row or "late" in row], ["model", "netcheck", "fx", "export"]))
