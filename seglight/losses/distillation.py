"""Knowledge distillation from a trained net (Hinton et al. 2015, arXiv 1503.02531, section 2)."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.checkpoints.checkpoint import load_net
from seglight.data.classes import FromCheckpoints
from seglight.errors import UserError, within
from seglight.images.bands import RGB
from seglight.interfaces import Loss, LossFactory, seg_output
from seglight.losses.cross_entropy import CrossEntropy
from seglight.losses.plain_loss import as_loss
from seglight.models.layers import resize_to


class Distillation(Loss, FromCheckpoints):
    """A loss of the labels, plus in training T² KL(teacher || student) of probabilities at temperature T.

    The teacher gets the same images; its logits are resized to the student's stride. Its loss is over all pixels,
    labelled or not. The teacher stays in evaluation mode and is not part of checkpoints.

    Args:
        ignore_index: Mask value that is ignored.
        teacher: Path of the teacher's checkpoint, whose classes are those of the data.
        weight: Weight of the teacher's loss; that of the labels' loss is 1 - weight.
        temperature: Temperature T.
        loss: Factory of the labels' loss, called with `ignore_index`.

    Attributes:
        classes: Classes of the teacher.
        bands: What the teacher reads.

    Raises:
        UserError: The checkpoint can't be read, or the weight or the temperature is out of range.
    """

    needs_image = True
    teacher: nn.Module

    def __init__(
        self,
        ignore_index: int,
        teacher: str,
        weight: float = 0.5,
        temperature: float = 2.0,
        loss: LossFactory = CrossEntropy,
    ) -> None:
        super().__init__(ignore_index)
        if not within(weight, 0, 1) or not within(temperature, 0) or temperature == 0:
            raise UserError(
                f"loss.weight is {weight} and loss.temperature is {temperature}: the weight has to be between 0 and 1, "
                "and the temperature above 0"
            )
        self.hard = loss(ignore_index)
        net, card = load_net(teacher)
        # not registered: the teacher is neither part of a checkpoint nor trained
        object.__setattr__(self, "teacher", net.requires_grad_(False))
        self.classes = card.classes
        self.bands = card.image or RGB
        self.weight = weight
        self.temperature = temperature

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self.teacher._apply(fn)  # type: ignore[no-untyped-call]  # the teacher moves to the same device
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the loss of the labels only, a scalar, of logits (B, C, h, w) and a mask (B, H, W)."""
        hard: Tensor = self.hard(logits, mask)
        return hard

    def with_labels(self, logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the result of `forward`, and the labels (B, H, W) of `upsampled_argmax`."""
        return as_loss(self.hard, self.ignore_index).with_labels(logits, mask)

    def with_image(self, logits: Tensor, mask: Tensor, image: Tensor) -> Tensor:
        """Return the weighted sum of both losses, a scalar; it is 0 for an empty batch.

        Args:
            logits: (B, C, h, w) of the student.
            mask: (B, H, W).
            image: (B, bands, H, W).
        """
        if not len(logits):  # the mean over no pixels is NaN
            return self.forward(logits, mask)
        with torch.no_grad():
            target = resize_to(seg_output(self.teacher(image)).logits.float(), logits)
        with torch.autocast(logits.device.type, enabled=False):
            log_p, log_q = ((x.float() / self.temperature).log_softmax(1) for x in (logits, target))
            soft = F.kl_div(log_p, log_q, reduction="none", log_target=True).sum(1).mean()
        loss: Tensor = (1 - self.weight) * self.hard(logits, mask) + self.weight * self.temperature**2 * soft
        return loss

    def denominator(self, mask: Tensor) -> Tensor:
        """Denominator of the labels' loss for a mask (B, H, W), a scalar."""
        return as_loss(self.hard, self.ignore_index).denominator(mask)
