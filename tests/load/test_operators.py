"""Packages whose compiled operators do not load: what calls none of them is checked."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from netcheck.findings import Report
from netcheck.settings import Settings
from netcheck.worker import check_targets

PACKAGE = {
    "__init__.py": "from boxes import layers, extension, suppression, widths",
    "layers.py": """
        from torch import nn
        known = {}

        def register(make):
            assert make.__name__ not in known, "registered twice"
            known[make.__name__] = make
            return make
        """,
    "widths.py": """
        from boxes.layers import register

        @register
        def width():
            return 8
        """,
    "extension.py": """
        import torch
        from boxes.layers import register

        @register
        def early():
            return 1

        @torch.library.register_fake("boxes::suppress")
        def suppress(boxes, scores):
            return boxes

        @torch.library.register_fake("boxes::join")
        def join(boxes):
            return boxes
        """,
    "suppression.py": """
        import torch

        def suppress(boxes, scores):
            return torch.ops.boxes.suppress(boxes, scores)
        """,
}
MODELS = """
    import boxes
    import torch
    from torch import nn

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(boxes.widths.width(), 4)

        def forward(self, x):
            return self.fc(x)

    class Suppresses(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(8, 4)

        def forward(self, x):
            found = self.fc(x)
            return boxes.suppression.suppress(found, found.sum(1))
    """


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Report]:
    library, project = tmp_path / "site-packages", tmp_path / "project"
    (library / "boxes").mkdir(parents=True)
    project.mkdir()
    for name, text in PACKAGE.items():
        (library / "boxes" / name).write_text(textwrap.dedent(text))
    (project / "models.py").write_text(textwrap.dedent(MODELS))
    monkeypatch.setenv("PYTHONPATH", str(library), prepend=":")
    monkeypatch.chdir(project)
    return {report.model: report for report in check_targets(Settings(targets=("models.py",), probe=False))}


def test_what_calls_no_operator_is_checked_and_the_rest_is_not(reports: dict[str, Report]) -> None:
    plain, suppresses = reports["Plain"], reports["Suppresses"]
    assert plain.ok
    assert plain.summary is not None
    assert [one.reason for one in plain.left_out] == ["boxes without its compiled operators: they do not load on this torch"]
    assert suppresses.unchecked is not None
    assert suppresses.unchecked.reason == "missing package"
    assert "an operator of boxes is needed" in suppresses.unchecked.reason or "boxes" in next(iter(suppresses)).message
    assert "install the boxes that was built for this torch" in next(iter(suppresses)).help
