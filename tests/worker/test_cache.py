"""What an earlier run found is taken over exactly where nothing has changed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from netcheck import worker
from netcheck.findings import Evidence, Finding, Report, Severity, Summary
from netcheck.settings import Settings
from netcheck.source.construction import project as projects
from netcheck.source.construction import ways
from netcheck.source.dependencies import dependencies
from netcheck.source.targets import Target
from netcheck.worker import cache as caching
from netcheck.worker.cache import Cache, default_folder, is_lasting

ROOT = Path(__file__).parents[2]
NET = "from torch import nn\n\nclass Net:\n    pass\n\nmodel = nn.Sequential(nn.Linear(3, 2))\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a model that imports two modules, one of them lazily; nothing above it counts."""
    monkeypatch.chdir(tmp_path)
    for function in (caching.surroundings, caching.foreign):
        function.cache_clear()
    Path(".git").mkdir()
    Path("pack/inner").mkdir(parents=True)
    Path("pack/__init__.py").write_text("")
    Path("pack/inner/__init__.py").write_text("from . import deep\n")
    Path("pack/inner/deep.py").write_text("WIDTH = 3\n")
    Path("pack/layers.py").write_text("def f():\n    from pack.inner import deep\n    return deep\n")
    Path("pack/net.py").write_text(f"from .layers import f\nimport numpy.linalg, json\n{NET}")
    Path("pack/alone.py").write_text(NET)
    return tmp_path


def settings(**options: Any) -> Settings:
    return Settings(**{"targets": ("pack/net.py",), "cache": True, "cache_dir": Path("kept"), **options})


class Checks:
    """Stands in for the child processes: counts what is checked."""

    def __init__(self) -> None:
        self.checked: list[str] = []
        self.make: Callable[[Target], Report] = lambda target: report(target)
        self.meanwhile: Callable[[], object] = lambda: None

    def __call__(self, targets: list[Target], settings: Settings, **_: Any) -> list[Report]:
        self.checked += [target.name for target in targets]
        made = [self.make(target) for target in targets]
        self.meanwhile()
        return made


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    made = Checks()
    monkeypatch.setattr(worker, "check_all", made)
    return made


def report(target: Target, *codes: str) -> Report:
    found = [Finding(code, "x", Severity.INFO, "", "", Evidence(1.0, "", "")) for code in codes or ("NC501",)]
    return Report(target.symbol, found, summary=Summary(1, 1, 1, 1, 1), target=target.name, seconds=1.5)


def test_an_unchanged_file_is_answered_without_a_check(project: Path, checks: Checks) -> None:
    first = worker.check_targets(settings())
    assert checks.checked == ["pack/net.py:model"]
    assert worker.check_targets(settings()) == first
    assert checks.checked == ["pack/net.py:model"]
    assert worker.check_targets(settings(cache=False)) == first
    assert len(checks.checked) == 2


def test_what_the_model_imports(project: Path) -> None:
    files, others = dependencies("pack/net.py")
    names = [os.path.relpath(file) for file in files]
    assert names == ["pack/__init__.py", "pack/inner/__init__.py", "pack/inner/deep.py", "pack/layers.py", "pack/net.py"]
    assert others == ("numpy", "torch")
    assert dependencies("pack/alone.py")[1] == ("torch",)


@pytest.mark.parametrize(
    "change",
    [
        lambda: Path("pack/net.py").write_text(Path("pack/net.py").read_text() + "\n"),
        lambda: Path("pack/layers.py").write_text("x = 1\n"),
        lambda: Path("pack/inner/deep.py").write_text("WIDTH = 4\n"),
        lambda: Path("pack/__init__.py").write_text("x = 1\n"),
        lambda: Path("pack/inner/deep.py").unlink(),
    ],
    ids=["file", "import", "import in a function", "package", "import is gone"],
)
def test_a_change_in_what_it_imports_counts(project: Path, checks: Checks, change: Callable[[], object]) -> None:
    worker.check_targets(settings())
    change()
    worker.check_targets(settings())
    assert len(checks.checked) == 2


def test_a_change_in_other_files_does_not(project: Path, checks: Checks) -> None:
    worker.check_targets(settings(targets=("pack",)))
    assert sorted(checks.checked) == ["pack/alone.py:model", "pack/net.py:model"]
    Path("pack/alone.py").write_text(NET + "\n")
    Path("README.md").write_text("x")
    os.utime("pack/net.py")
    worker.check_targets(settings(targets=("pack",)))
    assert checks.checked[2:] == ["pack/alone.py:model"]


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({"seed": 1}, True),
        ({"select": ("NC5",)}, True),
        ({"ignore": ("NC5",)}, True),
        ({"probe": False}, True),
        ({"device": "cpu"}, True),
        ({"inputs": ("2x3",)}, True),
        ({"rules": (("NC501", (("error", 4),)),)}, True),
        ({"per_file_ignores": (("*", ("NC5",)),)}, True),
        ({"verbose": True}, True),  # then the cost is told
        ({"format": "github"}, False),
        ({"fail_on": Severity.ERROR}, False),
        ({"exit_zero": True}, False),
        ({"jobs": 2}, False),
        ({"colour": True}, False),
        ({"timeout": 7.0}, False),
    ],
)
def test_settings_count_if_findings_depend_on_them(project: Path, checks: Checks, options: dict[str, Any], counts: bool) -> None:
    worker.check_targets(settings())
    worker.check_targets(settings(**options))
    assert len(checks.checked) == 1 + counts


def test_weights_packages_and_netcheck_itself_count(project: Path, checks: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = Path("trained.pt")
    for content in (b"1", b"22"):
        weights.write_bytes(content)
        worker.check_targets(settings(weights=weights))
    assert len(checks.checked) == 2
    packages = project / "site-packages"
    (packages / "numpy-1.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.setattr("netcheck.__version__", "0.0.0")
    seen = set()
    for name in ("numpy-1.dist-info", "numpy-2.dist-info"):
        (packages / "numpy-1.dist-info").rename(packages / name)
        caching.surroundings.cache_clear()
        seen.add(caching.surroundings())
    assert len(seen) == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    caching.surroundings.cache_clear()
    assert caching.surroundings() not in seen


def test_a_package_in_an_editable_install_counts(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = project.parent / f"{project.name}-elsewhere" / "their_package"
    elsewhere.mkdir(parents=True)
    (elsewhere / "__init__.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(elsewhere.parent))
    before = caching.foreign("their_package")
    (elsewhere / "part.py").write_text("x = 1\n")
    caching.foreign.cache_clear()
    assert caching.foreign("their_package") not in (before, b"")
    assert caching.foreign("numpy") == caching.foreign("torch") == caching.foreign("not_there") == b""


def test_a_file_that_changes_while_it_is_checked_is_checked_again(project: Path, checks: Checks) -> None:
    checks.meanwhile = lambda: Path("pack/layers.py").write_text("changed = 1\n")
    worker.check_targets(settings())
    worker.check_targets(settings())
    assert len(checks.checked) == 2


@pytest.mark.parametrize("damage", [b"", b"x", b"netcheck report 1\n", "cut", "flip", "pickle"])
def test_a_damaged_file_is_a_miss(project: Path, checks: Checks, damage: bytes | str) -> None:
    worker.check_targets(settings())
    (file,) = Path("kept").iterdir()
    whole = file.read_bytes()
    if damage == "cut":
        damage = whole[:-3]
    elif damage == "flip":
        damage = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]
    elif damage == "pickle":  # whole, but it would run code
        import hashlib
        import pickle

        data = pickle.dumps(Evil())
        damage = caching.MAGIC + hashlib.sha256(data).digest() + data
    assert isinstance(damage, bytes)
    file.write_bytes(damage)
    worker.check_targets(settings())
    assert len(checks.checked) == 2
    assert file.read_bytes() == whole
    assert not Path("evil").exists()


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("evil",)


def test_what_another_run_may_see_otherwise_is_not_kept(project: Path, checks: Checks) -> None:
    for make in (
        lambda target: report(target, "NC006"),
        lambda target: report(target, "NC008", "NC501"),
        lambda target: Report("x", report(target, "NC007").findings, target=target.name),
        lambda target: Report("x", report(target, "NC001").findings, target=target.name),
    ):
        checks.make = make
        worker.check_targets(settings())
    assert len(checks.checked) == 4
    assert not Path("kept").exists()
    target = Target("a.py", "Net")
    assert is_lasting(Report("x", report(target, "NC002").findings))
    assert is_lasting(Report("x", skipped=["is no model"]))
    (found,) = report(target, "NC001").findings
    assert is_lasting(Report("x", [replace(found, message="importing a.py raised SyntaxError: no")]))
    assert is_lasting(Report("x", [replace(found, message="building Net: absent.x is needed, and absent is not installed")]))
    assert not is_lasting(Report("x", [replace(found, message="importing a.py raised FileNotFoundError: no b.txt")]))


def test_a_folder_that_cannot_be_written_is_no_cache(project: Path, checks: Checks) -> None:
    Path("kept").write_text("a file")
    for _ in range(2):
        worker.check_targets(settings())
    assert len(checks.checked) == 2
    assert Path("kept").read_text() == "a file"


def test_it_does_not_grow_without_end(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "MOST_FILES", 10)
    kept = Cache(Path("kept"))
    for number in range(12):
        kept.store(f"{number:02}", report(Target("a.py", "Net")))
        os.utime(Path("kept", f"{number:02}"), (number, number))
    assert kept.load("00") is not None  # now the one used last
    kept.prune()
    assert sorted(path.name for path in Path("kept").iterdir()) == ["00", "08", "09", "10", "11"]


def test_many_runs_may_share_a_folder(project: Path) -> None:
    kept = Cache(Path("kept"))
    one = report(Target("a.py", "Net"))
    end = time.monotonic() + 1.0
    wrong: list[Report | None] = []

    def write() -> None:
        while time.monotonic() < end:
            kept.store("key", one)

    def read() -> None:
        while time.monotonic() < end:
            found = kept.load("key")
            if found != one:
                wrong.append(found)

    kept.store("key", one)
    threads = [threading.Thread(target=work) for work in (write, write, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert [path.name for path in Path("kept").iterdir()] == ["key"]


def test_where_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/there")
    assert default_folder() == Path("/there/netcheck")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_folder() == Path("/home/me/.cache/netcheck")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_folder() == Path("/home/me/Library/Caches/netcheck")


def test_the_command_answers_twice_alike_and_the_second_time_without_torch(project: Path) -> None:
    program = (
        "import sys\nfrom netcheck.__main__ import main\n"
        "try:\n    main()\nfinally:\n    sys.stderr.write(str('torch' in sys.modules))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NETCHECK_CACHE": "true"}
    outputs = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program, "pack", "--cache-dir", "kept", "--isolated", "--format", "json"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == "False"
        outputs.append((done.returncode, done.stdout))
        assert len(list(Path("kept").iterdir())) == 2
    assert outputs[0] == outputs[1]


def test_how_the_project_builds_a_class_is_part_of_the_key(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("")
    file = tmp_path / "net.py"
    file.write_text(
        "from torch import nn\n\n\nclass Net(nn.Linear):\n    def __init__(self, n):\n        super().__init__(n, n)\n"
    )
    (tmp_path / "train.py").write_text("from net import Net\n\nNet(3)\n")
    keys = set()
    for width in ("3", "4", "int('4')"):
        (tmp_path / "train.py").write_text(f"from net import Net\n\nNet({width})\n")
        for known in (projects.opened, ways.ways):
            known.cache_clear()
        keys.add(Cache(tmp_path).key(Target(str(file), "Net"), Settings()))
    assert len(keys) == 2
