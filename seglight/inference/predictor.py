"""Interface of every loaded model: images in, label maps out. Imports no torch, which exported nets do not need."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seglight.checkpoints.model_card import ModelCard
from seglight.errors import UserError
from seglight.images.bands import RGB
from seglight.images.pixels import check_size, described, is_image
from seglight.images.types import Image, LabelMap, Windows


class Predictor(Protocol):
    """A model that is ready to predict.

    Pixels without data have the label of no class, `card.ignore_index`, and probabilities of 0; see
    `seglight.inference.no_data`. 8-bit RGB has none.

    Attributes:
        card: Model card of the net.
        class_names: Names of the classes, by class index.
        palette: RGB colours of the classes, by class index.
        device: Device that the net runs on, such as "cpu".
        size: The only size (H, W) of images that it takes; None: any size.
        takes_batches: Whether `predict_batch` passes images of one size through the net together.
    """

    card: ModelCard
    device: str
    class_names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    size: tuple[int, int] | None
    takes_batches: bool

    @property
    def has_probabilities(self) -> bool:
        """Whether it has `probabilities`: some exported files have labels only."""

    def predict(self, image: Image) -> LabelMap:
        """Label map (H, W) at the image's size.

        Raises:
            UserError: The image is damaged or of another type.
        """

    def predict_batch(self, images: Sequence[NDArray[Any]]) -> list[LabelMap]:
        """Label maps of images (H, W, bands) of any sizes, in the bands and type of the card: uint8 RGB by default."""

    def label_bands(self, image: NDArray[Any]) -> Iterator[LabelMap]:
        """Label rows (h, W), from the top, of an image in memory, as they are finished: together they are `predict`.

        An image that is predicted as a whole is one band.

        Raises:
            UserError: As `predict`.
        """

    def probabilities(self, image: Image) -> NDArray[np.float32]:
        """Probabilities (C, H, W) of the classes at the image's size.

        Raises:
            UserError: As `predict`, or the exported file has no probabilities.
        """

    def rows(self, image: Windows) -> Iterator[LabelMap]:
        """Label rows (h, W), from the top, of an image that is larger than the memory.

        Raises:
            UserError: As `predict`.
        """


class CheckedWindows:
    """An image that is read by windows, each of which is checked before it reaches the net.

    Args:
        image: Image of the user.
        bands: Number of bands that the net takes; None: not known, the net raises an error itself.
        dtype: Type of the pixels that the net takes.

    Attributes:
        shape: Size (H, W) of the image.

    Raises:
        UserError: The image has no method `read`, or its shape is not that of an image.
    """

    def __init__(self, image: Windows, bands: int | None = 3, dtype: "np.dtype[Any]" = RGB.dtype) -> None:
        shape = getattr(image, "shape", None)
        if not callable(getattr(image, "read", None)) or not isinstance(shape, tuple) or len(shape) < 2:
            raise UserError(
                "an image that is read by windows has `shape`, (H, W), and `read(rows, columns)`, which gives "
                f"{dtype} arrays (h, w, {bands or 'bands'}), unlike {type(image).__name__}: `predict` takes images in "
                "memory"
            )
        self.shape = (int(shape[0]), int(shape[1]))
        self._image = image
        self._bands = bands
        self._dtype = dtype
        check_size(*self.shape)

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Pixels (h, w, bands) of a window.

        Raises:
            UserError: `read` returned something other than an array of this size and of the net's type.
        """
        found = self._image.read(rows, columns)
        size = tuple(len(range(*part.indices(side))) for part, side in zip((rows, columns), self.shape, strict=True))
        if not is_image(found, self._bands, self._dtype) or found.shape[:2] != size:
            raise UserError(
                f"rows {rows.start} to {rows.stop} and columns {columns.start} to {columns.stop} of the image are read "
                f"as {described(found)}, not as a {self._dtype} array ({size[0]}, {size[1]}, {self._bands or 'bands'})"
            )
        return found


class ArrayWindows:
    """An image in memory that is read by windows, as larger ones are.

    Args:
        image: Pixels (H, W, bands).

    Attributes:
        shape: Shape of the image.
    """

    def __init__(self, image: NDArray[Any]) -> None:
        self.shape = image.shape
        self._image = image

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Pixels (h, w, bands) of a window."""
        return self._image[rows, columns]


def checked_batch(
    images: Sequence[NDArray[Any]], bands: int | None, dtype: "np.dtype[Any]" = RGB.dtype
) -> Sequence[NDArray[Any]]:
    """Check images in memory, and return them.

    Args:
        images: Arrays (H, W, bands) of any sizes.
        bands: Number of bands that the net takes; None: not known, the net raises an error itself.
        dtype: Type of the pixels that the net takes.

    Raises:
        UserError: An image has another type or shape, or no pixels.
    """
    for place, image in enumerate(images):
        if not is_image(image, bands, dtype):
            raise UserError(
                f"image {place} of the batch is {described(image)}, and the net takes {dtype} arrays "
                f"(H, W, {bands or 'bands'})"
            )
        check_size(*image.shape[:2])
    return images
