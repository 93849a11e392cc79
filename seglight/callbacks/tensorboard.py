"""TensorBoard writers of a run."""

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter


def tensorboard_loggers(trainer: Trainer) -> list[TensorBoardLogger]:
    """TensorBoard loggers of a run, at any place among its loggers; empty on processes other than rank 0."""
    loggers = trainer.loggers if trainer.is_global_zero else []
    return [logger for logger in loggers if isinstance(logger, TensorBoardLogger)]


def writers(trainer: Trainer) -> list[SummaryWriter]:
    """Writers of the TensorBoard loggers."""
    return [logger.experiment for logger in tensorboard_loggers(trainer)]


def last_step(trainer: Trainer) -> int:
    """Step of what Lightning logs after an optimizer step, counted from 0.

    TensorBoard drops by it what a resumed run logs again.
    """
    return trainer.global_step - 1
