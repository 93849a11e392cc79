"""The gradient of a window of accumulated batches: that of one mean over all of their labelled pixels."""

import itertools
import math

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from torch import Tensor


def accumulated_batches(trainer: Trainer, epoch: int) -> int:
    """The number of batches that are accumulated for one optimizer step of an epoch, counted from 0."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, GradientAccumulationScheduler):
            return callback.get_accumulate_grad_batches(epoch)
    return trainer.accumulate_grad_batches


def optimizer_steps(trainer: Trainer) -> float:
    """The number of optimizer steps of a whole run; infinite if only time limits it.

    Lightning's own estimate assumes that all epochs accumulate as many batches as the first.
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
    """Weights batches by what their losses divide by, where Lightning averages the means of the batches.

    Lightning adds up the gradients of `loss_i / batches`. Let `d_i` be the denominator of the loss of batch i, usually
    its labelled pixels, summed over all processes. The loss is multiplied by `d_i / r` before the backward pass, and
    before the optimizer step the sum of the gradients is multiplied by `batches * r / (d_1 + d_2 + ...)`. `r`, the
    number of pixels of the window's first batch, only keeps the numbers in float16's range. Nothing waits for the
    device.
    """

    def __init__(self) -> None:
        self.denominators: list[Tensor] = []
        self.reference = 1

    def begin(self, pixels: int) -> None:
        """Start a new window.

        Args:
            pixels: Number of pixels of its first batch, labelled or not.
        """
        self.denominators = []
        self.reference = pixels

    def weigh(self, loss: Tensor, denominator: Tensor) -> Tensor:
        """Return the loss of a batch as it goes into the backward pass.

        Args:
            loss: Scalar loss of the batch.
            denominator: Scalar that the loss divides by, of all processes.
        """
        self.denominators.append(denominator)
        return loss * (denominator / self.reference)

    def rescale(self, gradients: list[Tensor], batches: int) -> None:
        """Turn the sum of gradients into the gradient of the mean, in place; 0 if nothing was labelled.

        Args:
            gradients: Gradients of all parameters; empty for a step that is skipped.
            batches: Number that Lightning divided each loss by; larger than that of the batches at an epoch's end.
        """
        if not gradients:
            return
        denominator = torch.stack(self.denominators).sum()
        factor = torch.where(denominator > 0, batches * self.reference / denominator, 0.0)
        torch._foreach_mul_(gradients, factor)
