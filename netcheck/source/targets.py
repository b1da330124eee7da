"""What a user names on the command line, as a list of models to check. Imports no torch.

model.py                every model that the file defines
src/                    every model under the folder
model.py:Net            this one, whatever it is
package.module          as a file
package.module:make     as a file with a symbol; the module is looked for, not imported
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from netcheck.source.discover import Candidate, Skipped, discover, uncollected
from netcheck.source.imports import file_in
from netcheck.source.overlay import Texts


@dataclass(frozen=True, slots=True)
class Target:
    """One model to check.

    Attributes:
        file: the path of its source, "" if only Python's import system can find its module.
        symbol: the class, variable or function; may be dotted ("models.Net").
        module: the dotted module if it was named so, else "".
        line: where it is defined, 0 if that is not known.
        discovered: whether netcheck found it, rather than the user naming it.
        variable: whether it is one that netcheck found to hold a model.
        part: whether it is looked at because what builds it could not be checked: what it returns is no model's output.
        texts: what stands in the place of files while it is checked: the source after an edit.
        before: the same of the model before the edit, which it is to be compared with; None for no comparison.
    """

    file: str
    symbol: str
    module: str = ""
    line: int = 0
    discovered: bool = False
    variable: bool = False
    part: bool = False
    texts: Texts = field(default=(), repr=False)
    before: Texts | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """How a user names it: `model.py:Net`."""
        return f"{self.module or self.file}:{self.symbol}"


@dataclass(frozen=True, slots=True)
class Targets:
    """The models to check, what was named but cannot be, by model what it builds: to be checked where it cannot be; and the files
    that were named as such, or lie in folders that were.
    """

    targets: tuple[Target, ...]
    skipped: tuple[Skipped, ...]
    parts: Mapping[Target, tuple[Target, ...]] = field(default_factory=dict)
    files: tuple[str, ...] = ()


@uncollected()
def expand(
    arguments: Sequence[str],
    known: Sequence[tuple[str, str]] = (),
    left_out: Callable[[str], bool] = lambda file: False,
) -> Targets:
    """List the models that the arguments name, each once, in the order of the arguments.

    A file or folder that does not exist is in `skipped`, as is a file in which no model was found.

    Args:
        arguments: what the user named.
        known: (absolute file, symbol) of models that are to be checked with their files, found in them or not.
        left_out: whether a file in a folder is not to be looked at.
    """
    parts = [split(argument) for argument in arguments]
    paths = list(dict.fromkeys(path for path, symbol, _ in parts if path and not symbol))
    found = discover([path for path in paths if os.path.lexists(path)], left_out)
    skipped = [Skipped(path, "does not exist") for path in paths if not os.path.lexists(path)]
    targets: list[Target] = []
    by_file: dict[str, list[Candidate]] = {}
    for one in found.candidates:
        by_file.setdefault(one.file, []).append(one)
    for argument, (path, symbol, module) in zip(arguments, parts, strict=True):
        if symbol and not path and not module:
            skipped.append(Skipped(argument.rpartition(":")[0], "does not exist"))
        elif symbol:
            targets.append(Target(path, symbol, module))
        elif path:
            spellings = dict.fromkeys((path, os.path.normpath(path)))
            there = found.candidates if os.path.isdir(path) else [one for name in spellings for one in by_file.get(name, ())]
            targets += [discovered(one, module) for one in there if belongs(one.file, path)]
            inside = [(file, symbol) for file, symbol in known if belongs(file, os.path.abspath(path))]
            targets += [Target(relative(file, path), symbol, module) for file, symbol in inside]
        else:
            skipped.append(Skipped(argument, "is neither a file nor a folder nor a module that can be found"))
    once: dict[str, Target] = {}
    for target in targets:
        once.setdefault(f"{target.file}:{target.symbol}", target)
    answered = {target.file for target in once.values()}
    built = {discovered(one): tuple(map(discovered, inside)) for one, inside in found.parts.items()}
    return Targets(
        tuple(once.values()),
        (*skipped, *(one for one in found.skipped if one.beside or one.file not in answered)),
        built,
        found.files,
    )


def relative(file: str, path: str) -> str:
    """An absolute path as it would be found under `path`: relative if that is."""
    return file if os.path.isabs(path) or not file else os.path.relpath(file)


def discovered(candidate: Candidate, module: str = "") -> Target:
    """The target that a candidate is."""
    is_variable = candidate.kind == "instance"
    return Target(candidate.file, candidate.symbol, module, candidate.line, discovered=True, variable=is_variable)


def belongs(file: str, path: str) -> bool:
    """Whether a discovered file is the one named, or lies in the folder named."""
    folder = os.path.normpath(path)
    return file in (path, folder) or folder == os.curdir or file.startswith(folder.rstrip(os.sep) + os.sep)


def split(argument: str) -> tuple[str, str, str]:
    """An argument as (path, symbol, dotted module), each "" where it has none."""
    if os.path.lexists(argument):
        return argument, "", ""
    head, colon, symbol = argument.rpartition(":")
    if colon and is_dotted(symbol) and not symbol[0].isdigit():
        if os.path.lexists(head):
            return head, symbol, ""
        if is_dotted(head) and not head.endswith((".py", ".ipynb")):
            return module_path(head), symbol, head
        return "", symbol, ""
    if is_dotted(argument) and not argument.endswith((".py", ".ipynb")):
        path = module_path(argument)
        return path, "", argument if path else ""
    return argument, "", ""


def is_dotted(text: str) -> bool:
    """Whether a text is a dotted name."""
    return all(part.isidentifier() for part in text.split("."))


def module_path(module: str) -> str:
    """The file of a dotted module where Python would look for it, "" if it is not there; imports nothing."""
    here = os.getcwd()
    for root in (here, os.path.join(here, "src"), *sys.path):
        found = file_in(root or here, module.split("."))
        if found:
            return os.path.relpath(found) if found.startswith(here + os.sep) else found
    return ""
