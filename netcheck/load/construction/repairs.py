"""What is raised -> other plans.

    TypeError: 'int' object is not subscriptable   (widths[0])       widths=[64, 64]
    IndexError: list index out of range            (widths[i])       widths=[64, 64, 64]
    ValueError: not enough values to unpack (expected 3, got 2)      sizes=[32, 32, 32]
    AttributeError: 'int' object has no attribute 'width'            cfg=an object of options
    KeyError: 'relu'                               (ACTS[act])       act="gelu", a key of ACTS
    AssertionError                                 (dim % heads)     heads=1, 2, 4 ...
    the shape in current model is torch.Size([100, 32])              weights=torch.randn(100, 32)
    mat1 and mat2 cannot be multiplied (2x64 and 128x10)             what is 128 becomes 64, and the other way round

First come the arguments whose names stand in the line that raised.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

from torch import nn

from netcheck.load.construction.given import Given, made, plain
from netcheck.load.construction.guesses import MODULE_PARTS, TENSOR_PARTS, WIDTH, alternatives, tensor, weights
from netcheck.load.construction.plans import Plan
from netcheck.load.raised import is_installed
from netcheck.source.construction.uses import Uses

MOST_SUSPECTS = 6
PLACEHOLDERS = (None, -1, 0)
SEQUENCE_WANTED = re.compile(
    r"not subscriptable|not iterable|has no len|must be a sequence|argument after \* must be|unpack non-iterable"
)
NUMBER_WANTED = re.compile(
    r"'(list|tuple)'|multiply sequence|(not|found|got) (list|tuple)|must be (int|float|real)|interpreted as an integer"
)
MISSING = re.compile(r"missing \d+ required (?:positional|keyword-only) arguments?: (.*)")
TENSOR_WANTED = re.compile(r"must be Tensor|Tensor or None required|expected (a |torch.)?[Tt]ensor")
MODULE_WANTED = re.compile(r"is not a Module subclass|as child module|Module or None")
MAPPING_WANTED = re.compile(r"argument after \*\* must be a mapping")
UNPACKED = re.compile(r"to unpack \(expected (?:at least )?(\d+)")
NO_ATTRIBUTE = re.compile(r"'(\w+)' object has no attribute '(\w+)'")
FITS = re.compile(r"the shape in current model is torch.Size\(\[([\d, ]+)\]\)")
DISAGREE = re.compile(r"to have (\d+) channels, but got (\d+) |must be equal to input_size. Expected (\d+), got (\d+)")
NUMBERS = re.compile(r"(?<![\w.])\d+(?:x\d+)*(?![\w.])")
Frames = list[tuple[FrameType, int]]


def repairs(error: BaseException, plan: Plan) -> Iterator[Plan]:
    """Plans that may do where one raised in the constructor."""
    frames = user_frames(error)
    yield from without_placeholders(plan)
    yield from with_missing(error, plan)
    yield from with_optional(error, plan, frames)
    suspects = suspected(plan, frames)
    found = [changes(error, name, given, plan, frames) for name, given in suspects.items()]
    rest = [alternatives(given, name) for name, given in suspects.items()]
    for group in (found, rest):
        for name, given in in_turn(list(suspects), group):
            yield plan.changed(name, given)


def without_placeholders(plan: Plan) -> Iterator[Plan]:
    """The plan with a guess for each option whose default only says that it is set later: None, -1, 0."""
    changed = plan
    for name, given in plan.arguments.items():
        if not given.origin.startswith("the defaults of"):
            continue
        for option, value in vars(given.make()).items():
            path = f"{name}.{option}"
            is_placeholder = value in PLACEHOLDERS and not isinstance(value, bool)
            if is_placeholder and path in plan.subject.uses and (guess := plan.subject.guess(path)) is not None:
                changed = changed.changed(path, guess)
    if changed is not plan:
        yield changed


def with_missing(error: BaseException, plan: Plan) -> Iterator[Plan]:
    """The plan with what a constructor misses that `**kwargs` are handed on to, or what is read of them: `kwargs["width"]`."""
    if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in plan.subject.parameters.values()):
        return
    missing = MISSING.search(str(error)) if isinstance(error, TypeError) else None
    names = re.findall(r"'(\w+)'", missing[1]) if missing else []
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str) and error.args[0].isidentifier():
        names = [error.args[0]]
    guesses = {name: plan.subject.guess(name) for name in names if name not in plan.arguments}
    changed = plan
    for name, guess in guesses.items():
        if guess is not None:
            changed = changed.changed(name, guess, new=True)
    if changed is not plan:
        yield changed


def with_optional(error: BaseException, plan: Plan, frames: Frames) -> Iterator[Plan]:
    """The plan with a guess for each parameter that is None by default, where that raised: `BatchNorm(planes)`, or was refused:
    `assert image_size is not None`.
    """
    refused = isinstance(error, AssertionError) and any("not None" in statement(*frame) for frame in frames[:1])
    if not refused and not (isinstance(error, TypeError | AttributeError) and "NoneType" in str(error)):
        return
    words = {word for frame, line in frames for word in re.findall(r"\w+", statement(frame, line))}
    changed = plan
    for name, parameter in plan.subject.parameters.items():
        if parameter.default is None and name in words and name not in plan.arguments:
            guess = plan.subject.guess(name)
            changed = changed if guess is None or guess.text == "None" else changed.changed(name, guess, new=True)
    if changed is not plan:
        yield changed


def in_turn(names: list[str], group: list[Iterator[Given]]) -> Iterator[tuple[str, Given]]:
    """The first of each, then the second of each, and so on."""
    left = dict(zip(names, group, strict=True))
    while left:
        for name in list(left):
            given = next(left[name], None)
            if given is None:
                del left[name]
            else:
                yield name, given


def user_frames(error: BaseException) -> Frames:
    """The frames of the user's code that an error passed, the innermost first."""
    walked = list(traceback.walk_tb(error.__traceback__))
    return [(frame, line) for frame, line in walked if not is_installed(frame.f_code.co_filename)][::-1]


def suspected(plan: Plan, frames: Frames) -> dict[str, Given]:
    """What was assumed, first that which the lines that raised name, or whose value stands there."""
    assumed = plan.assumed()
    ranks: dict[str, int] = {}
    for depth, (frame, line) in enumerate(frames):
        words = set(re.findall(r"\w+", statement(frame, line)))
        values = [frame.f_locals[word] for word in words if word in frame.f_locals]
        for name, given in assumed.items():
            if name.rpartition(".")[2] in words or any(is_same(one, given.value) for one in values):
                ranks.setdefault(name, depth)
    names = sorted(assumed, key=lambda name: ranks.get(name, len(frames)))
    return {name: assumed[name] for name in names[:MOST_SUSPECTS]}


def is_same(one: Any, value: Any) -> bool:
    """Whether a variable has the value that was given for something."""
    return type(one) is type(value) and isinstance(value, int | float | str | list | tuple) and one == value


def statement(frame: FrameType, line: int) -> str:
    """The text of the line that a frame is at, and of the condition above it."""
    file = frame.f_code.co_filename
    lines = [linecache.getline(file, number) for number in range(max(1, line - 1), line + 1)]
    is_raise = lines[-1].lstrip().startswith("raise")
    return "".join(lines) if is_raise else lines[-1]


def changes(error: BaseException, name: str, given: Given, plan: Plan, frames: Frames) -> Iterator[Given]:
    """What an error asks of one argument."""
    said, value = str(error), given.value
    use = plan.subject.uses.get(name, Uses())
    yield from words(value, use)
    if isinstance(error, KeyError) and frames:
        yield from (plain(key) for key in keys_beside(value, frames) if key != value)
    attribute = NO_ATTRIBUTE.search(said)
    if attribute and attribute[1] in (type(value).__name__, "Identity"):
        yield from with_attribute(attribute[2], name, plan)
    unpacked = UNPACKED.search(said)
    if unpacked and not isinstance(value, str | bool | None):
        yield plain([first_of(value)] * int(unpacked[1]))
    if SEQUENCE_WANTED.search(said) and (value is None or isinstance(value, int | float)):
        yield from (plain([WIDTH if value is None else value] * length) for length in (2, 3, 4))
    if TENSOR_WANTED.search(said):
        yield tensor()
    if (fits := FITS.search(said)) and given.is_table_of_ones:
        yield weights([int(size) for size in fits[1].split(",")])
    if MODULE_WANTED.search(said):
        yield from (made(nn.Identity, "nn.Identity()"), plan.configuration(name))
    if MAPPING_WANTED.search(said):
        yield plain({})
    missing = MISSING.search(said)
    if missing and isinstance(value, dict):  # `Part(**options)`
        guesses = {one: plan.subject.guess(f"{name}.{one}") for one in re.findall(r"'(\w+)'", missing[1])}
        yield plain({**value, **{one: guess.value for one, guess in guesses.items() if guess is not None}})
    if "not callable" in said:
        yield from callables()
    if NUMBER_WANTED.search(said) and isinstance(value, list | tuple):
        yield plain(first_of(value))
    if isinstance(error, IndexError) and isinstance(value, list | tuple):
        yield from (plain([first_of(value)] * length) for length in (3, 4, 5, 6, 8))
    if "NoneType" in said and value is None:
        yield from (plain(one) for one in (WIDTH, [WIDTH, WIDTH], "relu"))


def words(value: Any, use: Uses) -> Iterator[Given]:
    """The other constants that the code compares an argument with."""
    yield from (plain(one) for one in (*use.compared, *use.keyed) if one != value and one is not None)


def with_attribute(attribute: str, name: str, plan: Plan) -> Iterator[Given]:
    """What has an attribute: a module, a tensor, a text, or an object of options."""
    if attribute in TENSOR_PARTS:
        yield tensor()
    if hasattr(str, attribute):
        yield plain("relu")
    if hasattr(list, attribute):
        yield plain([WIDTH, WIDTH])
    if attribute in MODULE_PARTS:
        yield made(lambda: nn.Linear(WIDTH, WIDTH), f"nn.Linear({WIDTH}, {WIDTH})")
        yield made(lambda: nn.Conv2d(3, WIDTH, 3, padding=1), f"nn.Conv2d(3, {WIDTH}, 3, padding=1)")
    yield plan.configuration(name)


def callables() -> Iterator[Given]:
    """What can be called."""
    yield made(lambda: nn.ReLU, "nn.ReLU")
    yield made(nn.ReLU, "nn.ReLU()")
    yield made(lambda: nn.BatchNorm2d, "nn.BatchNorm2d")
    yield made(lambda: nn.Linear, "nn.Linear")


def first_of(value: Any) -> Any:
    """A value's first item, or itself."""
    return value[0] if isinstance(value, list | tuple) and value else value


def keys_beside(value: Any, frames: Frames) -> Iterator[Any]:
    """The keys of the dict in which a value was looked for, at the line that raised."""
    frame, line = frames[0]
    text = linecache.getline(frame.f_code.co_filename, line).strip()
    names = frame.f_globals | frame.f_locals
    for base in re.findall(r"([\w.]+)\s*\[", text):
        head, *rest = base.split(".")
        found = names.get(head)
        for part in rest:
            found = getattr(found, part, None)
        if isinstance(found, dict) and value not in found:
            yield from list(found)[:4]
    try:
        tree = ast.parse(text.rstrip(":"))
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            yield from (key.value for key in node.keys if isinstance(key, ast.Constant))


def forward_repairs(error: BaseException, plan: Plan) -> Iterator[Plan]:
    """Plans that may do where the model was built and forward raised: numbers that should agree are made to."""
    numbers = {int(part) for found in NUMBERS.findall(str(error)) for part in found.split("x")} - {0}
    assumed = plan.assumed()
    has, wants = [int(part) for part in found.groups() if part] if (found := DISAGREE.search(str(error))) else (None, None)
    yield from (plan.changed(name, plain(wants)) for name, given in assumed.items() if given.value == has and has is not None)
    for name, given in assumed.items():
        if type(given.value) is int and given.value in numbers:
            yield from (plan.changed(name, plain(other)) for other in sorted(numbers - {given.value}, reverse=True))
    frames = user_frames(error)
    for name, given in suspected(plan, frames).items():
        yield from (plan.changed(name, one) for one in changes(error, name, given, plan, frames))
    for name, given in assumed.items():
        if type(given.value) is int and given.value != WIDTH:
            yield plan.changed(name, plain(WIDTH))
