"""Exponential moving average of the weights, which is validated, saved and used for predictions."""

from collections.abc import Sequence

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from seglight.errors import UserError, within
from seglight.training.lightning_internals import set_average_device


class EMA(WeightAveraging):
    """Lightning's weight averaging with a decay that grows from 0.1 to `decay`, so that short runs benefit too.

    At update n the decay is min(decay, (1 + n) / (10 + n)), as in TensorFlow's ExponentialMovingAverage.

    Args:
        decay: Fraction of the old average that an update keeps once the decay has grown.

    Raises:
        UserError: `decay` is not within [0, 1].
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not within(decay, 0, 1):
            raise UserError(f"seglight.callbacks.EMA: decay is {decay}: give a number from 0 to 1.")

        def update(average: Sequence[Tensor], current: Sequence[Tensor], count: Tensor) -> None:
            if not average[0].is_floating_point():  # counters of batch norms
                for old, new in zip(average, current, strict=True):
                    old.copy_(new)
                return
            share = torch.clamp(9 / (10 + count), min=1 - decay)
            step = torch._foreach_sub(list(current), list(average))
            torch._foreach_mul_(step, share)
            torch._foreach_add_(list(average), step)

        super().__init__(multi_avg_fn=update)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep the average on the device of the training: the net is still on the CPU at this point."""
        set_average_device(self, trainer.strategy.root_device)
        super().setup(trainer, pl_module, stage)
