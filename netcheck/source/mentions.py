"""What the bytes of a file mention, before anything is parsed: libraries that models are made with, classes. Imports no torch."""

from __future__ import annotations

import re

from netcheck.source.parse import Unreadable, limit_of, read

LIBRARIES = (
    b"torch",
    b"lightning",
    b"transformers",
    b"timm",
    b"fastai",
    b"diffusers",
    b"segmentation_models",
)
LARGEST = 64 * 2**20  # bytes; of a file larger than this not even a mention is looked for
MAY_DEFINE = re.compile(
    rb"^[ \t]*class\s+[\w\x80-\xff]+\s*\("  # a class with a base
    rb"|^[\w\x80-\xff]+[^=\n(]*=\s*[\w.\x80-\xff]*\("  # a variable made by a call
    rb"|->\s*[\"']?[\w.]*[A-Z\x80-\xff]|^\s+return\s+[\w.\x80-\xff]+\("  # a function that returns what it makes
    rb"|\"cells\"",  # a notebook
    re.MULTILINE,
)

BASES = re.compile(rb"^[ \t]*class\s+[\w\x80-\xff]+\s*\(([^)]*)\)", re.MULTILINE)
WORD = re.compile(rb"[\w\x80-\xff]+")


def may_define_models(text: bytes) -> bool:
    """Whether a file mentions a library that models are made with, and may define something."""
    return any(name in text for name in LIBRARIES) and MAY_DEFINE.search(text) is not None


def names_one(file: str, names: frozenset[bytes]) -> bool:
    """Whether a file names one of some classes, and may define something."""
    try:
        raw = read(file, limit_of(file))
    except Unreadable:
        return False
    return not names.isdisjoint(WORD.findall(raw)) and MAY_DEFINE.search(raw) is not None


def derives(file: str, names: frozenset[bytes]) -> bool:
    """Whether a file, which need be no Python, derives a class from one of some classes."""
    try:
        return any(not names.isdisjoint(WORD.findall(bases)) for bases in BASES.findall(read(file, limit_of(file))))
    except Unreadable:
        return False
