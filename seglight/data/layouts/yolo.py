"""YOLO's outlines: a text file for each image, and `data.yaml`, or the `classes.txt` of Label Studio.

A line is the number of a class, from 0, and the corners of a polygon as fractions of the image's width and height; a
line of five numbers is a box by its centre and size. An image without a file, or with an empty one, is background.
Larger objects are painted before smaller ones; class 0 is the background, and YOLO's classes follow.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from seglight.data.layouts.finding import counted, folders_below, split_of, walk_of
from seglight.data.layouts.image_index import ImageIndex
from seglight.data.layouts.layout import WITHOUT_SPLIT, Boxes, Choices, Layout
from seglight.data.layouts.outlines import box_outline, paint
from seglight.data.layouts.painting import IGNORED, background_remarks, class_table
from seglight.data.layouts.split_names import by_split
from seglight.data.layouts.yolo_files import check_splits, label_files, unmatched
from seglight.data.pairs import images_below
from seglight.errors import UserError
from seglight.images.read_bands import image_size
from seglight.images.types import LabelMap
from seglight.system.nested import parse_yaml

CONFIG_NAMES = ("data.yaml", "data.yml", "dataset.yaml")
CLASS_LIST = "classes.txt"
TOLERANCE = 0.01
"""Distance by which a corner may lie outside the image, as a fraction of its size."""

DIGITS = 3
"""Decimals of corners in pixels: those of exports in COCO's format, whose pixels YOLO's fractions so have, too."""

MOST_BYTES = 10**6
"""Size of a data.yaml beyond which a file is something else."""


@dataclass(frozen=True)
class YoloObject:
    """A line of a label file.

    Args:
        number: Number of the class, from 0.
        corners: x, y, x, y, ... as fractions of width and height.
        is_box: Whether the line is a box.
    """

    number: int
    corners: Sequence[float]
    is_box: bool


class LineError(ValueError):
    """A line that is no object; the message says why, in the same words for each line of the same fault."""


@dataclass(frozen=True)
class YoloLabels:
    """Label maps of images.

    Args:
        files: Label file of each image; None: it has none.
        index_of: Class index of each number.
        boxes: Treatment of boxes.
    """

    files: Mapping[Path, Path | None]
    index_of: Mapping[int, int]
    boxes: Boxes

    def __call__(self, image: Path) -> LabelMap:
        """The label map of an image."""
        height, width = image_size(image)
        path = self.files[image]
        outlines = []
        for _, line in lines_of(path) if path is not None else ():
            one = parse_line(line, self.index_of)
            ignored = one.is_box and self.boxes == "ignore"
            # the text has few digits, and pycocotools is sensitive to the last ones
            corners = [round(value * (height if k % 2 else width), DIGITS) for k, value in enumerate(one.corners)]
            outlines.append((IGNORED if ignored else self.index_of[one.number], [corners]))
        return paint(outlines, (height, width), 1 + max(self.index_of.values()))


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers and text of the lines that are not blank."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    return ((number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip())


def parse_line(line: str, known: Mapping[int, int]) -> YoloObject:
    """Read a line.

    Args:
        line: Text of the line.
        known: Class index of each number that is a class.

    Raises:
        LineError: It is no object.
    """
    try:
        values = [float(word) for word in line.split()]
        number = int(values[0])
    except (OverflowError, ValueError):
        raise LineError("is no list of numbers") from None
    if number != values[0] or number not in known:
        raise LineError(f"has a class that is not among the {len(known)} names")
    corners = values[1:]
    is_box = len(corners) == 4
    if is_box:
        x, y, width, height = corners
        corners = box_outline(x - width / 2, y - height / 2, width, height)[0]
    elif len(corners) < 6 or len(corners) % 2:
        raise LineError("has neither the four numbers of a box nor at least three corners of two numbers")
    if not all(-TOLERANCE <= value <= 1 + TOLERANCE for value in corners):
        raise LineError("has corners outside the image, whose coordinates are fractions from 0 to 1")
    return YoloObject(number, corners, is_box)


def recognise_yolo(root: Path, choices: Choices) -> Layout | None:
    """Recognise YOLO's files of outlines."""
    config = _config(root)
    if config is not None:
        evidence, table = config
        names = _names(table, evidence)
        splits, remarks = _splits(table, evidence, root)
    elif _is_of_label_studio(root):
        evidence = root / CLASS_LIST
        lines = evidence.read_text(encoding="utf-8-sig").splitlines()
        names = dict(enumerate(line.strip() for line in lines if line.strip()))
        splits, remarks = by_split((split_of(path.parent, root), path) for path in images_below(root / "images"))
    else:
        return None
    _check_names(names, evidence)
    classes, index_of_name = class_table(dict.fromkeys(names.values()), evidence)
    index_of = {number: index_of_name[name] for number, name in names.items()}
    files = label_files(image for images in splits.values() for image in images)
    if not any(files.values()) and any(path.name.lower().startswith("mask") for path in folders_below(root, 2)):
        return None  # folders of masks with a data.yaml
    remarks += _check_files(files, evidence, root)
    check_splits(splits, files, evidence)
    objects, boxes = _checked_lines([path for path in files.values() if path is not None], index_of)
    if not objects or (objects == boxes and choices.boxes == "ignore"):
        what = f"all of its {objects} objects are boxes" if objects else "no object in its label files"
        raise UserError(f"{evidence}: {what}: export outlines (YOLO segmentation), or fill the boxes (--boxes fill)")
    return Layout(
        form="YOLO outlines",
        evidence=evidence,
        classes=classes,
        splits=splits,
        labels=YoloLabels(files, index_of, choices.boxes),
        remarks=[*remarks, *background_remarks(index_of_name), *_remarks(files, boxes, choices.boxes)],
    )


def _is_of_label_studio(root: Path) -> bool:
    if not ((root / CLASS_LIST).is_file() and (root / "labels").is_dir() and (root / "images").is_dir()):
        return False
    return any(True for _ in walk_of(root / "labels", 2, (".txt",)))


def _config(root: Path) -> tuple[Path, dict[str, Any]] | None:
    """The file that names classes and splits, and its content."""
    files = [path for _, found in walk_of(root, 1, (".yaml", ".yml")) for path in found]
    for path in sorted(files, key=lambda path: path.name.lower() not in CONFIG_NAMES):
        if path.stat().st_size > MOST_BYTES:
            continue
        try:
            table = parse_yaml(path.read_text(encoding="utf-8-sig"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            if path.name.lower() in CONFIG_NAMES:
                raise UserError(f"{path}: not YAML ({' '.join(str(error).split())}): export it again") from error
            continue
        if isinstance(table, dict) and "names" in table and {"train", "val", "test"} & table.keys():
            return path, table
    return None


def _names(table: Mapping[str, Any], path: Path) -> dict[int, str]:
    names = table["names"]
    try:
        found = {int(k): str(v) for k, v in (names.items() if isinstance(names, dict) else enumerate(names))}
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: `names` is no list of names and no names by number: correct it") from error
    if "kpt_shape" in table:
        raise UserError(f"{path}: `kpt_shape`: its objects are key points, not outlines: export YOLO segmentation")
    number = table.get("nc", len(found))
    if number != len(found):
        raise UserError(f"{path}: `nc` is {number}, and `names` has {len(found)} names: correct one of them")
    return found


def _check_names(names: Mapping[int, str], path: Path) -> None:
    twice = sorted({name for name in names.values() if list(names.values()).count(name) > 1})
    if twice:
        raise UserError(f"{path}: a name of two classes: {counted(twice)}: rename one")


def _splits(table: Mapping[str, Any], path: Path, root: Path) -> tuple[dict[str, list[Path]], list[str]]:
    splits: dict[str, list[Path]] = {}
    missing: list[str] = []
    absent = 0
    for split in ("train", "val", "test"):
        values = table.get(split) or []
        for value in values if isinstance(values, list) else [values]:
            images, lost = _images(str(value), str(table.get("path") or "."), path, root)
            absent += lost
            if images:
                splits.setdefault(split, []).extend(images)
            else:
                missing.append(f"{split}: {value}")
    if not splits:
        raise UserError(
            f"{path}: no image was found for {counted(missing) or 'any split'}: put the images where it says"
        )
    remarks = [f"Not found, and left out: {counted(missing)}, in {path.name}."] if missing else []
    if absent:
        remarks.append(f"Images of the lists in {path.name} that were not found and are left out: {absent}.")
    again = sum(len(images) - len(set(images)) for images in splits.values())
    if again:
        remarks.append(f"Images that are listed again in their split, and are read once: {again}.")
        splits = {split: list(dict.fromkeys(images)) for split, images in splits.items()}
    if "val" in splits and splits.get("train") == splits["val"]:
        remarks.append(f"The images of `train` and `val` in {path.name} are the same, which is no split.")
        return {WITHOUT_SPLIT: splits["train"]}, remarks
    return splits, remarks


def _images(value: str, base: str, path: Path, root: Path) -> tuple[list[Path], int]:
    """Images of a split, those of a folder or of a list, and the number of those that are missing.

    A path that leads outside is one below the data set.
    """
    parts = [part for part in value.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    inside = "/".join(parts)
    bases = (path.parent / base, path.parent, root)
    places = [*(folder / inside for folder in bases), *(folder / value for folder in bases)]
    places += [root / "/".join(parts[k:]) for k in range(1, len(parts) - 1)]
    for place in places:
        if place.is_file() and place.suffix == ".txt":
            index = ImageIndex(root)
            found = [index.find(line, place.parent) for _, line in lines_of(place)]
            return [image for image in found if image is not None], found.count(None)
        if place.is_dir() and (images := images_below(place)):
            return images, 0
    return [], 0


def _check_files(files: Mapping[Path, Path | None], evidence: Path, root: Path) -> list[str]:
    if not any(files.values()):
        raise UserError(
            f"{evidence}: no label file for any of its {len(files)} images, such as {next(iter(files))}: "
            "put `labels` beside `images`"
        )
    orphans = [path for path in unmatched(files) if path.name != CLASS_LIST and path != evidence]
    beyond = set(label_files(images_below(root)).values()) & set(orphans) if orphans else set()
    if len(beyond) < len(orphans):
        orphans = [path for path in orphans if path not in beyond]
        raise UserError(
            f"{evidence}: label files without an image: {counted(orphans)}: add the images, or remove these"
        )
    return (
        [f"Labelled images that are in no split of {evidence.name} and are left out: {len(beyond)}."] if beyond else []
    )


def _checked_lines(files: Sequence[Path], index_of: Mapping[int, int]) -> tuple[int, int]:
    """Numbers of objects and of boxes."""
    objects = boxes = 0
    faults: dict[str, list[str]] = {}
    for path in files:
        for number, line in lines_of(path):
            try:
                one = parse_line(line, index_of)
            except LineError as error:
                faults.setdefault(str(error), []).append(f"{path}, line {number}")
                continue
            objects += 1
            boxes += one.is_box
    if faults:
        fault, places = next(iter(faults.items()))
        more = f" ({len(places)} lines are like this)" if len(places) > 1 else ""
        raise UserError(f"{places[0]}: it {fault}{more}: correct the file, or export it again")
    return objects, boxes


def _remarks(files: Mapping[Path, Path | None], boxes: int, choice: Boxes) -> list[str]:
    remarks = []
    without = sum(path is None for path in files.values())
    if without:
        remarks.append(f"Images without a label file: {without}; all of their pixels are background.")
    if boxes:
        done = "the pixels of the boxes are ignored" if choice == "ignore" else "the box is their area"
        remarks.append(f"Objects that have a box and no outline: {boxes}; {done}.")
    return remarks
