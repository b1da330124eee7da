"""The sections of tests/gpu/measure.py: each fills in figures, and raises where they are not what they should be.

On a stand-in (`device` is "cpu") what only an accelerator can do is left out: its memory, its graphs, its kernels.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import netcheck
from netcheck.measure.cost import cost
from netcheck.measure.gradients import probe
from netcheck.trace.run import trace
from tests.gpu.architectures import ARCHITECTURES, encoder
from tests.gpu.budgets import BUDGETS

ROOT = Path(__file__).resolve().parents[2]
Figures = MutableMapping[str, Any]
MIB = 2**20


@dataclass(frozen=True)
class Section:
    """A name, the seconds that it may take, and what it does."""

    name: str
    run: Callable[[Figures, str], None]

    @property
    def seconds(self) -> float:
        """As in the table of budgets."""
        return BUDGETS[self.name]


def body() -> nn.Sequential:
    """Two weight layers."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def on_command_line(*arguments: str) -> dict[str, Any]:
    """What the command says of the two layers, as JSON."""
    with tempfile.TemporaryDirectory(prefix="netcheck-gpu-") as folder:
        file = Path(folder, "net.py")
        file.write_text("from torch import nn\nmodel = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))\n")
        command = [sys.executable, "-m", "netcheck", str(file), "--input", "8x6", "--isolated", "--format", "json", "--no-cache"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
    (model,) = json.loads(done.stdout)["models"]
    found: dict[str, Any] = model
    return found


def two_layers(figures: Figures, device: str) -> None:
    """Versions, and two layers checked end to end, by the API and on the command line."""
    figures["versions"] = {"python": platform.python_version(), "torch": torch.__version__, "cuda": torch.version.cuda}
    said = on_command_line(*(() if device == "cuda" else ("--device", device)))
    figures["command line"] = {"findings": said["findings"], "device": said["gradients"]["device"]}
    report = netcheck.check(body(), torch.randn(8, 6), device=device)
    assert report.gradients is not None, str(report)
    figures["api"] = {
        "findings": [str(one.message) for one in report],
        "device": report.gradients.device,
        "gain": report.gradients.gain,
    }
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        figures["card"] = {"name": properties.name, "memory": properties.total_memory, "count": torch.cuda.device_count()}
    assert report.findings == [], str(report)
    assert said["findings"] == [], said["findings"]
    for place in (report.gradients.device, said["gradients"]["device"]):
        assert place.startswith(device), f"measured on {place}"
    str(report), report.to_dict(), report._repr_html_()


def devices(figures: Figures, device: str) -> None:
    """A healthy net over more devices than there are, alone and after this process has used the accelerator."""
    count = torch.cuda.device_count() if device == "cuda" else 0
    for asked in sorted({2, max(2, count + 1)}):
        batches = on_command_line("--devices", str(asked), "--batch-size", str(4 * asked), "--select", "NC7")
        figures[f"{asked} on the command line"] = batches["batches"]["comparison"]["engine"]
        assert batches["findings"] == [], batches["findings"]
    for attempt in ("first", "second, after the probe has used the accelerator"):
        report = netcheck.check(body(), torch.randn(8, 6), devices=2, device=device)
        assert report.batches is not None, report.skipped
        figures[f"2 in one process, {attempt}"] = report.batches.engine
        assert [one.code for one in report] == [], str(report)
        assert report.batches.equal


def gpu_tests(figures: Figures, device: str) -> None:
    """The tests for accelerators, from this checkout."""
    marks = "gpu" if device == "cuda" else "gpu and not gpu"
    command = [sys.executable, "-m", "pytest", "-m", marks, "-q", "-x", "-p", "no:cacheprovider", "tests/measure", "tests/gpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    figures["end"] = done.stdout.splitlines()[-6:]
    assert done.returncode in (0, 5) if device == "cpu" else done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


class Large(nn.Module):
    """Takes so many bytes for each sample, in forward or in backward."""

    def __init__(self, where: str, nbytes: int) -> None:
        super().__init__()
        self.where, self.nbytes = where, nbytes
        self.first, self.last = nn.Linear(64, 64), nn.Linear(64, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 64) -> (N, 4)."""
        h = self.first(x)
        h = Hungry.apply(h, self.nbytes) if self.where == "backward" else h + hungry(h, self.nbytes)
        output: torch.Tensor = self.last(torch.tanh(h))
        return output


def hungry(h: torch.Tensor, nbytes: int) -> torch.Tensor:
    """Zeros that look like `h` (N, 64), by way of so many bytes for each sample."""
    large = h.new_zeros(len(h), nbytes // h.element_size())
    return large[:, : h.shape[1]] * h


class Hungry(torch.autograd.Function):
    """The identity, whose backward takes so many bytes for each sample."""

    @staticmethod
    def forward(ctx: Any, h: torch.Tensor, nbytes: int) -> torch.Tensor:
        """(N, 64) -> (N, 64)."""
        ctx.nbytes = nbytes
        return h * 1

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """The gradient as it is."""
        return gradients[0] + hungry(gradients[0], ctx.nbytes), None


@contextmanager
def limited(device: str, nbytes: int) -> Iterator[None]:
    """An accelerator of which torch may use no more than so many bytes beyond what it uses now."""
    if device != "cuda":
        yield
        return
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + nbytes) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def out_of_memory(figures: Figures, device: str) -> None:
    """Real exhaustion inside forward and inside backward: the batch is halved until it fits, and the memory is free again."""
    room, nbytes = (2048 * MIB, 128 * MIB) if device == "cuda" else (0, MIB // 16)  # 32 samples take 4 GiB, 8 take 1
    for where in ("forward", "backward"):
        model, x = Large(where, nbytes), torch.randn(4, 64)
        graph = trace(model, (x,))
        before = allocated(device)
        with limited(device, room):
            found = probe(graph, (x,), device=device)
        left = allocated(device) - before
        figures[where] = {
            "batch": found.batch,
            "remarks": found.remarks,
            "device": found.device,
            "dtype": found.dtype,
            "left": left,
        }
        assert found.device.startswith(device), found.remarks
        assert left <= MIB
        if device == "cuda":
            assert found.batch is not None
            assert found.batch < 32
            assert any("out of memory" in remark for remark in found.remarks)


def allocated(device: str) -> int:
    """Bytes that tensors take on an accelerator."""
    return torch.cuda.memory_allocated() if device == "cuda" else 0


class Autocast(nn.Module):
    """A model under autocast to bfloat16, or as it is."""

    def __init__(self, model: nn.Module, device: str, enabled: bool) -> None:
        super().__init__()
        self.model, self.device, self.enabled = model, device, enabled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As the model."""
        with torch.autocast(self.device, torch.bfloat16, enabled=self.enabled):
            output: torch.Tensor = self.model(x)
        return output


def backends(device: str) -> dict[str, Any]:
    """The kernels of attention, by name: a context for each."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    names = (
        ("MATH", "EFFICIENT_ATTENTION", "FLASH_ATTENTION", "CUDNN_ATTENTION") if device == "cuda" else ("MATH", "FLASH_ATTENTION")
    )
    return {name: (lambda name=name: sdpa_kernel(getattr(SDPBackend, name))) for name in names}


def memory(figures: Figures, device: str) -> None:
    """Predicted against allocated peak of a step: a ResNet and an encoder, in two precisions, by each attention kernel."""
    from tests.gpu.architectures import torchvision

    size = (32, 224) if device == "cuda" else (2, 32)
    cases: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
        ("resnet50", lambda: (torchvision("resnet50")[0], torch.randn(size[0], 3, size[1], size[1])), nullcontext)
    ]
    shape = {"samples": 16, "length": 512, "width": 512, "layers": 6} if device == "cuda" else {}
    cases += [(f"encoder, {name}", lambda: encoder(**shape), kernel) for name, kernel in backends(device).items()]
    off = []
    for name, build, kernel in cases:
        for precision in ("float32", "bfloat16"):
            model, x = build()
            ratio = peak_ratio(
                figures, f"{name}, {precision}", Autocast(model, device, precision == "bfloat16"), x, kernel, device
            )
            off += [f"{name}, {precision}: {ratio:.2f}"] if ratio is not None and abs(ratio - 1) > 0.15 else []
    assert not off, f"predicted over allocated: {off}"


def peak_ratio(
    figures: Figures, name: str, model: nn.Module, x: torch.Tensor, kernel: Callable[[], Any], device: str
) -> float | None:
    """Predicted over allocated peak memory; None where a kernel does not run in this precision, or nothing can be measured."""
    with kernel():
        predicted = cost(trace(model.to(device), (x.to(device),)), (x.to(device),)).memory["sgd"].peak
        if device != "cuda":
            figures[name] = {"predicted": predicted}
            return None
        model.cpu()
        try:
            held = training_peak(model, x)
        except RuntimeError as error:
            figures[name] = {"predicted": predicted, "does not run": str(error).splitlines()[0]}
            return None
    figures[name] = {"predicted": predicted, "allocated": held, "ratio": round(predicted / held, 3)}
    return predicted / held


def training_peak(model: nn.Module, x: torch.Tensor) -> int:
    """Bytes allocated at the highest moment of a step with SGD."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    model, x = model.cuda(), x.cuda()
    algorithm = torch.optim.SGD(model.parameters(), 1e-3)
    for _ in range(2):
        loss = model(x).float().square().mean()
        torch.cuda.reset_peak_memory_stats()  # after the first forward: kernels that are only tried out are gone
        loss.backward()
        algorithm.step()
        algorithm.zero_grad()
    found = torch.cuda.max_memory_allocated() - before
    model.cpu()
    return found


def too_large(figures: Figures, device: str) -> None:
    """A model for which too little of the card is free: one line of information, and no crash."""
    from netcheck.measure import plan

    model, x = nn.Sequential(nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 4096)), torch.randn(2, 4096)
    free, ballast = plan.free_memory, None
    if device == "cuda":
        ballast = torch.empty(int(torch.cuda.mem_get_info()[0]) - 300 * MIB, dtype=torch.uint8, device="cuda")
    else:
        plan.free_memory = lambda device: 300 * MIB
    try:
        report = netcheck.check(model, x, device=device, select=["NC006"])
    finally:
        plan.free_memory = free
        del ballast
    figures["said"] = [one.message for one in report]
    figures["device"] = report.gradients.device if report.gradients else None
    assert report.gradients is not None or "does not fit into the memory" in report.findings[0].message, str(report)
    str(report)


TRACING = """
import os, sys, torch
from torch import nn
import netcheck

def open_devices():
    return sorted({os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                   if os.path.islink(f"/proc/self/fd/{fd}") and "/dev/nvidia" in os.readlink(f"/proc/self/fd/{fd}")})

def bad_fork():
    pid = os.fork()
    if not pid:
        os._exit(int(torch.cuda._is_in_bad_fork()))
    return bool(os.waitpid(pid, 0)[1])

net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
netcheck.trace(net, torch.randn(8, 6))
netcheck.infer_inputs(net)
traced = [torch.cuda.is_initialized(), bad_fork(), open_devices()]
netcheck.check(net, torch.randn(8, 6), probe=False, ignore=["NC8"])
print(__import__("json").dumps({"traced": traced, "judged": [torch.cuda.is_initialized(), bad_fork(), open_devices()]}))
"""


def driver(figures: Figures, device: str) -> None:
    """Whether tracing, or judging without a probe, starts the driver: [initialized, forks are bad, open devices]."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
    done = subprocess.run([sys.executable, "-c", TRACING], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    figures.update(found)
    assert not found["traced"][0], "tracing initialized CUDA"
    assert not found["traced"][2], "tracing opened the driver"


def kinds_of_models(figures: Figures, device: str) -> None:
    """Compiled, captured in a CUDA graph, with kernels of its own, channels last: each measures what the plain one does."""
    x = torch.randn(8, 6, device=device)
    plain = gain_of(body().to(device), x, device)
    figures["plain"] = plain
    made = {"compiled": compiled, "compiled in place": compiled_in_place}
    if device == "cuda":
        made |= {"captured": captured, "captured layer": captured_layer}
    failed = []
    for name, build in made.items():
        try:
            figures[name] = gain_of(build(body().to(device), x), x, device)
            assert abs(figures[name] - plain) < 1e-3
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__}: {error}")
    failed += kernels(figures, device) + channels_last(figures, device)
    assert not failed, "\n".join(failed)


def gain_of(model: nn.Module, x: torch.Tensor, device: str) -> float:
    """The measured gain of a model about which nothing stops the check."""
    report = netcheck.check(model, x, device=device, select=["NC0"])
    assert report.gradients is not None, str(report)
    assert report.gradients.device.startswith(device), report.gradients.conditions
    return report.gradients.gain


def compiled(model: nn.Module, x: torch.Tensor) -> Any:
    """By torch.compile, after a training step."""
    made = torch.compile(model)
    made(x).sum().backward()
    model.zero_grad()
    return made


def compiled_in_place(model: nn.Module, x: torch.Tensor) -> nn.Module:
    """By Module.compile."""
    model.compile()
    model(x)
    return model


def captured(model: nn.Module, x: torch.Tensor) -> Any:
    """In a CUDA graph, as a whole."""
    return torch.cuda.make_graphed_callables(model, (x.clone(),))


def captured_layer(model: nn.Sequential, x: torch.Tensor) -> nn.Module:
    """In a CUDA graph, one layer of it."""
    torch.cuda.make_graphed_callables(model[2], (torch.randn(len(x), 8, device=x.device, requires_grad=True),))
    return model


def kernels(figures: Figures, device: str) -> list[str]:
    """Kernels of Triton's, launched by forward itself and behind an operator: what failed."""
    if device != "cuda":
        return []
    from tests.gpu.kernels import Launched, Registered

    failed = []
    x = torch.randn(8, 6, device=device)
    for kind in (Launched, Registered):
        try:
            torch.manual_seed(0)
            report = netcheck.check(kind().to(device), x, device=device, select=["NC0"])
            figures[kind.__name__] = {
                "findings": [one.message for one in report],
                "tensors": report.graph and report.graph.tensors,
            }
            torch.cuda.synchronize()
            assert not report.findings, str(report)
            assert report.gradients is not None
        except Exception as error:
            failed.append(f"{kind.__name__}: {type(error).__name__}: {error}")
    return failed


def channels_last(figures: Figures, device: str) -> list[str]:
    """A ResNet with its channels last in memory, and one without: what failed."""
    from tests.gpu.architectures import torchvision

    torch.manual_seed(0)
    model, x = torchvision("resnet18")
    model.eval()
    found = [probe(trace(m, (y,)), (y,), device=device, dtype="float32", passes=1).gain for m, y in ((model, x), last(model, x))]
    figures["channels first and last"] = found
    return [] if abs(found[0] - found[1]) < 0.02 else [f"channels last: {found}"]


def last(model: nn.Module, x: torch.Tensor) -> tuple[nn.Module, torch.Tensor]:
    """A model and its input with channels last."""
    return model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)


def gains(figures: Figures, device: str) -> None:
    """The gain on the accelerator against that on the CPU, of ten architectures in double and in single precision."""
    off = []
    for name, build in ARCHITECTURES.items():
        torch.manual_seed(0)
        model, x = build()
        model.eval()  # dropout draws other numbers on another device
        graph = trace(model, (x,))
        for dtype, most in (("float64", 1e-6), ("float32", 0.02)):
            here, there = (probe(graph, (x,), device=place, dtype=dtype, passes=1).gain for place in ("cpu", device))
            figures[f"{name}, {dtype}"] = [here, there, there - here]
            off += [f"{name}, {dtype}: {here} on the CPU, {there} on {device}"] if abs(there - here) > most else []
    assert not off, "\n".join(off)


_ALL = (
    Section("two layers", two_layers),
    Section("devices", devices),
    Section("tests", gpu_tests),
    Section("out of memory", out_of_memory),
    Section("memory", memory),
    Section("too large", too_large),
    Section("driver", driver),
    Section("kinds of models", kinds_of_models),
    Section("gains", gains),
)
SECTIONS = {section.name: section for section in _ALL}
