"""The callback in real training runs of PyTorch Lightning."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from tests import zoo

torch = pytest.importorskip("torch")
zoo.declare_torchvision_operators()  # Lightning imports torchvision where it is installed
lightning = pytest.importorskip("pytorch_lightning")

from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from netcheck.findings import Severity  # noqa: E402
from netcheck.lightning import FaultyModelError, NetcheckCallback  # noqa: E402


class Classifier(lightning.LightningModule):  # type: ignore[misc, name-defined]
    """A net of `depth` layers; counts its steps."""

    def __init__(self, depth: int, activation: nn.Module) -> None:
        super().__init__()
        layers = [layer for _ in range(depth) for layer in (nn.Linear(16, 16), activation)]
        self.body = nn.Sequential(*layers, nn.Linear(16, 3))
        self.loss = nn.CrossEntropyLoss()
        self.steps = 0

    def forward(self, x: Any) -> Any:
        return self.body(x)

    def training_step(self, batch: Any, number: int) -> Any:
        self.steps += 1
        x, y = batch
        return self.loss(self(x), y)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(model: Any, callback: NetcheckCallback | None, folder: Path) -> None:
    """Train for two batches."""
    data = TensorDataset(torch.randn(8, 16), torch.arange(8) % 3)
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        callbacks=[callback] if callback else [],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(model, DataLoader(data, batch_size=4))


def test_a_sound_model_trains_as_without_the_callback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = []
    for callback in (None, NetcheckCallback()):
        torch.manual_seed(0)
        model = Classifier(2, nn.ReLU())
        fit(model, callback, tmp_path)
        assert model.steps == 2
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert torch.equal(*weights)
    assert callback is not None
    assert callback.report is not None
    assert callback.report.at_least("info") == []
    assert callback.report.model == "Classifier"
    assert "given" in callback.report.inputs
    assert "netcheck" not in capsys.readouterr().out


def test_a_faulty_model_does_not_train(tmp_path: Path) -> None:
    model = Classifier(40, nn.Sigmoid())
    with pytest.raises(FaultyModelError, match=r"error\[NC\d+\]") as caught:
        fit(model, NetcheckCallback(), tmp_path)
    assert model.steps == 0
    assert caught.value.report.at_least(Severity.ERROR)


def test_it_only_speaks_where_it_is_told_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = Classifier(40, nn.Sigmoid())
    fit(model, NetcheckCallback(fail_on=None, probe=False), tmp_path)
    assert model.steps == 2
    assert capsys.readouterr().out.count("warning[NC") >= 1


def test_options_and_inputs_are_passed_on(tmp_path: Path) -> None:
    seen = []

    def inputs(batch: Any) -> Any:
        seen.append(batch)
        return batch[0][:2]

    callback = NetcheckCallback(inputs=inputs, ignore=["ALL"], probe=False)
    model = Classifier(40, nn.Sigmoid())
    fit(model, callback, tmp_path)
    assert len(seen) == 1, "it checks once"
    assert callback.report is not None
    assert callback.report.findings == []
    assert callback.report.gradients is None


def test_a_severity_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="fatal"):
        NetcheckCallback(fail_on="fatal")


def test_it_watches_from_the_first_step_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = Classifier(2, nn.ReLU())
    with torch.no_grad():
        model.body[0].bias.fill_(-1e3)
    callback = NetcheckCallback(fail_on=None, probe=False, every=1)
    fit(model, callback, tmp_path)
    assert callback.watch is not None
    assert not callback.watch.failed
    assert not any(module._forward_pre_hooks for module in model.modules())
