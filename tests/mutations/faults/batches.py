"""NC7: batches and devices. A random layer is wrapped in a module that makes a tensor where the layer may not be."""

from __future__ import annotations

import torch

from tests.mutations.faults.registry import fault
from tests.mutations.faults.wiring import Wrapped, wrap
from tests.mutations.subject import Subject


class OnTheCPU(Wrapped):
    """A factor that is made without a device."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) * torch.ones(1)


class OnANamedDevice(Wrapped):
    """An offset whose device is written out."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.layer(x)
        return h + torch.zeros(h.shape, device="cpu")


@fault("NC708", "a factor without a device")
def on_the_cpu(subject: Subject) -> None:
    wrap(subject, OnTheCPU)


@fault("NC708", "an offset on a device that is written out")
def on_a_named_device(subject: Subject) -> None:
    wrap(subject, OnANamedDevice)
