"""Label Studio: JSON and JSON-MIN exports of polygons and brushes (labelstud.io/guide/export).

    root/*.json  root/label_config.xml  root/images/*

Regions are painted in their order. Of several annotations of a task, the ground truth is read, or else the one that was
changed last; cancelled ones are not. Without a `label_config.xml`, the classes are the labels that occur, by name.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seglight.data.layouts.image_index import ImageIndex, match_images, missing_remark, none_found
from seglight.data.layouts.label_studio_config import Config, find_config
from seglight.data.layouts.label_studio_tasks import Export, Region, Task, read_tasks
from seglight.data.layouts.layout import Boxes, Choices, Layout
from seglight.data.layouts.painting import (
    IGNORED,
    Patch,
    background_remarks,
    box_corners,
    class_table,
    ellipse_corners,
    left_out_remarks,
    paint,
    polygon,
)
from seglight.data.layouts.split_names import by_split, split_of
from seglight.errors import UserError, one_line
from seglight.images.brush import brush_pixels
from seglight.images.read_bands import image_size
from seglight.images.types import LabelMap

FIRST_FILES = 20
FIRST_BYTES = 1 << 16
"""What is read of a folder in order to recognise it."""

EVIDENCE = (b'"completed_by"', b'"was_cancelled"', b'"annotation_id"', b'"file_upload"', b'"completions"')
BESIDE_RESULT = (b'"annotations"', b'"data"', b'"model_version"')
"""Keys in the beginning of an export: one of the former, or "result" beside one of the latter."""


@dataclass(frozen=True)
class LabelStudioLabels:
    """Paints the label maps of images.

    Args:
        regions: File and regions of each image.
        index_of: Class index of each label.
        boxes: Treatment of rectangles.
    """

    regions: Mapping[Path, tuple[Path, Sequence[Region]]]
    index_of: Mapping[str, int]
    boxes: Boxes

    def __call__(self, image: Path) -> LabelMap:
        """Paint the label map (H, W) of an image.

        Raises:
            UserError: A region can't be painted.
        """
        path, regions = self.regions[image]
        sizes = {region.size for region in regions} or {image_size(image)}
        if len(sizes) > 1:
            shown = " and ".join(f"{width}x{height}" for height, width in sorted(sizes))
            raise UserError(f"{path}: the regions of {image.name} are for images of {shown}: label one image again")
        size = sizes.pop()
        try:
            return paint(size, self._patches(regions), 1 + max(self.index_of.values()))
        except (MemoryError, OverflowError, TypeError, ValueError) as error:
            raise UserError(
                f"{path}: a region of {image.name} can't be painted ({type(error).__name__} {one_line(error)}): "
                "correct it, or export it again"
            ) from error

    def _patches(self, regions: Sequence[Region]) -> Iterator[Patch]:
        def behind(region: Region) -> bool:
            return region.kind == "rectangle" and self.boxes == "ignore"

        for region in sorted(regions, key=lambda region: not behind(region)):
            ignored = behind(region) or not region.label
            yield Patch(IGNORED if ignored else self.index_of[region.label], _pixels(region))


def recognise_label_studio(root: Path, choices: Choices) -> Layout | None:
    """Recognise a JSON export of Label Studio.

    Args:
        root: Folder of the data set.
        choices: What the layout may leave open.

    Raises:
        UserError: It is damaged, or an image or a label is not defined.
    """
    files = [path for path in sorted(root.glob("*.json"))[:FIRST_FILES] if _is_export(path)]
    if not files:
        return None
    config = find_config(root)
    exports = [read_tasks(path, config.image if config else None) for path in files]
    remarks: list[str] = []
    tasks = _labelled(exports, remarks)
    index = ImageIndex(root)
    regions: dict[Path, tuple[Path, Sequence[Region]]] = {}
    pairs: list[tuple[str | None, Path]] = []
    for export in exports:
        for image, task in _images(export.path, tasks[export.path], index).items():
            if image in regions:
                raise UserError(f"{export.path}: the image {image} is in {regions[image][0]}, too: remove one of them")
            regions[image] = (export.path, task.regions)
            pairs.append((split_of(export.path.stem), image))
        named = len(tasks[export.path])
        remarks += missing_remark(export.path, named - sum(path == export.path for path, _ in regions.values()))
    if not regions:
        every = [task for export in exports for task in tasks[export.path]]
        raise none_found(files[0], len(every), every[0].images[0] if every else "", root)
    used = [region for _, painted in regions.values() for region in painted]
    classes, index_of = class_table(_labels(used, config, files[0]), config.path if config else files[0])
    splits, more = by_split(pairs)
    remarks += [*more, *background_remarks(index_of), *_region_remarks(exports, used, choices.boxes)]
    labels = LabelStudioLabels(regions, index_of, choices.boxes)
    return Layout("Label Studio JSON", files[0], classes, splits, labels, remarks)


def _is_export(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(FIRST_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError:
        return False
    other = b'"result"' in head and any(key in head for key in BESIDE_RESULT)
    return head.startswith(b"[") and (other or any(key in head for key in EVIDENCE))


def _labelled(exports: Sequence[Export], remarks: list[str]) -> dict[Path, list[Task]]:
    """Tasks with annotations by file, or those with predictions if there are no annotations at all."""
    tasks = [task for export in exports for task in export.tasks]
    by_model = not any(task.labelled for task in tasks)
    found = {}
    for export in exports:
        if by_model:
            kept = [task for task in export.tasks if task.by_model is not None]
            for task in kept:
                task.regions = task.by_model or ()
        else:
            kept = [task for task in export.tasks if task.labelled]
        found[export.path] = kept
    number = sum(map(len, found.values()))
    if by_model and number:
        remarks.append("No task has an annotation: the predictions of a model are the labels.")
    if number < len(tasks):
        remarks.append(f"Tasks that are not annotated, or cancelled, and are left out: {len(tasks) - number}.")
    several = sum(export.several for export in exports)
    if several:
        remarks.append(
            f"Tasks with several annotations: {several}; the ground truth is read, or else the one changed last."
        )
    return found


def _images(path: Path, tasks: Sequence[Task], index: ImageIndex) -> dict[Path, Task]:
    """The image of each task; tasks whose image is missing are left out."""
    by_name: dict[str, Task] = {}
    for task in tasks:
        name = next((name for name in task.images if index.find(name, path.parent) is not None), None)
        if name is None:
            continue
        if name in by_name:
            raise UserError(
                f"{path}: the tasks {by_name[name].name} and {task.name} are both of the image {name}: remove one"
            )
        by_name[name] = task
    return {image: by_name[name] for name, image in match_images(index, by_name, path.parent, path).items()}


def _labels(regions: Sequence[Region], config: Config | None, path: Path) -> Mapping[str, tuple[int, int, int] | None]:
    used = sorted({region.label for region in regions} - {""})
    if config is None or not config.labels:
        return dict.fromkeys(used)
    unknown = [label for label in used if label not in config.labels]
    if unknown:
        raise UserError(
            f"{path}: the label {unknown[0]!r} is not in {config.path} ({', '.join(config.labels)}): "
            "add it there, or correct it"
        )
    return config.labels


def _region_remarks(exports: Sequence[Export], regions: Sequence[Region], boxes: Boxes) -> list[str]:
    remarks = left_out_remarks(sum((export.left_out for export in exports), Counter()))
    unlabelled = sum(not region.label for region in regions)
    boxed = sum(region.kind == "rectangle" for region in regions)
    if unlabelled:
        remarks.append(f"Regions without a label, or with several, whose pixels are ignored: {unlabelled}.")
    if boxed:
        how = "their pixels are ignored, except those of other regions" if boxes == "ignore" else "they are filled"
        remarks.append(f"Rectangles without an outline: {boxed}; {how}.")
    return remarks


def _pixels(region: Region) -> NDArray[np.bool_]:
    height, width = region.size
    if isinstance(region.data, bytes):
        return brush_pixels(region.data, height, width)
    numbers = [value * (height if k % 2 else width) / 100 for k, value in enumerate(region.data)]
    if region.kind == "polygon":
        return polygon(numbers, region.size)
    x, y, across, down = numbers
    if region.kind == "ellipse":
        return polygon(ellipse_corners(x, y, across, down, region.degrees), region.size)
    # Label Studio rotates a rectangle about its upper left corner
    return polygon(box_corners(x, y, across, down, region.degrees, (x, y)), region.size)
