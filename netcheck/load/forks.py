"""Keep this process one that can be forked: so that its children can run backward.

Autograd starts a thread for each accelerator at the first backward of a process, threads are not forked along, and torch
then refuses to run backward in any process that is forked later. Where there is no accelerator it starts none; but a torch
that is built for CUDA lets fake tensors stand for a CUDA device there, and a first backward that comes after them starts a
thread for that. One before them does not, and what it found counts for good.
"""

from __future__ import annotations

from functools import cache

import torch


@cache
def keep_forks_able_to_differentiate() -> None:
    """Run a backward before the first fake tensors, where there is no accelerator that it would start a thread for."""
    if torch.cuda.device_count() or torch.xpu.device_count():
        return
    with torch.inference_mode(False), torch.enable_grad():
        leaf = torch.ones((), device="cpu", requires_grad=True)
        torch.autograd.grad(leaf * 2, leaf)
