"""Label maps as benchmarks accept them: 8-bit greyscale PNGs of the benchmark's own label ids."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglight.data.datasets.cityscapes_classes import CLASSES, TRAIN_IDS
from seglight.errors import UserError
from seglight.images.types import LabelMap
from seglight.system.atomic import atomic_path

ADE_CLASSES = 150


def cityscapes_ids(class_names: Sequence[str]) -> NDArray[np.uint8]:
    """Label id of each class, as Cityscapes' server expects it in place of the train id.

    Raises:
        UserError: A class is not one of Cityscapes.
    """
    ids = dict(zip(CLASSES.names, TRAIN_IDS, strict=True))
    strange = [name for name in class_names if name not in ids]
    if strange:
        raise UserError(f"--save cityscapes: the model has the class '{strange[0]}', which Cityscapes does not have")
    return np.array([ids[name] for name in class_names], np.uint8)


def ade_ids(class_names: Sequence[str]) -> NDArray[np.uint8]:
    """Label id of each class in the MIT Scene Parsing Benchmark: 1 to 150, because 0 is none of them.

    Raises:
        UserError: There are not 150 classes.
    """
    if len(class_names) != ADE_CLASSES:
        raise UserError(f"--save ade: the model has {len(class_names)} classes, the benchmark {ADE_CLASSES}")
    return np.arange(1, ADE_CLASSES + 1, dtype=np.uint8)


def write_ids(path: Path, labels: LabelMap, ids: NDArray[np.uint8]) -> None:
    """Write a label map (H, W) as the ids of its classes, atomically; labels of no class, such as no data, become 0."""
    table = np.zeros(np.iinfo(labels.dtype).max + 1, np.uint8)
    table[: len(ids)] = ids
    with atomic_path(path) as part:
        Image.fromarray(table[labels]).save(part)
