"""Messages over a pipe: four bytes of length, then a pickle of plain data."""

from __future__ import annotations

import io
import os
import pickle
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from netcheck.source.targets import Target

LARGEST = 256 * 2**20  # bytes; a length beyond it is not ours
HEADER = struct.Struct("!I")


@dataclass(frozen=True)
class Command:
    """One target to check, as the parent sends it."""

    target: Target
    settings: Any
    memory: int  # bytes
    scratch: str  # a folder for temporary files, removed afterwards
    folder: str  # where names of files are relative to: a worker that is kept may have been started elsewhere


class BrokenFrameError(Exception):
    """The bytes in a pipe are no message of ours: something else wrote to it."""


def send(fd: int, message: object) -> None:
    """Write one message, all of it."""
    send_bytes(fd, pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL))


def send_bytes(fd: int, data: bytes) -> None:
    """Write one pickled message, all of it."""
    rest = memoryview(HEADER.pack(len(data)) + data)
    while rest:
        rest = rest[os.write(fd, rest) :]


class PlainUnpickler(pickle.Unpickler):
    """Reads what a child sent: netcheck's own data types and nothing else,
    so that reading runs none of its code.
    """

    def find_class(self, module: str, name: str) -> Any:
        """Find a class by name; only netcheck's own, and containers."""
        if module.partition(".")[0] == "netcheck" or (module, name) in {("collections", "OrderedDict")}:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not data of netcheck")


class Frames:
    """Collects bytes and gives the messages that are complete."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """Add bytes; yield each message that they complete.

        Raises:
            BrokenFrameError: they are no messages.
        """
        self.buffer += data
        while len(self.buffer) >= HEADER.size:
            (length,) = HEADER.unpack_from(self.buffer)
            if length > LARGEST:
                raise BrokenFrameError(f"a message of {length} bytes")
            if len(self.buffer) < HEADER.size + length:
                return
            content = bytes(self.buffer[HEADER.size : HEADER.size + length])
            del self.buffer[: HEADER.size + length]
            try:
                message = PlainUnpickler(io.BytesIO(content)).load()
            except Exception as error:
                raise BrokenFrameError(f"{type(error).__name__}: {error}") from error
            yield message


def receive(fd: int) -> Iterator[Any]:
    """Messages from a trusted pipe until it is closed: what the parent sends to a worker."""
    while True:
        header = read_exactly(fd, HEADER.size)
        if header is None:
            return
        content = read_exactly(fd, HEADER.unpack(header)[0])
        if content is None:
            return
        yield pickle.loads(content)


def read_exactly(fd: int, size: int) -> bytes | None:
    """Read `size` bytes, or None if the pipe ends before."""
    parts = bytearray()
    while len(parts) < size:
        data = os.read(fd, size - len(parts))
        if not data:
            return None
        parts += data
    return bytes(parts)
