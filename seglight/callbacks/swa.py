"""Stochastic weight averaging: the mean of the weights over the last part of a run."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging

from seglight.optim.accumulation import optimizer_steps
from seglight.training.lightning_internals import averaged_module, set_average_device


class SWA(WeightAveraging):
    """The equal average of weights late in training (arXiv 1803.05407); the average is validated and saved.

    Before `start`, the net itself is validated and saved. The schedule does not change; in the paper it is constant by
    then. Running statistics of batch norms are averaged like the weights; a `PreciseBN` after this callback estimates
    them again.

    Args:
        start: Fraction of the optimizer steps of the run after which averaging begins.
        every_n_steps: Optimizer steps between two updates of the average.
    """

    def __init__(self, start: float = 0.75, every_n_steps: int = 1) -> None:
        super().__init__()
        self.start = start
        self.every_n_steps = every_n_steps
        self.first_step = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep the average on the device of the training: the net is still on the CPU at this point."""
        set_average_device(self, trainer.strategy.root_device)
        super().setup(trainer, pl_module, stage)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute the first step to average."""
        self.first_step = int(self.start * optimizer_steps(trainer))

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Whether the average is updated after this step, counted from 0."""
        if step_idx is None or step_idx < self.first_step:
            return False
        return (step_idx - self.first_step) % self.every_n_steps == 0

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Swap the average into the net."""
        self._follow(pl_module)
        super().on_validation_epoch_start(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the net and its average."""
        if not trainer.validating:  # otherwise the net is what was scored, with the statistics of `PreciseBN`
            self._follow(pl_module)
        super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Copy the average into the net."""
        self._follow(pl_module)
        super().on_train_end(trainer, pl_module)

    def _follow(self, pl_module: LightningModule) -> None:
        # Lightning would show the weights that the run began with
        average = averaged_module(self)
        if average is not None and average[1] == 0:
            average[0].load_state_dict(pl_module.state_dict())
