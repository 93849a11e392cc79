"""COCO panoptic: 80 things and 53 kinds of stuff (Kirillov et al. 2019, cocodataset.org/#panoptic-2020), or one's own.

    root/annotations/panoptic_{train,val}2017.json  root/{train,val}2017/*.jpg
    root/annotations/panoptic_{train,val}2017/*.png

Classes are the categories of the JSON in the order of their ids, in its colours. The colour of a pixel in a PNG is the
id of its segment, 0 is not labelled. Data sets in the same format, such as ADE20K panoptic, differ in the paths only.
"""

import os
from pathlib import Path
from typing import Any

from seglight.data.datamodule import FileDataModule
from seglight.data.layouts.coco_file import read_json
from seglight.data.layouts.panoptic_file import PanopticImages, panoptic_images, read_table
from seglight.data.pairs import existing_folder
from seglight.data.split_paths import BySplit, path_of, paths_of
from seglight.errors import UserError


class COCOPanopticDataModule(FileDataModule):
    """Images with panoptic PNGs in COCO's format; samples have segments.

    Args:
        root: Folder to which all paths are relative.
        annotations: Path of the JSON file of a split; `{split}` stands for train, val or test. Or a path for each
            split: `{train: train.json, val: val.json}`.
        images: Folder of the images of a split, in the same two forms.
        masks: Folder of the PNGs of a split, in the same two forms.
        **kwargs: Arguments of FileDataModule.

    Raises:
        UserError: No split has a JSON file, or the categories in it cannot be classes.
    """

    def __init__(
        self,
        root: str,
        annotations: BySplit = "annotations/panoptic_{split}2017.json",
        images: BySplit = "{split}2017",
        masks: BySplit = "annotations/panoptic_{split}2017",
        **kwargs: Any,
    ) -> None:
        self.annotations = annotations
        self.images = images
        self.masks = masks
        files = paths_of(annotations, Path(root))
        # the file of val is the smallest by far, and all splits must agree
        first = next((path for path in files if os.path.isfile(path)), files[0] if files else Path(root))
        self.table = read_table(read_json(first), first)
        self.classes = self.table.classes
        self.parsed: dict[Path, PanopticImages] = {}
        super().__init__(root, **kwargs)
        self.things = self.table.things

    def layout_split(self, name: str) -> PanopticImages:
        """The labelled images of "train", "val" or "test".

        Raises:
            UserError: The split or a file is missing, or its categories differ.
        """
        path = path_of(self.annotations, name, self.root, "annotations")
        if path not in self.parsed:  # a file of COCO has half a gigabyte
            table = read_json(path)
            if read_table(table, path) != self.table:
                raise UserError(
                    f"{path}: other categories than in the other splits: export all splits from one project"
                )
            folder = existing_folder(path_of(self.images, name, self.root, "images"), f"the {name} images")
            masks = existing_folder(path_of(self.masks, name, self.root, "masks"), f"the {name} panoptic PNGs")
            self.parsed[path] = panoptic_images(table, path, folder, masks, self.table.names)
        found = self.parsed[path]
        for argument, files in (("images", found.images), ("masks", found.masks)):
            missing = [file for file in files if not file.is_file()]
            if missing or not files:
                what = f"{missing[0]} is missing ({len(missing)} are)" if missing else "it lists no image"
                raise UserError(f"{path}: {what}: add the files, or set data.{argument} to their place")
        return found
