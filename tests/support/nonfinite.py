"""Losses that overflow, and batches marked to be so."""

from typing import Any

import torch
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor

from seglight.losses import CrossEntropy
from tests.support.training import samples

MARK = 2
"""Label of the first pixel of an image that makes trouble."""


class Infinite(CrossEntropy):
    """Infinite where an image is marked, by a constant: the gradient is finite."""

    def __init__(self, ignore_index: int, value: float = torch.inf) -> None:
        super().__init__(ignore_index)
        self.value = value

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        loss = super().forward(logits, mask)
        return loss + self.value if (mask[:, 0, 0] == MARK).any() else loss


class Overflow(CrossEntropy):
    """Loss and gradient are finite, but not the gradient in float16 once it is scaled."""

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        loss = super().forward(logits, mask)
        return loss + 1e5 * logits.float().mean() if (mask[:, 0, 0] == MARK).any() else loss


def marked(*indices: int, count: int = 8) -> list[dict[str, Any]]:
    data = samples(count)
    for k, sample in enumerate(data):
        sample["mask"][0, 0] = MARK if k in indices else 0
    return data


def float16() -> tuple[torch.amp.GradScaler, MixedPrecision]:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    return scaler, MixedPrecision("16-mixed", "cpu", scaler)
