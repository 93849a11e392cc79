"""What every loaded model does: images in, label maps out. Imports no torch: an exported net is run without."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from seglight.data.files import as_rgb, read_image
from seglight.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

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


class Predictor(Protocol):
    """A model that is ready to predict.

    Attributes:
        class_names: By class index.
        palette: An RGB colour for each class.
    """

    class_names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]

    def predict(self, image: Image) -> LabelMap:
        """Label map (H, W) at the image's size.

        Raises:
            UserError: The image is damaged or of another type.
        """

    def predict_batch(self, images: Sequence[NDArray[np.uint8]]) -> list[LabelMap]:
        """Label maps of images uint8 (H, W, 3) of any sizes."""

    def probabilities(self, image: Image) -> NDArray[np.float32]:
        """Probabilities (C, H, W) of the classes at the image's size.

        Raises:
            UserError: As `predict`, or the file holds a net that gives labels alone.
        """

    def rows(self, image: Windows) -> Iterator[LabelMap]:
        """Label rows (h, W), from the top, of an image that is larger than the memory.

        Raises:
            UserError: As `predict`.
        """


def pixels_of(image: Image) -> NDArray[np.uint8]:
    """Any image as uint8 (H, W, 3) RGB; files and Pillow images turned as their EXIF orientation says.

    Raises:
        UserError: It is damaged, of another type or shape, or holds more than 8-bit RGB can.
    """
    if isinstance(image, str | Path):
        return read_image(Path(image))
    if isinstance(image, Pillow.Image):
        image = as_rgb(Path(getattr(image, "filename", "") or "the Pillow image"), image)
    got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
    if not isinstance(image, np.ndarray) and hasattr(image, "is_meta"):  # a tensor: torch itself need not be asked
        kind, dtype = _kind(image), str(image.dtype).removeprefix("torch.")
        got = f"a {dtype} tensor {tuple(image.shape)}" if kind == "strided" else f"a {kind} {dtype} tensor"
        if (kind, dtype, image.ndim) == ("strided", "uint8", 3):
            image = np.moveaxis(image.cpu().numpy(), 0, -1)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise UserError(
            f"an image is a path, a Pillow image, a uint8 array (H, W, 3) or a uint8 tensor (3, H, W), not {got}"
        )
    if not image.size:
        raise UserError(f"an image of {image.shape[0]} x {image.shape[1]} pixels: there is nothing to predict")
    return image


def _kind(tensor: "Tensor") -> str:
    """How a tensor holds its values: "strided" is the usual way."""
    return "nested" if tensor.is_nested else "meta" if tensor.is_meta else str(tensor.layout).removeprefix("torch.")
