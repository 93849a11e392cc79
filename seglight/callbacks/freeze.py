"""The encoder stands still at first: the decoder learns on features that are good already."""

from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import DDPStrategy

from seglight.errors import UserError


class FreezeEncoder(Callback):
    """Freezes the encoder until the first of two moments, and for good where neither is given.

    While it is frozen its batch norms and dropout are in evaluation mode, nothing is computed for its gradient, and no
    optimizer moves it or counts a step for it. Its learning rate follows the schedule from the start.

    Args:
        until_step: Optimizer steps after which it is thawed.
        until_epoch: Epochs after which it is thawed.

    Raises:
        UserError: The net has no `encoder`.
    """

    def __init__(self, until_step: int | None = None, until_epoch: int | None = None) -> None:
        self.until_step, self.until_epoch = until_step, until_epoch
        self.frozen = False

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Freeze before processes agree on which gradients they exchange."""
        if stage == "fit":
            if "encoder" not in dict(pl_module.net.named_children()):
                raise UserError("callback FreezeEncoder: the net has no encoder: leave it out, or take EncoderDecoder")
            pl_module.net.encoder.requires_grad_(False)
            self.frozen = True

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Lightning wants all in training mode up to here, and leaves the modes alone from here on."""
        pl_module.net.encoder.eval()

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Thaw, if it is time; a run that goes on finds out by its step and epoch."""
        steps = self.until_step is not None and trainer.global_step >= self.until_step
        epochs = self.until_epoch is not None and trainer.current_epoch >= self.until_epoch
        if self.frozen and (steps or epochs):
            self.frozen = False
            pl_module.net.encoder.requires_grad_(True).train()
            if isinstance(trainer.strategy, DDPStrategy):  # it exchanges the gradients that there were at its start
                trainer.strategy.model = pl_module
                trainer.strategy.configure_ddp()
