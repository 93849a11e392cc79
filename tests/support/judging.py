"""Nets whose probabilities are given, and splits in memory, for tests of label errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seglight.inference.torch_predictor import TorchPredictor
from seglight.interfaces import SegOutput
from tests.support.checkpoint_files import card


class Given(nn.Module):
    """A net that recognises an image by its first pixel and returns the logits that are given for it."""

    def __init__(self, logits: Mapping[int, NDArray[np.float32]]) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, image: Tensor) -> SegOutput:
        logits = torch.from_numpy(self.logits[int(image[0, 0, 0, 0])])
        height, width = image.shape[-2:]
        padded = torch.zeros(1, len(logits), height, width)
        padded[0, :, : logits.shape[1], : logits.shape[2]] = logits
        return SegOutput(padded)


@dataclass(frozen=True)
class InMemory:
    """A split of masks; the first pixel of an image is its index."""

    masks: Sequence[NDArray[np.uint8]]
    fingerprint: str = ""

    def __len__(self) -> int:
        return len(self.masks)

    def sources(self, index: int) -> tuple[Path, ...]:
        return ()

    def read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
        return np.full((*self.masks[index].shape, 3), index % 256, np.uint8), self.masks[index], f"image {index}"


def predictor(probabilities: Sequence[NDArray[np.float64]]) -> TorchPredictor:
    """A net that gives probabilities (K, H, W) for the images of a split in order."""
    logits = {index: np.log(one).astype(np.float32) for index, one in enumerate(probabilities)}
    names = [str(k) for k in range(len(probabilities[0]))]
    return TorchPredictor(Given(logits), card(names), "given", "cpu")


def drawn(
    seed: int, classes: int, size: tuple[int, int], sharpness: float = 3.0
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Probabilities (K, H, W), and labels (H, W) drawn from them."""
    rng = np.random.default_rng(seed)
    values = np.exp(sharpness * rng.standard_normal((classes, *size)))
    probabilities = values / values.sum(0)
    labels = (probabilities.cumsum(0) < rng.random(size)).sum(0).clip(max=classes - 1)
    return probabilities, labels.astype(np.uint8)
