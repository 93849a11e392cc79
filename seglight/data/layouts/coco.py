"""COCO JSON, as COCO itself, Roboflow, CVAT and Label Studio write it, and the files of Segment Anything.

A file is recognised by its beginning; its split is in its name or in that of a folder (`instances_val2017.json`,
`valid/_annotations.coco.json`). Its images are in the folder in which the first of them are found. Larger objects are
painted before smaller ones.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seglight.data.layouts.coco_file import (
    BACKGROUND,
    OutlinedImages,
    class_table,
    outlined_images,
    read_categories,
    read_json,
    root_categories,
)
from seglight.data.layouts.coco_images import image_folder
from seglight.data.layouts.finding import SAMPLE, counted, head, split_of, walk_of
from seglight.data.layouts.layout import WITHOUT_SPLIT, Choices, InPlace, Layout
from seglight.data.layouts.painting import is_background
from seglight.errors import UserError
from seglight.images.types import LabelMap

OTHER_TASKS = ("captions", "keypoints", "image_info", "panoptic", "stuff")
"""Words in the names of COCO's files that are no outlines of the objects in `instances_*.json`."""

LIST_OF_ENTRIES = re.compile(r'"(images|annotations)"\s*:\s*\[')
ENTRY = re.compile(r'"(file_name|image_id)"\s*:')


@dataclass(frozen=True)
class CocoLabels:
    """Label maps of the images of several files.

    Args:
        files: Outlines by file.
        places: File and index in it, by image.
    """

    files: Sequence[OutlinedImages]
    places: Mapping[Path, tuple[int, int]]

    def __call__(self, image: Path) -> LabelMap:
        """The label map of an image."""
        file, index = self.places[image]
        return self.files[file].label_map(index)


def recognise_coco(root: Path, choices: Choices) -> Layout | None:
    """Recognise JSON files in COCO's format."""
    found = _files(root)
    if not found:
        return None
    paths, remarks = _one_each_split(found, root)
    tables = {split: read_json(path) for split, path in paths.items()}
    for split, path in paths.items():
        _check_form(tables[split], path)
    skipped = sorted(set.intersection(*(set(root_categories(table)) for table in tables.values())))
    evidence = next(iter(paths.values()))
    categories, of_background = _merged(read_categories(next(iter(tables.values())), evidence, skipped), evidence)
    folders: dict[str, Path] = {}
    files: dict[str, OutlinedImages] = {}
    for split, path in paths.items():
        if _merged(read_categories(tables[split], path, skipped), path)[0] != categories:
            raise UserError(f"{path}: other categories than in {evidence}: export all splits from one project")
        folders[split] = image_folder(tables[split], path, root, split)
        found_here = outlined_images(tables[split], path, folders[split], categories, choices.boxes)
        _check_images(found_here, tables[split], list(files.values()))
        files[split] = found_here
    boxes = sum(file.boxes_only for file in files.values())
    objects = sum(len(table["annotations"]) for table in tables.values())
    if boxes == objects and choices.boxes == "ignore":
        what = f"all of the {objects} objects are boxes" if objects else "there is no object"
        raise UserError(f"{evidence}: {what}: export outlines, or fill the boxes (--boxes fill)")
    remarks += _remarks(tables, skipped, of_background, files)
    if boxes:
        done = "the pixels of the boxes are ignored" if choices.boxes == "ignore" else "the box is their area"
        remarks.append(f"Objects that have a box and no outline: {boxes}; {done}.")
    return Layout(
        form="COCO JSON",
        evidence=evidence,
        classes=class_table(categories),
        splits={split: file.images for split, file in files.items()},
        labels=CocoLabels(
            list(files.values()),
            {image: (k, index) for k, file in enumerate(files.values()) for index, image in enumerate(file.images)},
        ),
        remarks=remarks,
        # the data module knows class 0 by this name only
        in_place=None
        if set(of_background) - {BACKGROUND}
        else InPlace(
            "seglight.data.COCOPolygonsDataModule",
            {
                "annotations": _relative(paths, root),
                "images": _relative(folders, root),
                **({"boxes": choices.boxes} if boxes else {}),
                **({"skip_categories": skipped} if skipped else {}),
            },
        ),
    )


def _files(root: Path) -> list[Path]:
    """JSON files in COCO's format; of a folder with many JSON files, which are one per image, only some are read."""
    found = []
    for _, files in walk_of(root, 2, (".json",)):
        found += [path for path in files[:SAMPLE] if is_coco(head(path))]
    instances = [path for path in found if "instances" in path.name.lower()]
    if instances:
        found = [path for path in found if not any(word in path.name.lower() for word in OTHER_TASKS)]
    return found


def is_coco(text: str) -> bool:
    """Whether the beginning of a file is that of a file in COCO's format."""
    return text.startswith("{") and bool(LIST_OF_ENTRIES.search(text)) and bool(ENTRY.search(text))


def _merged(categories: Mapping[int, str], path: Path) -> tuple[dict[int, str], list[str]]:
    """The categories, of which those whose name means the background have its name; and the names that these had."""
    merged = {number: BACKGROUND if is_background(name) else name for number, name in categories.items()}
    if set(merged.values()) == {BACKGROUND}:
        raise UserError(f"{path}: no category but the background: there is nothing to learn")
    return merged, [name for name in categories.values() if is_background(name)]


def _one_each_split(files: Sequence[Path], root: Path) -> tuple[dict[str, Path], list[str]]:
    of_split: dict[str, list[Path]] = {}
    for path in files:
        of_split.setdefault(split_of(path, root) or WITHOUT_SPLIT, []).append(path)
    remarks = []
    if len(of_split) > 1 and WITHOUT_SPLIT in of_split:
        others = of_split.pop(WITHOUT_SPLIT)
        remarks.append(f"Not read, because other files are named by their split: {counted(others)}.")
    for split, paths in of_split.items():
        if len(paths) > 1:
            which = "without a split in their names" if split == WITHOUT_SPLIT else f"of the {split} split"
            raise UserError(
                f"{root}: {len(paths)} COCO files {which}: {counted(paths)}: keep one of them here, or merge them"
            )
    order = ("train", "val", "test", WITHOUT_SPLIT)
    return {split: of_split[split][0] for split in order if split in of_split}, remarks


def _check_form(table: Any, path: Path) -> None:
    try:
        panoptic = any("segments_info" in annotation for annotation in table["annotations"][:1])
        listed = [str(image["file_name"]) for image in table["images"]]
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not of COCO's form ({type(error).__name__} {error}): see cocodataset.org/#format-data"
        ) from error
    if panoptic:
        raise UserError(
            f"{path}: COCO's panoptic format, whose labels are PNG files: convert it to instances or to masks "
            "by panopticapi (panoptic2detection_coco_format.py or panoptic2semantic_segmentation.py)"
        )
    if not listed:
        raise UserError(f"{path}: it lists no image: export it again")
    twice = [name for name, number in Counter(listed).items() if number > 1]
    if twice:
        raise UserError(f"{path}: the same image is listed twice: {counted(twice)}: give each image its own file name")


def _check_images(found: OutlinedImages, table: Any, others: Sequence[OutlinedImages]) -> None:
    name_of: dict[Path, str] = {}
    for image, entry in zip(found.images, table["images"], strict=True):
        name = str(entry["file_name"])
        if name_of.setdefault(image, name) != name:
            raise UserError(
                f"{found.path}: {name_of[image]} and {name} are both the image {image}: "
                "put the images into folders as they were labelled, or rename one"
            )
    labels = dict(zip(found.images, found.outlines, strict=True))
    for other in others:
        pairs = zip(other.images, other.outlines, strict=True)
        differing = [image for image, outlines in pairs if labels.get(image, outlines) != outlines]
        if differing:
            raise UserError(
                f"{found.path}: the image {differing[0]} has other labels in {other.path} ({len(differing)} have): "
                "remove it from one of them, or put the images of each split into a folder of its own"
            )
    missing = [image for image in found.images if not image.is_file()]
    if missing:
        raise UserError(
            f"{found.path}: its image {missing[0]} is missing ({len(missing)} of {len(found)} are): "
            "add it, or remove it from this file"
        )


def _remarks(
    tables: Mapping[str, Any],
    skipped: Sequence[int],
    of_background: Sequence[str],
    files: Mapping[str, OutlinedImages],
) -> list[str]:
    first = next(iter(tables.values()))
    remarks = [
        f"The root category {entry['name']!r} (id {entry['id']}), which Roboflow adds and no object has, is no class."
        for entry in first["categories"]
        if entry["id"] in skipped
    ]
    remarks += [f"The category {name!r} is class 0, that of the pixels without an object." for name in of_background]
    crowds = sum(bool(one.get("iscrowd")) for table in tables.values() for one in table["annotations"])
    if crowds:
        remarks.append(f"Regions marked `iscrowd`: {crowds}; their pixels are ignored, except objects in them.")
    empty = sum(outlines == b"[]" for file in files.values() for outlines in file.outlines)
    if empty:
        remarks.append(f"Images without an object: {empty}; all of their pixels are {BACKGROUND}.")
    listed = {split: {image["id"] for image in table["images"]} for split, table in tables.items()}
    orphans = sum(one["image_id"] not in listed[split] for split, t in tables.items() for one in t["annotations"])
    if orphans:
        remarks.append(f"Objects of images that are not listed: {orphans}; they are left out.")
    return remarks


def _relative(paths: Mapping[str, Path], root: Path) -> str | dict[str, str]:
    found = {split: path.relative_to(root).as_posix() for split, path in paths.items()}
    return found.get(WITHOUT_SPLIT, found)
