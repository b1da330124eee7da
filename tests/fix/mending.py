"""Files with faults, mended as the command does it, in a worker that all tests of this folder share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netcheck import engine, worker
from netcheck.findings import Finding, Report
from netcheck.fix import offering
from netcheck.fix.offering import Offer
from netcheck.settings import Settings
from netcheck.source.targets import Target

PRELUDE = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n"


@dataclass
class Mender:
    """Checks and mends files."""

    keeper: worker.Keeper

    def check(self, targets: Sequence[Target], settings: Settings) -> list[Report]:
        """The report on each target."""
        self.keeper.settings = settings
        return [self.keeper.check(target) for target in targets]

    def offer(self, file: Path, *symbols: str, files: Sequence[Path] = (), **options: Any) -> Offer:
        """What holds for the models of a file, by default all that it defines; nothing is measured, nor written."""
        settings = Settings(**{"targets": (str(file),), "unsafe_fixes": True, "probe": False, **options})
        plan = engine.planned(settings.targets, settings)
        targets = [Target(str(file), symbol) for symbol in symbols] or plan.targets
        reports = [*self.check(targets, settings), *engine.training_reports(plan.files, settings)]
        editable = [str(one) for one in files] or [str(file)]
        return offering.offered(reports, targets, editable, settings, lambda some: self.check(some, settings))


def text_of(offer: Offer, file: Path) -> str:
    """What a file would hold."""
    return dict(offer.texts)[str(file.resolve())].decode() if offer.texts else file.read_text()


def findings(offer: Offer, code: str) -> list[Finding]:
    """What a rule found before."""
    return [found for report in offer.reports for found in report.findings if found.code == code and found.counts]


def left(offer: Offer, code: str) -> list[Finding]:
    """What it would find afterwards."""
    return [found for report in offer.after for found in report.findings if found.code == code and found.counts]
