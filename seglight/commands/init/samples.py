"""Choices about training samples: crop, scale, colours, class weights, and crops of rare classes."""

from collections.abc import Sequence

import numpy as np

from seglight.commands.doctor.statistics import class_fractions, class_weights
from seglight.commands.init.choice import Choice
from seglight.commands.init.facts import DataFacts, Size
from seglight.images.bands import RGB, Bands

STEP = 32
"""Crops are multiples of the coarsest stride of usual encoders."""

WHOLE = 256
"""Short side in pixels up to which images are trained on whole."""

LARGEST = {"cpu": 384, "gpu": 512}
"""Largest side of a crop for objects that fit into it. More pixels a step were not better in short trainings."""

LARGEST_OF_ALL = {"cpu": 512, "gpu": 768}
"""Largest side of a crop."""

PANORAMA = 1.75
"""Ratio of the sides from which crops are twice as long as they are wide."""

SELDOM = 0.05
"""Probability that a random crop contains a class, below which crops are placed on rare classes."""

MOST_WEIGHT = 10.0
"""Largest weight of a class: one that has hardly a pixel would otherwise drown the others."""

FEW_EPOCHS = 10
"""Epochs up to which augmentation does not pay: a net that sees an image so few times does not learn it by heart."""


def crop_size(data: DataFacts, accelerator: str) -> Choice[int | Size]:
    """Crop of the training images, from their size and that of the objects.

    Args:
        data: Facts about the data.
        accelerator: "cpu" or "gpu".
    """
    height, width = data.size
    short = min(height, width)
    images = f"{'areas of the scenes' if data.by_window else 'images'} are {height}x{width}"
    if short <= WHOLE:
        least = 2 * STEP if data.train == 1 else STEP  # normalisation needs several values of a batch
        side = max(least, _nearest(short))
        return Choice(_shaped(side, data.size, whole=True), f"{images} (height x width, median): whole images")
    limit = LARGEST[accelerator]
    fits = int(0.9 * short) // STEP * STEP
    side = min(fits, limit)
    reason = f"{images} (median): nine tenths of the short side" + (f", at most {limit}" if fits > limit else "")
    wanted = min(-(-data.extent // STEP) * STEP, fits, LARGEST_OF_ALL[accelerator])
    if wanted > side:
        side = wanted
        reason = f"{images}, and a class usually fills a square of {data.extent} (medians)"
    return Choice(_shaped(side, data.size, whole=False), reason)


def _nearest(side: int) -> int:
    return (side + STEP // 2) // STEP * STEP


def _shaped(side: int, size: Size, whole: bool) -> int | Size:
    """A square, or for panoramas the sides of the image or a rectangle of one to two."""
    height, width = size
    if max(size) < PANORAMA * min(size):
        return side
    longer = max(side, min(_nearest(max(size)), 2 * side)) if whole else 2 * side
    return (side, longer) if width > height else (longer, side)


def smaller_crop(crop: int | Size, factor: float, least: float = 0.5) -> int | Size:
    """A crop with the given fraction of the pixels, in multiples of 32.

    Args:
        crop: The crop.
        factor: Fraction of the pixels.
        least: Fraction of a side that remains in any case; at least 64 pixels, or all that there are, remain, too.
    """

    def shrunk(side: int) -> int:
        return max(min(side, 2 * STEP), int(side * max(least, factor**0.5)) // STEP * STEP)

    return shrunk(crop) if isinstance(crop, int) else (shrunk(crop[0]), shrunk(crop[1]))


def sides(crop: int | Size) -> Size:
    """Height and width of a crop."""
    return (crop, crop) if isinstance(crop, int) else crop


def scale(epochs: float, data: DataFacts, crop: int | Size) -> Choice[list[float]]:
    """Range of random scales.

    Args:
        epochs: Epochs of the training.
        data: Facts about the data.
        crop: Crop of the training images.
    """
    if epochs <= FEW_EPOCHS:
        few = f"{epochs:g} epoch{'s' if epochs > 1 else ''}" if epochs else "less than an epoch"
        return Choice([1.0, 1.0], f"none: in {few} an image is seen too few times to be learnt by heart")
    if data.extent > 1.5 * max(sides(crop)):
        return Choice([0.5, 1.5], f"a class usually fills a square of {data.extent}, more than a crop: smaller, too")
    return Choice([0.75, 2.0], "objects differ in size; more often enlarged, as small objects are missed most")


def photometric(epochs: float, bands: Bands = RGB) -> Choice[float]:
    """Largest relative change of brightness, contrast and saturation."""
    if not bands.is_rgb8:
        return Choice(0.0, "none: it changes colours of RGB; per_band would change each band by itself")
    if epochs <= FEW_EPOCHS:
        return Choice(0.0, "none, for the same reason")
    return Choice(0.4, "changes of brightness, contrast and colour, as in most recipes")


def chances(data: DataFacts, crop: int | Size) -> list[float]:
    """Probability, roughly, that a random crop contains each class: its share of images times that of their pixels."""
    rows, columns = sides(crop)
    height, width = data.size
    covered = min(1.0, rows / max(1, height)) * min(1.0, columns / max(1, width))
    return [count / max(1, data.train) * covered for count in data.images_with]


def rare_class_crops(data: DataFacts, crop: int | Size) -> Choice[list[float]] | None:
    """Fractions for crops of rare classes where random crops would miss a class; None: random crops."""
    chance = chances(data, crop)
    occurring = [index for index, count in enumerate(data.images_with) if count]
    rarest = min(occurring, key=lambda index: (chance[index], index), default=None)
    if rarest is None or chance[rarest] >= SELDOM or len(occurring) < 2:
        return None
    fractions = class_fractions(np.array(data.pixels, np.int64))
    reason = f"a random crop contains {data.names[rarest]} in about {chance[rarest]:.1%} of cases"
    return Choice(fractions, f"{reason}: crops are placed on rare classes; fraction of pixels of each class")


def weights_of_classes(data: DataFacts, rare_crops: bool) -> Choice[list[float]] | None:
    """Weights of the classes in the loss, as `doctor` prints them, at most 10; None: all are equal.

    Args:
        data: Facts about the data.
        rare_crops: Whether crops are placed on rare classes, which balances them already.
    """
    if rare_crops:
        return None
    found = class_weights(np.array(data.pixels, np.int64))
    weights = [min(weight, MOST_WEIGHT) for weight in found]
    if _alike(weights):
        return None
    limited = f", at most {MOST_WEIGHT:g}" if weights != found else ""
    return Choice(weights, f"1 / sqrt(fraction of the labelled pixels) of each class, with mean 1{limited}")


def _alike(weights: Sequence[float]) -> bool:
    return max(weights) <= 1.2 * min(weights)
