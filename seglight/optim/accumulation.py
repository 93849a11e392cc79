"""The gradient of a window of accumulated batches: that of the one mean over all of their labelled pixels."""

import itertools
import math

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from torch import Tensor


def accumulated_batches(trainer: Trainer, epoch: int) -> int:
    """The number of batches that one optimizer step of an epoch, counted from 0, is made of."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, GradientAccumulationScheduler):
            return callback.get_accumulate_grad_batches(epoch)
    return trainer.accumulate_grad_batches


def optimizer_steps(trainer: Trainer) -> float:
    """The number of optimizer steps of a whole run; infinite where nothing but time limits it.

    Lightning's own estimate takes the accumulation of the first epoch for that of all.
    """
    estimate, epochs = trainer.estimated_stepping_batches, trainer.max_epochs
    if epochs is None or epochs < 1 or math.isinf(trainer.num_training_batches):
        return estimate
    schedules = [one for one in trainer.callbacks if isinstance(one, GradientAccumulationScheduler)]  # type: ignore[attr-defined]
    begins = sorted({0, *(epoch for schedule in schedules for epoch in schedule.scheduling if epoch < epochs)})
    steps = sum(
        (end - begin) * math.ceil(trainer.num_training_batches / accumulated_batches(trainer, begin))
        for begin, end in itertools.pairwise([*begins, epochs])
    )
    return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)


class GradientWindow:
    """Weighs batches by what their losses divide by, where Lightning averages the batches' means.

    Lightning adds up the gradients of `loss_i / batches`. Let `m_i` be the mass of batch i: its labelled pixels, over
    all processes. Its loss goes into the backward pass times `m_i / r`; before the step the sum of the gradients is
    multiplied by `batches * r / (m_1 + m_2 + ...)`. `r`, the pixels of the window's first batch, only keeps the numbers
    in float16's range. Nothing waits for the device.
    """

    def __init__(self) -> None:
        self.masses: list[Tensor] = []
        self.reference = 1

    def begin(self, pixels: int) -> None:
        """A new window, whose first batch has so many pixels."""
        self.masses, self.reference = [], pixels

    def weigh(self, loss: Tensor, mass: Tensor) -> Tensor:
        """The scalar `loss` of a batch of scalar `mass` as it goes into the backward pass."""
        self.masses.append(mass)
        return loss * (mass / self.reference)

    def rescale(self, gradients: list[Tensor], batches: int) -> None:
        """Turn the sum of gradients into the gradient of the mean, in place; 0 where nothing was labelled.

        Args:
            gradients: Of all parameters; none of a step that is skipped.
            batches: What Lightning divided each loss by; more than there were where an epoch's end cut in.
        """
        if not gradients:
            return
        mass = torch.stack(self.masses).sum()
        factor = torch.where(mass > 0, batches * self.reference / mass, 0.0)
        torch._foreach_mul_(gradients, factor)
