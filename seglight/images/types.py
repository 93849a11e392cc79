"""Types of images, label maps and colours. Imports neither torch nor a decoder."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

if TYPE_CHECKING:
    from torch import Tensor

Color: TypeAlias = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

Image: TypeAlias = "str | Path | Pillow.Image | NDArray[np.uint8] | Tensor"
"""A file, a Pillow image, a uint8 array (H, W, 3) in RGB, or a uint8 tensor (3, H, W) in RGB.

The EXIF orientation of files and Pillow images is applied.
"""

LabelMap: TypeAlias = NDArray[np.uint8] | NDArray[np.int16]
"""Class indices (H, W); int16 for more than 256 classes."""


class Windows(Protocol):
    """An image that is read by windows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (H, W, ...) of the whole image."""

    def read(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Read the RGB pixels (h, w, 3) of a window."""
