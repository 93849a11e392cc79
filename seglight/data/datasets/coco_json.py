"""Outlines in COCO's JSON format, painted as one map of categories (Lin et al. 2014, cocodataset.org/#format-data).

    root/annotations/instances_{train,val}2017.json  root/{train,val}2017/*.jpg

Class 0 is the background, and so is a category of this name; the other categories follow by their id, in VOC's colours
because they have none. Larger objects are painted before smaller ones, which stay on top. Regions marked `iscrowd` are
ignored, except the objects in them. The pixels that an outline covers are computed by pycocotools, COCO's own library.

Outlines refer to the image with its EXIF orientation applied, as CVAT, Label Studio and Roboflow export them; if the
sizes in the JSON are those of the image as stored, it is refused.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seglight.data.class_files import declared_bands
from seglight.data.datamodule import FileDataModule
from seglight.data.layouts.coco_file import OutlinedImages, class_table, outlined_images, read_categories, read_json
from seglight.data.layouts.layout import Boxes
from seglight.data.layouts.outlined_segments import SegmentedOutlines
from seglight.data.one_class import two_classes_line
from seglight.data.pairs import existing_folder, say_once
from seglight.data.split_paths import BySplit, path_of, paths_of
from seglight.errors import UserError


class COCOPolygonsDataModule(FileDataModule):
    """Images with outlines in COCO's format, from COCO itself or from a tool that exports it.

    Args:
        root: Folder to which both paths are relative.
        annotations: Path of the JSON file of a split; `{split}` stands for train, val or test. Or a path for each
            split: `{train: train/_annotations.coco.json, val: valid/_annotations.coco.json}`.
        images: Folder of the images of a split, in the same two forms.
        boxes: Treatment of objects that have a box and no outline: the pixels of the box are ignored ("ignore"), or
            belong to the object ("fill"); None: these objects are refused.
        skip_categories: Ids of categories that are no classes, such as the root category of Roboflow.
        bands: What images hold that are not 8-bit RGB: `bands` as in a `classes.yaml`, or a file with it.
        instances: Whether samples have segments as well: the background, which is stuff, and each object.
        **kwargs: Arguments of FileDataModule.

    Raises:
        UserError: No split has a JSON file, or the categories in it cannot be classes.
    """

    def __init__(
        self,
        root: str,
        annotations: BySplit = "annotations/instances_{split}2017.json",
        images: BySplit = "{split}2017",
        boxes: Boxes | None = None,
        skip_categories: Sequence[int] = (),
        bands: str | dict[str, Any] | None = None,
        instances: bool = False,
        **kwargs: Any,
    ) -> None:
        self.annotations = annotations
        self.images = images
        self.boxes = boxes
        self.skipped = tuple(skip_categories)
        files = paths_of(annotations, Path(root))
        # the file of val is the smallest by far, and all splits must agree
        first = next((path for path in files if os.path.isfile(path)), files[0] if files else Path(root))
        self.categories = read_categories(read_json(first), first, self.skipped)
        self.parsed: dict[tuple[Path, Path], tuple[tuple[int, int], OutlinedImages]] = {}
        self.classes = class_table(self.categories)
        self.bands = declared_bands(bands)
        if len(self.categories) == 1:
            say_once(two_classes_line(first, self.classes.names[1]))
        super().__init__(root, **kwargs)
        self.instances = instances
        if instances:
            self.things = tuple(range(1, len(self.classes)))

    def layout_split(self, name: str) -> OutlinedImages | SegmentedOutlines:
        """The labelled images of "train", "val" or "test".

        Raises:
            UserError: The split or an image is missing, its categories differ, or an outline is not valid.
        """
        path = path_of(self.annotations, name, self.root, "annotations")
        folder = path_of(self.images, name, self.root, "images")
        stamp = _stamp(path)
        # by file, because one file can be that of all splits
        if (path, folder) not in self.parsed or self.parsed[path, folder][0] != stamp:
            self.parsed[path, folder] = (stamp, self._parse(name, path, folder))
        found = self.parsed[path, folder][1]
        missing = [image for image in found.images if not image.is_file()]
        if missing or not found.images:
            what = f"its image {missing[0]} is missing ({len(missing)} are)" if missing else "it lists no image"
            raise UserError(f"{path}: {what}: add images or set data.images to their place")
        return SegmentedOutlines(found) if self.instances else found

    def _parse(self, name: str, path: Path, folder: Path) -> OutlinedImages:
        """Parse a file; it is kept, because COCO's has half a gigabyte and is needed for the first check, too."""
        table = read_json(path)
        if read_categories(table, path, self.skipped) != self.categories:
            raise UserError(f"{path}: other categories than in the other splits: export all splits from one project")
        existing_folder(folder, f"the {name} images")
        found = outlined_images(table, path, folder, self.categories, self.boxes)
        if found.boxes_only:
            done = "their pixels are ignored" if self.boxes == "ignore" else "the box is their area"
            say_once(f"{path}: objects that have a box and no outline: {found.boxes_only}; {done} (data.boxes)")
        return found


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file, to detect changes; zeros if it is missing."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
