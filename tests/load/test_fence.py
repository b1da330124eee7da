"""What is looked at writes, sends, starts and trains nothing, and the report says which lines would have."""

from __future__ import annotations

import builtins
import ctypes
import hashlib
import os
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

import netcheck
from netcheck.findings import Report
from netcheck.settings import Settings
from netcheck.worker import check_targets
from tests.load.left_out_scripts import HEAD, HELPER, IMPORTS, NET, everywhere, some

MARK = re.compile(r"# out: (.*)$")


def kept(folder: Path) -> None:
    """What must be there afterwards as it was."""
    (folder / "kept").mkdir()
    for name in ("kept.txt", "kept.pt", "kept/inner.txt", "data.txt"):
        (folder / name).write_text("precious")
    (folder / "helper.py").write_text(HELPER)
    (folder / "trains_itself.py").write_text(
        "import torch\nfor _ in range(10**9):\n    torch.ones(1, requires_grad=True).backward()\n"
    )


def digest(folder: Path) -> dict[str, tuple[str, int]]:
    """The files and folders with what they hold and when they were changed."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.stat().st_mtime_ns if path.is_file() else 0,
        )
        for path in sorted(folder.rglob("*"))
    }


def check(folder: Path, patch: pytest.MonkeyPatch, *names: str, **options: object):
    """The reports on files, by name, and whether the folder is as before."""
    patch.chdir(folder)
    before = digest(folder)
    options = {"probe": False, "timeout": 60.0, **options}
    reports = check_targets(Settings(targets=names or (".",), **options))  # type: ignore[arg-type]
    return {Path(report.target.rpartition(":")[0]).stem: report for report in reports}, before == digest(folder)


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory):
    """Each statement at one place, checked in one run."""
    return all_checked(tmp_path_factory.mktemp("scripts"), some())


def all_checked(folder: Path, scripts: dict[str, str]):
    """The reports on scripts, and whether their folder is as before."""
    kept(folder)
    for name, text in scripts.items():
        (folder / f"{name}.py").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        return check(folder, patch, *(f"{name}.py" for name in scripts))


def test_no_file_is_changed(looked_at):
    _, same = looked_at
    assert same


@pytest.mark.parametrize("name", list(some()))
def test_the_model_is_checked_and_the_line_is_named(looked_at, name):
    reports, _ = looked_at
    require_named(name, some()[name], reports[name])


@pytest.mark.slow
def test_every_statement_at_every_place(tmp_path):
    reports, same = all_checked(tmp_path, everywhere())
    assert same
    for name, text in everywhere().items():
        require_named(name, text, reports[name])


def require_named(name: str, text: str, report: Report) -> None:
    """The model was checked, and each marked line is named with its reason."""
    assert report.summary is not None, (report.findings, report.left_out)
    said = {one.line: one.reason for one in report.left_out if Path(one.file).stem == name}
    for number, line in enumerate(text.splitlines(), start=1):
        if found := MARK.search(line):
            assert said.get(number, "").startswith(found[1]), report.left_out


def test_a_file_that_trains_is_told_to_guard_it(looked_at):
    reports, _ = looked_at
    text = str(reports["trains_unguarded_main"])
    assert 'trains when it is imported: line 17; put that under `if __name__ == "__main__":`' in text
    assert "left out: line 17 (trains, at line 15)" in text


def test_training_in_a_thread_ends(looked_at):
    reports, _ = looked_at
    assert "helper.py line 6 (trains: backward())" in str(reports["trains_in_a_thread"])


def test_a_module_is_looked_at_like_a_file(tmp_path, monkeypatch):
    text = HEAD + NET + "open('out.txt', 'w')\nwhile True:\n    torch.rand(1)\n"
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "net.py").write_text(text)
    (tmp_path / "packed" / "__init__.py").write_text("")
    kept(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    reports, same = check(tmp_path, monkeypatch, "packed.net:Net")
    [report] = reports.values()
    assert same
    assert report.summary is not None
    assert [one.line for one in report.left_out] == [11, 12]


def test_a_variable_that_was_left_out_is_told_so(tmp_path, monkeypatch):
    script = "import urllib.request\nfrom torch import nn\nmodel = nn.Linear(4, len(urllib.request.urlopen('http://example.com').read()))\n"
    (tmp_path / "net.py").write_text(script)
    reports, _ = check(tmp_path, monkeypatch, "net.py")
    [finding] = reports["net"].findings
    assert finding.code == "NC001"
    assert "line 3, which would make it, was left out (opens a connection: example.com)" in finding.message


def test_a_model_that_only_a_loop_makes_which_trains_it_is_checked(tmp_path, monkeypatch):
    script = """\
import torch
from torch import nn

WIDTHS = (8, 16)
for width in WIDTHS:
    model = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))
    model(torch.randn(8, 4)).sum().backward()
"""
    (tmp_path / "net.py").write_text(script)
    reports, _ = check(tmp_path, monkeypatch, "net.py")
    assert reports["net"].summary.parameters == 4 * 8 + 8 + 8 * 2 + 2, "the first that the loop makes"
    assert [(one.line, one.trains) for one in reports["net"].left_out] == [(5, True)]


def test_training_of_an_imported_file_is_named_with_its_file(looked_at):
    reports, _ = looked_at
    assert "trains_itself.py line 2 (trains: backward(), at line 3)" in str(reports["trains_in_an_import"])


def test_with_writes_allowed_all_happens(tmp_path, monkeypatch):
    kept(tmp_path)
    text = HEAD + IMPORTS + NET + "model = Net()\nopen('out.txt', 'w').write('x')\nsubprocess.run(['touch', 'run.txt'])\n"
    (tmp_path / "net.py").write_text(text + "model(torch.ones(1, 4)).sum().backward()\nopen('trained.txt', 'w').close()\n")
    reports, same = check(tmp_path, monkeypatch, "net.py", allow_writes=True)
    assert not same
    assert (tmp_path / "out.txt").read_text() == "x"
    assert (tmp_path / "run.txt").exists()
    assert (tmp_path / "trained.txt").exists()
    assert not reports["net"].left_out


def test_what_is_written_can_be_read_again(tmp_path, monkeypatch):
    (tmp_path / "size.txt").write_text("4")
    script = """
        import json, os, torch
        from torch import nn
        os.makedirs("made/deep", exist_ok=True)
        json.dump({"width": 5}, open("made/deep/config.json", "w"))
        width = json.load(open("made/deep/config.json"))["width"]
        open("size.txt", "a").write("0")
        height = int(open("size.txt").read())
        torch.save(torch.ones(3), "w.pt")
        model = nn.Sequential(nn.Linear(height, width), nn.Linear(width, len(torch.load("w.pt"))))
        """
    (tmp_path / "net.py").write_text(textwrap.dedent(script))
    reports, same = check(tmp_path, monkeypatch, "net.py")
    assert same
    assert reports["net"].summary.parameters == 40 * 5 + 5 + 5 * 3 + 3


def test_temporary_files_devices_and_caches_of_libraries_are_free(tmp_path, monkeypatch):
    library = tmp_path / "home" / "site-packages" / "somelib"
    library.mkdir(parents=True)
    (tmp_path / "home" / ".cache").mkdir()
    places = ("~/.cache/somelib.txt", "~/.config/somelib/made.txt", "~/.other.txt")
    writes = "".join(f"    write({place!r})\n" for place in places)
    (library / "__init__.py").write_text(
        "import os\ndef write(place):\n    place = os.path.expanduser(place)\n"
        f"    os.makedirs(os.path.dirname(place), exist_ok=True)\n    open(place, 'w').close()\ndef main():\n{writes}"
    )
    script = """
        import os, sys, tempfile
        sys.path.insert(0, os.path.expanduser("~/site-packages"))
        import somelib
        from torch import nn
        print("x", file=open(os.devnull, "w"))
        with tempfile.TemporaryDirectory() as folder:
            open(os.path.join(folder, "x"), "w").write("x")
            assert os.listdir(folder) == ["x"]
        somelib.main()
        open(os.path.expanduser("~/.cache/own.txt"), "w").close()
        model = nn.Linear(4, 3)
        """
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "net.py").write_text(textwrap.dedent(script))
    (tmp_path / "home" / ".config").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    reports, _ = check(folder, monkeypatch, "net.py")
    assert (tmp_path / "home/.cache/somelib.txt").exists()
    assert (tmp_path / "home/.config/somelib/made.txt").exists()
    assert [(one.line, one.reason[-10:]) for one in reports["net"].left_out] == [(10, ".other.txt"), (11, "he/own.txt")]


def test_compiled_code_is_stopped_by_the_kernel(tmp_path, monkeypatch):
    script = """
        import ctypes
        from torch import nn
        libc = ctypes.CDLL(None)
        libc.creat(b"made.txt", 0o600)
        libc.unlink(b"data.txt")
        libc.rename(b"kept.txt", b"moved.txt")
        libc.truncate(b"kept.pt", 0)
        model = nn.Linear(4, 3)
        """
    kept(tmp_path)
    (tmp_path / "net.py").write_text(textwrap.dedent(script))
    if ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) < 3:
        pytest.skip("this kernel has no Landlock")
    reports, same = check(tmp_path, monkeypatch, "net.py")
    assert same
    assert reports["net"].summary is not None


def test_what_the_kernel_refuses_is_named(tmp_path, monkeypatch):
    pytest.importorskip("safetensors")
    script = """
        import torch
        from safetensors.torch import save_file
        from torch import nn

        def save(model):
            save_file(model.state_dict(), "kept.pt")

        class Net(nn.Linear):
            def __init__(self):
                super().__init__(4, 3)
                save(self)

        model = Net()
        save(model)
        """
    kept(tmp_path)
    (tmp_path / "net.py").write_text(textwrap.dedent(script))
    if ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) < 3:
        pytest.skip("this kernel has no Landlock")
    reports, same = check(tmp_path, monkeypatch, "net.py")
    assert same
    assert reports["net"].summary is not None
    assert {7, 12, 15} == {one.line for one in reports["net"].left_out}


def test_unneeded_lines_share_two_seconds(tmp_path, monkeypatch):
    slow = "".join(f"while x != {number}:\n    pass\n" for number in range(1, 20))
    (tmp_path / "net.py").write_text(f"{HEAD}x = 0\n{slow}model = nn.Linear(4, 3)\n")
    reports, _ = check(tmp_path, monkeypatch, "net.py")
    assert reports["net"].summary is not None
    assert reports["net"].seconds < 30
    assert [one.line for one in reports["net"].left_out] == [4, 6]


# ---- in the user's own process --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probe", [False, True])
def test_forward_writes_nothing_in_this_process_either(tmp_path, monkeypatch, probe):
    monkeypatch.chdir(tmp_path)
    kept(tmp_path)
    before = digest(tmp_path)

    class Debugging(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x):
            torch.save(x, "debug.pt")
            with open("debug.txt", "a") as file:
                print(x.shape, file=file)
            os.makedirs("debug", exist_ok=True)
            return self.fc(x)

    report = netcheck.check(Debugging(), probe=probe)
    assert digest(tmp_path) == before
    assert report.summary is not None
    assert [one.reason for one in report.left_out] == ["torch.save writes debug.pt", "writes debug.txt", "makes debug"]
    netcheck.trace(Debugging)
    netcheck.infer_inputs(Debugging)
    assert digest(tmp_path) == before


def test_a_process_in_forward_is_one_finding_with_its_line(tmp_path, monkeypatch):
    class Starting(nn.Linear):
        def forward(self, x):
            subprocess.run(["touch", str(tmp_path / "out.txt")])
            return super().forward(x)

    report = netcheck.check(Starting(4, 3))
    assert not (tmp_path / "out.txt").exists()
    [finding] = [one for one in report if one.code == "NC003"]
    assert "starts a process: touch" in finding.message
    assert "subprocess.run" in Path(__file__).read_text().splitlines()[finding.location.line - 1]


def test_a_factory_that_trains_is_one_finding(tmp_path):
    def make():
        model = nn.Linear(4, 3)
        while True:
            model(torch.ones(2, 4)).sum().backward()

    [finding] = netcheck.check(make)
    assert (finding.code, finding.name) == ("NC001", "cannot-load")
    assert "trains: backward()" in finding.message


def test_an_optimizer_inside_forward_is_the_models_own_computation():
    class Inner(nn.Linear):
        def forward(self, x):
            weight = torch.zeros(4, requires_grad=True)
            optimizer = torch.optim.SGD([weight], 0.1)
            (weight.sum() - 1).backward()
            optimizer.step()
            return super().forward(x)

    report = netcheck.check(Inner(4, 3), torch.ones(2, 4), probe=False)
    assert not [one for one in report if one.code in ("NC001", "NC003")]
    assert report.left_out == []


def test_this_process_is_as_before_and_other_threads_are_free(tmp_path):
    names = [
        (builtins, "open"),
        (os, "open"),
        (os, "remove"),
        (torch, "save"),
        (torch.autograd, "backward"),
        (subprocess.Popen, "__init__"),
    ]
    before = [getattr(owner, name) for owner, name in names]

    class Waiting(nn.Linear):
        def forward(self, x):
            def write():
                (tmp_path / "log.txt").write_text("x")

            thread = threading.Thread(target=write)
            thread.start()
            thread.join()
            return super().forward(x)

    netcheck.check(Waiting(4, 3), probe=False)
    assert (tmp_path / "log.txt").exists()
    assert [getattr(owner, name) for owner, name in names] == before
    assert "connect" not in vars(__import__("socket").socket)


def test_no_audit_hook_stays_in_the_users_process():
    script = (
        "import sys, torch, netcheck\nadded = []\nsys.addaudithook(lambda name, arguments: added.append(name))\n"
        "netcheck.check(torch.nn.Linear(2, 2), probe=False)\nprint(added.count('sys.addaudithook'))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
