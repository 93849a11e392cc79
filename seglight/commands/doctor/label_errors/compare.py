"""What a net says about the labels of one image: maps at its size, and the score of the image."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglight.commands.doctor.label_errors.confidence import ClassConfidence, confident_class
from seglight.commands.doctor.label_errors.sample import Sample
from seglight.inference.torch_predictor import TorchPredictor
from seglight.ops.sizes import DIVISOR, round_up

TEMPERATURE = 0.1
"""Of the softmin in the score of an image, as in cleanlab."""


@dataclass(frozen=True)
class Disagreement:
    """What a net says about the labels of an image: maps (H, W).

    Args:
        labels: Class index or ignore_index, uint8.
        label_probability: Probability of the label, float32; of ignored pixels anything.
        predicted: Most probable class, uint8.
        probability: Its probability, float32.
        issues: Whether the net contradicts the label with confidence, bool.
        ignore_index: Label that is ignored.
        score: Softmin of the probabilities of the labels, from 0, certainly wrong, to 1; 1 if none is labelled.
    """

    labels: NDArray[np.uint8]
    label_probability: NDArray[np.float32]
    predicted: NDArray[np.uint8]
    probability: NDArray[np.float32]
    issues: NDArray[np.bool_]
    ignore_index: int
    score: float


def add_confidence(
    confidence: ClassConfidence, contradicted: NDArray[np.int64], predictor: TorchPredictor, sample: Sample
) -> None:
    """Add the pixels of an image to the thresholds of the classes.

    Args:
        confidence: The thresholds.
        contradicted: Pixels by label and most probable class, (K, K), to which those that differ are added.
        predictor: The net.
        sample: The image.
    """
    for _, probabilities, labels in sample.bands(predictor):
        known = labels != sample.ignore_index
        confidence.add(_own(probabilities, labels, known)[known], labels[known])
        predicted = probabilities.argmax(1)
        _count(contradicted, labels, predicted, known & (predicted != labels))


def _count(pairs: NDArray[np.int64], labels: Tensor, found: Tensor, where: Tensor) -> None:
    """Add pixels to the pairs of their label and the class found, (K, K)."""
    classes = len(pairs)
    index = labels[where].long() * classes + found[where]
    pairs += torch.bincount(index, minlength=classes**2).view(classes, classes).cpu().numpy()


def compare(
    predictor: TorchPredictor, sample: Sample, thresholds: Tensor, contradictions: NDArray[np.int64]
) -> Disagreement:
    """Compare the labels of an image with the net.

    Args:
        predictor: The net.
        sample: The image.
        thresholds: Thresholds of the classes, (K,).
        contradictions: Pixels by label and confident class, (K, K), to which the issues of this image are added.
    """
    height, width = sample.mask.shape
    padded = (1, round_up(height, DIVISOR), round_up(width, DIVISOR))
    kinds = (torch.float32, torch.uint8, torch.float32, torch.bool)
    maps = [torch.zeros(padded, dtype=kind) for kind in kinds]
    weighted, weights = 0.0, 0.0
    for band, probabilities, labels in sample.bands(predictor):
        known = labels != sample.ignore_index
        own = _own(probabilities, labels, known)
        largest, predicted = probabilities.max(1)
        suggested, confident = confident_class(probabilities, thresholds)
        issues = known & confident & (suggested != labels) & (predicted != labels)
        _count(contradictions, labels, suggested, issues)
        quality = own[known].double()
        softmin = (-quality / TEMPERATURE).exp()
        weighted += float((quality * softmin).sum())
        weights += float(softmin.sum())
        for full, part in zip(maps, (own, predicted, largest, issues), strict=True):
            band.put(full, part.to(full))
    found = [full[0, :height, :width].numpy() for full in maps]
    score = weighted / weights if weights else 1.0
    return Disagreement(sample.mask, found[0], found[1], found[2], found[3], sample.ignore_index, score)


def _own(probabilities: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """Probability (1, P) of the labels; where none is known, that of the first class."""
    index = torch.where(known, labels, 0).long()
    return probabilities.gather(1, index[:, None])[:, 0]
