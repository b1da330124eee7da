"""The child processes: what they give back, how they are limited, and that nothing of them stays."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from netcheck.errors import UsageError
from netcheck.settings import Settings
from netcheck.source.targets import Target
from netcheck.worker import Event, Limits, check_all
from netcheck.worker.frames import BrokenFrameError, Frames, send
from netcheck.worker.limits import machine_memory
from netcheck.worker.processes import MARK
from tests.warm import KEPT

HERE = Path(__file__).parent
NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)
"""
LOOP = NET.replace("super()", "while True: pass\n        super()")
PATIENCE = 600.0  # seconds, after which a test is not slow but stuck
LIMITS = Limits(seconds=PATIENCE, memory=2 * 2**30)


@pytest.fixture(autouse=True)
def isolated(monkeypatch, tmp_path):
    """Checks of the tests can be imported; afterwards no process and no temporary file is left."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parents[1])]))
    monkeypatch.setenv("TMPDIR", str(scratch))  # for a parent in another process
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    yield
    assert strays() == []
    assert list(scratch.iterdir()) == []


def strays():
    """Children of this process, and processes with the mark of one of its workers, whoever their parent is.

    Only those with this test's own TMPDIR: somebody else may be running netcheck on the machine. Not the worker that tests share.
    """
    found, folder = [], os.environ.get("TMPDIR")
    ours = f"TMPDIR={folder}".encode()
    for place in Path("/proc").iterdir():
        if not place.name.isdecimal():
            continue
        try:
            parent = int(re.search(r"PPid:\s+(\d+)", (place / "status").read_text())[1])
            environment = (place / "environ").read_bytes()
            marked = f"{MARK}=".encode() in environment and (folder is None or ours in environment.split(b"\0"))
        except (OSError, TypeError):
            continue
        if (marked or parent == os.getpid()) and f"{KEPT}=".encode() not in environment:
            found.append((place.name, (place / "cmdline").read_bytes()))
    return found


def targets(tmp_path, *sources):
    for number, source in enumerate(sources):
        (tmp_path / f"m{number}.py").write_text(source)
    return [Target(f"m{number}.py", "Net") for number in range(len(sources))]


def run(chosen, check="support:check", limits=LIMITS, **options):
    return list(check_all(chosen, options.pop("settings", None), check=check, limits=limits, **options))


def run_within(chosen, codes, **options):
    """The reports with the shortest time limit under which they have these codes: how much a busy machine does in 3 s varies."""
    seconds = 3.0
    while True:
        reports = run(chosen, limits=Limits(seconds, LIMITS.memory), **options)
        if [report.findings[0].code for report in reports] == codes or seconds > PATIENCE:
            return seconds, reports
        seconds *= 4


def test_reports_come_in_the_order_of_the_targets(tmp_path):
    chosen = targets(tmp_path, "import time; time.sleep(1)\n" + NET, NET, NET, NET)
    reports = run(chosen, jobs=2, settings={"seed": 3})
    assert [report.target for report in reports] == [f"m{n}.py:Net" for n in range(4)]
    assert {report.findings[0].evidence.text for report in reports} == {"2.28478"}
    assert {report.inputs for report in reports} == {"settings {'seed': 3}"}
    assert reports[0].seconds > 1


def test_torch_is_imported_once_and_not_here(tmp_path):
    chosen = targets(tmp_path, *[NET] * 10)
    reports = run(chosen, check="support:pid")
    children, workers = zip(*(report.inputs.split() for report in reports), strict=True)
    assert len(set(workers)) == 1
    assert len(set(children)) == 10
    assert {tuple(report.skipped) for report in reports} == {("True",)}
    code = (
        "import sys\nfrom netcheck.worker import check_all\nfrom netcheck.source.targets import Target\n"
        "[report] = check_all([Target('m0.py', 'Net')], check='support:check')\n"
        "print(report.findings[0].code, 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("NC999 False\n", "")


def test_a_second_target_costs_little_beyond_its_check(tmp_path):
    def seconds(count):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(targets(tmp_path, *[NET] * count))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    one, eleven = seconds(1), seconds(11)
    assert (eleven - one) / 10 < 0.2 * one


def test_a_child_imports_next_to_nothing_itself(tmp_path):
    reports = run(targets(tmp_path, NET, NET), check="real_support:imports")
    assert all(int(report.inputs) < 60 for report in reports), [report.inputs for report in reports]


def test_a_compiler_that_one_child_needed_is_there_for_the_next(tmp_path):
    reports = run(targets(tmp_path, NET, "import torch._dynamo.utils\n" + NET, NET), check="real_support:compiles")
    assert [report.inputs for report in reports] == ["False False", "False True", "True True"]


def test_progress_tells_file_and_phase(tmp_path):
    events: list[Event] = []
    here = threading.get_ident()
    threads = set()

    def progress(event):
        events.append(event)
        threads.add(threading.get_ident())

    run(targets(tmp_path, NET), progress=progress)
    assert [event.phase for event in events] == ["load", "load", "run", "done"]
    assert {event.target.name for event in events} == {"m0.py:Net"}
    assert threads == {here}


def test_time_limit(tmp_path):
    seconds, (looping, good) = run_within(targets(tmp_path, LOOP, NET), ["NC007", "NC999"])
    [finding] = looping.findings
    assert (finding.code, finding.name, finding.severity) == ("NC007", "crashed", "error")
    assert finding.message == f"Net: did not end within {seconds:g} s (phase: load) while in __init__"
    assert finding.location.line == 6
    assert finding.location.file.endswith("m0.py")
    assert finding.evidence.value >= seconds
    assert finding.evidence.limit == seconds
    assert good.findings[0].code == "NC999"


def test_memory_limit_of_what_grows_slowly(tmp_path):
    grows = "import mmap\nfrom torch import nn\nclass Net(nn.Module): ...\nkept = []\nwhile True:\n"
    grows += "    kept.append(mmap.mmap(-1, 2**24))\n    kept[-1].write(b'x' * 2**24)\n"  # shared: under no rlimit
    limits = Limits(seconds=PATIENCE, memory=2**29)
    (tmp_path / "m0.py").write_text(grows)
    [report] = check_all([Target("m0.py", "Net")], check="support:check", limits=limits)
    [finding] = report.findings
    assert finding.message.startswith("Net: took more than 0.50 GiB of memory")
    assert finding.evidence.value > finding.evidence.limit == 2**29
    assert finding.location.line in (5, 6, 7)


def test_memory_limit_of_one_large_allocation(tmp_path):
    large = "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    big = torch.zeros(10**11)\n"
    [report] = run(targets(tmp_path, large))
    assert report.findings[0].code == "NC001"
    assert "memory" in report.findings[0].message
    assert report.findings[0].location.line == 4


def test_the_default_limits_fit_the_machine():
    assert 0 < Limits().memory < machine_memory()


def test_output_of_user_code_goes_nowhere(tmp_path, capfd):
    noisy = "import os\nprint('noise')\nos.system('echo noise; echo noise >&2')\n" + NET
    [report] = run(targets(tmp_path, noisy))
    assert report.findings[0].code == "NC999"
    assert capfd.readouterr() == ("", "")


def test_the_last_line_printed_is_told_after_a_crash(tmp_path):
    [report] = run(targets(tmp_path, "import os\nprint('out of luck', flush=True)\nos._exit(4)\n"))
    assert report.findings[0].message == "Net: the process ended itself with exit code 4 before its report (phase: load)"
    assert "out of luck" in report.findings[0].help


@pytest.mark.parametrize("forks", [True, False])
def test_a_crash_leaves_the_others_whole(tmp_path, forks):
    crash = "import ctypes\nctypes.CDLL(None).abort()\n"
    reports = run(targets(tmp_path, NET, crash, NET, crash, crash, NET), forks=forks)
    assert [report.findings[0].code for report in reports] == [
        "NC999",
        "NC007",
        "NC999",
        "NC007",
        "NC007",
        "NC999",
    ]
    assert {r.findings[0].evidence.text for r in reports if r.findings[0].code == "NC999"} == {"2.28478"}


def test_time_limit_without_forks(tmp_path):
    expected = ["NC999", "NC007", "NC999"]
    _, reports = run_within(targets(tmp_path, NET, LOOP, NET), expected, forks=False)
    assert [report.findings[0].code for report in reports] == expected


@pytest.mark.parametrize("check", ["support:unpicklable", "support:foreign"])
def test_a_report_that_cannot_be_sent_is_a_finding(tmp_path, check):
    reports = run(targets(tmp_path, NET, NET), check=check)
    assert [report.findings[0].code for report in reports] == ["NC007", "NC007"]


@pytest.mark.parametrize("check", ["absent_module:check", "support:absent"])
def test_a_worker_that_does_not_start_is_one_clear_error(tmp_path, check):
    with pytest.raises(UsageError, match=r"the worker process does not start: .*absent"):
        run(targets(tmp_path, NET), check=check)


def test_a_consumer_that_stops_early_ends_the_rest(tmp_path):
    forever = Limits(seconds=1e6, memory=LIMITS.memory)
    reports = check_all(targets(tmp_path, NET, LOOP, LOOP), check="support:check", jobs=2, limits=forever)
    assert next(reports).findings[0].code == "NC999"
    reports.close()  # and does not wait for the loops


def test_a_folder_with_modules_of_python_in_it(tmp_path):
    for name in ("random", "types", "queue", "selectors", "torch", "pickle"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('shadowed')\n")
    [report] = run(targets(tmp_path, NET))
    assert report.findings[0].code == "NC999"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ending_the_parent_ends_everything(tmp_path, number):
    script = (
        "import sys\nfrom netcheck.settings import Settings\nfrom netcheck.worker import check_all\n"
        "from netcheck.source.targets import Target\nfree = Settings(allow_writes=True)\n"
        "try:\n    list(check_all([Target('m0.py', 'Net')] * 2, free, check='support:check', jobs=2))\n"
        "except KeyboardInterrupt:\n    sys.exit(130)\n"
    )
    detached = "import subprocess\nopen('started', 'a').write('x')\nsubprocess.Popen(['sleep', '1000'])\n"
    targets(tmp_path, detached + LOOP)
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    wait_until(lambda: Path("started").exists() and len(Path("started").read_text()) == 2)
    time.sleep(0.2)
    os.killpg(parent.pid, number)
    output, _ = parent.communicate(timeout=PATIENCE)
    wait_until(lambda: not strays())
    wait_until(lambda: not list(Path("scratch").iterdir()))
    assert b"Traceback" not in output
    assert parent.returncode == (130 if number == signal.SIGINT else -number)


def wait_until(true, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_frames_survive_any_cut(tmp_path):
    read, write = os.pipe()
    send(write, ("phase", "load"))
    send(write, ("phase", "x" * 1000))
    data = os.read(read, 1 << 16)
    os.close(read), os.close(write)
    for size in (1, 3, 7, len(data)):
        frames = Frames()
        found = [m for at in range(0, len(data), size) for m in frames.feed(data[at : at + size])]
        assert found == [("phase", "load"), ("phase", "x" * 1000)]


@pytest.mark.parametrize("data", [b"\xff" * 8, b"\0\0\0\x04abcd", b"\0\0\0\x1ccos\nsystem\n(S'echo harm'\ntR."])
def test_frames_refuse_what_is_no_message(data):
    with pytest.raises(BrokenFrameError):
        list(Frames().feed(data))


def test_a_package_that_is_called_tests_is_its_own(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "__init__.py").touch()
    (tmp_path / "tests" / "nets.py").write_text("from torch import nn\n\nmodel = nn.Linear(2, 2)\n")
    (report,) = check_all([Target("tests/nets.py", "model")], Settings(probe=False), limits=LIMITS)
    assert report.summary is not None
