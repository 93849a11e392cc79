"""What every loaded model does: images in, label maps out. Imports no torch: an exported net is run without."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from seglight.errors import UserError
from seglight.images.decode import as_rgb, read_image

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


class CheckedWindows:
    """An image that is read by windows, each of which is looked at before a net sees it.

    Args:
        image: As it was given.
        bands: Those that the net reads; None: the net itself says what it does not take.

    Attributes:
        shape: (H, W).

    Raises:
        UserError: It has no `read`, or its shape is none of an image.
    """

    def __init__(self, image: Windows, bands: int | None = 3) -> None:
        shape = getattr(image, "shape", None)
        if not callable(getattr(image, "read", None)) or not isinstance(shape, tuple) or len(shape) < 2:
            raise UserError(
                "an image that is read by windows has `shape`, (H, W), and `read(rows, columns)`, which gives uint8 "
                f"arrays (h, w, {bands or 'bands'}), unlike {type(image).__name__}: `predict` takes images in memory"
            )
        self.shape, self._image, self._bands = (int(shape[0]), int(shape[1])), image, bands
        _check_size(*self.shape)

    def read(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Pixels (h, w, 3), RGB, of a window.

        Raises:
            UserError: What was read is no uint8 array of this size.
        """
        found = self._image.read(rows, columns)
        size = tuple(len(range(*part.indices(side))) for part, side in zip((rows, columns), self.shape, strict=True))
        if not _is_image(found, self._bands) or found.shape[:2] != size:
            raise UserError(
                f"rows {rows.start} to {rows.stop} and columns {columns.start} to {columns.stop} of the image are read "
                f"as {_described(found)}, not as a uint8 array ({size[0]}, {size[1]}, {self._bands or 'bands'})"
            )
        return found


def pixels_of(image: Image) -> NDArray[np.uint8]:
    """Any image as uint8 (H, W, 3) RGB; files and Pillow images turned as their EXIF orientation says.

    Raises:
        UserError: It is damaged, of another type or shape, or holds more than 8-bit RGB can.
    """
    if isinstance(image, str | Path):
        return read_image(Path(image))
    if isinstance(image, Pillow.Image):
        image = as_rgb(Path(getattr(image, "filename", "") or "the Pillow image"), image)
    got = _described(image)
    if not isinstance(image, np.ndarray) and hasattr(image, "is_meta"):  # a tensor: torch itself need not be asked
        kind, dtype = _kind(image), str(image.dtype).removeprefix("torch.")
        got = f"a {dtype} tensor {tuple(image.shape)}" if kind == "strided" else f"a {kind} {dtype} tensor"
        if (kind, dtype, image.ndim) == ("strided", "uint8", 3):
            image = np.moveaxis(image.cpu().numpy(), 0, -1)
    if not isinstance(image, np.ndarray) or not _is_image(image, 3):
        raise UserError(
            f"an image is a path, a Pillow image, a uint8 array (H, W, 3) or a uint8 tensor (3, H, W), not {got}"
        )
    _check_size(*image.shape[:2])
    return image


def checked_batch(images: Sequence[NDArray[np.uint8]], bands: int | None) -> Sequence[NDArray[np.uint8]]:
    """Images in memory as they were given.

    Args:
        images: uint8 (H, W, bands), of any sizes.
        bands: Those that the net reads; None: the net itself says what it does not take.

    Raises:
        UserError: One is of another type or shape, or has no pixel.
    """
    for place, image in enumerate(images):
        if not _is_image(image, bands):
            raise UserError(
                f"image {place} of the batch is {_described(image)}, and the net takes uint8 arrays "
                f"(H, W, {bands or 'bands'})"
            )
        _check_size(*image.shape[:2])
    return images


def _is_image(image: object, bands: int | None) -> bool:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3:
        return False
    return bands in (None, image.shape[2])


def _check_size(height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise UserError(f"an image of {height} x {width} pixels: there is nothing to predict")


def _described(image: object) -> str:
    return f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__


def _kind(tensor: "Tensor") -> str:
    """How a tensor holds its values: "strided" is the usual way."""
    return "nested" if tensor.is_nested else "meta" if tensor.is_meta else str(tensor.layout).removeprefix("torch.")
