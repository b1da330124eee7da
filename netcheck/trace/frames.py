"""Whose code a frame runs."""

from __future__ import annotations

import sysconfig
from types import CodeType

import torch

_TORCH = torch.__file__.removesuffix("__init__.py")
_STANDARD_LIBRARY = sysconfig.get_path("stdlib")
_OURS = __file__.removesuffix("trace/frames.py").removesuffix("trace\\frames.py")
_users: dict[str, bool] = {}


def is_users(code: CodeType) -> bool:
    """Whether a user wrote it: not Python's standard library, torch or netcheck."""
    known = _users.get(code.co_filename)
    if known is None:
        name = code.co_filename
        standard = name.startswith(_STANDARD_LIBRARY) and "site-packages" not in name
        known = not (standard or name.startswith((_TORCH, _OURS, "<frozen")))
        _users[name] = known
    return known
