"""Transforms of albumentations, held to what a sample is: many take RGB alone, and some give something else."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError, one_line


def checked_extra(transforms: Sequence[Any], image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
    """Try each transform by itself on a crop, whatever its probability.

    albumentations says what a transform takes by no attribute, but by an error once it is applied; so a transform that
    is rarely applied would end a training late. Nothing that is drawn here changes what is drawn later.

    Args:
        transforms: Of albumentations.
        image: uint8 (H, W, bands).
        mask: uint8 (H, W).

    Raises:
        UserError: A transform does not take such an image, or gives another type, number of bands or size.
    """
    for transform in transforms:
        name = type(transform).__name__
        try:
            out = transform(image=image.copy(), mask=mask.copy(), force_apply=True)
        except Exception as error:  # transforms raise what they like
            reason = one_line(error).rstrip(".") or type(error).__name__
            raise UserError(
                f"augmentation.extra: {name} fails on an image of {image.shape[2]} bands, {image.dtype}: {reason}: "
                "take it out, or take one that fits such images"
            ) from error
        check_result(f"{name} gives", out, image, mask)


def check_result(what: str, out: Mapping[str, Any], image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
    """Check what transforms give: the size may be another, as long as it is that of the mask.

    Args:
        what: Begins the complaint, as in "ToFloat gives".
        out: `image` and `mask` after the transforms.
        image: (H, W, bands) before them.
        mask: (H, W) before them.

    Raises:
        UserError: Type or bands are others, or image and mask have different sizes.
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
            f"augmentation.extra: {what} {found} as image and mask, of {wanted}: type and bands have to stay, and both "
            "have to be of one size: take it out (the net itself normalises)"
        )


def _type_of(pixels: Any) -> str:
    return f"{type(pixels).__name__} of {str(pixels.dtype).removeprefix('torch.')}"
