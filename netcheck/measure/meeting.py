"""Threads that stand for devices and meet at every synchronized layer.

with Meeting(2).at(layers) as meeting:
    outputs = meeting.each(run)             run(0) and run(1) at once; each layer sees both inputs, joined
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

MEETING_SECONDS = 60.0  # that a thread waits for the others at a synchronized layer


class Meeting:
    """Threads that run the same forward on different shards, and meet at every synchronized layer."""

    def __init__(self, devices: int) -> None:
        self.devices = devices
        self.barrier = threading.Barrier(devices, timeout=MEETING_SECONDS)
        self.local = threading.local()
        self.given: list[Any] = [None] * devices
        self.results: list[Any] = [None] * devices

    @contextmanager
    def at(self, layers: Sequence[nn.Module]) -> Iterator[Meeting]:
        """Within this context the layers see the inputs of all devices together."""
        for layer in layers:
            layer.forward = self._together(layer.forward)
        try:
            yield self
        finally:
            for layer in layers:
                del layer.forward

    def _together(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        def synchronized(x: torch.Tensor) -> torch.Tensor:
            device: int = self.local.device
            self.given[device] = x
            self.barrier.wait()
            if device == 0:
                parts = forward(torch.cat(self.given)).split([len(each) for each in self.given])
                self.results = [part.clone() for part in parts]  # what is behind may write to them
            self.barrier.wait()
            result: torch.Tensor = self.results[device]
            self.barrier.wait()
            return result

        return synchronized

    def each(self, run: Callable[[int], Any]) -> list[Any]:
        """What `run` gives for each device, all at once.

        Raises:
            Exception: what the first device that failed raised.
        """
        outcomes: list[Any] = [None] * self.devices
        failures: list[BaseException] = []

        def work(device: int) -> None:
            self.local.device = device
            try:
                outcomes[device] = run(device)
            except threading.BrokenBarrierError:
                pass  # another device failed
            except BaseException as error:
                failures.append(error)
                self.barrier.abort()

        threads = [threading.Thread(target=work, args=(device,), daemon=True) for device in range(self.devices)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        if self.barrier.broken:
            raise RuntimeError("the devices did not meet at the same synchronized layers")
        return outcomes
