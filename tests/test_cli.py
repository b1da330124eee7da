"""The command line: what is printed where, and the exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import netcheck
from netcheck import worker
from netcheck.cli import GROUPS, cli
from netcheck.findings import Evidence, Finding, Report, Severity, Summary, Verdict
from netcheck.settings import OPTIONS, Settings

ROOT = Path(__file__).parent.parent
FINDING = Finding("NC501", "poor-init", Severity.WARNING, "the fact", "the cure", Evidence(-5.0, "decades", "−5.0 decades"))


def report(*findings: Finding) -> Report:
    return Report("Net", list(findings), summary=Summary(3, 1, 10, 1, 1), target="model.py:Net")


class Checks:
    """Stands in for the worker: remembers the settings and gives back what the test wants found."""

    def __init__(self) -> None:
        self.reports = [report(FINDING)]
        self.settings = Settings()
        self.error: BaseException | None = None

    def __call__(self, settings: Settings) -> list[Report]:
        self.settings = settings
        if self.error:
            raise self.error
        return self.reports


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    made = Checks()
    monkeypatch.setattr(worker, "check_targets", made)
    return made


def invoke(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="netcheck", **options)


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """A real process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "netcheck", *arguments],
        capture_output=True,
        env=environment,
        check=False,
        **options,
    )


def test_the_word_check_may_be_left_out(checks: Checks) -> None:
    for arguments in (
        ["model.py"],
        ["check", "model.py"],
        ["--select", "NC0", "model.py"],
        ["-q", "model.py"],
    ):
        assert invoke(*arguments).exit_code == 1
        assert checks.settings.targets == ("model.py",)


def test_files_named_like_commands_can_be_reached(checks: Checks) -> None:
    for arguments in (["./rules", "./check"], ["check", "rules", "check"]):
        invoke(*arguments)
        assert [Path(target).name for target in checks.settings.targets] == ["rules", "check"]


def test_options_become_settings(checks: Checks) -> None:
    selection = "--select NC1,NC2 --select poor-init --extend-select NC3 --ignore NC4"
    output = "--format json --fail-on info --exit-zero -v --no-color"
    cost = "--batch-size 64 --device-memory 24GiB --devices 4"
    invoke(*shlex.split(f"a.py b.py --input 8x3 --input ids=long:2 {selection} {output} --timeout 7.5 -j 3 {cost}"))
    assert checks.settings == Settings(
        targets=("a.py", "b.py"),
        inputs=("8x3", "ids=long:2"),
        select=("NC1", "NC2", "poor-init"),
        extend_select=("NC3",),
        ignore=("NC4",),
        format="json",
        fail_on=Severity.INFO,
        exit_zero=True,
        timeout=7.5,
        jobs=3,
        batch_size=64,
        devices=4,
        device_memory=24 * 2**30,
        verbose=True,
        colour=False,
    )
    invoke("a.py")
    assert checks.settings == Settings(targets=("a.py",))


CLEARED = Finding("NC501", "poor-init", Severity.ERROR, "x", "", Evidence(1.0, "", ""), verdict=Verdict.CLEARED)
UNLOADED = Finding("NC001", "cannot-load", Severity.ERROR, "x", "", Evidence(1.0, "", ""))


@pytest.mark.parametrize(
    ("findings", "options", "code"),
    [
        ([], [], 0),
        ([FINDING], [], 1),
        ([FINDING], ["--fail-on", "error"], 0),
        ([FINDING], ["--exit-zero"], 0),
        ([CLEARED], [], 0),
        ([CLEARED], ["--fail-on", "info"], 0),
        ([UNLOADED], [], 2),
        ([UNLOADED], ["--exit-zero"], 2),
    ],
)
def test_exit_codes(checks: Checks, findings: list[Finding], options: list[str], code: int) -> None:
    checks.reports = [report(*findings)]
    assert invoke("model.py", *options).exit_code == code


def test_text_goes_to_standard_output(checks: Checks) -> None:
    result = invoke("model.py")
    assert "warning[NC501] poor-init: the fact" in result.stdout
    assert result.stderr == ""


def test_json_goes_to_standard_output_or_a_file(checks: Checks, tmp_path: Path) -> None:
    document = json.loads(invoke("model.py", "--format", "json").stdout)
    assert document["models"][0]["findings"][0]["code"] == "NC501"
    file = tmp_path / "report.json"
    result = invoke("model.py", "--format", "json", "--output-file", str(file))
    assert (result.exit_code, result.output) == (1, "")
    assert json.loads(file.read_text())["models"] == document["models"]


def test_colour(checks: Checks) -> None:
    assert "\x1b[" not in invoke("model.py").output
    assert "\x1b[" in invoke("model.py", "--color").output
    assert "\x1b[" in invoke("model.py", env={"FORCE_COLOR": "1"}).output
    assert "\x1b[" not in invoke("model.py", env={"FORCE_COLOR": "1", "NO_COLOR": "1"}).output


def test_quiet(checks: Checks) -> None:
    checks.reports = [report()]
    assert invoke("model.py", "-q").output == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["summary"], "Missing argument 'TARGET...'."),
        (["check", "trained.pt"], "trained.pt holds weights and no code: netcheck model.py:Net --weights trained.pt"),
        (["--min-severity", "grave", "a.py"], "'grave' is not one of"),
        (["--selct", "NC1", "a.py"], "No such option '--selct'. (Did you mean"),
        (["--format", "xml", "a.py"], "'xml' is not one of 'text', 'full', 'concise',"),
        (["--timeout", "soon", "a.py"], "'soon' is not a valid float."),
        (["--timeout", "-1", "a.py"], "--timeout -1 makes no sense"),
        (["--jobs", "0", "a.py"], "--jobs 0 makes no sense"),
        (["--batch-size", "0", "a.py"], "--batch-size 0 makes no sense"),
        (["--device-memory", "much", "a.py"], "'much' is not a size of memory"),
        (["-q", "-v", "a.py"], "contradict each other"),
        (["--output-file", "/no/such/place", "a.py"], "there is no directory /no/such"),
        (["--input", "2xq", "a.py"], "cannot read the input '2xq': '2xq' is not a shape"),
        (["--select", "NC9999", "a.py"], "unknown rule 'NC9999'"),
        (["--ignore", "no-inptus", "a.py"], "unknown rule 'no-inptus': did you mean no-inputs?"),
        (["rule", "canot-load"], "unknown rule 'canot-load': did you mean cannot-load?"),
        (["rule"], "name one rule by its code or its name, or give --all."),
        (["rule", "NC001", "--all"], "name one rule by its code or its name, or give --all."),
        (["rule", "\x1b[2J"], "unknown rule '\\x1b[2J'"),
        (["rules", "extra"], "unexpected extra argument"),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_code_2(arguments: list[str], sentence: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("netcheck: ")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_file_that_cannot_be_written_is_bad_usage(checks: Checks) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    result = invoke("model.py", "--output-file", "/dev/full")
    assert result.exit_code == 2
    assert result.stderr.startswith("netcheck: cannot write --output-file /dev/full: No space left")


def test_ctrl_c_is_quiet(checks: Checks) -> None:
    checks.error = KeyboardInterrupt()
    result = invoke("model.py")
    assert result.exit_code == 130
    assert result.output.strip() == ""


@pytest.mark.parametrize("arguments", [[], ["check"], ["--no-probe"]])
def test_without_a_target_this_folder_is_checked(checks: Checks, arguments: list[str]) -> None:
    assert invoke(*arguments).exit_code == 1
    assert checks.settings.targets == (".",)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["check", "--help"], ["rule", "-h"], ["rules", "-h"]])
def test_help(arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: netcheck")


def test_each_option_stands_in_one_group_of_the_help() -> None:
    text = invoke("check", "--help", env={"COLUMNS": "200"}).stdout
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(
        [*(name for name, one in OPTIONS.items() if one.flags), "config", "isolated", "show_settings", "watch"]
    )
    for one in OPTIONS.values():
        assert not one.flags or len(re.findall(rf"^  (?:-\w, )?{one.label}\b[^-]", text, re.MULTILINE)) == 1, one.label
    last = re.findall(r"^  (\S+)", text[text.index("Settings:\n") :], re.MULTILINE)
    assert last == ["--config", "--isolated", "--show-settings", "-h,"]
    assert "[default: ]" not in text


def test_rule_prints_the_documentation() -> None:
    for name in ("NC001", "nc001", "cannot-load"):
        assert invoke("rule", name).stdout.startswith("cannot-load (NC001)\n")
    everything = invoke("rule", "--all").stdout
    for rule in netcheck.rules():
        assert f"{rule.name} ({rule.code})\n" in everything
    assert "```" not in everything
    assert "\n## " not in everything
    assert max(map(len, invoke("rule", "NC501", env={"COLUMNS": "60"}).stdout.splitlines())) < 100


def test_rule_in_other_formats() -> None:
    page = invoke("rule", "poor-init", "--format", "markdown").stdout
    assert page.startswith("# poor-init (NC501)\n")
    assert "```python\n" in page
    (entry,) = json.loads(invoke("rule", "poor-init", "--format", "json").stdout)
    assert (entry["code"], entry["name"], entry["severity"]) == ("NC501", "poor-init", "error")
    assert entry["documentation"] == page
    assert entry["bad"]
    assert set(entry["bad"][0]) == {"title", "source", "inputs"}
    every = json.loads(invoke("rule", "--all", "--format", "json").stdout)
    assert [one["code"] for one in every] == [rule.code for rule in netcheck.rules()]


def test_rules_prints_the_catalogue() -> None:
    table = invoke("rules").stdout
    for rule in netcheck.rules():
        assert rule.code in table
        assert rule.name in table


def test_version() -> None:
    for option in ("--version", "-V"):
        assert invoke(option).output == f"netcheck {netcheck.__version__}\n"


def test_a_stream_that_cannot_write_every_sign_does_not_crash() -> None:
    program = "from netcheck.cli import show; show('−5.0 日本\\n')"
    for encoding, printed in (("ascii", b"-5.0 ??"), ("cp1252", b"-5.0 ??"), ("utf-8", "−5.0 日本".encode())):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        )
        assert done.stdout.strip() == printed


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_broken_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "netcheck", "rule", "--all"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert done.stderr == b""


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["rules"], ["rule", "NC001"], ["rule", "nothing"]])
def test_what_needs_no_torch_imports_none(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from netcheck.__main__ import main\n"
        f"sys.argv = ['netcheck', *{arguments!r}]\n"
        "try:\n    main()\n"
        "finally:\n    sys.stderr.write(str('torch' in sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.endswith("False")


def test_a_real_process() -> None:
    done = run("rule", "needs-arguments")
    assert done.returncode == 0
    assert done.stdout.startswith(b"needs-arguments (NC002)")
    done = run("--select", "nonsense", "model.py")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"netcheck: unknown rule 'nonsense'")


def test_children_do_not_wait_for_threads_that_only_the_worker_had(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text("from torch import nn\nmodel = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2))\n")
    done = subprocess.run(
        [sys.executable, "-m", "netcheck", "--no-cache", str(file)],
        env={**os.environ, "OMP_NUM_THREADS": "2"},  # what one thread computes, it needs no pool for
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
