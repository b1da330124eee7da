"""The child processes: they hang, crash and print, and the reports come out all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from fake_checks import FakeTarget

from netcheck import engine, worker
from netcheck.errors import UsageError
from netcheck.findings import Report
from netcheck.settings import Settings
from netcheck.worker import check_targets, ending, shared

HERE = Path(__file__).parent


def run(*files: str, **options: Any) -> list[Report]:
    targets = [FakeTarget(file) for file in files]
    return worker.run(targets, Settings(**options), check="fake_checks:check")  # type: ignore[arg-type]


def test_reports_come_in_the_order_of_the_targets() -> None:
    assert [report.target for report in run("b", "a", "c", jobs=3)] == ["b:Net", "a:Net", "c:Net"]


def test_targets_of_one_directory_share_a_process_and_others_do_not(tmp_path: Path) -> None:
    targets = [str(tmp_path / name) for name in ("one/a.py", "one/b.py", "two/c.py")]
    first, second, third = (report.model for report in run(*targets))
    assert first == second != third


def test_jobs_divide_the_targets_of_one_directory() -> None:
    one, two = (FakeTarget(file) for file in ("one/a.py", "two/a.py"))
    assert list(shared([one] * 5 + [two], 2)) == [[one] * 3, [one] * 2, [two]]  # type: ignore[list-item]
    assert list(shared([], 2)) == []


def test_a_check_that_takes_too_long_is_ended_and_the_next_one_runs() -> None:
    start = time.perf_counter()
    slow, quick = run("hang", "fine", timeout=2)
    assert time.perf_counter() - start < 20
    assert [f.code for f in slow] == ["NC007"]
    assert "took longer than 2 s" in slow.findings[0].message
    assert quick.target == "fine:Net"
    assert not quick.findings


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_what_a_hanging_check_started_is_ended_too() -> None:
    start = time.perf_counter()
    run("hang-with-child", timeout=1)
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize(("what", "how"), [("segfault", "killed by SIGSEGV"), ("exit", "exited with code 3")])
def test_a_crash_is_a_finding_and_the_next_target_is_checked(what: str, how: str) -> None:
    crashed, other = run(what, "fine")
    assert [f.code for f in crashed] == ["NC007"]
    assert how in crashed.findings[0].message
    assert not other.findings


def test_a_defect_of_netcheck_is_a_finding_with_its_place() -> None:
    (report,) = run("bug")
    assert "ZeroDivisionError: a defect of netcheck" in report.findings[0].message
    assert report.findings[0].evidence.text.startswith("fake_checks.py:")


def test_a_usage_error_in_the_child_is_raised_in_the_parent() -> None:
    with pytest.raises(UsageError, match="makes no sense"):
        run("usage")


def test_what_the_users_code_prints_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    (report,) = run("print")
    captured = capfd.readouterr()
    assert report.model.isdigit()
    assert captured.out == ""
    assert "the user's code prints" in captured.err
    assert "straight to the descriptor" in captured.err


def test_code_that_reads_standard_input_finds_it_empty() -> None:
    assert run("input")[0].model == "''"


def test_the_graph_stays_in_the_child() -> None:
    assert run("graph")[0].graph is None


def test_an_unknown_selector_is_refused_before_anything_runs() -> None:
    with pytest.raises(UsageError, match="unknown rule 'NC9999'"):
        check_targets(Settings(targets=("hang",), select=("NC9999",)))


def test_files_without_models_come_after_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    unchecked = Report("b.py", skipped=["defines no model"])
    monkeypatch.setattr(engine, "plan", lambda names: ([FakeTarget(names[0])], [unchecked]))
    monkeypatch.setattr(worker, "run", lambda targets, settings: [Report(target.file) for target in targets])
    reports = check_targets(Settings(targets=("a.py", "b.py")))
    assert [report.model for report in reports] == ["a.py", "b.py"]


def test_an_ignored_crash_is_still_said() -> None:
    (report,) = run("exit", ignore=("NC007",))
    assert not report.findings
    assert "exited with code 3 (NC007, ignored)" in report.skipped[0]


def test_endings_have_names() -> None:
    assert ending(1) == "exited with code 1"
    assert ending(-9) == "was killed by SIGKILL"
    assert ending(-250) == "was killed by signal 250"


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_no_child_outlives_its_parent(tmp_path: Path, signal_number: int, code: int) -> None:
    program = textwrap.dedent("""
        import os, sys, time
        from fake_checks import FakeTarget
        from netcheck import engine, worker
        from netcheck.__main__ import main
        engine.plan = lambda names: ([FakeTarget("hang")], [])
        original = worker.start
        def start(check):
            process = original("fake_checks:check")
            print(process.pid, flush=True)
            return process
        worker.start = start
        sys.argv = ["netcheck", "hang"]
        main()
    """)
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal_number)
    _, errors = parent.communicate(timeout=20)
    assert parent.returncode == code
    assert errors.strip() == ""
    deadline = time.perf_counter() + 10
    while alive(child) and time.perf_counter() < deadline:
        time.sleep(0.05)
    assert not alive(child)


def alive(process_id: int) -> bool:
    """Whether a process runs: one that has ended but was not yet waited for does not."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process_id}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")
