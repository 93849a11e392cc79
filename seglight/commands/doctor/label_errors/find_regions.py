"""Connected regions of an image whose labels a net contradicts, and how likely each label is wrong.

A region is an 8-connected component of pixels of one label for which the net finds one other class most probable; if
most of a labelled object is contradicted, whatever by, it is one region. The score is the product of

- the evidence: the mean log ratio of the probabilities of the class found and of the label, where pixels count by their
  distance from the border of the region. A net that errs hedges and leaves the label some probability, where it leaves
  none to a label that is wrong; its borders are uncertain in any case;
- the fourth root of the number of pixels;
- t / (t + 1) for the thickness t, the largest distance of a pixel from the border: thin strips are border errors;
- the rarity of the pair: the share of this label and this class among all contradicted pixels of the split, to the
  power of -1/4. What is contradicted everywhere is a habit of the net or of the labels, and no single error.

`python -m benchmarks label_errors` measures the precision. These factors were chosen on the validation images of CamVid
with injected errors (`benchmarks/LOG.md`); the share of an object that a region covers gained nothing.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.commands.doctor.label_errors.compare import Disagreement
from seglight.commands.doctor.label_errors.components import Components, components
from seglight.commands.doctor.label_errors.region import Box, Region, packed, packed_labels

SMALLEST = 1e-4
"""Probability below which a label is as good as excluded."""

RAREST = 1e-4
"""Share of the contradicted pixels below which a pair is not rarer."""

MARGIN = 24
"""Least pixels around a region that are shown."""

WHOLE = 0.5
"""Share of a labelled object that is contradicted from which on the object is one region."""

WHOLE_OBJECT = 1 << 16
"""Where the numbers of whole objects begin among those of pairs of classes."""


@dataclass(frozen=True)
class Regions:
    """Regions of an image.

    Args:
        disagreement: The maps of the image.
        found: Components of the map, whose numbers are those of the regions.
        scores: Score of each region, float64 (N,).
    """

    disagreement: Disagreement
    found: Components
    scores: NDArray[np.float64]

    def region(self, number: int, index: int, name: str) -> Region:
        """A region.

        Args:
            number: Its number, from 1.
            index: Index of the image.
            name: Name of the image.
        """
        maps = self.disagreement
        own = self.found.numbers == number
        rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
        box = Box(int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1))
        inside = box.of(own)
        seen = box.grown(max(MARGIN, max(box.width, box.height) // 2), own.shape)
        return Region(
            index,
            name,
            (own.shape[0], own.shape[1]),
            int(box.of(maps.labels)[inside][0]),
            int(np.bincount(box.of(maps.predicted)[inside]).argmax()),
            int(np.count_nonzero(inside)),
            box,
            float(self.scores[number - 1]),
            float(box.of(maps.probability)[inside].mean(dtype=np.float64)),
            float(box.of(maps.label_probability)[inside].mean(dtype=np.float64)),
            packed(inside),
            seen,
            packed_labels(np.ascontiguousarray(seen.of(maps.predicted))),
        )


def find_regions(maps: Disagreement, rarity: NDArray[np.float64]) -> Regions:
    """Find and score the regions of an image.

    Args:
        maps: The image.
        rarity: Rarity of each pair of label and class found, see `rarity_of`.
    """
    known = maps.labels != maps.ignore_index
    contradicted = known & (maps.predicted != maps.labels)
    labelled = components(maps.labels, known)
    found = components(_codes(maps, contradicted, labelled), contradicted)
    return Regions(maps, found, _scores(maps, found, rarity))


def _codes(maps: Disagreement, contradicted: NDArray[np.bool_], labelled: Components) -> NDArray[np.int64]:
    """Map (H, W) whose connected equal values are one region, where the net contradicts the label."""
    wrong = np.bincount(labelled.numbers[contradicted], minlength=len(labelled.areas))
    whole = wrong >= WHOLE * np.maximum(labelled.areas, 1)
    numbers = labelled.numbers.astype(np.int64)
    pairs = maps.labels.astype(np.int64) << 8 | maps.predicted
    return np.where(whole[labelled.numbers], WHOLE_OBJECT + numbers, pairs)


def _scores(maps: Disagreement, found: Components, rarity: NDArray[np.float64]) -> NDArray[np.float64]:
    numbers = found.numbers.ravel()
    number = len(found.areas)
    ratio = np.log(np.maximum(maps.probability, SMALLEST) / np.maximum(maps.label_probability, SMALLEST))
    depth = _depth(found.numbers)
    sums = (np.bincount(numbers, weights.ravel(), minlength=number)[1:] for weights in (ratio * depth, depth))
    evidence = np.divide(*sums)
    thickness = np.zeros(number)
    np.maximum.at(thickness, numbers, depth.ravel())
    thickness = thickness[1:]
    pairs = rarity[
        _most(numbers, maps.labels, len(rarity), number), _most(numbers, maps.predicted, len(rarity), number)
    ]
    score: NDArray[np.float64] = evidence * found.areas[1:] ** 0.25 * thickness / (thickness + 1) * pairs
    return score


def _most(numbers: NDArray[np.int32], classes: NDArray[np.uint8], num_classes: int, number: int) -> NDArray[np.int64]:
    """Most frequent class of each region; ignored pixels are in none."""
    index = numbers.astype(np.int64) * num_classes + np.minimum(classes.ravel(), num_classes - 1)
    counts = np.bincount(index, minlength=number * num_classes).reshape(number, num_classes)
    most: NDArray[np.int64] = counts[1:].argmax(1)
    return most


def rarity_of(contradicted: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rarity of each pair of label and class, (K, K).

    Args:
        contradicted: Pixels of each pair whose most probable class is not the label, (K, K).
    """
    shares = contradicted / max(1, int(contradicted.sum()))
    rarity: NDArray[np.float64] = np.maximum(shares, RAREST) ** -0.25
    return rarity


def _depth(numbers: NDArray[np.int32]) -> NDArray[np.float32]:
    """Distance of each pixel from the border of its region, 0.5 at the border."""
    padded = np.pad(numbers, 1, constant_values=-1)
    height, width = numbers.shape
    interior = np.ones(numbers.shape, bool)
    for down in range(3):
        for across in range(3):
            interior &= padded[down : down + height, across : across + width] == numbers
    distance = cv2.distanceTransform(interior.view(np.uint8), cv2.DIST_L2, 3)
    return distance.astype(np.float32) + np.float32(0.5)
