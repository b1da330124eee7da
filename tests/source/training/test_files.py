"""Training files as people write them: nothing is said of the sound ones, and each of their faulty twins is named."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from netcheck.findings import Finding, Severity
from netcheck.rules.base import TrainingRule, registry
from netcheck.source.training.reading import read

FILES = Path(__file__).parent / "files"


class Fault(NamedTuple):
    """What makes a sound file faulty: the texts that are replaced, one after the other, and the rule that names it."""

    code: str
    file: str
    old: str
    new: str
    also_old: str = ""
    also_new: str = ""


STEP = "        loss.backward()\n        optimizer.step()\n"
FAULTS = [
    Fault("TS101", "digits.py", "        optimizer.zero_grad()\n", ""),
    Fault("TS101", "digits.py", "        optimizer.zero_grad()\n", "", "    net.train()\n", "    net.train()\n    optimizer.zero_grad()\n"),
    Fault("TS101", "multi_gpu.py", "        opt.zero_grad(set_to_none=True)\n", ""),
    Fault("TS101", "amp_trainer.py", "            self.optimizer.zero_grad()\n", ""),
    Fault("TS101", "accumulate.py", "                optimizer.zero_grad()\n", ""),
    Fault("TS102", "digits.py", STEP, "        loss.backward()\n        optimizer.zero_grad()\n        optimizer.step()\n"),
    Fault("TS102", "multi_gpu.py", "        loss.backward()\n", "", "        opt.zero_grad(", "        loss.backward()\n        opt.zero_grad("),
    Fault("TS102", "forecast.py", "        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1)\n", "        optimiser.zero_grad()\n"),
    Fault("TS103", "digits.py", STEP, "        loss.backward()\n"),
    Fault("TS103", "forecast.py", "        optimiser.step()\n", ""),
    Fault("TS104", "digits.py", STEP, "        optimizer.step()\n"),
    Fault("TS105", "digits.py", STEP, "        optimizer.step()\n        optimizer.zero_grad()\n        loss.backward()\n",
          "        # zero the parameter gradients\n        optimizer.zero_grad()\n", ""),
    Fault("TS106", "digits.py", "        loss = criterion(outputs, labels)\n", "        loss = criterion(outputs.argmax(1).float(), labels.float())\n"),
    Fault("TS106", "multi_gpu.py", "        loss.backward()\n", "        loss = torch.tensor(loss.item(), requires_grad=True)\n        loss.backward()\n"),
    Fault("TS106", "lit_text.py", "        return loss\n", "        return loss.detach()\n"),
    Fault("TS106", "hf_weighted.py", "if return_outputs else loss", "if return_outputs else loss.item()"),
    Fault("TS106", "forecast.py", "        prediction, _ = model(X[idx])\n        loss = loss_function(prediction, Y[idx])\n",
          "        with torch.no_grad():\n            prediction, _ = model(X[idx])\n            loss = loss_function(prediction, Y[idx])\n"),
    Fault("TS107", "digits.py", "        optimizer.zero_grad()\n", "        optimizer.zero_grad\n"),
    Fault("TS107", "forecast.py", "    model.eval()\n", "    model.eval\n"),
    Fault("TS201", "forecast.py", "        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1)\n        optimiser.step()\n",
          "        optimiser.step()\n        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1)\n"),
    Fault("TS201", "unusual.py", "        loss.backward()\n        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)\n",
          "        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)\n        loss.backward()\n"),
    Fault("TS202", "amp_trainer.py", "            self.scaler.unscale_(self.optimizer)\n", ""),
    Fault("TS202", "amp_trainer.py", "self.scaler.step(self.optimizer)", "self.optimizer.step()",
          "            self.scaler.unscale_(self.optimizer)\n            clip_grad_norm_(self.model.parameters(), self.config.max_norm)\n", ""),
    Fault("TS202", "amp_trainer.py", "            self.scaler.update()\n", ""),
    Fault("TS203", "accumulate.py", "            loss = loss / ACCUM\n", ""),
    Fault("TS301", "digits.py", "    scheduler.step()\n", "", "    net.train()\n", "    scheduler.step()\n    net.train()\n"),
    Fault("TS301", "multi_gpu.py", "        lr_scheduler.step()\n", "", "        train_sampler.set", "        lr_scheduler.step()\n        train_sampler.set"),
    Fault("TS302", "accumulate.py", "                sched.step()\n", "", "        print(hits", "        sched.step()\n        print(hits"),
    Fault("TS302", "lit_text.py", '{"optimizer": opt, "lr_scheduler": {"scheduler": sched, "interval": "step"}}', "[opt], [sched]"),
    Fault("TS401", "digits.py", "    net.train()\n", "", "for epoch in range(epochs):\n", "net.train()\nfor epoch in range(epochs):\n"),
    Fault("TS401", "amp_trainer.py", "        self.model.train()\n", ""),
    Fault("TS401", "multi_gpu.py", "    model.train()\n", ""),
    Fault("TS402", "forecast.py", "    with torch.no_grad():\n", "    if True:\n"),
    Fault("TS402", "multi_gpu.py", "@torch.no_grad()\n", ""),
    Fault("TS402", "accumulate.py", "        with torch.no_grad():\n", "        if valid_dl:\n"),
    Fault("TS501", "digits.py", "history.append(loss.item())", "history.append(loss)"),
    Fault("TS501", "forecast.py", "total = total + loss.item()", "total = total + loss"),
    Fault("TS501", "amp_trainer.py", "meter.update(loss.item(), images.size(0))\n        return meter.avg\n\n    def val",
          "meter.update(loss, images.size(0))\n        return meter.avg\n\n    def val"),
    Fault("TS501", "distill.py", "epoch_loss.append(float(loss))", "epoch_loss.append(loss)"),
    Fault("TS501", "lit_text.py", "self.train_losses.append(loss.detach())", "self.train_losses.append(loss)"),
    Fault("TS601", "multi_gpu.py", "        train_sampler.set_epoch(epoch)\n", ""),
    Fault("TS701", "digits.py", "outputs = net(inputs)", "outputs = F.softmax(net(inputs), dim=1)"),
    Fault("TS701", "multi_gpu.py", "logits = model(images)", "logits = model(images).softmax(dim=-1)"),
    Fault("TS701", "amp_trainer.py", "preds = self.model(images)", "preds = torch.sigmoid(self.model(images))"),
    Fault("TS701", "distill.py", "F.kl_div(F.log_softmax(", "F.kl_div(F.softmax("),
    Fault("TS701", "distill.py", "logp = F.log_softmax(net(data), dim=-1)", "logp = nn.Softmax(dim=-1)(net(data))"),
    Fault("TS702", "digits.py", "criterion(outputs, labels)", "criterion(labels, outputs)"),
    Fault("TS702", "multi_gpu.py", "loss_fn(logits, target)", "loss_fn(target, logits)"),
    Fault("TS801", "finetune.py", "    model_ft.fc = nn.Linear(model_ft.fc.in_features, num_classes)\n", "",
          "    exp_lr", "    model_ft.fc = nn.Linear(model_ft.fc.in_features, num_classes)\n    exp_lr"),
    Fault("TS901", "lit_text.py", "        return loss\n", ""),
    Fault("TS901", "hf_weighted.py", "        return (loss, outputs) if return_outputs else loss\n", "        return loss\n"),
    Fault("TS902", "lit_gan.py", "        self.automatic_optimization = False\n", ""),
    Fault("TS902", "lit_text.py", "        return loss\n", "        self.optimizers().zero_grad()\n        loss.backward()\n        self.optimizers().step()\n        return loss\n"),
]  # fmt: skip
SOUND = sorted(FILES.glob("*.py"))


def found_in(file: Path) -> list[Finding]:
    """What all rules on files see in one."""
    training = read(str(file))
    return [found for rule in registry() if isinstance(rule, TrainingRule) for found in rule.check(training)]


@pytest.mark.parametrize("file", SOUND, ids=lambda file: file.stem)
def test_nothing_is_said_of_a_sound_file(file: Path) -> None:
    assert not found_in(file)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.code}-{fault.file}")
def test_a_faulty_twin_is_named(fault: Fault, tmp_path: Path) -> None:
    source = (FILES / fault.file).read_text()
    for old, new in ((fault.old, fault.new), (fault.also_old, fault.also_new)):
        assert source.count(old) == 1 or not old, f"{source.count(old)} times: {old}"
        source = source.replace(old, new) if old else source
    file = tmp_path / fault.file
    file.write_text(source)
    found = found_in(file)
    assert fault.code in [one.code for one in found], found
    assert all(one.code == fault.code for one in found if one.severity >= Severity.WARNING), found


def test_files_without_a_training_step_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "game.py"
    file.write_text("import gymnasium\n\nfor _ in range(3):\n    env.step(policy(state))\n    env.backward\n")
    assert not found_in(file)
    file.write_text("import torch\nfor x in (:\n    optimizer.step()\n")  # no Python
    assert not found_in(file)
