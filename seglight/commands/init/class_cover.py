"""Divisions of images that leave no class out of the training: the order of the random choice is searched for one."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from seglight.data.layouts.layout import Layout
from seglight.data.sequences import Parts
from seglight.errors import UserError

LOOKED_AT = 500
"""Images up to which the labels are read for it: in more, no class is left out by chance."""

SEEDS = 50
"""Seeds that are tried."""

UNTRAINED = 1000
"""How much worse a class is that is not trained on than one that is not validated on."""


def classes_in(layout: Layout, files: Sequence[Path]) -> list[frozenset[int]]:
    """The classes in each image; of many images, or where labels can't be read, none.

    Args:
        layout: The layout.
        files: Images of it.
    """
    if len(files) > LOOKED_AT:
        return [frozenset()] * len(files)
    known = range(len(layout.classes.names))
    found = []
    for path in files:
        try:
            found.append(frozenset(value for value in np.unique(layout.labels(path)).tolist() if value in known))
        except UserError:  # the scan names the file
            found.append(frozenset())
    return found


def covering(divide: Callable[[int], Parts], present: Sequence[frozenset[int]], folds: bool) -> Parts:
    """The first division that leaves the fewest classes out of the training, and then of the validation.

    Args:
        divide: Function of a seed that divides the images: into training and validation, or into folds.
        present: Classes in each image.
        folds: Whether the parts are folds, each of which is validated on.
    """
    best = divide(0)
    least = _left_out(best, present, folds)
    for seed in range(1, SEEDS):
        if not least:
            break
        other = divide(seed)
        left = _left_out(other, present, folds)
        if left < least:
            best, least = other, left
    return best


def _left_out(parts: Parts, present: Sequence[frozenset[int]], folds: bool) -> int:
    """How bad it is that classes in two images or more are in one part only."""
    images = Counter(chain.from_iterable(present))
    several = {value for value, number in images.items() if number > 1}
    inside = [frozenset().union(*(present[index] for index in part)) & several for part in parts.parts]
    left = 0
    for number, val in enumerate(inside) if folds else [(1, inside[1])]:
        train = frozenset().union(*(classes for place, classes in enumerate(inside) if place != number))
        left += UNTRAINED * len(several - train) + len(several - val)
    return left
