"""The hooks in the real pre-commit, in git repositories made for it, as README configures them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.readme import PRE_COMMIT, ROOT, text

pytest.importorskip("pre_commit")
if shutil.which("git") is None:
    pytest.skip("needs git", allow_module_level=True)

LOCAL, FROM_REPOSITORY = PRE_COMMIT.findall(text())
HOOKS = ".pre-commit-hooks.yaml"
FINE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 16)
        self.second = nn.Linear(16, 2)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))
"""
FAULTY = FINE.replace("torch.relu(self.first(x))", "self.first(x)")


class Project:
    """A git repository with pre-commit configured."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        programs = folder.parent / "programs"
        programs.mkdir()
        netcheck = programs / "netcheck"
        netcheck.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m netcheck "$@"\n')
        netcheck.chmod(0o755)
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PRE_COMMIT"))}
        self.environment = {
            **clean,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PRE_COMMIT_HOME": str(folder.parent / "cache"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "HOME": str(folder.parent),
        }
        folder.mkdir()
        self.git("init", "-q", "-b", "main")
        for key, value in (("user.name", "A"), ("user.email", "a@example.com")):
            self.git("config", key, value)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False)

    def git(self, *arguments: str) -> str:
        done = self.run("git", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pre_commit(self, *arguments: str) -> tuple[int, str]:
        done = self.run(sys.executable, "-m", "pre_commit", *arguments)
        return done.returncode, done.stdout + done.stderr

    def add(self, **files: str) -> None:
        for name, content in files.items():
            (self.folder / f"{name}.py").write_text(content)
        self.git("add", "-A")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    (made.folder / ".pre-commit-config.yaml").write_text(LOCAL)
    return made


def hooks_repository(folder: Path, project: Project) -> Path:
    """What pre-commit clones of netcheck: the hooks' declaration."""
    folder.mkdir()
    shutil.copy(ROOT / HOOKS, folder / HOOKS)
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
        subprocess.run(["git", *identity, *command], cwd=folder, env=project.environment, check=True)
    return folder


def test_a_faulty_model_stops_the_commit(project: Project) -> None:
    code, output = project.pre_commit("install")
    assert code == 0, output
    project.add(net=FAULTY)
    done = project.run("git", "commit", "-m", "x")
    assert done.returncode == 1
    assert "NC103" in done.stdout + done.stderr
    assert "net.py:" in done.stdout + done.stderr
    project.add(net=FINE)
    done = project.run("git", "commit", "-m", "x")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stdout + done.stderr


def test_files_without_models_import_no_torch(project: Project) -> None:
    (project.folder / "torch").mkdir()
    (project.folder / "torch" / "__init__.py").write_text("raise SystemExit('torch was imported')\n")
    project.add(data="import json\n", text="x = 1\n")
    project.environment["PYTHONPATH"] = f"{project.folder}{os.pathsep}{ROOT}"
    code, output = project.pre_commit("run", "netcheck")
    assert code == 0, output
    assert "Passed" in output


def test_the_declared_hooks(project: Project, tmp_path: Path) -> None:
    assert project.pre_commit("validate-manifest", str(ROOT / HOOKS))[0] == 0
    repository = hooks_repository(tmp_path / "netcheck", project)
    config = FROM_REPOSITORY.replace("/path/to/netcheck", str(repository))
    (project.folder / ".pre-commit-config.yaml").write_text(config)
    assert project.pre_commit("validate-config")[0] == 0
    project.add(net=FAULTY)
    code, output = project.pre_commit("run", "--verbose")
    assert code == 1
    assert "NC103" in output
    assert "probe" not in output, "the probe waits for the push"
    assert "measured:" not in output
    project.add(net=FINE)
    code, output = project.pre_commit("run", "--verbose", "--hook-stage", "pre-push", "--all-files")
    assert code == 0, output
    assert "netcheck (probe)" in output
    assert "measured:" in output
    code, output = project.pre_commit("run", "--hook-stage", "manual", "netcheck-probe", "--all-files")
    assert code == 0, output
