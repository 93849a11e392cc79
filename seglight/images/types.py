"""Types of images, label maps and colours. Imports neither torch nor a decoder."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

if TYPE_CHECKING:
    from torch import Tensor

Color: TypeAlias = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

Image: TypeAlias = "str | Path | Pillow.Image | NDArray[Any] | Tensor"
"""A file, a Pillow image, a uint8 array (H, W, 3) in RGB, or a uint8 tensor (3, H, W) in RGB.

A net of other images takes files, arrays (H, W, bands) and tensors (bands, H, W) of its own bands and type. The EXIF
orientation of files and Pillow images is applied.
"""

LabelMap: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
"""Class indices (H, W); uint16 for more than 255 classes. The largest value of the type means ignored, or no data."""


class Windows(Protocol):
    """An image that is read by windows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (H, W, ...) of the whole image."""

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Read the pixels (h, w, bands) of a window: uint8 in RGB, or the bands and type that the net reads."""
