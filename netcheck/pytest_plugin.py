"""Models as tests: `pytest --netcheck src/` collects every model in the files that pytest is given.

    src/net.py::Net PASSED
    src/net.py::DeepNet FAILED

Each is checked as on the command line, by the same [tool.netcheck], in a process of its own; it fails if it has
findings as bad as `fail-on`, and is skipped if netcheck came upon it and cannot build it (unless `require` is "all").
Files that hold tests are left alone. Without --netcheck nothing but this file is imported.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from netcheck.findings import Report
    from netcheck.settings import Settings
    from netcheck.source.targets import Target
    from netcheck.worker import Keeper

    GatheredKey = pytest.StashKey[Settings]
    KeeperKey = pytest.StashKey[Keeper]
else:
    GatheredKey = KeeperKey = pytest.StashKey

ENDINGS = (".py", ".ipynb")
GATHERED = GatheredKey()
KEEPER = KeeperKey()


class FaultyModelError(Exception):
    """A model has findings that fail it; its text is the report."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --netcheck."""
    group = parser.getgroup("netcheck")
    group.addoption("--netcheck", action="store_true", help="Check the neural networks in the files that are collected.")


def pytest_configure(config: pytest.Config) -> None:
    """Read netcheck's settings, so that what is wrong with them is said before anything runs."""
    if not config.getoption("netcheck"):
        return
    from netcheck.errors import UsageError
    from netcheck.rules.base import require_settings
    from netcheck.settings import gather

    try:
        gathered = gather.gather({}, targets=(str(config.rootpath),), environment=os.environ)
        require_settings(gathered.settings, gathered.origins)
    except UsageError as error:
        raise pytest.UsageError(f"netcheck: {error}") from error
    config.stash[GATHERED] = gathered.settings
    config.addinivalue_line("markers", "netcheck: a neural network that netcheck checks")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process that checks."""
    if KEEPER in config.stash:
        config.stash[KEEPER].stop()
        del config.stash[KEEPER]


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Look for models in files that hold no tests; those are not imported here, as pytest would a file that it is given."""
    found = yield
    config = parent.config
    if not config.getoption("netcheck") or file_path.suffix not in ENDINGS or file_path.name == "conftest.py":
        return found
    patterns: Iterable[str] = config.getini("python_files")
    if any(fnmatch.fnmatch(file_path.name, pattern) for pattern in patterns):
        return found
    others = [collector for collector in found if not isinstance(collector, pytest.Module)]
    return [ModelFile.from_parent(parent, path=file_path), *others]


class ModelFile(pytest.File):
    """A file that may define models."""

    def collect(self) -> Iterator[ModelItem]:
        """One item a model; a file that cannot be read as Python is one, too."""
        from netcheck import engine

        targets, unchecked = engine.plan([str(self.path)], self.config.stash[GATHERED])
        for target in targets:
            yield ModelItem.from_parent(self, name=target.symbol, target=target)
        for report in unchecked:
            if report.findings:
                yield ModelItem.from_parent(self, name=self.path.name, report=report)


class ModelItem(pytest.Item):
    """One model to check."""

    def __init__(self, *, target: Target | None = None, report: Report | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target
        self.report = report
        self.add_marker("netcheck")

    def runtest(self) -> None:
        """Check the model.

        Raises:
            FaultyModelError: it has findings as bad as `fail-on`, or was not checked and `require` is "all".
        """
        from netcheck import engine

        settings = self.config.stash[GATHERED]
        report = self.report or self.check(settings)
        if report.at_least(settings.fail_on):
            raise FaultyModelError(f"{tally(report)}\n\n{printed(report, self.config)}")
        if settings.require == "all" and engine.too_few([report], settings):
            raise FaultyModelError(f"netcheck: not checked\n\n{printed(report, self.config)}")
        if report.summary is None:
            reasons = [*report.skipped, *(found.message for found in report.findings)]
            pytest.skip("; ".join(reasons) or "there is no model to check")
        if report.findings:
            self.add_report_section("call", "netcheck", printed(report, self.config))

    def check(self, settings: Settings) -> Report:
        """The report on the target, from the process that this run of pytest keeps for it."""
        from netcheck.worker import Keeper

        assert self.target is not None
        stash = self.config.stash
        if KEEPER not in stash:
            stash[KEEPER] = Keeper(settings)
        return stash[KEEPER].check(self.target)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> Any:
        """What is wrong with the model, without a traceback through netcheck."""
        if isinstance(excinfo.value, FaultyModelError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *args, **kwargs)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the model is defined."""
        line = self.target.line - 1 if self.target is not None and self.target.line else None
        return self.path, line, f"netcheck: {self.name}"


def printed(report: Report, config: pytest.Config) -> str:
    """A report on one model as text, with paths from pytest's root."""
    from netcheck.report import text
    from netcheck.report.terminal import Painter

    blocks = text.model(report, Painter(False), config.rootpath, verbose=False, quiet=False)
    return "\n\n".join(blocks)


def tally(report: Report) -> str:
    """How many findings there are, for pytest's summary."""
    from netcheck.report import text
    from netcheck.report.terminal import Painter

    return f"netcheck: {text.tally([report], Painter(False))}"
