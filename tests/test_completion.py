"""Shell completion, in the shells themselves where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import netcheck

ROOT = Path(__file__).parent.parent


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One in which `netcheck` is a program."""
    program = tmp_path / "programs" / "netcheck"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m netcheck "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "TERM": "dumb"}


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def completed(environment: dict[str, str], words: str, number: int) -> list[str]:
    """What netcheck offers for a word, as bash asks for it: lines of a type and a value."""
    asked = {"_NETCHECK_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    return run("netcheck", **environment, **asked).split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("netcheck ru", ["plain,rule", "plain,rules", "file,ru"]),
        ("netcheck mod", ["file,mod"]),
        ("netcheck --sel", ["plain,--select"]),
        ("netcheck net.py --exit", ["plain,--exit-zero"]),
        ("netcheck check net.py src", ["file,src"]),
        ("netcheck --format sa", ["plain,sarif"]),
        ("netcheck net.py --fail-on e", ["plain,error"]),
        ("netcheck rule NC50", [f"plain,{r.code}" for r in netcheck.rules() if r.code.startswith("NC50")]),
        ("netcheck rule poor", ["plain,poor-init"]),
        ("netcheck rule --for", ["plain,--format"]),
        ("netcheck --select NC1,poor", ["plain,NC1,poor-init"]),
        ("netcheck --ignore nc501", ["plain,NC501"]),
    ],
)
def test_what_is_offered(environment: dict[str, str], words: str, offered: list[str]) -> None:
    assert completed(environment, words, len(words.split()) - 1) == offered


def test_bash(environment: dict[str, str]) -> None:
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    program = """
        eval "$(_NETCHECK_COMPLETE=bash_source netcheck)"
        complete -p netcheck
        COMP_WORDS=(netcheck rule poor); COMP_CWORD=2
        _netcheck_completion netcheck poor rule
        echo "${COMPREPLY[@]}"
    """
    registered, offered = run("bash", "--norc", "-c", program, **environment).splitlines()
    assert registered.endswith("-F _netcheck_completion netcheck")
    assert offered == "poor-init"


def test_fish(environment: dict[str, str]) -> None:
    if shutil.which("fish") is None:
        pytest.skip("needs fish")
    program = '_NETCHECK_COMPLETE=fish_source netcheck | source; complete -C "netcheck rule poor"'
    (offered,) = run("fish", "--no-config", "-c", program, **environment).splitlines()
    name, summary = offered.split("\t")
    assert name == "poor-init"
    assert summary.startswith("Weights are so small")


def test_zsh(environment: dict[str, str]) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("needs zsh")
    program = """
        autoload -U compinit; compinit -u -D
        eval "$(_NETCHECK_COMPLETE=zsh_source netcheck)"
        echo ${_comps[netcheck]}
        compadd() { print -l -- COMPADD "$@" }; _describe() { print -l -- "${(P@)3}" }
        words=(netcheck rule poor); CURRENT=3
        _netcheck_completion
    """
    registered, *offered = run("zsh", "-f", "-c", program, **environment).splitlines()
    assert registered == "_netcheck_completion"
    assert any(line.startswith("poor-init:Weights are so small") for line in offered), offered
