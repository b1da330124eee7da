"""Faults put into files of real models, one at a time, and mended: none is broken by it, and nine of ten are mended.

    pytest -m slow tests/fix/test_planted.py          every kind in every host; without it, a few of the lecture's files

A fault is one if its rule finds it, and did not before. It is mended if that finding is gone with what is offered, and nothing
that is more than information came instead. What is not edited stays to the byte, in half of the files with line ends of Windows.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from netcheck import engine
from netcheck.findings import Finding, Report, Severity
from netcheck.fix import offering
from netcheck.fix.offering import Offer
from netcheck.settings import Settings
from netcheck.source.targets import Target
from tests.fix.hosts import HOSTS, Host
from tests.fix.mending import Mender, text_of
from tests.fix.planting import PLANTERS, planted

TRIES = 3  # places of a file that a fault is tried at, before there is none of this kind
SAMPLE = (
    ("maxout", "NC901"), ("maxout", "NC901 of an attribute"), ("maxout", "NC003 forward"), ("maxout", "NC001 __init__"),
    ("maxout", "TS401"), ("maxout", "TS702"), ("crelu", "TS103"), ("dropout", "NC202 built in forward by name"),
    ("residual_block", "NC104 in a Sequential"), ("residual_block", "NC303 in a Sequential"),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What came of one fault: `problem` is "" if it was mended."""

    host: str
    kind: str
    problem: str
    broken: bool


class Bench:
    """Plants and mends, in one folder."""

    def __init__(self, mender: Mender, folder: Path) -> None:
        self.mender = mender
        self.folder = folder
        self.known: dict[str, Report] = {}

    def healthy(self, host: Host) -> Report:
        """The report on a host as it is."""
        if host.name not in self.known:
            host.file(self.folder).write_text(host.text())
            target, settings = self.settings(host)
            (self.known[host.name],) = self.mender.check([target], settings)
            assert self.known[host.name].summary is not None, self.known[host.name].findings
        return self.known[host.name]

    def settings(self, host: Host, devices: int | None = None) -> tuple[Target, Settings]:
        """The target, and how it is checked."""
        file = str(host.file(self.folder))
        settings = Settings(targets=(file,), probe=False, inputs=host.inputs, unsafe_fixes=True, devices=devices)
        return Target(file, host.symbol), settings

    def lines(self, host: Host) -> set[int]:
        """Lines of the host's file that the model goes through."""
        summary, file = self.healthy(host).summary, str(host.file(self.folder))
        assert summary is not None
        return {layer.place.line for layer in summary.layers if layer.place is not None and layer.place.file == file}

    def outcome(self, host: Host, kind: str) -> Outcome | None:
        """What comes of a fault; None if none of this kind takes hold."""
        draw = random.Random(f"{host.name} {kind}")
        texts = list(planted(kind, host.text(), self.lines(host)))
        for text in draw.sample(texts, min(TRIES, len(texts))):
            bad = text.replace("\n", "\r\n") if draw.random() < 0.5 else text
            found = self.mended(host, kind.split()[0], bad)
            if found is not None:
                return Outcome(host.name, kind, *found)
        return None

    def mended(self, host: Host, code: str, bad: str) -> tuple[str, bool] | None:
        """What is wrong with the mended file, and whether it is worse than before; None if there is no fault."""
        file, before = host.file(self.folder), keys(self.healthy(host).findings)
        file.write_bytes(bad.encode())
        target, settings = self.settings(host, devices=2 if code == "NC704" else None)
        training = code.startswith("TS")
        reports = engine.training_reports([str(file)], settings) if training else self.mender.check([target], settings)
        faults = [one for report in reports for one in report.findings if is_fault(one, code) and key(one) not in before]
        if not faults:
            return None
        targets = [] if training else [target]
        offer = offering.offered(reports, targets, [str(file)], settings, lambda some: self.mender.check(some, settings))
        text = text_of(offer, file)
        assert spliced(bad, offer) in (text, None)
        assert text.count("\r\n") == (text.count("\n") if "\r\n" in bad else 0)
        came = [one for report in offer.after for one in report.findings if one.counts and key(one) not in before]
        worse = [
            f"{one.code}: {one.message}" for one in came if one.severity >= Severity.WARNING and key(one) not in keys(faults)
        ]
        broken = not training and bool(offer.texts) and offer.after[0].summary is None
        left = [
            one.by_hand or "nothing is said" for report in offer.reports for one in report.findings if key(one) in keys(faults)
        ]
        stays = [one for one in came if is_fault(one, code)]
        return ("; ".join(worse or (left if stays or not offer.texts else [])), broken or bool(worse and offer.texts))


def is_fault(found: Finding, code: str) -> bool:
    """Whether a finding is what a fault of a kind is found as: a model that does not run, in one of several ways."""
    return found.counts and (found.code == code or (code[:3] == found.code[:3] == "NC0"))


def key(found: Finding) -> tuple[str, tuple[str, ...]]:
    """By what a finding is known again."""
    return found.code, found.modules


def keys(found: list[Finding]) -> set[tuple[str, tuple[str, ...]]]:
    """The keys of some findings."""
    return set(map(key, found))


def spliced(text: str, offer: Offer) -> str | None:
    """A text with the edits of all fixes put in; None if one builds on the lines of another."""
    fixes = [one.fix for report in offer.reports for one in report.findings if one.fix is not None and not one.fix.structural]
    if not all(one.edits for one in fixes):
        return None
    lines = text.splitlines(keepends=True)
    starts = [sum(map(len, lines[:number])) for number in range(len(lines) + 1)]
    for edit in sorted({edit for one in fixes for edit in one.edits}, reverse=True):
        begin, end = starts[edit.line - 1] + edit.column - 1, starts[edit.end_line - 1] + edit.end_column - 1
        text = text[:begin] + edit.content + text[end:]
    return text


@pytest.fixture(scope="module")
def bench(mender: Mender, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """One for all tests: what is healthy is checked once."""
    return Bench(mender, tmp_path_factory.mktemp("hosts"))


@pytest.mark.parametrize(("name", "kind"), SAMPLE)
def test_a_fault_in_a_file_of_the_lecture_is_mended(name: str, kind: str, bench: Bench) -> None:
    host = next(one for one in HOSTS if one.module == name)
    assert bench.outcome(host, kind) == Outcome(host.name, kind, "", False)


@pytest.mark.slow
def test_nine_of_ten_faults_in_real_files_are_mended_and_none_is_made_worse(bench: Bench) -> None:
    pytest.importorskip("torchvision")
    pytest.importorskip("timm")
    pytest.importorskip("transformers")
    every: list[Any] = [bench.outcome(host, kind) for host in HOSTS for kind in PLANTERS]
    found: list[Outcome] = [one for one in every if one is not None]
    left = [one for one in found if one.problem]
    print(f"{len(found)} faults in {len({one.host for one in found})} files, {len(found) - len(left)} mended", *left, sep="\n")
    assert len(found) >= 200
    assert not [one for one in found if one.broken]
    assert len(left) <= len(found) / 10
