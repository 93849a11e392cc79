"""Repairs of masks and images where they are unambiguous: pixels in, pixels out."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.doctor.diagnose import VOID_LUMAS, VOIDS, colour_classes, luma_classes, stretch_step
from seglight.commands.doctor.facts import IGNORED, UNKNOWN, LabelTable, MaskFacts, codes, content_of, distinct
from seglight.commands.doctor.headers import decode, open_header
from seglight.images.exif import turned
from seglight.images.image_header import image_header, opened_by_name

WIDE = 16
"""Least distance of label values at which the noise of a lossy codec can be told from a class."""

IMAGE_SLUGS = {"exif-rotated", "cmyk-image", "transparent-image", "grey-image", "alpha-image"}


def repaired_image(path: str, slugs: Collection[str]) -> Image.Image:
    """The image as 8-bit RGB, transparency on black, without any tag.

    Its EXIF orientation is applied, unless the labels fit the image only as it is stored.
    """
    with opened_by_name(Path(path)) as image:
        image.load()
        if "transparent-image" in slugs:
            top = image.convert("RGBA")
            pixels = Image.alpha_composite(Image.new("RGBA", top.size, (0, 0, 0, 255)), top).convert("RGB")
        else:
            pixels = image.convert("RGB")
        orientation = image_header(Path(path)).orientation
        if image.format == "TIFF":  # whose orientation Pillow has applied
            orientation = {6: 8, 8: 6}.get(orientation, orientation) if "exif-rotated" in slugs else 1
        elif "exif-rotated" in slugs:
            orientation = 1
        return Image.fromarray(turned(np.asarray(pixels), orientation))


def repaired_mask(mask: MaskFacts, slug: str, table: LabelTable) -> NDArray[np.integer] | None:
    """The values (H, W) that a mask should hold, or None if they are not certain."""
    repair = MASK_REPAIRS.get(slug)
    if repair is None:
        return None
    header, image = open_header(mask.header.path, labels=True)
    if image is None:
        return None
    with image:
        values = repair(decode(header, image)[1], mask, table)
    if values is None or (table.classes_of(distinct(values)[0]) == UNKNOWN).any():
        return None
    return values


def _by_colour(image: Image.Image, mask: MaskFacts, table: LabelTable) -> NDArray[np.integer] | None:
    of_class = dict(colour_classes(table))
    return _mapped(
        codes(np.asarray(image.convert("RGB"))), of_class | dict.fromkeys(VOIDS - of_class.keys(), IGNORED), table
    )


def _one_channel(image: Image.Image, mask: MaskFacts, table: LabelTable) -> NDArray[np.integer] | None:
    return content_of(image, False)[1]


def _unpacked(image: Image.Image, mask: MaskFacts, table: LabelTable) -> NDArray[np.integer] | None:
    values: NDArray[np.uint8] = np.asarray(image) // (255 // (2**mask.header.bits - 1))
    return values


def _binary(image: Image.Image, mask: MaskFacts, table: LabelTable) -> NDArray[np.integer] | None:
    return _mapped(np.asarray(image.convert("L")), {0: 0, 255: 1}, table) if len(table.names) == 2 else None


def _unstretched(image: Image.Image, mask: MaskFacts, table: LabelTable) -> NDArray[np.integer] | None:
    step = stretch_step(mask, table)
    if step is None:
        return None
    return _mapped(np.asarray(image), {value: round(value / step) for value in mask.values.tolist()}, table)


def _by_luma(image: Image.Image, mask: MaskFacts, table: LabelTable) -> NDArray[np.integer] | None:
    of_class = luma_classes(table)
    if len({*of_class.values()}) < len(table.names):  # two classes are equally bright
        return None
    ignored = {value: IGNORED for value, index in table.values.items() if index == IGNORED}
    ignored |= dict.fromkeys(VOID_LUMAS, IGNORED)
    return _mapped(np.asarray(image), ignored | of_class, table)


def _snapped(image: Image.Image, mask: MaskFacts, table: LabelTable) -> NDArray[np.integer] | None:
    """Snap to the nearest value: of two that are far apart, or of several if hardly a pixel lies between them."""
    known = np.array(sorted(table.values))
    if mask.content != "index" or len(known) < 2 or np.diff(known).min() < WIDE or table.others != UNKNOWN:
        return None
    levels = np.arange(known[-1] + 256)
    apart = np.abs(levels[:, None] - known)
    raw = np.asarray(image)
    snapped: NDArray[np.int64] = known[apart.argmin(1)][raw]
    doubtful = apart.min(1)[raw] > np.diff(known).min() / 3
    if len(known) == 2 or not doubtful.any():
        return snapped
    void = value_of(table).get(IGNORED)
    return None if doubtful.mean() > 0.01 or void is None else np.where(doubtful, void, snapped)


def _mapped(raw: NDArray[np.integer], classes: Mapping[int, int], table: LabelTable) -> NDArray[np.integer] | None:
    """A map of keys as label values, by the class (or `IGNORED`) of each key; None if a key has no class."""
    keys, where = np.unique(raw, return_inverse=True)
    value = value_of(table)
    values = [value.get(classes.get(key, -1), -1) for key in keys.tolist()]
    return None if -1 in values else np.array(values)[where].reshape(raw.shape)


def value_of(table: LabelTable) -> dict[int, int]:
    """The smallest label value of each class, and of what is ignored."""
    found: dict[int, int] = {}
    for value, index in sorted(table.values.items()):
        found.setdefault(index, value)
    return found


MASK_REPAIRS: Mapping[str, Callable[[Image.Image, MaskFacts, LabelTable], NDArray[np.integer] | None]] = {
    "colour-mask": _by_colour,
    "adaptive-palette": _by_colour,
    "rgb-index-mask": _one_channel,
    "packed-mask": _unpacked,
    "binary-mask": _binary,
    "stretched-mask": _unstretched,
    "luma-mask": _by_luma,
    "jpeg-mask": _snapped,
    "interpolated-mask": _snapped,
}
