"""What an image, a label map and a colour are. Imports neither torch nor a decoder."""

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

Files and Pillow images are turned as their EXIF orientation says.
"""

LabelMap: TypeAlias = NDArray[np.uint8] | NDArray[np.int16]
"""(H, W) class indices; int16 where there are more than 256 classes."""


class Windows(Protocol):
    """An image that is read by windows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, ...)."""

    def read(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Pixels (H, W, 3), RGB, of a window."""
