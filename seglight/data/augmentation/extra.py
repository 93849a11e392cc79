"""Checks of albumentations' transforms: many accept only RGB, and some return other types or sizes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError, one_line


def checked_extra(transforms: Sequence[Any], image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
    """Try each transform by itself on a crop, whatever its probability.

    No attribute of a transform states which images it accepts; it fails when it is applied, so a rarely applied one
    would end a training late. Random numbers drawn here do not change later ones.

    Args:
        transforms: Transforms of albumentations.
        image: Image uint8 (H, W, bands).
        mask: Mask uint8 (H, W).

    Raises:
        UserError: A transform does not accept such an image, or returns another type, number of bands or size.
    """
    for transform in transforms:
        name = type(transform).__name__
        try:
            out = transform(image=image.copy(), mask=mask.copy(), force_apply=True)
        except Exception as error:  # transforms raise what they like
            reason = one_line(error).rstrip(".") or type(error).__name__
            raise UserError(
                f"augmentation.extra: {name} fails on an image of {image.shape[2]} bands, {image.dtype}: {reason}: "
                "remove it, or use one that accepts such images"
            ) from error
        check_result(f"{name} gives", out, image, mask)


def check_result(what: str, out: Mapping[str, Any], image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
    """Check the result of transforms: the size may change if image and mask have the same size.

    Args:
        what: Beginning of the message, such as "ToFloat gives".
        out: `image` and `mask` after the transforms.
        image: Image (H, W, bands) before the transforms.
        mask: Mask (H, W) before the transforms.

    Raises:
        UserError: Type or bands have changed, or image and mask have different sizes.
    """
    pixels, labels = out["image"], out["mask"]
    arrays = isinstance(pixels, np.ndarray) and isinstance(labels, np.ndarray)
    if (
        not arrays
        or (pixels.dtype, labels.dtype) != (image.dtype, mask.dtype)
        or pixels.shape[2:] != image.shape[2:]
        or pixels.shape[:2] != labels.shape
    ):
        found, wanted = (
            " and ".join(f"{_type_of(one)} {tuple(one.shape)}" for one in pair)
            for pair in ((pixels, labels), (image, mask))
        )
        raise UserError(
            f"augmentation.extra: {what} {found} as image and mask, of {wanted}: type and bands must not change, and "
            "both must have one size: remove it (the net itself normalises)"
        )


def _type_of(pixels: Any) -> str:
    return f"{type(pixels).__name__} of {str(pixels.dtype).removeprefix('torch.')}"
