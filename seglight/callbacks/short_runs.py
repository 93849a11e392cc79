"""Callback for runs that are shorter than their intervals: they are logged more often, and validated at their end."""

import math
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from seglight.errors import say
from seglight.optim.accumulation import accumulated_batches, optimizer_steps
from seglight.training.lightning_internals import set_validation_seconds, validation_seconds
from seglight.training.methods import AdversarialTraining
from seglight.training.semantic import SegmentationModule

POINTS = 10
"""Minimum number of points of the loss curve, for runs of at least that many steps."""


class ShortRuns(Callback):
    """Logs at least ten points of a run, and validates after its last batch if there was no validation before.

    Says so if the run ends within the warm-up of adversarial training. Nothing is validated if
    `trainer.limit_val_batches` is 0. It has to be the last callback in the list, so that it runs after a timer that
    ends the run.
    """

    def __init__(self) -> None:
        self.scored = False
        self.forced = False
        self.usual: tuple[int | None, Any, Any] = (None, None, None)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose the interval of logging; a run that resumes within its forced validation forces it again."""
        configured: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        every = log_interval(trainer)
        if every != configured:
            trainer.log_every_n_steps = every  # type: ignore[attr-defined]
            steps = f"{every} steps" if every > 1 else "step"
            pl_module.print(f"logging every {steps}: trainer.log_every_n_steps {configured} is too many for this run")
        if isinstance(pl_module, SegmentationModule) and isinstance(pl_module.method, AdversarialTraining):
            remark = warmup_remark(pl_module.method, optimizer_steps(trainer) * accumulated_batches(trainer, 0))
            if remark:
                pl_module.print(remark)
        if self.forced:
            self._force(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Force a validation after the last batch."""
        if self.scored or not trainer.enable_validation or not is_last(trainer):
            return
        if not is_validated(trainer) and trainer.is_global_zero:
            say(f"the run ends before its first validation: it is scored now, at step {trainer.global_step}")
        self._force(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record that there is a score."""
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
        """Whether the run was scored, and whether its forced validation is in progress."""
        return {"scored": self.scored, "forced": self.forced}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore both."""
        self.scored = state_dict["scored"]
        self.forced = state_dict["forced"]


def warmup_remark(method: AdversarialTraining, batches: float) -> str | None:
    """A line for the user if the radius of adversarial training is still rising when the run ends.

    Args:
        method: The method of the run.
        batches: Training batches of the run, infinite if only time limits it.
    """
    if method.warmup_batches <= batches:
        return None
    reached = method.radius_at(int(batches) - 1)
    return (
        f"model.method: the run has {int(batches)} batches and warmup_batches is {method.warmup_batches}: the radius "
        f"rises to {reached:.2g} only, not to {method.radius:.2g}: set it to about a quarter of the batches"
    )


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
    loop, batches = trainer.fit_loop, trainer.val_check_batch  # None if the interval is a duration
    return batches is not None and ((loop.total_batch_idx if every is None else loop.batch_idx) + 1) % batches == 0


def log_interval(trainer: Trainer) -> int:
    """Optimizer steps between two logged points.

    That is `trainer.log_every_n_steps`, unless a run would have fewer than ten points, or a callback that monitors the
    training loss or a learning rate would need it before it is logged. 0: nothing is logged.
    """
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    steps = optimizer_steps(trainer)
    most = every if math.isinf(steps) else max(1, min(every, int(steps) // POINTS))
    monitors = (c.monitor for c in trainer.callbacks if isinstance(c, EarlyStopping | ModelCheckpoint))  # type: ignore[attr-defined]
    if any(str(monitor).startswith(("train/", "lr/")) for monitor in monitors):
        batches = min(trainer.num_training_batches, trainer.val_check_batch or trainer.num_training_batches)
        most = min(most, max(1, int(batches) // accumulated_batches(trainer, 0)))
    return most if every else 0
