"""Reading images of any bands."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.images.bands import Bands
from seglight.images.decode import read_image


def read_bands(path: Path, bands: Bands) -> NDArray[Any]:
    """Read an image file as (H, W, bands) of the declared type."""
    if bands.is_rgb8:
        return read_image(path)
    if path.suffix == ".npy":
        return np.asarray(np.load(path, allow_pickle=False)).reshape(*np.load(path).shape[:2], -1)
    import tifffile

    return np.asarray(tifffile.imread(path))
