"""Validation with Lightning, torchvision and torchmetrics, as in their manuals."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassJaccardIndex
from torchvision.datasets import Cityscapes

TRAIN_ID = np.full(256, 255, np.uint8)
TRAIN_ID[[kind.id for kind in Cityscapes.classes if kind.train_id not in (-1, 255)]] = [
    kind.train_id for kind in Cityscapes.classes if kind.train_id not in (-1, 255)
]


class Transform:
    """Converts an image to normalised float (3, H, W) and a mask to int64 (H, W), in the worker.

    Args:
        mean: Mean of R, G, B in pixel units, (3, 1, 1).
        std: Standard deviation of R, G, B in pixel units, (3, 1, 1).
    """

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        self.mean = mean
        self.std = std

    def __call__(self, image: Image.Image, mask: Image.Image) -> tuple[Tensor, Tensor]:
        """Convert a pair of Pillow images."""
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float()
        return pixels.sub_(self.mean).div_(self.std), torch.from_numpy(TRAIN_ID[np.array(mask)]).long()


def loader(root: Path, transform: Transform, batch_size: int, num_workers: int) -> DataLoader[Any]:
    """Return a loader of the validation split."""
    dataset = Cityscapes(str(root), split="val", mode="fine", target_type="semantic", transforms=transform)
    return DataLoader(
        dataset, batch_size, num_workers=num_workers, pin_memory=torch.cuda.is_available(),
        persistent_workers=num_workers > 0,
    )  # fmt: skip


class Plain(LightningModule):
    """Upsamples the logits to the size of the labels, then computes loss, argmax and metric.

    Args:
        net: Net that maps normalised float (B, 3, H, W) to logits (B, C, h, w).
        num_classes: Number of classes C.
    """

    def __init__(self, net: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.net = net
        self.miou = MulticlassJaccardIndex(num_classes, ignore_index=255)
        self.matrix = torch.zeros(0)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Add a batch to the loss and the metric."""
        image, mask = batch
        logits = F.interpolate(self.net(image), mask.shape[-2:], mode="bilinear", align_corners=False)
        self.log("val/loss", F.cross_entropy(logits, mask, ignore_index=255), batch_size=len(image))
        self.miou.update(logits.argmax(1), mask)
        self.log("val/miou", self.miou, batch_size=len(image))

    def on_validation_epoch_end(self) -> None:
        """Copy the matrix, because Lightning clears it after this hook."""
        self.matrix = self.miou.confmat.clone()
