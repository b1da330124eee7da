"""The user's own data by name: `--input-from data.py:loader` or `package.data:train_loader`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

from netcheck.errors import InputError
from netcheck.load.guard import user_code
from netcheck.load.modules import import_file, import_module


def named(text: str) -> Any:
    """What a name stands for: a loader or inputs; of a function, what it returns.

    Args:
        text: file.py:name or package.module:name.

    Raises:
        InputError: there is no such name.
        LoadError: the file or module cannot be imported, or the function raised.
    """
    place, _, name = text.rpartition(":")
    if not place or not name:
        raise InputError(f"{text!r} names no data", help="write file.py:name or package.module:name")
    module = import_file(place, [name]) if place.endswith((".py", ".ipynb")) else import_module(place)
    try:
        value = reduce(getattr, name.split("."), module)
    except AttributeError as error:
        raise InputError(f"{place} has no {name}", help="name a loader, or a function that returns one") from error
    if callable(value) and not isinstance(value, Iterable):
        with user_code(f"calling {text}", place):
            value = value()
    return value
