"""The worst and the best images of a split: what is wrong in them, as numbers and as pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.card.counters import Extreme, Images
from seglight.commands.card.folder import PICTURES
from seglight.commands.card.pictures import error_picture
from seglight.commands.card.scores import confusions, plain
from seglight.data import SegmentationDataModule
from seglight.interfaces import Labelled
from seglight.system.atomic import atomic_path

SHOWN = 6
"""Number of the worst images, and of the best ones."""

ERRORS = 5
"""Number of errors that are named for an image."""


def examples(
    kind: str,
    chosen: Sequence[Extreme],
    images: Images,
    scores: NDArray[np.float64],
    split: Labelled,
    data: SegmentationDataModule,
    out: Path,
) -> list[dict[str, Any]]:
    """Describe images, and write their pictures.

    Args:
        kind: "worst" or "best", the beginning of the pictures' names.
        chosen: The images, with their predicted labels.
        images: Counts of all images.
        scores: (images,) mean IoU of each image.
        split: The split that the images are read from again.
        data: Data module of the split, which knows the classes.
        out: Folder of the card.
    """
    described = []
    matrices = _matrices(images, [one.image for one in chosen])
    for place, (one, matrix) in enumerate(zip(chosen, matrices, strict=True), 1):
        name = f"{kind}_{place:02d}.png"
        image, mask, _ = split.read(one.image)
        facts = data.palette, data.class_names, data.ignore_index, data.bands
        picture = error_picture(image, mask, one.labels, *facts)
        with atomic_path(out / PICTURES / name) as part:
            Image.fromarray(picture).save(part)
        errors = confusions(matrix, data.class_names, ERRORS)
        described.append(
            {
                "name": images.names[one.image],
                "miou": plain(scores[one.image]),
                "picture": f"{PICTURES}/{name}",
                "errors": [{key: error[key] for key in ("true", "predicted", "pixels")} for error in errors],
            }
        )
    return described


def _matrices(images: Images, indices: Sequence[int]) -> list[NDArray[np.int64]]:
    """Confusion matrices (C, C) of some images."""
    counts = images.confusion
    ends = np.cumsum(counts.lengths)
    found = []
    for index in indices:
        cells = slice(int(ends[index] - counts.lengths[index]), int(ends[index]))
        matrix = np.zeros(counts.num_classes**2, np.int64)
        matrix[counts.cells[cells]] = counts.counts[cells]
        found.append(matrix.reshape(counts.num_classes, counts.num_classes))
    return found
