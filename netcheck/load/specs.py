"""The grammar of `--input`, read without torch: a command line is refused before torch is imported.

    2x3x224x224              a tensor of the model's own precision for the first argument; repeat the option for the next
    2,3,224,224              the same; and so are (2, 3, 224, 224) and [2, 3, 224, 224], as Python shows shapes
    ids=long:2x16            a tensor for the argument `ids`
    ids=long[0,100]:2x16     integers from 0 up to, and without, 100
    mask=bool:2x16
    t=float:scalar           a tensor without dimensions
    k=value:3                a plain Python value: a number, a string, true, false, none

Sizes are whole numbers joined by x or by commas; dtypes are float, half, bfloat16, double, long, int and bool.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
from dataclasses import dataclass

from netcheck.errors import InputError

DTYPES = ("float", "half", "bfloat16", "double", "long", "int", "bool")
INTEGERS = ("long", "int")
FORM = "write it as 2x3x224x224, ids=long:2x16, ids=long[0,100]:2x16, mask=bool:2x16 or k=value:3"
LARGEST = 2**40  # elements: far above what fits anywhere, below what overflows

PATTERN = re.compile(
    r"""
    (?:(?P<name>[^=:\[\]]*)=)?
    (?:(?P<dtype>[A-Za-z0-9]+)(?:\[(?P<low>[^,\]]*),(?P<high>[^,\]]*)\])?:)?
    (?P<shape>.*)
    """,
    re.VERBOSE | re.DOTALL,
)

BY_X, BY_COMMA = r"\d+(?:\s*[x×]\s*\d+)*", r"\d+(?:\s*,\s*\d+)*"
SHAPE = re.compile(rf"(?P<open>(?P<round>\()|\[)?\s*(?P<sizes>{BY_X}|{BY_COMMA})\s*(?(open),?\s*(?(round)\)|\]))", re.ASCII)


@dataclass(frozen=True, slots=True)
class Spec:
    """One `--input`: either a tensor's dtype and shape, or a plain value."""

    name: str = ""  # for a positional argument
    dtype: str = ""  # one of DTYPES, "" for that of the model's weights, or "value"
    shape: tuple[int, ...] = ()
    low: int = 0  # integers are drawn from low <= n < high
    high: int = 2  # without a range only 0 and 1 are sure to be known to every vocabulary
    value: object = None

    def __str__(self) -> str:
        name = f"{self.name}=" if self.name else ""
        if self.dtype == "value":
            return f"{name}value:{self.value}"
        span = f"[{self.low},{self.high}]" if self.dtype in INTEGERS else ""
        dtype = f"{self.dtype}{span}:" if self.dtype else ""
        return f"{name}{dtype}{'x'.join(map(str, self.shape)) or 'scalar'}"


def parse_spec(text: str) -> Spec:
    """Read one `--input`.

    Raises:
        InputError: it is malformed; the sentence says which part, and `help` shows the right form.
    """
    match = PATTERN.fullmatch(text.strip())
    if match is None or not text.strip():
        raise malformed(text, "it is empty" if not text.strip() else "it has no shape")
    name, dtype = match["name"], match["dtype"] or ""
    if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
        raise malformed(text, f"{name!r} cannot name an argument")
    if dtype == "value":
        return Spec(name or "", dtype, value=parse_value(match["shape"]))
    if dtype and dtype not in DTYPES:
        raise malformed(text, f"{dtype!r} is not one of {', '.join(DTYPES)}")
    low, high = parse_range(text, dtype, match["low"], match["high"])
    return Spec(name or "", dtype, parse_shape(text, match["shape"]), low, high)


def parse_shape(text: str, shape: str) -> tuple[int, ...]:
    """Read "2x3x224x224" or "(2, 3, 224, 224)"; "scalar" is a tensor without dimensions."""
    if shape == "scalar":
        return ()
    match = SHAPE.fullmatch(shape.strip())
    if match is None:
        raise malformed(text, f"{shape!r} is not a shape")
    written = re.findall(r"\d+", match["sizes"], re.ASCII)
    if any(len(size) > 12 for size in written) or math.prod(sizes := tuple(map(int, written))) > LARGEST:
        raise malformed(text, "the shape is too large")
    if 0 in sizes:
        raise malformed(text, "a size of 0 leaves nothing to run on")
    return sizes


def parse_range(text: str, dtype: str, low: str | None, high: str | None) -> tuple[int, int]:
    """Read the two ends of an integer range."""
    if low is None or high is None:
        return 0, 2
    if dtype not in INTEGERS:
        raise malformed(text, f"only long and int take a range, not {dtype}")
    if not all(re.fullmatch(r"\s*-?\d{1,18}\s*", end, re.ASCII) for end in (low, high)):
        raise malformed(text, f"[{low},{high}] is not a range of integers")
    if int(low) >= int(high):
        raise malformed(text, f"[{low},{high}] holds no integer")
    return int(low), int(high)


def parse_value(text: str) -> object:
    """Read a Python literal; what is none is a string."""
    named = {"true": True, "false": False, "none": None}
    if text.lower() in named:
        return named[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def malformed(text: str, why: str) -> InputError:
    """The error for a specification that cannot be read."""
    return InputError(f"cannot read the input {text!r}: {why}", help=FORM)
