"""What an option is: one field of `Settings`, and how it is written in each place where it can be given.

    jobs: int = option(1, Whole(least=1), "Check so many targets at a time.", flags=("-j", "--jobs"))

    on the command line     --jobs 3               the flag's default is the field's name
    in pyproject.toml       jobs = 3               under [tool.netcheck]
    in the environment      NETCHECK_JOBS=3

That line is all that an option needs: `cli/options.py` makes its flag, `config.py` and `gather.py` read it, and
`--show-settings` prints it. A kind knows how its values are read (from text, or from what TOML has), which of
them make sense, and how they are written.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from netcheck.errors import UsageError
from netcheck.settings import devices

YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b)?\s*", re.IGNORECASE | re.ASCII)


class Kind:
    """The values that an option may have."""

    expects = "text"  # follows "expected"
    many = False  # whether the flag may be repeated

    def read(self, value: object) -> Any:
        """A value from TOML, or from text on the command line or in the environment.

        Raises:
            ValueError: it is of another type; the sentence says what was expected.
        """
        if isinstance(value, str):
            return value
        raise ValueError(f"expected {self.expects}, not {toml(value)}")

    def problem(self, value: Any) -> str:
        """Why a value makes no sense, as the rest of a sentence; "" if it does."""
        return ""

    def write(self, value: Any) -> str:
        """A value in TOML."""
        return toml(value)


@dataclass(frozen=True)
class Texts(Kind):
    """Several texts: a list in TOML, a flag that may be repeated; `split`: one text may hold several, with commas."""

    split: bool = False
    expects = "a list of texts"
    many = True

    def read(self, value: object) -> tuple[str, ...]:
        """As a tuple, without what is empty."""
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list | tuple) or not all(isinstance(one, str) for one in values):
            raise ValueError(f"expected {self.expects}, not {toml(value)}")
        parts = (part for one in values for part in (one.split(",") if self.split else [one]))
        return tuple(part.strip() for part in parts if part.strip())


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number from `least` to `most`, both included."""

    least: int | None = None
    most: int | None = None
    advice: str = ""
    expects = "a whole number"

    def read(self, value: object) -> int:
        """From a number or its digits."""
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        try:
            return int(value) if isinstance(value, str) else int("")
        except ValueError:
            raise ValueError(f"expected {self.expects}, not {toml(value)}") from None

    def problem(self, value: int) -> str:
        """Outside of the limits."""
        low = self.least is not None and value < self.least
        high = self.most is not None and value > self.most
        span = f"{'' if self.least is None else f' from {self.least}'}{'' if self.most is None else f' to {self.most}'}"
        return f"makes no sense: {self.advice or f'give a whole number{span}'}" if low or high else ""


@dataclass(frozen=True)
class Number(Kind):
    """A finite number above `above`."""

    above: float | None = None
    advice: str = ""
    expects = "a number"

    def read(self, value: object) -> float:
        """From a number or its digits."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        try:
            return float(value) if isinstance(value, str) else float("")
        except ValueError:
            raise ValueError(f"expected {self.expects}, not {toml(value)}") from None

    def problem(self, value: float) -> str:
        """Not finite, or not above the limit."""
        if math.isfinite(value) and (self.above is None or value > self.above):
            return ""
        span = "" if self.above is None else f" above {self.above:g}"
        return f"makes no sense: {self.advice or f'give a number{span}'}"


class Size(Kind):
    """A number of bytes above 0: a number, or text with a unit (8GiB, 500 MB, 2g)."""

    def read(self, value: object) -> int:
        """In bytes."""
        return parse_bytes(toml(value) if isinstance(value, bool | float) else value)


class DeviceMemory(Kind):
    """A number of bytes above 0, or the name of a device that has it: 24GiB, "RTX 4090"."""

    def read(self, value: object) -> int:
        """In bytes."""
        return memory_of_device(toml(value) if isinstance(value, bool | float) else value)


@dataclass(frozen=True)
class Choice(Kind):
    """One of a few words, made into a value by `convert`."""

    choices: tuple[str, ...]
    convert: Callable[[str], Any] = str

    @property
    def expects(self) -> str:  # type: ignore[override]
        """All of them."""
        return f"one of {', '.join(self.choices)}"

    def read(self, value: object) -> Any:
        """The word, converted."""
        if value in self.choices:
            return self.convert(str(value))
        close = did_you_mean(str(value), self.choices)
        raise ValueError(f"expected {self.expects}, not {toml(value)}{close}")

    def problem(self, value: Any) -> str:
        """None of them."""
        return "" if str(value) in self.choices else f"is unknown: choose one of {', '.join(self.choices)}"

    def write(self, value: Any) -> str:
        """The word."""
        return toml(str(value))


@dataclass(frozen=True)
class Switch(Kind):
    """Yes or no; `off` is the flag that says no, if there is one."""

    off: str = ""
    expects = "true or false"

    def read(self, value: object) -> bool:
        """From a truth value or a word for one."""
        if isinstance(value, bool):
            return value
        word = value.lower() if isinstance(value, str) else ""
        if word in YES or word in NO:
            return word in YES
        raise ValueError(f"expected {self.expects}, not {toml(value)}")


@dataclass(frozen=True)
class Form(Kind):
    """Text that a regular expression matches."""

    pattern: str
    advice: str

    def problem(self, value: str) -> str:
        """Not of that form."""
        return "" if re.fullmatch(self.pattern, value) else f"is unknown: {self.advice}"


class File(Kind):
    """The path of a file; in a configuration file it starts from that file's folder. Empty text stands for none."""

    expects = "a path"

    def read(self, value: object) -> Path | None:
        """As a path."""
        if isinstance(value, Path):
            return value
        text = super().read(value)
        return Path(text) if text else None

    def write(self, value: Any) -> str:
        """As text."""
        return toml(str(value))


class Patterns(Kind):
    """A table from patterns to the rules that are ignored where they match; in configuration files only."""

    expects = 'a table such as { "pattern" = ["NC1"] }'

    def read(self, value: object) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """As pairs of a pattern and selectors."""
        if not isinstance(value, dict):
            raise ValueError(f"expected {self.expects}, not {toml(value)}")
        return tuple((pattern, Texts(split=True).read(selectors)) for pattern, selectors in value.items())

    def write(self, value: Any) -> str:
        """As a table in one line."""
        return toml(dict(value))


class Thresholds(Kind):
    """A table of the numbers that a project sets for single rules; in configuration files only."""

    expects = "a table such as [tool.netcheck.rules.NC501] with error = 6"

    def read(self, value: object) -> tuple[tuple[str, tuple[tuple[str, float], ...]], ...]:
        """As pairs of a rule and its (name, number) pairs; whether the rule has such a threshold is its own to say."""
        if not isinstance(value, dict) or not all(isinstance(table, dict) for table in value.values()):
            raise ValueError(f"expected {self.expects}, not {toml(value)}")
        for rule, table in value.items():
            for name, number in table.items():
                if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
                    raise ValueError(f"expected a number for {name} of {rule}, not {toml(number)}")
        return tuple((rule, tuple(table.items())) for rule, table in value.items())

    def write(self, value: Any) -> str:
        """As a table of tables in one line."""
        return toml({rule: dict(table) for rule, table in value})


@dataclass(frozen=True)
class Option:
    """How one field of `Settings` can be given.

    Attributes:
        kind: the values that it takes.
        help: a sentence for `--help`.
        flags: how the command line names it; empty: not there.
        key: its name in [tool.netcheck] and, in capitals, in the environment; "": in neither.
        metavar: what stands for the value in `--help`.
        by_model: whether [[tool.netcheck.model]] may set it for one model.
        model_key: its name there, if that is not `key`.
        by_project: whether [tool.netcheck] may set it for all.
        result: whether the findings depend on it; if not, it only says how they are shown or counted.
        name: the field.
    """

    kind: Kind
    help: str = ""
    flags: tuple[str, ...] = ()
    key: str = ""
    metavar: str = ""
    by_model: bool = False
    model_key: str = ""
    by_project: bool = True
    result: bool = True
    name: str = ""
    default: Any = None

    @property
    def variable(self) -> str:
        """The environment variable that sets it, "" if none does."""
        text = self.key and self.flags and self.by_project
        return f"NETCHECK_{self.key.upper().replace('-', '_')}" if text else ""

    @property
    def label(self) -> str:
        """What to call it in a message: its long flag, or its key."""
        return next((flag for flag in self.flags if flag.startswith("--")), self.key)

    def read(self, value: object, label: str) -> Any:
        """A value from TOML or text, that makes sense.

        Raises:
            UsageError: it is of another type or makes no sense; the sentence begins with `label`.
        """
        try:
            found = self.kind.read(value)
        except ValueError as error:
            raise UsageError(f"{label}: {error}") from error
        self.require_sense(found, f"{label} =" if label != self.label else label)
        return found

    def require_sense(self, value: Any, label: str) -> None:
        """Raise a UsageError if a value makes no sense."""
        problem = "" if value is None else self.kind.problem(value)
        if problem:
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            raise UsageError(f"{label} {shown} {problem}")


def option(
    default: Any,
    kind: Kind,
    help: str = "",
    *,
    flags: tuple[str, ...] | None = None,
    key: str | None = None,
    **more: Any,
) -> Any:
    """A field of `Settings` with its `Option`; flag and key are made of its name where they are not given."""
    # None: made by `named` of a name that is only known once the class is there.
    made = Option(kind, help, ("?",) if flags is None else flags, "?" if key is None else key, default=default, **more)
    return field(default=default, metadata={"option": made})


def named(name: str, unnamed: Option) -> Option:
    """An option with the name of its field, and what is made of it."""
    words = name.replace("_", "-")
    flags = (f"--{words}",) if unnamed.flags == ("?",) else unnamed.flags
    return replace(unnamed, name=name, flags=flags, key=words if unnamed.key == "?" else unnamed.key)


def parse_bytes(size: object) -> int:
    """A number of bytes from "24GiB", "80 GB", "512MiB" or a plain number.

    Raises:
        ValueError: it is none of these, or 0.
    """
    match = SIZE.fullmatch(str(size))
    number = 0.0
    if match:
        base = 1024 if match[3] else 1000
        number = float(match[1]) * base ** (" kmgt".index(match[2].lower()) if match[2] else 0)
    if not 1 <= number < 2**63:
        raise ValueError(f"{size!r} is not a size of memory: write it as 24GiB, 512MiB or 80GB")
    return int(number)


def memory_of_device(size: object) -> int:
    """A number of bytes, from what `parse_bytes` reads or from the name of a device.

    Raises:
        ValueError: it is neither.
    """
    known = devices.memory_of(size) if isinstance(size, str) else None
    if known is not None:
        return known
    try:
        return parse_bytes(size)
    except ValueError:
        close = did_you_mean(str(size), devices.MEBIBYTES)
        names = "RTX 4090, A100-80GB or H200"
        text = f"{size!r} is not a size of memory, nor a device that is known: write it as 24GiB, or name one, as {names}"
        raise ValueError(text + close) from None


_LOOKING_ALIKE = str.maketrans("OIl", "011")


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The end of a sentence about an unknown word: the known one that is close to it, "" if none is."""
    from difflib import SequenceMatcher, get_close_matches

    def closeness(other: str) -> tuple[float, int]:
        in_place = sum(map(str.__eq__, word.translate(_LOOKING_ALIKE), other.translate(_LOOKING_ALIKE)))
        return SequenceMatcher(None, word, other).ratio(), in_place  # of equals, that with more in place

    close = sorted(get_close_matches(word, list(known), n=9, cutoff=cutoff), key=closeness, reverse=True)
    return f": did you mean {close[0]}?" if close else ""


def toml(value: Any) -> str:
    """A plain value in TOML, on one line."""
    if isinstance(value, dict):
        inside = ", ".join(f"{toml_key(str(key))} = {toml(item)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml(item) for item in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)


def toml_key(key: str) -> str:
    """A key of a table, in quotes where it needs them."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml(key)
