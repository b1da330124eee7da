"""What holds for all tests."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from netcheck import engine, worker
from netcheck.findings import Report
from netcheck.load.forks import keep_forks_able_to_differentiate
from netcheck.settings import Settings
from netcheck.source.targets import Target
from tests.zoo import declare_torchvision_operators

# Commands that tests run answer for the code of the test, not for what an earlier one found.
os.environ["NETCHECK_CACHE"] = "false"

# A shell that runs the tests in the background has them ignore Ctrl-C, and so what they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # the same under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Whatever imports torchvision first: a try that fails halfway leaves models registered that the next one meets.
declare_torchvision_operators()


def pytest_configure(config: pytest.Config) -> None:
    """Hide CUDA devices from tests that do not ask for them: what they expect was measured on the CPU."""
    chosen = config.getoption("markexpr")
    if "gpu" not in chosen or "not gpu" in chosen:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        keep_forks_able_to_differentiate()  # whichever test makes the first fake tensors, or runs the first backward


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is timed, unless it is asked for; not by an option of its plugin, which need not be installed."""
    if not config.getoption("benchmark_only", default=False):
        for item in items:
            if "benchmark" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.skip(reason="timed with --benchmark-only"))


@pytest.fixture(autouse=True, scope="module")
def _look_at_new_objects_alone() -> None:
    """What torch, earlier files and thousands of test cases have made stays: where the collector runs, as it does after an
    attempt that used up memory, it took seconds to look at all of it.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _collect_large_models(request: pytest.FixtureRequest) -> Iterator[None]:
    """A large model is few objects, so Python's collector waits for dozens of them: more than the memory of a laptop."""
    yield
    if request.node.get_closest_marker("slow") is not None:
        gc.collect()


@pytest.fixture
def without_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check in this process, which has imported torch already."""

    def check_all(targets: list[Target], settings: Settings, **_: Any) -> Iterator[Report]:
        return (engine.check_target(target, settings) for target in targets)

    monkeypatch.setattr(worker, "check_all", check_all)
