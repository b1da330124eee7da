"""What README.md and the guides show and do not say by themselves: a model, the command's output, the table of rules.

    python -m tests.readme      writes them anew

Each stands behind a comment that says what it is: `<!-- class: FILE NAME -->`, `<!-- output: COMMAND -->`, `<!-- rules -->`.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

from netcheck.rules.base import Notice, registry

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "netcheck" / "report" / "manual" / "guides").glob("*.md")))

MODEL = re.compile(r"(?<=<!-- class: )(\S+) (\w+)( -->\n```python\n)(?:.*?)(?=```\n)", re.DOTALL)
OUTPUT = re.compile(r"(?<=<!-- output: )([^\n]+?)( -->\n```text\n)(?:.*?)(?=```\n)", re.DOTALL)
RULES = re.compile(r"(?<=<!-- rules -->\n\n)(?:\|[^\n]*\n)*\n?")
SHELL = re.compile(r"^```sh\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
PRE_COMMIT = re.compile(r"(?<=<!-- pre-commit -->\n```yaml\n)(?:.*?)(?=```\n)", re.DOTALL)
GITHUB = re.compile(r"(?<=<!-- github -->\n```yaml\n)(?:.*?)(?=```\n)", re.DOTALL)
GITLAB = re.compile(r"(?<=<!-- gitlab -->\n```yaml\n)(?:.*?)(?=```\n)", re.DOTALL)
VSCODE = re.compile(r"(?<=<!-- vscode -->\n```json\n)(?:.*?)(?=```\n)", re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```\n", re.DOTALL | re.MULTILINE)


def text() -> str:
    """README and the guides, one after the other."""
    return "\n".join(page.read_text("utf-8") for page in PAGES)


def regenerated(text: str) -> str:
    """A page's text with everything in it that can be generated written anew."""
    text = MODEL.sub(lambda m: f"{m[1]} {m[2]}{m[3]}{class_source(ROOT / m[1], m[2])}", text)
    text = OUTPUT.sub(lambda m: f"{m[1]}{m[2]}{run(m[1]).stdout}", text)
    return RULES.sub(lambda _: table() + "\n", text)


def class_source(file: Path, name: str) -> str:
    """The lines of a class."""
    lines = file.read_text().splitlines(keepends=True)
    tree = ast.parse("".join(lines))
    node = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    return "".join(lines[node.lineno - 1 : node.end_lineno])


def run(command: str, **options: str) -> subprocess.CompletedProcess[str]:
    """Run a command of README in the repository, with this Python, whether or not netcheck is installed for it."""
    program, *arguments = shlex.split(command, comments=True)
    if "--netcheck" in arguments and not entry_points(group="pytest11", name="netcheck"):
        arguments += [
            "-p",
            "netcheck.pytest_plugin",
        ]  # which pytest finds by itself where netcheck is installed
    return subprocess.run(
        [sys.executable, "-m", program.removeprefix(".venv/bin/"), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **options},
        capture_output=True,
        text=True,
        check=False,
    )


def table() -> str:
    """The rules as a table in Markdown: those about models, then what netcheck says of itself."""
    rules = sorted(registry(), key=lambda rule: (isinstance(rule, Notice), rule.code))
    rows = [f"| {rule.code} | {rule.name} | {rule.severity.value} | {rule.summary} |" for rule in rules]
    return "\n".join(["| code | name | at most | what it looks for |", "|---|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(regenerated(page.read_text("utf-8")), "utf-8")
