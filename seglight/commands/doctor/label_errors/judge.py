"""Two passes over a split: thresholds of confident learning, then scores of pixels, regions and images.

The probabilities of an image are never in memory at once, and nothing is kept of an image but its score and its best
regions. The thresholds and the score of an image are those of cleanlab 2.9, whose module `segmentation` takes the
probabilities of a whole split.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from seglight.commands.doctor.label_errors.best import Best
from seglight.commands.doctor.label_errors.compare import add_confidence, compare
from seglight.commands.doctor.label_errors.confidence import ClassConfidence
from seglight.commands.doctor.label_errors.find_regions import find_regions, rarity_of
from seglight.commands.doctor.label_errors.region import Region
from seglight.commands.doctor.label_errors.sample import read_sample
from seglight.images.bands import RGB, Bands
from seglight.inference.torch_predictor import TorchPredictor
from seglight.interfaces import Labelled


@dataclass(frozen=True)
class Part:
    """Images that one net judges.

    Args:
        load: Function that loads the net.
        indices: Indices of the images in the split.
    """

    load: Callable[[], TorchPredictor]
    indices: Sequence[int]


@dataclass(frozen=True)
class ImageScore:
    """Quality of the labels of an image.

    Args:
        index: Index of the image in the split.
        image: Name of the image.
        score: Softmin of the probabilities of its labels, from 0, certainly wrong, to 1; 1 if none is labelled.
        issues: Number of pixels that the net contradicts with confidence.
        pixels: Number of pixels that are labelled.
    """

    index: int
    image: str
    score: float
    issues: int
    pixels: int


@dataclass(frozen=True)
class Judged:
    """What the passes have found.

    Args:
        images: Number of images.
        confidence: Thresholds of the classes.
        contradictions: Pixels by label and confident class, int64 (K, K); 0 where they agree.
        ranked_images: Images, those with the worst labels first.
        regions: Regions whose labels are most likely wrong, best first.
        found: Number of regions of which these are the best.
    """

    images: int
    confidence: ClassConfidence
    contradictions: NDArray[np.int64]
    ranked_images: Sequence[ImageScore]
    regions: Sequence[Region]
    found: int


def judge(
    parts: Sequence[Part],
    split: Labelled,
    num_classes: int,
    ignore_index: int,
    top: int,
    advance: Callable[[], None] = lambda: None,
    shown: Callable[[str], str] = str,
    bands: Bands = RGB,
) -> Judged:
    """Judge the labels of a split.

    Args:
        parts: Nets and the images that each of them judges.
        split: Labelled images.
        num_classes: Number of classes, K.
        ignore_index: Mask value that is ignored.
        top: Number of images and of regions that are kept.
        advance: Function that is called after each image of each pass.
        shown: Function of the name of an image that returns the one in the report.
        bands: What the images hold.

    Raises:
        UserError: An image or a label can't be read, or a net fails on it.
    """
    confidence = ClassConfidence(num_classes)
    contradicted, contradictions = np.zeros((2, num_classes, num_classes), np.int64)
    for predictor, index in _images(parts):
        with torch.inference_mode():
            add_confidence(
                confidence, contradicted, predictor, read_sample(split, index, num_classes, ignore_index, bands)
            )
        advance()
    thresholds = confidence.thresholds()
    rarity = rarity_of(contradicted)
    images = Best[ImageScore](top)
    regions = Best[Region](top)
    number = 0
    for predictor, index in _images(parts):
        sample = read_sample(split, index, num_classes, ignore_index, bands)
        with torch.inference_mode():
            maps = compare(predictor, sample, thresholds, contradictions)
        issues, known = (int(np.count_nonzero(one)) for one in (maps.issues, sample.mask != ignore_index))
        images.add(-maps.score, ImageScore(index, shown(sample.name), maps.score, issues, known))
        found = find_regions(maps, rarity)
        number += len(found.scores)
        for place, value in enumerate(found.scores.tolist(), 1):
            if regions.admits(value):
                regions.add(value, found.region(place, index, shown(sample.name)))
        advance()
    total = sum(len(part.indices) for part in parts)
    return Judged(total, confidence, contradictions, images.ranked(), regions.ranked(), number)


def _images(parts: Sequence[Part]) -> Iterator[tuple[TorchPredictor, int]]:
    for part in parts:
        predictor = part.load()
        for index in part.indices:
            yield predictor, index
