"""What a run was asked to do, and what it may not be asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netcheck.errors import UsageError
from netcheck.findings import Severity
from netcheck.settings import Settings, memory_of_device


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"format": "xml"}, "--format xml is unknown: choose one of text, full, concise"),
        ({"timeout": 0}, "--timeout 0 makes no sense"),
        ({"timeout": float("nan")}, "--timeout nan makes no sense"),
        ({"timeout": float("inf")}, "--timeout inf makes no sense"),
        ({"jobs": 0}, "--jobs 0 makes no sense"),
        ({"seed": -1}, "--seed -1 makes no sense"),
        ({"seed": 2**32}, "--seed 4294967296 makes no sense"),
        ({"devices": 0}, "--devices 0 makes no sense"),
        ({"batch_size": 0}, "--batch-size 0 makes no sense"),
        ({"verbose": True, "quiet": True}, "contradict"),
        ({"output_file": Path()}, "is a directory"),
        ({"output_file": Path("no/such/directory/report.txt")}, "there is no directory"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Settings(**options)


def test_options_become_settings() -> None:
    settings = Settings.from_options(targets=("a.py",), select=("NC1, NC501", "poor-init,"), ignore=(), fail_on="error")
    assert settings.select == ("NC1", "NC501", "poor-init")
    assert settings.fail_on is Severity.ERROR
    assert Settings.from_options() == Settings()


def test_extended_selections_come_on_top_of_what_is_selected() -> None:
    assert Settings().chosen == ()
    assert Settings(select=("NC1",)).chosen == ("NC1",)
    assert Settings(extend_select=("NC1",)).chosen == ("ALL", "NC1")
    assert Settings(select=("NC1",), extend_select=("NC5",)).chosen == ("NC1", "NC5")


def test_selectors_are_split_at_commas() -> None:
    assert Settings.from_options(select=(" NC1 ,,NC2", "", "x")).select == ("NC1", "NC2", "x")


@pytest.mark.parametrize(
    ("text", "size"),
    [("24GiB", 24 * 2**30), ("80 GB", 80 * 10**9), ("1.5k", 1500), ("512mib", 2**29), ("7", 7), ("7B", 7), (9, 9)],
)
def test_sizes_of_memory(text: str | int, size: int) -> None:
    assert memory_of_device(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "0", "-1GiB", "1e99", "1 PiB", "nan", "9" * 30])
def test_what_is_no_size_of_memory_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size of memory"):
        memory_of_device(text)
