"""Runs that are too short for their intervals: they are logged more often, and scored at their end."""

import math
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from seglight.errors import say
from seglight.optim.accumulation import accumulated_batches, optimizer_steps
from seglight.training.lightning_internals import set_validation_seconds, validation_seconds

POINTS = 10
"""The fewest points of its loss that a run logs, if it has as many steps."""


class ShortRuns(Callback):
    """Logs at least ten points of a run, and validates after its last batch if no validation came before.

    Nothing is validated where `trainer.limit_val_batches` is 0. It stands behind all other callbacks in the list, where
    it knows whether a timer has just ended the run.
    """

    def __init__(self) -> None:
        self.scored, self.forced = False, False
        self.usual: tuple[int | None, Any, Any] = (None, None, None)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose how often is logged; a run that resumes within its forced validation finds it forced."""
        given: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        every = log_interval(trainer)
        if every != given:
            trainer.log_every_n_steps = every  # type: ignore[attr-defined]
            steps = f"{every} steps" if every > 1 else "step"
            pl_module.print(f"logging every {steps}: trainer.log_every_n_steps {given} is too many for this run")
        if self.forced:
            self._force(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """After the last batch, let a validation follow."""
        if self.scored or not trainer.enable_validation or not is_last(trainer):
            return
        if not is_validated(trainer) and trainer.is_global_zero:
            say(f"the run ends before its first validation: it is scored now, at step {trainer.global_step}")
        self._force(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that there is a score."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        self.scored = True
        if self.forced:
            self.forced = False
            epochs, batches, seconds = self.usual
            trainer.check_val_every_n_epoch = epochs
            trainer.val_check_batch = batches
            set_validation_seconds(trainer, seconds)

    def _force(self, trainer: Trainer) -> None:
        self.forced = True
        self.usual = trainer.check_val_every_n_epoch, trainer.val_check_batch, validation_seconds(trainer)
        trainer.check_val_every_n_epoch = None
        trainer.val_check_batch = 1
        set_validation_seconds(trainer, None)  # a duration would come before the other two

    def state_dict(self) -> dict[str, Any]:
        """Whether the run was scored, and whether its forced validation is under way."""
        return {"scored": self.scored, "forced": self.forced}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take both."""
        self.scored, self.forced = state_dict["scored"], state_dict["forced"]


def is_last(trainer: Trainer) -> bool:
    """Whether the batch that has just been trained on is the last of the run."""
    if trainer.should_stop or 0 <= trainer.max_steps <= trainer.global_step:
        return True
    ends = trainer.max_epochs not in (None, -1) and trainer.current_epoch + 1 >= trainer.max_epochs
    return ends and trainer.is_last_batch


def is_validated(trainer: Trainer) -> bool:
    """Whether a validation follows the batch that has just been trained on, by the intervals of the recipe."""
    every = trainer.check_val_every_n_epoch
    if every is not None and (trainer.current_epoch + 1) % every:
        return False
    if trainer.should_stop:
        return True
    loop, batches = trainer.fit_loop, trainer.val_check_batch  # None where validations are by the clock
    return batches is not None and ((loop.total_batch_idx if every is None else loop.batch_idx) + 1) % batches == 0


def log_interval(trainer: Trainer) -> int:
    """The optimizer steps between two points that are logged.

    That is `trainer.log_every_n_steps`, unless a run would have fewer than ten points, or a callback that monitors the
    training loss or a learning rate would look for it before it is logged. 0 logs nothing.
    """
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    steps = optimizer_steps(trainer)
    most = every if math.isinf(steps) else max(1, min(every, int(steps) // POINTS))
    monitors = (c.monitor for c in trainer.callbacks if isinstance(c, EarlyStopping | ModelCheckpoint))  # type: ignore[attr-defined]
    if any(str(monitor).startswith(("train/", "lr/")) for monitor in monitors):
        batches = min(trainer.num_training_batches, trainer.val_check_batch or trainer.num_training_batches)
        most = min(most, max(1, int(batches) // accumulated_batches(trainer, 0)))
    return most if every else 0
