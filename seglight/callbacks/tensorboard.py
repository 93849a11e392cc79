"""The TensorBoard writer of a run, if it has one."""

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter


def tensorboard(trainer: Trainer) -> SummaryWriter | None:
    """The writer on the process that logs; None elsewhere, and where another logger was chosen."""
    if trainer.is_global_zero and isinstance(trainer.logger, TensorBoardLogger):
        writer: SummaryWriter = trainer.logger.experiment
        return writer
    return None


def last_step(trainer: Trainer) -> int:
    """The step that Lightning gives to what it logs after an optimizer step: it counts from 0.

    What a run that goes on logs anew is dropped by this number.
    """
    return trainer.global_step - 1
