"""Files in COCO's JSON format: categories, images, and the outlines in them (cocodataset.org/#format-data)."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from seglight.data.classes import Classes, voc_color
from seglight.data.layouts.layout import Boxes
from seglight.data.layouts.outlines import Size, box_outline, is_outline, paint
from seglight.data.layouts.painting import IGNORED
from seglight.data.pairs import fingerprint_of, image_sources
from seglight.errors import UserError, one_line
from seglight.images.bands import RGB, Bands
from seglight.images.decode import check_upright
from seglight.images.read_bands import read_bands
from seglight.images.types import LabelMap
from seglight.ops.label_types import MOST_CLASSES
from seglight.system.nested import DEEP, parse_json

BACKGROUND = "background"
"""Name of class 0; a category of this name is the same class."""


@dataclass(frozen=True)
class OutlinedImages:
    """Images and the outlines in them.

    Args:
        path: Path of the JSON file.
        images: Image files.
        sizes: Height and width of each image.
        outlines: For each image, [class index or `IGNORED`, outline] pairs as JSON, which is smaller than objects.
        categories: Names of the categories, by id.
        boxes: Treatment of objects that have a box and no outline; None: they are refused.
        boxes_only: Number of these objects.
        bands: What the images hold.
    """

    path: Path
    images: Sequence[Path]
    sizes: Sequence[Size]
    outlines: Sequence[bytes]
    categories: Mapping[int, str]
    boxes: Boxes | None = None
    boxes_only: int = 0
    bands: Bands = RGB

    def __len__(self) -> int:
        return len(self.images)

    @property
    def fingerprint(self) -> str:
        """Identifies the categories, which determine the class indices, and what boxes are."""
        boxes = f", boxes: {self.boxes}" if self.boxes_only else ""
        return fingerprint_of(f"COCO outlines, larger first, of {self.categories}{boxes}", self.bands)

    def with_bands(self, bands: Bands) -> "OutlinedImages":
        """The same images with other bands."""
        return replace(self, bands=bands)

    def sources(self, index: int) -> tuple[Path, ...]:
        """The image, with one file a band all of them, and the JSON file."""
        return (*image_sources(self.images[index], self.bands), self.path)

    def label_map(self, index: int) -> LabelMap:
        """Label map (H, W) of an image.

        Raises:
            UserError: An outline can't be painted.
        """
        try:
            number = 1 + sum(name != BACKGROUND for name in self.categories.values())
            return paint(json.loads(self.outlines[index]), self.sizes[index], number)
        except (AttributeError, IndexError, KeyError, MemoryError, OverflowError, TypeError, ValueError) as error:
            raise UserError(
                f"{self.path}: an outline of {self.images[index].name} can't be painted "
                f"({type(error).__name__} {one_line(error)}): correct it, or export it again"
            ) from error

    def read(self, index: int) -> tuple[NDArray[Any], NDArray[Any], str]:
        """Image (H, W, bands) of its type, mask (H, W), and the path of the image.

        Raises:
            UserError: The image is damaged or not supported, an outline can't be painted, or the outlines fit the image
                only as stored, without its EXIF orientation.
        """
        path = self.images[index]
        mask = self.label_map(index)
        image = read_bands(path, self.bands)
        check_upright(path, image, self.path, mask)
        return image, mask, str(path)


def class_table(categories: Mapping[int, str]) -> Classes:
    """Class 0 and the categories, in VOC's colours because they have none."""
    names = (BACKGROUND, *(name for name in categories.values() if name != BACKGROUND))
    return Classes(names, tuple(voc_color(index) for index in range(len(names))))


def outlined_images(
    table: Any, path: Path, folder: Path, categories: Mapping[int, str], boxes: Boxes | None = None
) -> OutlinedImages:
    """Read images and outlines.

    Args:
        table: Content of a JSON file.
        path: Path of this file.
        folder: Folder of the images.
        categories: Names of the categories, by id.
        boxes: Treatment of objects that have a box and no outline; None: they are refused.

    Raises:
        UserError: The file is not of COCO's form, or an outline or a category is missing.
    """
    try:
        return _outlined_images(table, path, folder, categories, boxes)
    except RecursionError:
        raise UserError(f"{path}: not of COCO's form ({DEEP}): see cocodataset.org/#format-data") from None
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: not of COCO's form ({type(error).__name__} {error}): see cocodataset.org/#format-data"
        ) from error


def _outlined_images(
    table: Any, path: Path, folder: Path, categories: Mapping[int, str], boxes: Boxes | None
) -> OutlinedImages:
    names = class_table(categories).names
    index_of = {category: names.index(name) for category, name in categories.items()}
    sizes = {image["id"]: _size(image) for image in table["images"]}
    of_image: dict[Any, list[tuple[int, Any]]] = {image: [] for image in sizes}
    boxes_only = 0
    faulty: list[Any] = []
    for annotation in table["annotations"]:
        if annotation["image_id"] not in sizes:
            continue  # left over from images that were removed
        if annotation["category_id"] not in index_of:
            raise UserError(
                f"{path}: annotation {annotation['id']} is of category {annotation['category_id']}, "
                "which is missing in `categories`, or left out by data.skip_categories: add it"
            )
        outline = annotation.get("segmentation")
        value = IGNORED if annotation.get("iscrowd") else index_of[annotation["category_id"]]
        if boxes is not None and is_box_only(annotation):
            boxes_only += 1
            outline = box_outline(*annotation["bbox"])
            value = IGNORED if boxes == "ignore" else value
        elif not is_outline(outline, sizes[annotation["image_id"]]):
            faulty.append(annotation)
        of_image[annotation["image_id"]].append((value, outline))
    _refuse_faulty(faulty, path, boxes)
    return OutlinedImages(
        path,
        [image_path(folder, image["file_name"]) for image in table["images"]],
        [sizes[image["id"]] for image in table["images"]],
        [json.dumps(of_image[image["id"]]).encode() for image in table["images"]],
        categories,
        boxes,
        boxes_only,
    )


def _size(image: Mapping[str, Any]) -> Size:
    height, width = int(image["height"]), int(image["width"])
    if not 0 < height * width < 2**32:  # pycocotools counts in 32 bits
        raise ValueError(f"an image of {width}x{height} pixels")
    return height, width


def is_box_only(annotation: Mapping[str, Any]) -> bool:
    """Whether an annotation has a box with an area, and no outline."""
    box = annotation.get("bbox")
    empty = annotation.get("segmentation") in (None, [], [[]], {}, "")
    return empty and isinstance(box, list) and len(box) == 4 and min(box[2:]) > 0


def _refuse_faulty(faulty: Sequence[Mapping[str, Any]], path: Path, boxes: Boxes | None) -> None:
    if not faulty:
        return
    more = f" (and {len(faulty) - 1} more annotations have none)" if len(faulty) > 1 else ""
    possible = boxes is None and all(map(is_box_only, faulty))
    raise UserError(
        f"{path}: annotation {faulty[0]['id']} has no outline but {str(faulty[0].get('segmentation'))[:60]}{more}: "
        "export polygons of three points and more, [[x, y, x, y, x, y, ...], ...], or runs at the image's "
        "size, and remove annotations that are only boxes"
        + (", or set data.boxes to ignore or fill" if possible else "")
    )


def image_path(folder: Path, name: str) -> Path:
    """Path of an image by its `file_name`, which may be a path of another computer, or of Windows."""
    path = folder / name
    if ("/" not in name and "\\" not in name) or path.is_file():
        return path
    with_slashes = name.replace("\\", "/")
    for candidate in (folder / with_slashes, folder / with_slashes.rsplit("/", 1)[-1]):
        if candidate.is_file():
            return candidate
    return path


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        UserError: There is no such file, or it is not JSON.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file, where outlines in COCO's JSON should be: "
            "set data.root and data.annotations to the right place"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: set data.root and data.annotations to the right place") from error
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}): fetch or export it again") from error


def read_categories(table: Any, path: Path, skipped: Sequence[int] = ()) -> dict[int, str]:
    """Names of the categories by id, in the order of the ids.

    Categories of one name get their supercategory in brackets, if these differ.

    Args:
        table: Content of a JSON file.
        path: Path of this file.
        skipped: Ids of categories that are no classes.

    Raises:
        UserError: The categories can't be classes.
    """
    try:
        entries = sorted(
            (int(entry["id"]), str(entry["name"]), str(entry.get("supercategory") or ""))
            for entry in table["categories"]
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: no `categories` of COCO's form ({type(error).__name__} {error}): see cocodataset.org/#format-data"
        ) from error
    entries = _told_apart([entry for entry in entries if entry[0] not in skipped])
    categories = {number: name for number, name, _ in entries}
    ids_of = {
        name: [number for number, other, _ in entries if other == name] for name in dict.fromkeys(categories.values())
    }
    repeated = [f"{name!r} ({len(ids)} times)" for name, ids in ids_of.items() if len(ids) > 1]
    first = next((ids[0] for ids in ids_of.values() if len(ids) > 1), 0)
    wrong = [
        (not 0 < len(entries) < MOST_CLASSES, f"{len(entries)} categories, where 1 to {MOST_CLASSES - 1} are read"),
        (len(categories) < len(entries), "two categories have one id: give each its own"),
        (
            bool(repeated),
            f"categories of one name: {', '.join(repeated)}: rename or remove all but one, or leave one without "
            f"objects out by its id, data.skip_categories: [{first}]",
        ),
        (list(ids_of) == [BACKGROUND], f"no category but {BACKGROUND!r}: there is nothing to learn"),
    ]
    for is_wrong, what in wrong:
        if is_wrong:
            raise UserError(f"{path}: {what}")
    return categories


def _told_apart(entries: Sequence[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """Categories of one name by id, as "name (supercategory)" where this tells them apart."""
    parents = Counter((name, parent) for _, name, parent in entries)
    times = Counter(name for _, name, _ in entries)
    alike = {name for _, name, parent in entries if parents[name, parent] > 1 or parent in ("", "none")}
    return [
        (number, f"{name} ({parent})" if times[name] > 1 and name not in alike else name, parent)
        for number, name, parent in entries
    ]


def root_categories(table: Any) -> list[int]:
    """Ids of root categories as Roboflow writes them: id 0, supercategory "none", parent of the rest, no objects."""
    try:
        used = {annotation.get("category_id") for annotation in table["annotations"]}
        parents = {entry.get("supercategory") for entry in table["categories"]}
        return [
            entry["id"]
            for entry in table["categories"]
            if entry["id"] == 0 and entry.get("supercategory") == "none" and entry["name"] in parents and 0 not in used
        ]
    except (AttributeError, KeyError, TypeError):
        return []  # reading the categories says what is wrong
