"""Callback that freezes the encoder at first, while the decoder learns on its pretrained features."""

from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import DDPStrategy

from seglight.errors import UserError


class FreezeEncoder(Callback):
    """Freezes the encoder until a step or an epoch, whichever comes first, or for the whole run if neither is given.

    While it is frozen, its batch norms and dropout are in evaluation mode, its gradients are not computed, and the
    optimizer neither updates it nor counts steps for it. Its learning rate follows the schedule from the start.

    Args:
        until_step: Optimizer steps after which the encoder is unfrozen.
        until_epoch: Epochs after which the encoder is unfrozen.

    Raises:
        UserError: The net has no submodule named `encoder`.
    """

    def __init__(self, until_step: int | None = None, until_epoch: int | None = None) -> None:
        self.until_step = until_step
        self.until_epoch = until_epoch
        self.frozen = False

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Freeze before DistributedDataParallel registers the gradients that it exchanges."""
        if stage == "fit":
            if "encoder" not in dict(pl_module.net.named_children()):
                raise UserError(
                    "callback FreezeEncoder: the net has no encoder: remove the callback, or use EncoderDecoder"
                )
            pl_module.net.encoder.requires_grad_(False)
            self.frozen = True

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Set evaluation mode here: Lightning sets training mode before this hook, and no mode after it."""
        pl_module.net.encoder.eval()

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Unfreeze at the step or epoch; a resumed run decides by its own step and epoch."""
        steps = self.until_step is not None and trainer.global_step >= self.until_step
        epochs = self.until_epoch is not None and trainer.current_epoch >= self.until_epoch
        if self.frozen and (steps or epochs):
            self.frozen = False
            pl_module.net.encoder.requires_grad_(True).train()
            if isinstance(
                trainer.strategy, DDPStrategy
            ):  # it exchanges only the gradients that existed when it was built
                trainer.strategy.model = pl_module
                trainer.strategy.configure_ddp()
