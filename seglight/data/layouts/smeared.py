"""Values between those of classes, which smoothing or interpolation leaves along the borders of masks."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.data.layouts.mask_scan import Values, rgb
from seglight.errors import UserError
from seglight.images.decode import opened, read_grey

FEWEST = 3
"""Number of such values below which they may be classes."""

LOOKED_AT = 8
"""Number of masks that are looked at."""

BETWEEN = 0.5
"""Fraction of the pixels of a value that lie between other values beside them."""


def refuse_smeared(values: Values, root: Path) -> None:
    """Refuse masks with several values that occur only along borders, between the values on both sides.

    Args:
        values: What is in the masks, without names.
        root: Folder of the data set, for messages.

    Raises:
        UserError: There are such values.
    """
    found = values.values
    if len(found) < FEWEST + 2 or values.palette or found == list(range(found[0], found[-1] + 1)):
        return
    files = list(dict.fromkeys(values.files[value] for value in found))[:LOOKED_AT]
    pixels, between, inside = (dict.fromkeys(found, 0) for _ in range(3))
    for path in files:
        mask = _channels(path)
        if mask is None:
            return
        codes = mask[..., 0] if mask.shape[-1] == 1 else mask[..., 0] << 16 | mask[..., 1] << 8 | mask[..., 2]
        ramps = _ramps(mask)
        for value in np.unique(codes).tolist():
            of_value = codes == value
            pixels[value] += int(of_value.sum())
            between[value] += int((of_value & ramps).sum())
            inside[value] += int(cv2.erode(of_value.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0).sum())
    smeared = [v for v in found if pixels[v] and not inside[v] and between[v] > BETWEEN * pixels[v]]
    if len(smeared) < FEWEST or sum(value not in smeared for value in found) < 2:
        return
    value = smeared[0]
    shown = f"the colour {list(rgb(value))}" if values.colored else f"the value {value}"
    raise UserError(
        f"{values.files[value]}: {len(smeared)} of the {len(found)} {'colours' if values.colored else 'values'} in the "
        f"masks, such as {shown}, lie only along borders, between those on both sides: the masks were smoothed or "
        f"resized with interpolation: export them again without it, or name the classes in {root / 'classes.yaml'} and "
        "write 'others: ignore' there"
    )


def _channels(path: Path) -> NDArray[np.int32] | None:
    """Values (H, W, channels) of a mask without palette; None of another kind of file."""
    if path.suffix.lower() == ".npy":
        return None
    grey = read_grey(path)
    if grey is not None:
        return grey.astype(np.int32)[..., None]
    with opened(path) as image:
        return np.asarray(image.convert("RGB")).astype(np.int32) if image.mode in ("RGB", "RGBA") else None


def _ramps(mask: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Pixels that lie between both neighbours in a row or a column and are equal to neither, in all channels."""
    found = np.zeros(mask.shape[:2], bool)
    for lines, at in ((mask, found), (mask.transpose(1, 0, 2), found.T)):
        before, here, after = lines[:, :-2], lines[:, 1:-1], lines[:, 2:]
        inner = ((np.minimum(before, after) <= here) & (here <= np.maximum(before, after))).all(-1)
        at[:, 1:-1] |= inner & (here != before).any(-1) & (here != after).any(-1)
    return found
