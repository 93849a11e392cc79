"""Pixels of images of any supported type. Imports no torch."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from seglight.errors import UserError
from seglight.images.decode import as_rgb, read_image
from seglight.images.types import Image

if TYPE_CHECKING:
    from torch import Tensor


def pixels_of(image: Image) -> NDArray[np.uint8]:
    """Convert any image to uint8 (H, W, 3) RGB, with the EXIF orientation of files and Pillow images applied.

    Raises:
        UserError: The image is damaged, of another type or shape, or has more than 8-bit RGB can hold.
    """
    if isinstance(image, str | Path):
        return read_image(Path(image))
    if isinstance(image, Pillow.Image):
        image = as_rgb(Path(getattr(image, "filename", "") or "the Pillow image"), image)
    got = described(image)
    if not isinstance(image, np.ndarray) and hasattr(image, "is_meta"):  # a tensor, recognised without importing torch
        kind, dtype = _kind(image), str(image.dtype).removeprefix("torch.")
        got = f"a {dtype} tensor {tuple(image.shape)}" if kind == "strided" else f"a {kind} {dtype} tensor"
        if (kind, dtype, image.ndim) == ("strided", "uint8", 3):
            image = np.moveaxis(image.cpu().numpy(), 0, -1)
    if not isinstance(image, np.ndarray) or not is_image(image, 3):
        raise UserError(
            f"an image is a path, a Pillow image, a uint8 array (H, W, 3) or a uint8 tensor (3, H, W), not {got}"
        )
    check_size(*image.shape[:2])
    return image


def _kind(tensor: "Tensor") -> str:
    """Layout of a tensor: "strided" is the usual one."""
    return "nested" if tensor.is_nested else "meta" if tensor.is_meta else str(tensor.layout).removeprefix("torch.")


def is_image(image: object, bands: int | None) -> bool:
    """Whether an object is a uint8 array (H, W, bands), of any number of bands if that is None."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3:
        return False
    return bands in (None, image.shape[2])


def check_size(height: int, width: int) -> None:
    """Check that an image has pixels.

    Raises:
        UserError: The height or the width is 0.
    """
    if height < 1 or width < 1:
        raise UserError(f"an image of {height} x {width} pixels: there is nothing to predict")


def described(image: object) -> str:
    """Type and shape of an image, for a message."""
    return f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
