"""A callback for the Trainer of transformers that watches a model while it is trained.

    from netcheck.huggingface import NetcheckCallback

    trainer = Trainer(model, arguments, train_dataset=data, callbacks=[NetcheckCallback(every=500)])

netcheck does not depend on transformers, this module does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from netcheck.engine.watching import watch

if TYPE_CHECKING:
    from netcheck.measure.live import Watch


class NetcheckCallback(TrainerCallback):
    """Looks at the model every N steps: dead and saturated units, gradients, NaN, steps out of proportion to the weights.

    Args:
        every: how many steps lie between two that are looked at; with gradient accumulation each batch is one.

    Attributes:
        watch: what was found, None before the training.
    """

    def __init__(self, every: int = 500) -> None:
        self.every = every
        self.watch: Watch | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Begin to watch; what begins and ends is printed by the first process."""
        self.watch = watch(model, self.every, print if state.is_world_process_zero else None)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Watch no more."""
        if self.watch is not None:
            self.watch.close()
