"""Label Studio's export of brushes as PNGs, one for each label of a task, with 255 where the label is.

    root/*/task-1-annotation-2-by-3-tag-car-0.png  root/*/1.jpg

The names state the number of a task and not its image. So the images are `1.jpg`, `task-1.jpg`, or the only one that
there is; if the JSON export lies beside them, it is read instead.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seglight.data.labels import read_index
from seglight.data.layouts.label_studio_config import Config, find_config
from seglight.data.layouts.layout import WITHOUT_SPLIT, Choices, Layout
from seglight.data.layouts.painting import Patch, background_remarks, class_table, paint
from seglight.data.pairs import images_below
from seglight.errors import UserError
from seglight.images.read_bands import image_size
from seglight.images.types import LabelMap

NAME = re.compile(r"task-(\d+)-annotation-(\d+)-by-([^-]*)-(.+)-(\d+)\.png")
"""Name of a file: task, annotation, user, control and label, number."""

PATTERNS = ("task-*-annotation-*-by-*.png", "*/task-*-annotation-*-by-*.png")


@dataclass(frozen=True)
class BrushLabels:
    """Paints the label maps of images.

    Args:
        masks: Files and class indices of each image, in the order in which they are painted.
        num_classes: Number of classes.
    """

    masks: Mapping[Path, Sequence[tuple[Path, int]]]
    num_classes: int

    def __call__(self, image: Path) -> LabelMap:
        """Paint the label map (H, W) of an image.

        Raises:
            UserError: A mask is damaged or has another size than the image.
        """
        size = image_size(image)
        patches = []
        for path, value in self.masks[image]:
            pixels = read_index(path) > 0
            if pixels.shape != size:
                raise UserError(
                    f"{path}: a mask of {pixels.shape[1]}x{pixels.shape[0]} pixels for {image} of {size[1]}x{size[0]}: "
                    "put the image there that was labelled"
                )
            patches.append(Patch(value, pixels))
        return paint(size, patches, self.num_classes)


def recognise_label_studio_masks(root: Path, choices: Choices) -> Layout | None:
    """Recognise an export of brushes as PNGs.

    Args:
        root: Folder of the data set.
        choices: Not used.

    Raises:
        UserError: It is not clear which image a task is of.
    """
    files = sorted(path for pattern in PATTERNS for path in root.glob(pattern))
    named = [(path, found) for path in files if (found := NAME.fullmatch(path.name))]
    if not named:
        return None
    first_of: dict[str, Path] = {}
    for path, _ in named:
        if first_of.setdefault(path.name, path) != path:
            raise UserError(
                f"{path}: a mask of the same name is in {first_of[path.name].parent}: remove one of the two"
            )
    config = find_config(root)
    tasks = sorted({found[1] for _, found in named}, key=int)
    latest = {task: max((found[2] for _, found in named if found[1] == task), key=int) for task in tasks}
    kept = [(path, found) for path, found in named if found[2] == latest[found[1]]]
    labels = sorted({_label(found[4], config) for _, found in kept})
    classes, index_of = class_table(config.labels if config else dict.fromkeys(labels), files[0])
    missing = [label for label in labels if label not in index_of]
    if missing and config:
        raise UserError(f"{config.path}: it does not have the label {missing[0]!r} of the masks: add it there")
    image_of = _images(root, tasks, {path for path, _ in named}, files[0])
    order = sorted(kept, key=lambda item: (index_of[_label(item[1][4], config)], int(item[1][5])))
    masks: dict[Path, list[tuple[Path, int]]] = {image: [] for image in image_of.values()}
    for path, found in order:
        masks[image_of[found[1]]].append((path, index_of[_label(found[4], config)]))
    remarks = ["Of masks that overlap, the later label covers the earlier one: the files do not state an order."]
    remarks += background_remarks(index_of)
    if len(kept) < len(named):
        remarks.append(f"Masks of earlier annotations of a task, which are left out: {len(named) - len(kept)}.")
    splits = {WITHOUT_SPLIT: list(masks)}
    return Layout("Label Studio brush masks", files[0], classes, splits, BrushLabels(masks, len(classes)), remarks)


def _label(text: str, config: Config | None) -> str:
    """The label in the name of a file, after the name of the control, which has no hyphen unless it is known."""
    for name in config.names if config else ():
        if text.startswith(f"{name}-"):
            return text[len(name) + 1 :]
    return text.partition("-")[2] or text


def _images(root: Path, tasks: Sequence[str], masks: set[Path], evidence: Path) -> dict[str, Path]:
    images = [image for image in images_below(root) if image not in masks]
    if len(images) == len(tasks) == 1:
        return {tasks[0]: images[0]}
    by_stem: dict[str, Path] = {}
    wanted = set(tasks)
    for image in images:
        stem = image.stem.removeprefix("task-")
        if stem in wanted and by_stem.setdefault(stem, image) != image:
            raise UserError(
                f"{evidence}: the image of task {stem} can be {by_stem[stem]} or {image}: keep one of the two, or put "
                "the project's export as 'JSON' beside the masks"
            )
    unknown = [task for task in tasks if task not in by_stem]
    if unknown:
        raise UserError(
            f"{evidence}: masks state the number of a task, {unknown[0]}, and not its image: put the project's export "
            f"as 'JSON' beside them, or name the images by their tasks, {unknown[0]}.jpg"
        )
    return {task: by_stem[task] for task in tasks}
