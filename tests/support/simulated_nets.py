"""Counts of nets on simulated images whose true scores are known.

The labels of an image, and the rows of its confusion matrix, are drawn so that their expectations are known: pixels of
a class are present with a probability and have a log-normal number, a row is a Dirichlet vector around the net's own
row. A Dirichlet vector is a normalised vector of gamma variables, which are sums of gamma variables: a part that all
images of a group share, a part that all nets share on an image, and a part of the net's own on it. So images of a
group resemble each other, nets resemble each other on an image, and the expectation of each row stays exactly the
net's own. Presence and numbers of pixels of the images of a group resemble each other, too.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FINE = 64
"""Counts are multiplied by it, so that rounding does not matter."""


def _gamma(rng: np.random.Generator, parameter: Floats, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return rng.standard_gamma(np.broadcast_to(parameter.astype(np.float32), shape), dtype=np.float32)


@dataclass(frozen=True)
class World:
    """A population of images, in groups.

    Attributes:
        present: (C,) probability that a class is in an image.
        pixels: (C,) mean number of its pixels where it is present.
        spread: (C,) standard deviation of the logarithm of that number.
        confidence: (C,) sum of the parameters of the Dirichlet vector of a row: the smaller, the more images vary.
        of_group: Share of the variation that the images of a group have in common.
        of_image: Share of the variation that the nets have in common on an image.
    """

    present: Floats
    pixels: Floats
    spread: Floats
    confidence: Floats
    of_group: float
    of_image: float

    def confusion(self, rows: Floats) -> Floats:
        """Expected confusion matrix (..., C, C) of nets with expected rows (..., C, C)."""
        return (self.present * self.pixels)[:, None] * rows

    def miou(self, rows: Floats) -> Floats:
        """True mean IoU (...) of nets with expected rows (..., C, C)."""
        matrix = self.confusion(rows)
        hit = np.diagonal(matrix, axis1=-2, axis2=-1)
        iou: Floats = hit / (matrix.sum(-1) + matrix.sum(-2) - hit)
        return iou.mean(-1)

    def labels(self, rng: np.random.Generator, trials: int, group: Ints) -> Floats:
        """Number of pixels of each class (trials, images, C)."""
        classes = len(self.present)
        count = group.max() + 1
        concentration = 1 / self.of_group - 1  # variance of the mean of a group's images: its share of that of one
        inside = rng.beta(
            np.clip(self.present, 1e-3, 1 - 1e-3) * concentration,
            np.clip(1 - self.present, 1e-3, 1 - 1e-3) * concentration,
            (trials, count, classes),
        )
        there = rng.random((trials, len(group), classes)) < np.where(self.present < 1, inside[:, group], 1)
        both = rng.standard_normal((trials, count, classes))[:, group] * np.sqrt(self.of_group)
        own = rng.standard_normal((trials, len(group), classes)) * np.sqrt(1 - self.of_group)
        size = self.pixels * np.exp(self.spread * (both + own) - self.spread**2 / 2)
        return np.where(there, size, 0.0)

    def draw(self, rng: np.random.Generator, rows: Floats, group: Ints) -> tuple[Ints, Ints, Ints]:
        """Pixels hit, true and predicted, each (trials, nets, images, C).

        Args:
            rng: Generator.
            rows: (trials, nets, C, C) expected rows of the nets.
            group: (images,) group of each image.
        """
        trials, nets, classes, _ = rows.shape
        true = self.labels(rng, trials, group)
        shape = rows * self.confidence[:, None]
        common = shape.min(1, keepdims=True)  # the shapes of sums add up, so what is in common is at most the least one
        images = len(group)
        parts = _gamma(rng, common * self.of_group, (trials, group.max() + 1, classes, classes))
        both = parts[:, group]
        both += _gamma(rng, common * self.of_image, (trials, images, classes, classes))
        hit, predicted = (np.empty((trials, nets, images, classes), np.int64) for _ in range(2))
        for net in range(nets):
            rest = shape[:, net, None] - common * (self.of_group + self.of_image)
            drawn = both + _gamma(rng, rest, both.shape)
            matrix = true[..., None] * FINE * drawn / drawn.sum(-1, keepdims=True)
            hit[:, net] = np.rint(np.diagonal(matrix, axis1=-2, axis2=-1))
            predicted[:, net] = np.rint(matrix.sum(-2))
        whole = np.broadcast_to(np.rint(true * FINE).astype(np.int64)[:, None], hit.shape)
        return hit, whole, predicted

    def counted(self, rng: np.random.Generator, rows: Floats, group: Ints, chunk: int = 50) -> tuple[Ints, Ints, Ints]:
        """Pixels hit, true and predicted of groups of images, each (trials, nets, groups, C); arguments as `draw`."""
        parts = [self.draw(rng, rows[start : start + chunk], group) for start in range(0, len(rows), chunk)]
        edges = np.flatnonzero(np.diff(group, prepend=-1))  # the images of a group follow each other
        joined = [np.concatenate(each) for each in zip(*parts, strict=True)]
        return tuple(np.add.reduceat(each, edges, axis=2) for each in joined)  # type: ignore[return-value]


STREET = World(
    present=np.array([1.0, 1.0, 0.9, 0.7, 0.6, 0.25]),
    pixels=np.array([44900.0, 50000.0, 980.0, 1540.0, 3020.0, 1120.0]),
    spread=np.array([0.18, 0.1, 0.49, 0.54, 1.03, 0.95]),
    confidence=np.array([29.0, 181.0, 5.9, 10.5, 13.0, 2.6]),
    of_group=0.3,
    of_image=0.4,
)
"""Building, road, pole, sign, car and pedestrian as a net of 0.71 mIoU sees them on CamVid's validation split.

Pixels, their spread and the confidence of rows are fitted to its counts per image by moments; each of the classes is on
all of these images, so the presence is that of a data set with rare classes.
"""

ROWS = np.array(
    [
        [0.930, 0.002, 0.010, 0.020, 0.008, 0.030],
        [0.010, 0.970, 0.002, 0.001, 0.012, 0.005],
        [0.350, 0.030, 0.450, 0.080, 0.030, 0.060],
        [0.200, 0.010, 0.060, 0.700, 0.020, 0.010],
        [0.030, 0.030, 0.005, 0.005, 0.920, 0.010],
        [0.080, 0.030, 0.020, 0.010, 0.040, 0.820],
    ]
)
"""Expected rows of the confusion matrix of such a net."""

ALONE = np.arange(100)
DRIVES = np.repeat(np.arange(20), 5)
"""Groups of 100 images: each by itself, or 20 drives of 5 frames."""


def with_miou(world: World, wanted: float) -> Floats:
    """Rows of a net whose true mean IoU is the one that is wanted: `ROWS` with more or fewer errors."""
    low, high = -1.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if world.miou(changed(middle)) < wanted else (low, middle)
    return changed((low + high) / 2)


def changed(share: float) -> Floats:
    """`ROWS` with a share of the errors removed, or for a negative one added."""
    errors = ROWS * (1 - np.eye(len(ROWS))) * (1 - share)
    return errors + np.diag(1 - errors.sum(1))


def trained(rng: np.random.Generator, rows: Floats, certainty: float, shape: tuple[int, ...]) -> Floats:
    """Rows (*shape, C, C) of trainings of one recipe: Dirichlet vectors around the rows of the recipe."""
    drawn = rng.standard_gamma(np.broadcast_to(rows * certainty, (*shape, *rows.shape))) + 1e-9
    return drawn / drawn.sum(-1, keepdims=True)
