"""Transforms of albumentations, and their checks: many accept only RGB, and some return other types or sizes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.data.augmentation.missing import avoid_nodata, filled, marker
from seglight.errors import UserError, one_line
from seglight.images.bands import Bands
from seglight.ops.label_types import ignored_value

PROBE = 1000
"""Largest absolute value of the image that shows whether a transform limits values."""


def transformed(
    compose: Any, image: NDArray[Any], maps: Sequence[NDArray[Any]], bands: Bands
) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """Apply composed transforms to a crop.

    What they fill beyond the crop is ignored in the mask and, in images of described bands, as padding is. Values that
    are no data don't mix with others.

    Args:
        compose: Transforms, with the seed of this crop.
        image: Image (H, W, bands).
        maps: Label maps (H, W), the mask first.
        bands: Description of the bands.

    Raises:
        UserError: Type or bands have changed, or image and mask have different sizes.
    """
    mask, *others = maps
    marks = np.ones((1, *mask.shape), np.uint8)
    invalid = bands.invalid(image) if bands.has_nodata else np.zeros(0, np.bool_)
    if some := bool(invalid.any()):
        image = filled(image, invalid, bands)
        marks = np.concatenate([marks, np.moveaxis(invalid, 2, 0).view(np.uint8)])
    # maps beside the mask travel as further masks, which are of bytes: one for each byte of their type
    for each in others:
        split = np.ascontiguousarray(each)[..., None].view(np.uint8)
        marks = np.concatenate([marks, np.moveaxis(split, 2, 0)])
    out = compose(image=image, mask=mask, masks=marks)
    check_result("together they give", out, image, mask)
    # albumentations fills masks with 0, which is a class, where a rotation and the like reach beyond the crop: a
    # second mask that was 1 everywhere shows where
    beyond = np.asarray(out["masks"][0]) == 0
    pixels: NDArray[Any] = out["image"]
    if not bands.is_rgb8:
        avoid_nodata(pixels, bands)
        pixels[beyond] = np.asarray(bands.padding).astype(pixels.dtype)
        if some:
            gone = out["masks"][1 : 1 + invalid.shape[2]]
            np.copyto(pixels, marker(bands), where=np.stack([one != 0 for one in gone], 2))
    end = len(marks) - sum(each.itemsize for each in others)
    labels = [out["mask"]]
    for each in others:
        split = np.stack([np.asarray(one) for one in out["masks"][end : end + each.itemsize]], 2)
        labels.append(np.ascontiguousarray(split).view(each.dtype)[..., 0])
        end += each.itemsize
    return pixels, [np.where(beyond, each.dtype.type(ignored_value(each.dtype)), each) for each in labels]


def checked_extra(transforms: Sequence[Any], image: NDArray[Any], mask: NDArray[Any]) -> None:
    """Try each transform by itself on a crop, whatever its probability.

    No attribute of a transform states which images it accepts; it fails when it is applied, so a rarely applied one
    would end a training late. Random numbers drawn here do not change later ones.

    Args:
        transforms: Transforms of albumentations.
        image: Image (H, W, bands).
        mask: Mask uint8 (H, W).

    Raises:
        UserError: A transform does not accept such an image, or returns another type, number of bands or size, or
            limits values to those of other types.
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
        if image.dtype.kind in "if":
            _check_limits(transform, image, mask)


def _check_limits(transform: Any, image: NDArray[Any], mask: NDArray[Any]) -> None:
    """Refuse a transform that limits floats to [0, 1], or whole numbers to those from 0, as many do without a word."""
    ramp = np.linspace(-PROBE, PROBE, image.size // image.shape[2]).reshape(*image.shape[:2], 1)
    out = transform(image=np.repeat(ramp, image.shape[2], 2).astype(image.dtype), mask=mask.copy(), force_apply=True)
    if out["image"].min() >= 0 or out["image"].max() <= 1:
        name = type(transform).__name__
        raise UserError(
            f"augmentation.extra: {name} limits {image.dtype} values to those from {out['image'].min():g} to "
            f"{out['image'].max():g}: remove it, or use data.augmentation.per_band"
        )


def check_result(what: str, out: Mapping[str, Any], image: NDArray[Any], mask: NDArray[Any]) -> None:
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
