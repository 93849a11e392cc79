"""The TensorBoard writers of a run, if it has any."""

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter


def tensorboard_loggers(trainer: Trainer) -> list[TensorBoardLogger]:
    """The TensorBoard loggers of a run, whichever others stand before them; none but on the process of rank 0."""
    loggers = trainer.loggers if trainer.is_global_zero else []
    return [logger for logger in loggers if isinstance(logger, TensorBoardLogger)]


def writers(trainer: Trainer) -> list[SummaryWriter]:
    """The writers of these loggers."""
    return [logger.experiment for logger in tensorboard_loggers(trainer)]


def last_step(trainer: Trainer) -> int:
    """The step that Lightning gives to what it logs after an optimizer step: it counts from 0.

    What a resumed run logs again is dropped by this number.
    """
    return trainer.global_step - 1
