"""Outlines in COCO's JSON format, painted as one map of categories (Lin et al. 2014, cocodataset.org/#format-data).

    root/annotations/instances_{train,val}2017.json  root/{train,val}2017/*.jpg

Class 0 is the background; the categories follow by their id, in VOC's colours because they have none. Larger objects
are painted before smaller ones, which stay on top. Regions marked `iscrowd` are ignored, except the objects in them.
The pixels that an outline covers are computed by pycocotools, COCO's own library.

Outlines refer to the image with its EXIF orientation applied, as CVAT, Label Studio and Roboflow export them; if the
sizes in the JSON are those of the image as stored, it is refused.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from seglight.data.classes import IGNORE_INDEX, MOST_CLASSES, Classes, voc_color
from seglight.data.datamodule import FileDataModule
from seglight.data.pairs import existing_folder
from seglight.errors import UserError, one_line
from seglight.images.decode import check_upright, read_image

Size = tuple[int, int]
"""Height and width."""


class COCOPolygonsDataModule(FileDataModule):
    """Images with outlines in COCO's format, from COCO itself or from a tool that exports it.

    Args:
        root: Folder to which both patterns are relative.
        annotations: Path of the JSON file of a split; `{split}` stands for train, val or test.
        images: Folder of the images of a split, with the same placeholder.
        **kwargs: Arguments of FileDataModule.

    Raises:
        UserError: No split has a JSON file, or the categories in it cannot be classes.
    """

    def __init__(
        self,
        root: str,
        annotations: str = "annotations/instances_{split}2017.json",
        images: str = "{split}2017",
        **kwargs: Any,
    ) -> None:
        self.patterns = {"annotations": annotations, "images": images}
        files = [Path(root) / annotations.replace("{split}", split) for split in ("val", "train", "test")]
        # the file of val is the smallest by far, and all splits must agree
        first = next((path for path in files if path.is_file()), files[0])
        self.categories = _categories(_read_json(first), first)
        self.parsed: dict[str, tuple[tuple[int, int], OutlinedImages]] = {}
        names = ("background", *self.categories.values())
        self.classes = Classes(names, tuple(voc_color(index) for index in range(len(names))))
        super().__init__(root, **kwargs)

    def layout_split(self, name: str) -> "OutlinedImages":
        """The labelled images of "train", "val" or "test".

        Raises:
            UserError: The split or an image is missing, its categories differ, or an outline is not valid.
        """
        path, folder = (self.root / self.patterns[kind].replace("{split}", name) for kind in ("annotations", "images"))
        stamp = _stamp(path)
        if name not in self.parsed or self.parsed[name][0] != stamp:
            self.parsed[name] = (stamp, self._parse(name, path, folder))
        found = self.parsed[name][1]
        missing = [image for image in found.images if not image.is_file()]
        if missing or not found.images:
            what = f"its image {missing[0]} is missing ({len(missing)} are)" if missing else "it lists no image"
            raise UserError(f"{path}: {what}: add images or set data.init_args.images to their place")
        return found

    def _parse(self, name: str, path: Path, folder: Path) -> "OutlinedImages":
        """Parse a file; it is kept, because COCO's has half a gigabyte and is needed for the first check, too."""
        table = _read_json(path)
        if _categories(table, path) != self.categories:
            raise UserError(f"{path}: other categories than in the other splits: export all splits from one project")
        existing_folder(folder, f"the {name} images")
        try:
            return _outlined_images(table, path, folder, self.categories)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path}: not of COCO's form ({type(error).__name__} {error}): see cocodataset.org/#format-data"
            ) from error


@dataclass(frozen=True)
class OutlinedImages:
    """Images and the outlines in them.

    Args:
        path: Path of the JSON file.
        images: Image files.
        sizes: Height and width of each image.
        outlines: For each image, [class index or IGNORE_INDEX, outline] pairs as JSON, which is smaller than objects.
        categories: Names of the categories, by id.
    """

    path: Path
    images: Sequence[Path]
    sizes: Sequence[Size]
    outlines: Sequence[bytes]
    categories: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def fingerprint(self) -> str:
        """Identifies the categories, which determine the class indices."""
        return f"COCO outlines, larger first, of {self.categories}"

    def sources(self, index: int) -> tuple[Path, ...]:
        """The image and the JSON file."""
        return (self.images[index], self.path)

    def read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
        """Image uint8 (H, W, 3), mask uint8 (H, W), and the path of the image.

        Raises:
            UserError: The image is damaged or not supported, an outline can't be painted, or the outlines fit the image
                only as stored, without its EXIF orientation.
        """
        path = self.images[index]
        try:
            mask = paint(json.loads(self.outlines[index]), self.sizes[index])
        except (AttributeError, IndexError, KeyError, MemoryError, OverflowError, TypeError, ValueError) as error:
            raise UserError(
                f"{self.path}: an outline of {path.name} can't be painted ({type(error).__name__} {one_line(error)}): "
                "correct it, or export it again"
            ) from error
        image = read_image(path)
        check_upright(path, image, self.path, mask)
        return image, mask, str(path)


def paint(outlines: Sequence[tuple[int, Any]], size: Size) -> NDArray[np.uint8]:
    """Paint ignored regions first, then larger objects before smaller ones, equal ones in order: uint8 (H, W).

    Args:
        outlines: Pairs of class index or IGNORE_INDEX, and COCO's `segmentation`: polygons, or runs as a dict.
        size: Height and width.
    """
    regions = [(value, _runs(outline, size)) for value, outline in outlines]
    regions.sort(key=lambda region: (region[0] != IGNORE_INDEX, -int(rle.area(region[1]))))
    mask = np.zeros(size, np.uint8, order="F")  # the order of pycocotools
    for value, runs in regions:
        np.copyto(mask, value, where=rle.decode(runs).view(bool))
    return np.ascontiguousarray(mask)


def _runs(outline: Any, size: Size) -> Any:
    """COCO's compressed runs of an outline in any of its forms."""
    if isinstance(outline, list):
        return rle.merge(rle.frPyObjects(outline, *size))
    return rle.frPyObjects(outline, *size) if isinstance(outline["counts"], list) else outline


def _outlined_images(table: Any, path: Path, folder: Path, categories: Mapping[int, str]) -> OutlinedImages:
    index_of = {category: index for index, category in enumerate(categories, start=1)}
    sizes = {image["id"]: (int(image["height"]), int(image["width"])) for image in table["images"]}
    of_image: dict[Any, list[tuple[int, Any]]] = {image: [] for image in sizes}
    for annotation in table["annotations"]:
        if annotation["image_id"] not in sizes:
            continue  # left over from images that were removed
        if annotation["category_id"] not in index_of:
            raise UserError(
                f"{path}: annotation {annotation['id']} is of category {annotation['category_id']}, "
                "which is missing in `categories`: add it there"
            )
        if not _is_outline(annotation.get("segmentation"), sizes[annotation["image_id"]]):
            raise UserError(
                f"{path}: annotation {annotation['id']} has no outline but {str(annotation.get('segmentation'))[:60]}: "
                "export polygons of three points and more, [[x, y, x, y, x, y, ...], ...], or runs at the image's "
                "size, and remove annotations that are only boxes"
            )
        value = IGNORE_INDEX if annotation.get("iscrowd") else index_of[annotation["category_id"]]
        of_image[annotation["image_id"]].append((value, annotation["segmentation"]))
    return OutlinedImages(
        path,
        [folder / image["file_name"] for image in table["images"]],
        [sizes[image["id"]] for image in table["images"]],
        [json.dumps(of_image[image["id"]]).encode() for image in table["images"]],
        categories,
    )


def _is_outline(outline: Any, size: Size) -> bool:
    """Whether an outline is valid: runs at the image's size, or polygons; pycocotools reads four numbers as a box."""
    if isinstance(outline, dict):
        counts = outline.get("counts")
        whole = sum(counts) == size[0] * size[1] if isinstance(counts, list) else counts is not None
        return whole and tuple(outline.get("size", ())) == size
    polygons = outline if isinstance(outline, list) else []
    return bool(polygons) and all(
        isinstance(points, list) and len(points) >= 6 and len(points) % 2 == 0 for points in polygons
    )


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file, to detect changes; zeros if it is missing."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file, where outlines in COCO's JSON should be: "
            "set data.init_args.root and data.init_args.annotations to the right place"
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}): fetch or export it again") from error


def _categories(table: Any, path: Path) -> dict[int, str]:
    """Names of the categories by id, in the order of the ids."""
    try:
        pairs = sorted((int(entry["id"]), str(entry["name"])) for entry in table["categories"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: no `categories` of COCO's form ({type(error).__name__} {error}): see cocodataset.org/#format-data"
        ) from error
    categories = dict(pairs)
    names = Counter(name for _, name in pairs)
    repeated = [f"{name!r} ({number} times)" for name, number in names.items() if number > 1]
    wrong = [
        (not 0 < len(pairs) < MOST_CLASSES, f"{len(pairs)} categories, where 1 to {MOST_CLASSES - 1} are read"),
        (len(categories) < len(pairs), "two categories have one id: give each its own"),
        (bool(repeated), f"categories of one name: {', '.join(repeated)}: rename or remove all but one"),
        ("background" in names, "a category 'background', which is class 0 here: rename or remove it"),
    ]
    for is_wrong, what in wrong:
        if is_wrong:
            raise UserError(f"{path}: {what}")
    return categories
