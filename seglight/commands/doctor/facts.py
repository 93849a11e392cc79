"""Facts about one pair of files: each file is opened and decoded once, and what is kept of it is small.

Runs in worker processes, which start in a fraction of a second because nothing here imports torch.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.doctor.band_facts import BandFacts, band_facts, undeclared_facts
from seglight.commands.doctor.edges import Edges, edges
from seglight.commands.doctor.headers import (
    UNREAD,
    Header,
    band_header,
    decode,
    header_of,
    is_array_or_heif,
    open_header,
)
from seglight.commands.doctor.image_hash import ImageHash, image_hash
from seglight.data.augmentation.missing import without_missing
from seglight.errors import UserError, one_line
from seglight.images.band_files import band_files
from seglight.images.bands import RGB, Bands
from seglight.images.decode import read_image
from seglight.images.image_header import UnreadImageError
from seglight.images.read_bands import holding, read_bands
from seglight.images.stretch import without_data
from seglight.ops.label_types import WIDE_IGNORE_INDEX, ignored_value

IGNORED, UNKNOWN = WIDE_IGNORE_INDEX, WIDE_IGNORE_INDEX - 1
"""Class indices of ignored pixels, and of pixels whose value is in no table, however many classes there are."""

MOST_VALUES = 4096
"""Largest number of distinct values that is kept of a mask, the most frequent first: noise in colour has 100,000."""

Content = Literal["index", "grey-rgb", "colour", "deep", "read"]
"""Content of a label file: indices, indices in several channels, colours, too many bits, or known only to its codec."""


@dataclass(frozen=True)
class LabelTable:
    """What a codec knows, without the codec itself: unpickling that would import torch.

    Args:
        names: Names of the classes.
        palette: Colours of the classes.
        values: Class index, or `IGNORED`, of each value; a colour is the number red << 16 | green << 8 | blue.
        others: Class index of all other values: `UNKNOWN` or `IGNORED`.
        colour: Whether the files hold colours.
    """

    names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    values: Mapping[int, int]
    others: int = UNKNOWN
    colour: bool = False

    def classes_of(self, values: NDArray[np.integer]) -> NDArray[np.uint16]:
        """Class index, `UNKNOWN` or `IGNORED` of each value."""
        return np.array([self.values.get(value, self.others) for value in values.tolist()], np.uint16)


@dataclass(frozen=True)
class Pair:
    """An image and its label file as they were found, and the names that the layout expects."""

    image: str
    mask: str
    wanted_image: str
    wanted_mask: str


@dataclass(frozen=True)
class ImageFacts:
    """An image: its header, its hash if it could be read, and facts about its bands if it is not 8-bit RGB."""

    header: Header
    image_hash: ImageHash | None = None
    bands: BandFacts | None = None


def _none() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class MaskFacts:
    """Facts about a label file.

    Args:
        header: Header of the file.
        content: Content of the file.
        values: Distinct values or colours in the file, ascending.
        counts: Pixels of each value.
        palette: Colour of each value if the file has a palette, else empty.
        classes: Pixels of each class, (C,).
        ignored: Ignored pixels.
        unknown: Pixels whose value is in no table.
        edges: How values change from pixel to pixel.
        thick: Fraction of the pixels of value 255 that lie in areas thicker than a border, in masks of only 0 and 255.
        nodata: Pixels without data in any band of the image, which are among the ignored ones.
    """

    header: Header
    content: Content = "index"
    values: NDArray[np.int64] = field(default_factory=_none)
    counts: NDArray[np.int64] = field(default_factory=_none)
    palette: tuple[int, ...] = ()
    classes: NDArray[np.int64] = field(default_factory=_none)
    ignored: int = 0
    unknown: int = 0
    edges: Edges = field(default_factory=Edges)
    thick: float = 0.0
    nodata: int = 0


def label_facts(header: Header, mask: NDArray[Any], missing: NDArray[np.bool_] | None, number: int) -> MaskFacts:
    """Facts about a mask that its data set has read.

    Args:
        header: Header of the label file, or of what stands for it.
        mask: (H, W), class index or ignore index.
        missing: Pixels (H, W) without data in any band of the image; None: there are none.
        number: Number of classes C.
    """
    values, counts = distinct(mask if missing is None else without_missing(mask, missing))
    ignored = ignored_value(mask.dtype)
    found = np.bincount(values, weights=counts, minlength=ignored + 1).astype(np.int64)
    return MaskFacts(
        header,
        "read",
        values,
        counts,
        classes=found[:number],
        ignored=int(found[ignored]),
        unknown=int(found[number:ignored].sum()),
        nodata=0 if missing is None else int(missing.sum()),
    )


@dataclass(frozen=True)
class PairFacts:
    """A pair with the facts about its files."""

    pair: Pair
    image: ImageFacts
    mask: MaskFacts


def pair_facts(pair: Pair, table: LabelTable, bands: Bands = RGB) -> PairFacts:
    """Read both files of a pair."""
    if bands.is_rgb8:
        return PairFacts(pair, image_facts(pair.image), mask_facts(pair.mask, table))
    image, missing = _of_bands(pair.image, bands)
    return PairFacts(pair, image, mask_facts(pair.mask, table, missing))


def image_facts(path: str, bands: Bands = RGB) -> ImageFacts:
    """Read an image as training does."""
    if not bands.is_rgb8 or is_array_or_heif(path):
        return _of_bands(path, bands)[0]
    header = header_of(path)
    if header.problem:
        return ImageFacts(header, bands=undeclared_facts(path) if header.problem in UNREAD.values() else None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about damaged tags
            pixels = read_image(Path(path))
    except UnreadImageError as error:
        header = replace(header, problem=UNREAD[error.kind], error=error.holds)
        return ImageFacts(header, bands=undeclared_facts(path))
    except UserError as error:
        reason = one_line(error).removeprefix(f"{path}: ")
        return ImageFacts(replace(header, problem="truncated", error=reason))
    return ImageFacts(header, image_hash(pixels))


def _of_bands(path: str, bands: Bands) -> tuple[ImageFacts, NDArray[np.bool_] | None]:
    """Read an image of declared bands; returns also its pixels (H, W) without data in any band, or None."""
    header = band_header(path, bands)
    if header.problem:
        facts = undeclared_facts(path) if header.problem == "undeclared-bands" else None
        return ImageFacts(header, bands=facts), None
    try:
        pixels = read_bands(Path(path), bands)
        held = holding(band_files(Path(path), bands)[0] if bands.files else Path(path))
    except UserError as error:
        broken = replace(header, problem="truncated", error=one_line(error).removeprefix(f"{path}: "))
        return ImageFacts(broken), None
    facts = None if bands.is_rgb8 else band_facts(path, held, pixels, bands)
    return ImageFacts(header, image_hash(pixels, bands), facts), without_data(pixels, bands)


def mask_facts(path: str, table: LabelTable, missing: NDArray[np.bool_] | None = None) -> MaskFacts:
    """Read a label file.

    Args:
        path: Path of the file.
        table: Meaning of its values.
        missing: Pixels (H, W) of the image without data, which are ignored as training ignores them; None: there are
            none.
    """
    header, image = open_header(path, labels=True)
    if image is None:
        return MaskFacts(header)
    with image:
        header, image = decode(header, image)
        if header.problem:
            return MaskFacts(header)
        content, raw = content_of(image, table.colour)
        colors = (image.getpalette("RGB") or []) if image.mode == "P" and content == "index" else []
    if content == "deep":
        return MaskFacts(header, content)
    values, counts = distinct(raw)
    palette = tuple(codes(np.array(colors, np.uint8).reshape(-1, 3)).tolist())
    of_value = tuple(palette[value] if value < len(palette) else -1 for value in values.tolist()) if palette else ()
    pixels = class_counts(values, counts, table, content)
    nodata = 0
    if missing is not None and missing.shape == raw.shape and missing.any():
        nodata = int(missing.sum())
        gone, _, _ = class_counts(*distinct(raw[missing]), table, content)
        pixels = pixels[0] - gone, pixels[1] + int(gone.sum()), pixels[2]
    grey = brightness(raw) if content == "colour" else raw
    thick = _thick(raw == 255) if values.tolist() == [0, 255] else 0.0
    kept = np.sort(np.argsort(-counts, kind="stable")[:MOST_VALUES])
    return MaskFacts(
        header, content, values[kept], counts[kept], of_value[:MOST_VALUES], *pixels, edges(grey), thick, nodata
    )


def content_of(image: Image.Image, colour: bool) -> tuple[Content, NDArray[np.integer]]:
    """Content of a label image, and its values or colours (H, W)."""
    if image.mode == "P" and colour:
        image = image.convert("RGB")
    if image.mode in ("1", "L", "P"):
        return "index", np.asarray(image).astype(np.uint8)
    if image.mode in ("LA", "PA", "La"):
        return "grey-rgb", np.asarray(image.getchannel(0))
    if image.mode[0] in "IF":
        values = np.asarray(image)
        if image.mode[0] == "F" or values.min(initial=0) < 0 or values.max(initial=0) >= 2**16:
            return "deep", np.zeros((1, 1), np.uint8)
        return "index", values.astype(np.uint16)
    rgb = np.asarray(image.convert("RGB"))
    if not colour and (rgb[..., :1] == rgb[..., 1:]).all():
        return "grey-rgb", rgb[..., 0]
    return "colour", codes(rgb)


def codes(rgb: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Colours (..., 3) as one number each."""
    wide = rgb.astype(np.uint32)
    code: NDArray[np.uint32] = wide[..., 0] << np.uint32(16) | wide[..., 1] << np.uint32(8) | wide[..., 2]
    return code


def brightness(code: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Brightness of colours as Pillow and OpenCV compute it."""
    red, green, blue = code >> 16, code >> 8 & 255, code & 255
    grey: NDArray[np.uint8] = ((299 * red + 587 * green + 114 * blue + 500) // 1000).astype(np.uint8)
    return grey


def distinct(raw: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct values of a map, ascending, and the number of pixels of each."""
    if raw.dtype.itemsize > 2:
        values, counts = np.unique(raw, return_counts=True)
        return values.astype(np.int64), counts.astype(np.int64)
    histogram = np.bincount(raw.ravel())
    values = np.flatnonzero(histogram)
    return values, histogram[values]


def class_counts(
    values: NDArray[np.int64], counts: NDArray[np.int64], table: LabelTable, content: Content
) -> tuple[NDArray[np.int64], int, int]:
    """Count the pixels of each class (C,), ignored pixels and unknown pixels."""
    number = len(table.names)
    if (content == "index") == table.colour:  # colours in place of indices, or the other way round
        return np.zeros(number, np.int64), 0, int(counts.sum())
    classes = table.classes_of(values)
    ignored, unknown = classes == IGNORED, classes == UNKNOWN
    known = ~(ignored | unknown)
    found = np.bincount(classes[known], weights=counts[known], minlength=number).astype(np.int64)
    return found, int(counts[ignored].sum()), int(counts[unknown].sum())


def _thick(inside: NDArray[np.bool_]) -> float:
    core = inside
    for axis in (0, 1):
        core = np.moveaxis(core, axis, 0)
        if len(core) < 9:
            return 0.0
        core = np.moveaxis(np.logical_and.reduce([core[k : len(core) - 8 + k] for k in range(9)]), 0, axis)
    return float(core.sum() / max(1, inside.sum()))
