"""A callback for PyTorch Lightning that checks a model before its first step, and watches it from then on if it is asked to.

    from netcheck.lightning import NetcheckCallback

    trainer = Trainer(callbacks=[NetcheckCallback(every=500)])

Errors stop the run before it has cost anything, what is less is printed once. Works with the package `lightning` and
with `pytorch_lightning`; netcheck depends on neither, this module on one of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netcheck.engine import check
from netcheck.engine.watching import watch
from netcheck.findings import Report, Severity
from netcheck.load.untouched import untouched

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer
    from pytorch_lightning.callbacks import Callback

    from netcheck.measure.live import Watch
elif "pytorch_lightning" in sys.modules and "lightning" not in sys.modules:
    from pytorch_lightning.callbacks import Callback
else:
    try:
        from lightning.pytorch.callbacks import Callback
    except ImportError:
        from pytorch_lightning.callbacks import Callback


class FaultyModelError(RuntimeError):
    """A model has findings that should stop its training.

    Attributes:
        report: what was found.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(f"netcheck found faults:\n\n{report}")
        self.report = report


class NetcheckCallback(Callback):
    """Checks the model on the first training batch, before the first step.

    The model, its gradients, its buffers and all random number generators are afterwards as before.

    Args:
        fail_on: the least severity ("error", "warning", "info") that stops the run; None stops none.
        inputs: makes the inputs of the model's forward from a batch; by default the first part of a tuple or list, else
            the whole batch.
        every: how many steps lie between two that are looked at while the model is trained; None looks at none.
        options: those of `netcheck.check`: `select`, `ignore`, `probe`, `optimizer`, ...

    Attributes:
        report: what was found, None before the check.
        watch: what is found while it is trained; None before, and without `every`.
    """

    def __init__(
        self,
        fail_on: str | None = "error",
        inputs: Callable[[Any], Any] | None = None,
        every: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.every = every
        self.watch: Watch | None = None
        self.fail_on = None if fail_on is None else Severity(fail_on)
        self.inputs = inputs or first_of
        self.options = options
        self.report: Report | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Check once.

        Raises:
            FaultyModelError: there are findings as bad as `fail_on`.
        """
        if self.report is not None:
            return
        with untouched():
            self.report = check(pl_module, self.inputs(batch), **self.options)
        if self.fail_on is not None and self.report.at_least(self.fail_on):
            raise FaultyModelError(self.report)
        if self.report.at_least(Severity.INFO) and trainer.is_global_zero:
            print(self.report)
        if self.every is not None:
            self.watch = watch(pl_module, self.every, print if trainer.is_global_zero else None)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Watch no more."""
        self.end()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """The same where the training ends so."""
        self.end()

    def end(self) -> None:
        """Take all hooks from the model."""
        if self.watch is not None:
            self.watch.close()


def first_of(batch: Any) -> Any:
    """The first part of a batch of several: the inputs of most datasets."""
    return batch[0] if isinstance(batch, tuple | list) and batch else batch
