"""What only torch does: training, and files that its compiled code writes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from netcheck.load.fence import stand_ins
from netcheck.load.fence.actions import refusing
from netcheck.load.fence.askers import asker, in_own_thread
from netcheck.load.fence.patches import Patch
from netcheck.load.fence.places import may_write, resolved, shown
from netcheck.load.fence.state import Halted, state


def patches() -> list[Patch]:
    """Training, and files and connections that compiled code makes."""
    return [
        Patch(torch.autograd, "backward", backward),
        Patch(torch, "save", save),
        Patch(torch.distributed, "init_process_group", refusing(lambda *args, **kwargs: "opens connections to other processes")),
        Patch(torch.jit, "save", write_nothing("torch.jit.save")),
        *(
            Patch(sys.modules[module], name, write_nothing(f"{module}.{name}"))
            for module, name in (("torch.export", "save"), ("torch.onnx", "export"))
            if module in sys.modules
        ),
        Patch(torch.jit.ScriptModule, "save", write_nothing("ScriptModule.save"), method=True),
        Patch(torch.jit.RecursiveScriptModule, "save", write_nothing("ScriptModule.save"), method=True),
    ]


@contextmanager
def untrained() -> Iterator[None]:
    """Refuse the steps of all optimizers while something is imported or built."""
    handle = register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: refuse_step(type(optimizer).__name__))
    try:
        yield
    finally:
        handle.remove()


def backward(original: Any, *args: Any, **kwargs: Any) -> Any:
    """`torch.autograd.backward`, which `Tensor.backward` calls. In forward it is the model's own computation."""
    if state.building or in_own_thread():
        halt("backward()")
    return original(*args, **kwargs)


def refuse_step(name: str) -> None:
    """The same for a step of an optimizer."""
    if state.holds() and (state.building or in_own_thread()):
        halt(f"{name}.step()")


def halt(what: str) -> None:
    """End what trains.

    Raises:
        Halted: always.
    """
    asker().note(f"trains: {what}", trains=True)
    raise Halted(f"it trains: {what}")


def save(original: Any, obj: Any, f: Any, *args: Any, **kwargs: Any) -> None:
    """`torch.save` to a path: a stand-in while something is built; in forward nothing, for there the tensors may be fake."""
    path = resolved(f, follow=True) if isinstance(f, str | bytes | os.PathLike) else ""
    who = asker()
    if not path or may_write(path, who):
        original(obj, f, *args, **kwargs)
        return
    who.note(f"torch.save writes {shown(path)}")
    if state.building:
        original(obj, stand_ins.stand_in(path, keeps=False), *args, **kwargs)


def write_nothing(name: str) -> Any:
    """An answer for a function that writes a file by compiled code: nothing is written to a path."""

    def answer(original: Any, *args: Any, **kwargs: Any) -> Any:
        given = (*args[1:], *(kwargs.get(key) for key in ("f", "filename")))
        path = next((resolved(value, follow=True) for value in given if isinstance(value, str | os.PathLike)), "")
        who = asker()
        if not path or may_write(path, who):
            return original(*args, **kwargs)
        who.note(f"{name} writes {shown(path)}")
        return None

    return answer
