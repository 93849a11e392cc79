"""Learning from a trained net beside the labels (Hinton et al. 2015, arXiv 1503.02531, section 2)."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.checkpoints.checkpoint import load_net
from seglight.errors import UserError
from seglight.interfaces import LossFactory, seg_output
from seglight.losses.banded_loss import mass, with_labels
from seglight.losses.cross_entropy import CrossEntropy
from seglight.models.layers import resize_to


class Distillation(nn.Module):
    """A loss of the labels, and while training T² KL(teacher || student) of probabilities at temperature T.

    The teacher sees the same images; its logits are brought to the student's stride. It counts at every place, labelled
    or not. It stays in evaluation mode and out of checkpoints.

    Args:
        ignore_index: Mask value that counts for nothing.
        teacher: Its checkpoint, of the same classes.
        weight: Share of the teacher; the labels have the rest.
        temperature: T.
        loss: That of the labels, called with `ignore_index`.

    Attributes:
        classes: The teacher's.

    Raises:
        UserError: The checkpoint can't be read, or the weight or the temperature is out of range.
    """

    teacher: nn.Module

    def __init__(
        self,
        ignore_index: int,
        teacher: str,
        weight: float = 0.5,
        temperature: float = 2.0,
        loss: LossFactory = CrossEntropy,
    ) -> None:
        super().__init__()
        if not 0 <= weight <= 1 or not temperature > 0:
            raise UserError(
                f"loss.weight {weight}, loss.temperature {temperature}: the one is from 0 to 1, the other above 0"
            )
        self.ignore_index = ignore_index
        self.hard = loss(ignore_index)
        net, card = load_net(teacher)
        # not registered: no part of a checkpoint, nor of what is trained
        object.__setattr__(self, "teacher", net.requires_grad_(False))
        self.classes = card.classes
        self.weight, self.temperature = weight, temperature

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self.teacher._apply(fn)  # type: ignore[no-untyped-call]  # the teacher goes to the same device
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """The loss of the labels alone, scalar, of logits (B, C, h, w) against a mask (B, H, W)."""
        hard: Tensor = self.hard(logits, mask)
        return hard

    def with_labels(self, logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """`forward`, and the labels (B, H, W) of `upsampled_argmax`."""
        return with_labels(self.hard, logits, mask)

    def with_image(self, logits: Tensor, mask: Tensor, image: Tensor) -> Tensor:
        """The weighted sum of both losses, scalar; `image` is uint8 (B, 3, H, W). It is 0 of no images."""
        if not len(logits):  # the mean of no places is NaN
            return self.forward(logits, mask)
        with torch.no_grad():
            target = resize_to(seg_output(self.teacher(image)).logits.float(), logits)
        with torch.autocast(logits.device.type, enabled=False):
            log_p, log_q = ((x.float() / self.temperature).log_softmax(1) for x in (logits, target))
            soft = F.kl_div(log_p, log_q, reduction="none", log_target=True).sum(1).mean()
        loss: Tensor = (1 - self.weight) * self.hard(logits, mask) + self.weight * self.temperature**2 * soft
        return loss

    def mass(self, mask: Tensor) -> Tensor:
        """What accumulated batches are weighed by, scalar: the pixels of a mask (B, H, W) that are labelled."""
        return mass(self.hard, mask, self.ignore_index)
