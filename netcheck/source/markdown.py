"""The Python in a README, as files of their own: each example that imports something, and the blocks that go on with it.

    README.md      ```python            README.md[1]     lines 3 to 5, on their lines
                   import torch
                   from net import Net
                   model = Net(3)
                   ```
                   ```python            README.md[1]     line 9: it imports nothing
                   model(torch.ones(2, 3))
                   ```

Lines keep their numbers: what is no code is empty. Imports no torch.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator
from functools import lru_cache

PART = re.compile(r"(?P<file>.+\.md)\[(?P<number>\d+)\]")
FENCE = re.compile(r"\s*(?P<marks>`{3,}|~{3,})\s*\{?\.?(?P<language>[\w+-]*)")
LANGUAGES = ("", "python", "py", "python3", "pycon", "ipython")
PROMPT = re.compile(r"^\s*(>>>|\.\.\.) ?")


def file_of(path: str) -> str:
    """The file that a part is of; any other path as it is."""
    found = PART.fullmatch(path)
    return found["file"] if found else path


def parts_of(path: str, text: str) -> list[str]:
    """The names of the parts of a file."""
    return [f"{path}[{number}]" for number in range(1, len(python_parts(text)) + 1)]


def part(path: str, text: str) -> str | None:
    """The Python of a part, by its name; None where the path names none."""
    found = PART.fullmatch(path)
    parts = python_parts(text) if found else ()
    number = int(found["number"]) if found else 0
    return parts[number - 1] if 0 < number <= len(parts) else None


@lru_cache(maxsize=8)
def python_parts(text: str) -> tuple[str, ...]:
    """The Python of each part, with as many lines as the text: parsed once, however many parts are asked for."""
    lines = text.splitlines()
    found: list[list[str]] = []
    for start, block in blocks(lines):
        code = as_code(block)
        tree = parsed(code)
        if tree is None:
            continue
        if not found or any(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body):
            found.append([""] * len(lines))
        found[-1][start : start + len(block)] = code.split("\n")
    return tuple("\n".join(one) for one in found)


def blocks(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """The fenced blocks that may hold Python: the number of the first line, from 0, and the lines."""
    start, marks, language = -1, "", ""
    for number, line in enumerate(lines):
        fence = FENCE.match(line)
        if marks and fence and fence["marks"].startswith(marks) and not fence["language"]:
            if language.lower() in LANGUAGES and number > start:
                yield start, lines[start:number]
            marks = ""
        elif not marks and fence:
            start, marks, language = number + 1, fence["marks"], fence["language"]


def as_code(block: list[str]) -> str:
    """The code of a block, one line for each: without prompts, and without what is printed after them."""
    if any(PROMPT.match(line) for line in block):
        block = [PROMPT.sub("", line) if PROMPT.match(line) else "" for line in block]
    return textwrap.dedent("\n".join(block))


def parsed(code: str) -> ast.Module | None:
    """The syntax tree of a block; None where it is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
