"""The file in the folder of a card that keeps how many pixels keep their label."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seglight.robustness.consistency import SETTINGS
from seglight.system.atomic import atomic_path
from seglight.system.damaged_arrays import DAMAGED_ARRAYS

NAMES = [" ".join(one) for one in SETTINGS]


def save_consistency(path: Path, counts: Sequence[NDArray[np.int64]]) -> None:
    """Write the counts (settings, 2) of each image: pixels with the same label, and all that are compared."""
    with atomic_path(path) as part:
        np.savez_compressed(part, settings=np.array(NAMES), same=np.stack(counts))


def load_consistency(path: Path, images: int) -> NDArray[np.int64] | None:
    """Read what `save_consistency` wrote, int64 (images, settings, 2); None if the file is damaged or of others."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            same: NDArray[np.int64] = content["same"].astype(np.int64, casting="safe")
            fits = content["settings"].tolist() == NAMES and same.shape == (images, len(NAMES), 2)
    except DAMAGED_ARRAYS:
        return None
    return same if fits else None
