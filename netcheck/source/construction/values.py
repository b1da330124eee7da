"""What an expression comes to without running it.

    plain data     3, "relu", [64, 128], {"width": 8}
    Named          a class or function: nn.ReLU, or Encoder of this project
    Made           a call that is still to be made: Encoder(64, depth=2)
    Record         options with names: what parse_args() gives, or a configuration file
    Unknown        what the source does not show; its trail says what it was called: ("args", "width")

Containers of plain data may hold any of the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LONGEST = 60  # characters of a value in a report


@dataclass(frozen=True, slots=True)
class Unknown:
    """What the source does not show."""

    trail: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """A class, a function or another object: in a file of the project, or by its full name elsewhere."""

    file: str  # absolute; "" where it is not the project's
    name: str  # qualified in the file, or "torch.nn.ReLU"

    @property
    def last(self) -> str:
        """The name itself."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class Made:
    """A call that is still to be made, and the attributes that its result is given afterwards."""

    callee: Named
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    then: dict[str, Any] = field(default_factory=dict)


@dataclass
class Record:
    """Options by name, which code reads as attributes or as items. `name` is what the source calls it."""

    fields: dict[str, Any]
    name: str = ""


@dataclass(frozen=True)
class Module:
    """A file of the project, imported as a module."""

    file: str


def is_known(value: Any) -> bool:
    """Whether a value has no part that the source does not show; what a record lacks, nobody may ask for."""
    if isinstance(value, Unknown | Module):
        return False
    if isinstance(value, list | tuple | set):
        return all(map(is_known, value))
    if isinstance(value, dict):
        return all(map(is_known, value.values()))
    if isinstance(value, Made):
        return all(map(is_known, (*value.args, *value.kwargs.values())))
    return True


def is_plain(value: Any) -> bool:
    """Whether a value is plain data through and through."""
    if isinstance(value, list | tuple | set):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(map(is_plain, value.values()))
    return value is None or isinstance(value, bool | int | float | complex | str | bytes | slice)


def written(value: Any) -> str:
    """A value as Python would write it, and not endless."""
    text = full_text(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def full_text(value: Any) -> str:
    """A value as Python would write it."""
    match value:
        case Unknown():
            return ".".join(map(str, value.trail)) or "?"
        case Named():
            return value.last
        case Made():
            parts = [*map(full_text, value.args), *(f"{name}={full_text(one)}" for name, one in value.kwargs.items())]
            return f"{value.callee.last}({', '.join(parts)})"
        case Record():
            return value.name or "{" + ", ".join(f"{name}: {full_text(one)}" for name, one in value.fields.items()) + "}"
        case list():
            return "[" + ", ".join(map(full_text, value)) + "]"
        case tuple():
            return "(" + ", ".join(map(full_text, value)) + ("," if len(value) == 1 else "") + ")"
        case dict():
            return "{" + ", ".join(f"{name!r}: {full_text(one)}" for name, one in value.items()) + "}"
    return repr(value)


def as_record(value: Any) -> Any:
    """What a configuration file holds; its maps as records."""
    if isinstance(value, dict):
        return Record({key: as_record(one) for key, one in value.items()})
    return [as_record(one) for one in value] if isinstance(value, list) else value
