"""Configuration files, the environment and the command line, and which of them wins."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netcheck.errors import UsageError
from netcheck.findings import Severity
from netcheck.settings import OPTIONS, Settings
from netcheck.settings.config import KEYS, MODEL_KEYS, closest, named_file
from netcheck.settings.gather import VARIABLES, gather, shown

Write = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes [tool.netcheck] into a pyproject.toml of the current folder, or of one below it."""
    monkeypatch.chdir(tmp_path)

    def write(table: str, folder: str = ".", header: str = "[tool.netcheck]\n") -> Path:
        file = tmp_path / folder / "pyproject.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(header + table)
        return file

    return write


def settings(**options: Any) -> Settings:
    return gather(options).settings


def test_every_key_is_read(project: Write, tmp_path: Path) -> None:
    project(
        """
select = ["NC1", "poor-init"]
extend-select = "NC3,NC4"
ignore = ["NC106"]
exclude = ["tests", "legacy/*.py"]
fail-on = "error"
exit-zero = true
format = "json"
output-file = "report.json"
timeout = 60
jobs = 2
seed = 7
color = false
batch-size = 32
device-memory = "24GiB"

[tool.netcheck.per-file-ignores]
"tests/*" = ["NC5", "NC1"]

[tool.netcheck.per-model-ignores]
"Net.encoder.*" = ["NC4"]

[[tool.netcheck.model]]
target = "src/net.py:Net"
args = [3, "relu"]
kwargs = { width = 64, blocks = [1, 2], options = { bias = false } }
input = "8x64"
batch = 16

[[tool.netcheck.model]]
target = "package.net:make"
input = ["8x64", "ids=long:2x16"]
"""
    )
    found = settings()
    assert found.select == ("NC1", "poor-init")
    assert found.extend_select == ("NC3", "NC4")
    assert found.ignore == ("NC106",)
    assert found.exclude == ("tests", "legacy/*.py")
    assert found.fail_on is Severity.ERROR
    assert (found.exit_zero, found.format, found.colour) == (True, "json", False)
    assert found.output_file == tmp_path / "report.json"
    assert (found.timeout, found.jobs, found.seed) == (60.0, 2, 7)
    assert (found.batch_size, found.device_memory) == (32, 24 * 2**30)
    assert found.per_file_ignores == (("tests/*", ("NC5", "NC1")),)
    assert found.per_model_ignores == (("Net.encoder.*", ("NC4",)),)
    assert found.root == str(tmp_path)
    first, second = found.models
    assert (first.target, first.args) == ("src/net.py:Net", (3, "relu"))
    assert dict(first.kwargs) == {"width": 64, "blocks": [1, 2], "options": {"bias": False}}
    assert dict(first.options) == {"inputs": ("8x64",), "batch_size": 16}
    assert dict(second.options) == {"inputs": ("8x64", "ids=long:2x16")}


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(project: Write) -> None:
    project('jobs = 2\nseed = 2\ntimeout = 2\nignore = ["NC2"]')
    environment = {"NETCHECK_JOBS": "3", "NETCHECK_SEED": "3", "NETCHECK_IGNORE": "NC3,NC4", "NETCHECK_SELECT": ""}
    gathered = gather({"jobs": 4, "seed": None, "select": ()}, environment=environment)
    found = gathered.settings
    assert (found.jobs, found.seed, found.timeout) == (4, 3, 2.0)
    assert (found.ignore, found.select) == (("NC3", "NC4"), ())
    assert gathered.origins == {
        "jobs": "command line",
        "seed": "NETCHECK_SEED",
        "timeout": "pyproject.toml",
        "ignore": "NETCHECK_IGNORE",
    }


def test_isolated_reads_nothing(project: Write) -> None:
    project("jobs = 2")
    assert gather({}, isolated=True, environment={"NETCHECK_SEED": "3"}).settings == Settings(cache=True)
    assert gather({}, environment={"NETCHECK_ISOLATED": "1"}).settings == Settings(cache=True)
    assert gather({}, environment={"NETCHECK_ISOLATED": "0"}).settings.jobs == 2
    with pytest.raises(UsageError, match="contradict"):
        gather({}, isolated=True, config="pyproject.toml")


def test_the_closest_file_with_a_table_is_read(project: Write, tmp_path: Path) -> None:
    project("jobs = 2")
    project('[project]\nname = "inner"\n', "inner", header="")
    project("jobs = 3", "inner/deep")
    model = tmp_path / "inner" / "deep" / "net.py"
    model.write_text("")
    (tmp_path / "inner" / "net.py").write_text("")

    def jobs(*targets: str) -> int:
        config = closest(targets)
        assert config is not None
        return int(config.values["jobs"])

    assert jobs("inner/deep/net.py") == 3
    assert jobs("inner/deep/net.py:Net") == 3
    assert jobs("inner/deep") == 3
    assert jobs("inner/net.py") == 2
    assert jobs("inner/net.py", "inner/deep/net.py") == 2  # the folder that holds both
    assert jobs("package.module") == 2
    assert jobs() == 2


def test_without_a_table_there_is_no_config(project: Write) -> None:
    project('[project]\nname = "x"\n', header="")
    assert closest([]) is None or closest([]).root != str(Path.cwd())


def test_a_file_can_be_named(project: Write, tmp_path: Path) -> None:
    project("jobs = 2")
    other = tmp_path / "elsewhere" / "netcheck.toml"
    other.parent.mkdir()
    other.write_text("jobs = 5\n[rules.NC501]\nerror = 6\n")
    found = gather({}, config=str(other)).settings
    assert (found.jobs, found.root) == (5, str(other.parent))
    assert found.rules == (("NC501", (("error", 6),)),)
    assert gather({}, environment={"NETCHECK_CONFIG": str(other)}).settings.jobs == 5
    assert named_file("pyproject.toml").values == {"jobs": 2}


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("igonre = []", "pyproject.toml: unknown key 'igonre': did you mean ignore?"),
        ("extend_select = []", "unknown key 'extend_select': did you mean extend-select?"),
        ("verbose = true", "unknown key 'verbose'"),
        ('jobs = "many"', 'pyproject.toml: jobs: expected a whole number, not "many"'),
        ("jobs = true", "pyproject.toml: jobs: expected a whole number, not true"),
        ("jobs = 0", "pyproject.toml: jobs = 0 makes no sense"),
        ("jobs = 1.5", "pyproject.toml: jobs: expected a whole number, not 1.5"),
        ("timeout = -1", "pyproject.toml: timeout = -1 makes no sense"),
        ("timeout = nan", "timeout = nan makes no sense"),
        ('timeout = "soon"', 'timeout: expected a number, not "soon"'),
        ("exit-zero = 1", "exit-zero: expected true or false, not 1"),
        ('fail-on = "warnings"', 'expected one of error, warning, info, not "warnings": did you mean warning?'),
        ("select = [1]", "select: expected a list of texts, not [1]"),
        ("output-file = 3", "output-file: expected a path, not 3"),
        ("device-memory = true", "device-memory: 'true' is not a size of memory"),
        ("per-file-ignores = []", "per-file-ignores: expected a table"),
        ("per-file-ignores = { x = 3 }", "per-file-ignores: expected a list of texts, not 3"),
        ("rules = { NC501 = 3 }", "rules: expected a table such as"),
        ('rules = { NC501 = { error = "6" } }', 'rules: expected a number for error of NC501, not "6"'),
        ("model = 3", "model: expected a list of tables"),
        ("[[tool.netcheck.model]]\nkwargs = {}", "model: each needs a target"),
        ('[[tool.netcheck.model]]\ntarget = "Net"', 'each needs a target such as "model.py:Net", not "Net"'),
        ('[[tool.netcheck.model]]\ntarget = "a.py:Net"\nargs = 3', "expected a list of args for a.py:Net"),
        ('[[tool.netcheck.model]]\ntarget = "a.py:Net"\nkwargs = 3', "expected a table of kwargs"),
        ('[[tool.netcheck.model]]\ntarget = "a.py:Net"\nkwarg = {}', "'kwarg': did you mean kwargs?"),
        ('[[tool.netcheck.model]]\ntarget = "a.py:Net"\nbatch = 0', "model a.py:Net: batch = 0 makes no sense"),
        ("jobs = ", "pyproject.toml is not valid TOML"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(project: Write, table: str, sentence: str) -> None:
    project(table)
    with pytest.raises(UsageError) as raised:
        gather({})
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_table_that_is_none_and_files_that_cannot_be_read(project: Write, tmp_path: Path) -> None:
    project("tool = { netcheck = 3 }", header="")
    with pytest.raises(UsageError, match="netcheck must be a table"):
        gather({})
    with pytest.raises(UsageError, match=r"--config no\.toml: there is no such file"):
        gather({}, config="no.toml")
    (tmp_path / "latin.toml").write_bytes(b'select = ["\xe9"]')
    with pytest.raises(UsageError, match="is not valid TOML"):
        gather({}, config="latin.toml")


def test_variables_that_are_almost_ours_are_refused_and_others_are_left_alone() -> None:
    with pytest.raises(UsageError, match=r"NETCHECK_SELCT: did you mean NETCHECK_SELECT\?"):
        gather({}, environment={"NETCHECK_SELCT": "NC1"}, config=None)
    with pytest.raises(UsageError, match='NETCHECK_JOBS: expected a whole number, not "x"'):
        gather({}, environment={"NETCHECK_JOBS": "x"})
    gather({}, environment={"NETCHECK_WORKER": "1", "NETCHECK_PING_HOSTS": "a,b"})


def test_what_is_shown_is_read_back_as_the_same_settings(project: Write, tmp_path: Path) -> None:
    project(
        'select = ["NC1"]\ntimeout = 0.25\nper-model-ignores = { "Net.\\"x\\".*" = ["NC4"] }\n'
        '[[tool.netcheck.model]]\ntarget = "a b.py:Net"\nkwargs = { "odd key" = 1.0, width = 64 }\ninput = "2x3"\n'
        "batch = 4\n[tool.netcheck.rules.NC501]\nerror = 6\n"
    )
    gathered = gather({"jobs": 3}, targets=("x.py",))
    text = shown(gathered)
    assert "jobs = 3  # command line\n" in text
    assert 'select = ["NC1"]  # pyproject.toml\n' in text
    assert "seed = 0  # default\n" in text
    (tmp_path / "shown.toml").write_text(text)
    assert gather({}, targets=("x.py",), config="shown.toml").settings == gathered.settings
    assert set(tomllib.loads(text)) <= set(KEYS)


def test_every_option_can_be_given_somewhere_and_says_what_it_does() -> None:
    for option in OPTIONS.values():
        assert option.flags or option.key in KEYS
        assert not option.flags or option.help.endswith(".")
        assert option.kind.write(option.default) if option.default is not None else True
    assert {one.variable for one in OPTIONS.values() if one.flags and one.by_project} == set(VARIABLES)
    assert {"input", "batch"} <= set(MODEL_KEYS)
