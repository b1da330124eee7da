"""Threads that stand for devices and meet at every synchronized layer.

with Meeting(2).at(layers) as meeting:
    outputs = meeting.each(run)             run(0) and run(1) at once; each layer sees both inputs, joined

No clock is needed: a device that comes to a layer waits for the others as long as they run, and fails when one of them has
ended instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class AloneError(Exception):
    """Another device has ended, and will not come to the layer at which this one waits."""


class Meeting:
    """Threads that run the same forward on different shards, and meet at every synchronized layer."""

    def __init__(self, devices: int) -> None:
        self.devices = devices
        self.turn = threading.Condition()
        self.arrived = 0  # devices that wait for the others
        self.meetings = 0  # that have come about
        self.ended = False  # whether a device has
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

    def wait(self) -> None:
        """Wait until all devices are here.

        Raises:
            AloneError: one of them has ended.
        """
        with self.turn:
            meeting = self.meetings
            self.arrived += 1
            if self.arrived == self.devices:
                self.arrived, self.meetings = 0, meeting + 1
                self.turn.notify_all()
            self.turn.wait_for(lambda: self.meetings > meeting or self.ended)
            if self.meetings == meeting:
                raise AloneError

    def end(self) -> None:
        """Let those that wait know that a device has ended."""
        with self.turn:
            self.ended = True
            self.turn.notify_all()

    def _together(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        def synchronized(x: torch.Tensor) -> torch.Tensor:
            device: int = self.local.device
            self.given[device] = x
            self.wait()
            if device == 0:
                parts = forward(torch.cat(self.given)).split([len(each) for each in self.given])
                self.results = [part.clone() for part in parts]  # what is behind may write to them
            self.wait()
            result: torch.Tensor = self.results[device]
            self.wait()
            return result

        return synchronized

    def each(self, run: Callable[[int], Any]) -> list[Any]:
        """What `run` gives for each device, all at once.

        Raises:
            Exception: what the first device that failed raised.
            RuntimeError: a device waited for another at a layer to which that one did not come.
        """
        outcomes: list[Any] = [None] * self.devices
        failures: list[BaseException] = []
        alone: list[int] = []

        def work(device: int) -> None:
            self.local.device = device
            try:
                outcomes[device] = run(device)
            except AloneError:
                alone.append(device)
            except BaseException as error:
                failures.append(error)
            finally:
                self.end()

        threads = [threading.Thread(target=work, args=(device,), daemon=True) for device in range(self.devices)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        if alone:
            raise RuntimeError("the devices did not meet at the same synchronized layers")
        return outcomes
