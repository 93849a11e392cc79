"""Files in COCO's panoptic format: categories, and the segments of each image (cocodataset.org/#format-data)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seglight.data.classes import Classes, voc_color
from seglight.data.layouts.coco_file import image_path, read_categories
from seglight.data.pairs import fingerprint_of, image_sources
from seglight.data.segments import NONE, Segments
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.images.decode import check_upright
from seglight.images.panoptic_png import read_ids
from seglight.images.read_bands import read_bands
from seglight.images.types import Color

FORM = "see cocodataset.org/#format-data"


class Listed(NamedTuple):
    """What the JSON says about the segments of an image.

    Attributes:
        ids: int32 (n,) id of each segment in the PNG, ascending.
        classes: int64 (n,) class of each.
        crowds: bool (n,), whether it is a region of several instances.
    """

    ids: NDArray[np.int32]
    classes: NDArray[np.int64]
    crowds: NDArray[np.bool_]


class PanopticTable(NamedTuple):
    """Categories of a file.

    Attributes:
        names: Name of each category by its id, in the order of the classes.
        classes: Table of classes.
        things: Classes that have instances.
    """

    names: Mapping[int, str]
    classes: Classes
    things: tuple[int, ...]


@dataclass(frozen=True)
class PanopticImages:
    """Images and their panoptic PNGs.

    Args:
        path: Path of the JSON file.
        images: Image files.
        masks: Panoptic PNG of each image.
        segments: Segments of each image.
        names: Names of the categories, by id.
        bands: What the images hold.
    """

    path: Path
    images: Sequence[Path]
    masks: Sequence[Path]
    segments: Sequence[Listed]
    names: Mapping[int, str]
    bands: Bands = RGB

    def __len__(self) -> int:
        return len(self.images)

    @property
    def fingerprint(self) -> str:
        """Identifies the categories, which determine the class indices."""
        return fingerprint_of(f"COCO panoptic of {self.names}", self.bands)

    def with_bands(self, bands: Bands) -> "PanopticImages":
        """The same images with other bands."""
        return replace(self, bands=bands)

    def sources(self, index: int) -> tuple[Path, ...]:
        """The image, with one file a band all of them, the PNG, and the JSON file."""
        return (*image_sources(self.images[index], self.bands), self.masks[index], self.path)

    def read(self, index: int) -> tuple[NDArray[Any], NDArray[Any], str]:
        """Image (H, W, bands) of its type, mask (H, W), and the path of the image. Errors are those of the segments."""
        return self.read_segments(index)[:3]

    def read_segments(self, index: int) -> tuple[NDArray[Any], NDArray[Any], str, Segments]:
        """Image, mask and name as by `read`, and the segments.

        Raises:
            UserError: A file is damaged or not supported, an id in the PNG is not in the JSON, or the labels fit the
                image only as stored, without its EXIF orientation.
        """
        path, png = self.images[index], self.masks[index]
        segments = located(read_ids(png), self.segments[index], png, self.path)
        mask = segments.mask(len(self.names))
        image = read_bands(path, self.bands)
        check_upright(path, image, png, mask)
        return image, mask, str(path), segments


def located(ids: NDArray[np.int32], listed: Listed, png: Path, path: Path) -> Segments:
    """Segments of an image by the ids (H, W) of its PNG; 0 is no segment.

    Raises:
        UserError: An id is not in the JSON.
    """
    flat = ids.ravel()
    # neighbours mostly have one id: each run is looked up once
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    values = flat[starts]
    known = np.append(listed.ids, 0)
    place = np.searchsorted(listed.ids, values)
    unknown = (known[place] != values) & (values != 0)
    if unknown.any():
        raise UserError(
            f"{png}: {len(np.unique(values[unknown]))} ids, such as {values[unknown][0]}, have no category in {path}: "
            "add their segments to the JSON, or fetch both files again"
        )
    index = np.where(values == 0, NONE, place).astype(np.uint16)
    return Segments(
        np.repeat(index, np.diff(starts, append=flat.size)).reshape(ids.shape), listed.classes, listed.crowds
    )


def read_table(table: Any, path: Path) -> PanopticTable:
    """Read the categories of a file: each is a class, in the order of the ids, in the colour that it has there.

    Args:
        table: Content of a JSON file.
        path: Path of this file.

    Raises:
        UserError: The categories can't be classes, or don't say which of them are things.
    """
    names = read_categories(table, path)
    try:
        entries = {int(entry["id"]): entry for entry in table["categories"]}
        things = tuple(k for k, number in enumerate(names) if int(entries[number]["isthing"]))
        palette = tuple(_color(entries[number].get("color"), k) for k, number in enumerate(names))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: categories that are not of COCO's panoptic form ({type(error).__name__} {error}): {FORM}"
        ) from error
    return PanopticTable(names, Classes(tuple(names.values()), palette), things)


def _color(value: Any, index: int) -> Color:
    """The colour of a category, or that of VOC's palette if it has none."""
    if value is None:
        return voc_color(index + 1)
    red, green, blue = (int(channel) for channel in value)
    if not all(0 <= channel <= 255 for channel in (red, green, blue)):
        raise ValueError(f"the colour {value}")
    return red, green, blue


def panoptic_images(
    table: Any, path: Path, folder: Path, masks: Path, names: Mapping[int, str], bands: Bands = RGB
) -> PanopticImages:
    """Read images and their segments.

    Args:
        table: Content of a JSON file.
        path: Path of this file.
        folder: Folder of the images.
        masks: Folder of the panoptic PNGs.
        names: Names of the categories, by id.
        bands: What the images hold.

    Raises:
        UserError: The file is not of COCO's panoptic form, or a segment has no category, or the id of another.
    """
    index_of = {number: index for index, number in enumerate(names)}
    try:
        files = {image["id"]: image_path(folder, image["file_name"]) for image in table["images"]}
        annotations = table["annotations"]
        listed = [_listed(annotation, index_of, path) for annotation in annotations]
        return PanopticImages(
            path,
            [files[annotation["image_id"]] for annotation in annotations],
            [masks / annotation["file_name"] for annotation in annotations],
            listed,
            names,
            bands,
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not of COCO's panoptic form ({type(error).__name__} {error}): {FORM}") from error


def _listed(annotation: Any, index_of: Mapping[int, int], path: Path) -> Listed:
    infos = sorted(annotation["segments_info"], key=lambda info: int(info["id"]))
    ids = np.array([info["id"] for info in infos], np.int32)
    where = f"{path}: image {annotation['image_id']}"
    for info in infos:
        if info["category_id"] not in index_of:
            raise UserError(
                f"{where}: segment {info['id']} is of category {info['category_id']}, which is not in `categories`: "
                "add the category, or remove the segment and its pixels"
            )
    if len(np.unique(ids)) < len(ids) or ids.min(initial=1) < 1 or len(ids) >= NONE:
        raise UserError(f"{where}: its segments have ids that are equal or below 1: give each its own, from 1")
    classes = np.array([index_of[info["category_id"]] for info in infos], np.int64)
    return Listed(ids, classes, np.array([bool(info.get("iscrowd", 0)) for info in infos], np.bool_))
