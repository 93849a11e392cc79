"""Pre-training of encoders by classification."""

from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor

from seglight.errors import UserError
from seglight.interfaces import OptimizerFactory, ScheduleFactory
from seglight.models.encoders.normalized import NormalizedEncoder
from seglight.ops.finite import REMEDY, all_finite
from seglight.optim.schedules import WarmupPoly
from seglight.system.ranks import sum_over_ranks
from seglight.training.base import BaseModule


def _created(name: str, num_classes: int) -> Any:
    return timm.create_model(name, num_classes=num_classes)


class ClassificationModule(BaseModule):
    """Trains a timm model to classify images, from random weights; its encoder is the result.

    Args:
        name: Name of a timm model, as in `TimmEncoder`.
        num_classes: Number of classes C; linked from the data.
        optimizer: Factory of the optimizer, called with the parameter groups.
        schedule: Factory of the schedule, called with the optimizer and the number of optimizer steps of the run.
        label_smoothing: Share of each target that is spread over all classes.

    Raises:
        UserError: timm has no such model.
    """

    def __init__(
        self,
        name: str,
        num_classes: int,
        optimizer: OptimizerFactory = torch.optim.AdamW,
        schedule: ScheduleFactory = WarmupPoly,
        label_smoothing: float = 0.1,
    ) -> None:
        if not timm.is_model(name):
            raise UserError(f"model.name '{name}' is no timm model: `seglight models` lists them")
        super().__init__(_created(name, num_classes), optimizer, schedule)
        config = self.net.pretrained_cfg
        self.normalization = NormalizedEncoder(config["mean"], config["std"])
        self.label_smoothing = label_smoothing
        self.register_buffer("counts", torch.zeros(3, dtype=torch.int64), persistent=False)

    net: Any  # a timm model, of which `pretrained_cfg` is read
    counts: Tensor

    def forward(self, image: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) RGB to logits (B, C)."""
        logits: Tensor = self.net(self.normalization.normalized(image))
        return logits

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Cross-entropy."""
        loss = F.cross_entropy(self(batch["image"]), batch["label"], label_smoothing=self.label_smoothing)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Count images, correct predictions, and batches whose logits are not finite."""
        logits = self(batch["image"])
        right = logits.argmax(1) == batch["label"]
        number = right.new_tensor(len(right), dtype=torch.int64)
        self.counts += torch.stack((right.sum(), number, (~all_finite(logits)).long()))

    def on_validation_epoch_end(self) -> None:
        """Log the accuracy on the whole split, the same for any number of processes.

        Raises:
            UserError: Logits were not finite.
        """
        right, count, broken = sum_over_ranks(*self.counts)
        if broken:
            where = f"step {self.trainer.global_step}, val"
            raise UserError(f"{where}: the net's logits are NaN or infinite: {REMEDY}, or lower the learning rate")
        self.log("val/acc", right / count, prog_bar=True, rank_zero_only=True, sync_dist=True)
        self.counts.zero_()

    def encoder_weights(self) -> dict[str, Tensor]:
        """Return the weights without the classifier, by timm's own names, as `TimmEncoder(weights=FILE)` reads them."""
        classifier = self.net.pretrained_cfg["classifier"]
        heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
        return {
            key: value.detach().cpu().contiguous()
            for key, value in self.net.state_dict().items()
            if not key.startswith(tuple(f"{head}." for head in heads))
        }
