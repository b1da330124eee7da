"""Imports run one way, among parts and among files, and what needs no torch imports none."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "netcheck"
FILES = sorted(PACKAGE.rglob("*.py"))

# What each part may import: the parts before it. A package is one part.
ORDER = [
    "location",
    "figures",
    "findings",
    "errors",
    "atomic",
    "settings",
    "progress",
    "launch",
    "source",
    "torch_versions",
    "compiler",
    "load",
    "trace",
    "measure",
    "rules",
    "engine",
    "baseline",
    "api",
    "report",
    "compare",
    "worker",
    "fix",
    "server",
    "cli",
    "pytest_plugin",
    "lightning",
    "huggingface",
    "__main__",
]

# What is said and what was measured. It knows of nothing else, not even for a type checker.
PLAIN_DATA = {"location", "figures", "findings"}

# Parts that must load without torch. The rules must too: `netcheck rules` only reads their documentation.
WITHOUT_TORCH = {
    "atomic",
    "baseline",
    "location",
    "figures",
    "findings",
    "errors",
    "settings",
    "progress",
    "launch",
    "source",
    "rules",
    "report",
    "compare",
    "engine",
    "api",
    "worker",
    "fix",
    "server",
    "cli",
}
WITHOUT_TORCH |= {"__init__", "__main__", "pytest_plugin"}


def part_of(file: Path) -> str:
    """The part of the package that a file belongs to: its top folder, or its own name."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path, *, at_module_level: bool = False) -> Iterator[str]:
    """The dotted names that a file imports, leaving out those that only type checkers see."""
    package = ("netcheck", *file.relative_to(PACKAGE).parent.parts)
    for node in statements(ast.parse(file.read_text("utf-8")), into_functions=not at_module_level):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def statements(tree: ast.AST, *, into_functions: bool) -> Iterator[ast.AST]:
    """Every node below `tree` that runs, when the module is imported or also later."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in node.orelse:
                yield other
                yield from statements(other, into_functions=into_functions)
        elif into_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from statements(node, into_functions=into_functions)


def parts_imported(file: Path) -> set[str]:
    """The other parts of netcheck that a file imports."""
    names = [name.split(".") for name in imports(file)]
    known = {part_of(other) for other in FILES}
    return {name[1] for name in names if name[0] == "netcheck" and len(name) > 1 and name[1] in known}


def test_every_part_has_its_place() -> None:
    assert {part_of(file) for file in FILES} - {"__init__"} <= set(ORDER)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_run_one_way(file: Path) -> None:
    part = part_of(file)
    if part == "__init__":
        assert parts_imported(file) <= {"findings"}, "the public API is imported when it is used"
        return
    for other in parts_imported(file) - {part}:
        assert ORDER.index(other) < ORDER.index(part), f"{part} imports {other}"


def name_of(file: Path) -> str:
    """The dotted name of a file's module."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def files_imported(file: Path, modules: Collection[str]) -> set[str]:
    """The modules of netcheck that a file names in any import: at its top, in a function, or for a type checker alone."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "netcheck imports by full names"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in modules else str(node.module) for name in names}
    return found & (set(modules) - {name_of(file)})


def imported_by_file() -> dict[str, set[str]]:
    """What each module imports of the others. `netcheck` itself is left out: it hands out all that is public."""
    modules = {name_of(file): file for file in FILES}
    return {name: files_imported(file, modules) - {"netcheck"} for name, file in modules.items() if name != "netcheck"}


def test_files_import_each_other_in_no_circle() -> None:
    TopologicalSorter(imported_by_file()).prepare()  # raises CycleError, which names the circle


def test_a_circle_is_seen() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({**imported_by_file(), "netcheck.location": {"netcheck.report.text"}}).prepare()


def test_plain_data_knows_of_nothing_but_plain_data() -> None:
    for name, others in imported_by_file().items():
        if name.split(".")[1] in PLAIN_DATA:
            assert {other.split(".")[1] for other in others} <= PLAIN_DATA, name


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_what_needs_no_torch_imports_none(file: Path) -> None:
    at_import = {name.split(".")[0] for name in imports(file, at_module_level=True)}
    if part_of(file) in WITHOUT_TORCH:
        assert not at_import & {"torch", "numpy", "networkx", "tabulate"}
    if part_of(file) in PLAIN_DATA | {"errors", "settings", "source"}:
        assert "torch" not in {name.split(".")[0] for name in imports(file)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_click_is_for_the_command_line_alone(file: Path) -> None:
    uses_click = any(name.split(".")[0] == "click" for name in imports(file))
    assert not uses_click or part_of(file) == "cli"


def test_the_checks_here_see_what_they_look_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    file = tmp_path / "load" / "inputs.py"
    file.parent.mkdir()
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import hidden\n"
        "try:\n    import torch.nn\nexcept ImportError:\n    pass\n"
        "from ..rules import base\n"
        "from . import target\n"
        "def f():\n    from netcheck.cli import cli\n    import click\n"
        "class C:\n    import numpy\n"
    )
    now = {"typing.TYPE_CHECKING", "torch.nn", "netcheck.rules.base", "netcheck.load.target", "numpy"}
    assert set(imports(file, at_module_level=True)) == now
    assert set(imports(file)) == now | {"netcheck.cli.cli", "click"}


def private_names_of_torch(tree: ast.AST) -> Iterator[str]:
    """What code takes of torch that torch calls private."""
    roots = {"torch"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            roots.update(alias.asname or alias.name for alias in node.names)
            yield from (name for name in names if is_private(name))
        elif isinstance(node, ast.Import):
            known = [alias for alias in node.names if alias.name.split(".")[0] == "torch"]
            roots.update(alias.asname for alias in known if alias.asname)
            yield from (alias.name for alias in known if is_private(alias.name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(name := ast.unparse(node)) and name.split(".")[0] in roots:
            yield name


def is_private(name: str) -> bool:
    """Whether a part of a dotted name begins with one underscore."""
    return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_what_torch_calls_private_stands_in_one_place(file: Path) -> None:
    found = set(private_names_of_torch(ast.parse(file.read_text("utf-8"))))
    assert bool(found) == (file.name == "torch_versions.py"), f"move this to netcheck/torch_versions.py: {found}"


def test_private_names_are_seen() -> None:
    code = "import torch\nfrom torch import nn\nfrom torch._ops import OpOverload\ntorch._C.f()\nnn.modules.conv._ConvNd\n"
    code += "x._y\ntorch.__version__\n"
    assert set(private_names_of_torch(ast.parse(code))) == {
        "torch._ops.OpOverload", "torch._C", "torch._C.f", "nn.modules.conv._ConvNd",
    }  # fmt: skip
