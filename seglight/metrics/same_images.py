"""Whether two evaluations are of the same images, and where each image of one is in the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class ImageOrder(NamedTuple):
    """Where the images of one evaluation are in another one.

    Attributes:
        places: int64 (images,), index of each image in the other evaluation; None: they are not the same images, or
            names that occur twice are in another order.
        lacking: Name of an image that only the first has, or None.
        extra: Name of an image that only the other has, or None.
    """

    places: NDArray[np.int64] | None
    lacking: str | None = None
    extra: str | None = None


def image_order(mine: Sequence[str], theirs: Sequence[str]) -> ImageOrder:
    """Match images by name: by path, or else, as for one data set on two machines, by the name of the file alone.

    Args:
        mine: Names of the images of one evaluation.
        theirs: Names of those of the other one.
    """
    if list(mine) == list(theirs):
        return ImageOrder(np.arange(len(mine)))
    if set(mine) != set(theirs):
        mine, theirs = ([Path(name).name for name in names] for names in (mine, theirs))
    known = set(mine)
    place = {name: index for index, name in enumerate(theirs)}
    lacking = next((name for name in mine if name not in place), None)
    extra = next((name for name in theirs if name not in known), None)
    if lacking is not None or extra is not None or len(place) < len(theirs) or len(known) < len(mine):
        return ImageOrder(None, lacking, extra)
    return ImageOrder(np.array([place[name] for name in mine], np.int64))
