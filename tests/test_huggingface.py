"""The callback in a real training by the Trainer of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import zoo

torch = pytest.importorskip("torch")
zoo.declare_torchvision_operators()  # transformers imports torchvision where it is installed
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")  # without which its Trainer trains nothing

from torch import nn  # noqa: E402

from netcheck.huggingface import NetcheckCallback  # noqa: E402


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 3))

    def forward(self, x: Any, labels: Any = None) -> Any:
        logits = self.body(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def test_it_watches_and_leaves_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = Classifier()
    with torch.no_grad():
        model.body[0].bias.fill_(-1e3)
    data = [{"x": torch.randn(16), "labels": number % 3} for number in range(64)]
    options = {"per_device_train_batch_size": 16, "num_train_epochs": 1, "report_to": [], "save_strategy": "no", "use_cpu": True}
    callback = NetcheckCallback(every=2)
    trainer = transformers.Trainer(
        model, transformers.TrainingArguments(str(tmp_path), **options), train_dataset=data, callbacks=[callback]
    )
    trainer.train()
    assert callback.watch is not None
    assert callback.watch.steps == 4
    assert [change.finding.code for change in callback.watch.changes] == ["NC605"]
    assert "step 1: dead-units (NC605) at body.1" in capsys.readouterr().out
    assert not any(module._forward_pre_hooks for module in model.modules())
