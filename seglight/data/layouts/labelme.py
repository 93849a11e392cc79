"""LabelMe (github.com/wkentaro/labelme): a JSON file for each labelled image, beside it or in another folder.

The classes are those of `classes.yaml` or `labels.txt`, else the labels of the shapes. Images without a file are not
labelled and are left out. A file of an old version can contain its image; if it is found nowhere else, the data set has
to be converted.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seglight.data.class_files import CLASS_FILE, read_classes
from seglight.data.classes import Classes, voc_color
from seglight.data.layouts.finding import SAMPLE, counted, split_of, walk_of
from seglight.data.layouts.image_index import ImageIndex
from seglight.data.layouts.labelme_files import LabelMeFiles, is_labelme, labelme_files, read_labelme, with_images
from seglight.data.layouts.labelme_shapes import (
    IGNORE_LABEL,
    REMEDY,
    ShapeCodec,
    embedded_image,
    fault_of,
)
from seglight.data.layouts.layout import Choices, InPlace, Layout
from seglight.data.layouts.painting import is_background
from seglight.data.layouts.split_names import by_split
from seglight.errors import UserError
from seglight.images.types import LabelMap
from seglight.ops.label_types import MOST_CLASSES

BACKGROUND = "background"
LABEL_FILE = "labels.txt"
"""Labels as LabelMe's option --labels reads them, one per line."""

PNG = b"\x89PNG"


@dataclass(frozen=True)
class LabelMeLabels:
    """Label maps of images.

    Args:
        codec: Codec of their files.
        files: LabelMe file of each image.
    """

    codec: ShapeCodec
    files: Mapping[Path, Path]

    def __call__(self, image: Path) -> LabelMap:
        """The label map of an image."""
        return self.codec.read(self.files[image], image)


@dataclass(frozen=True)
class EmbeddedImages:
    """Files of images, some of which are embedded in LabelMe files.

    Args:
        files: LabelMe file of each image that is embedded.
    """

    files: Mapping[Path, Path]

    def __call__(self, image: Path) -> bytes:
        """The file of an image."""
        if image not in self.files:
            return image.read_bytes()
        return embedded_image(read_labelme(self.files[image])) or b""


@dataclass
class Contents:
    """What the files contain, counted.

    Args:
        labels: Number of shapes by label.
        examples: First file by label.
        empty: Number of files without a shape.
        flagged: Number of these that have flags.
        faults: Shapes that can't be painted: what is wrong, and the file.
    """

    labels: Counter[str]
    examples: dict[str, Path]
    empty: int
    flagged: int
    faults: list[tuple[str, Path]]


def recognise_labelme(root: Path, choices: Choices) -> Layout | None:
    """Recognise files of LabelMe."""
    if not any(is_labelme(path) for _, files in walk_of(root, 3, (".json",)) for path in files[:SAMPLE]):
        return None
    files = labelme_files(root)
    index = ImageIndex(root)
    found = with_images(files, index)
    if not found.images and not found.embedded:
        raise UserError(
            f"{files[0]}: the images of LabelMe's {len(files)} files were not found below {root}: "
            "copy them there, beside their files"
        )
    if found.missing:
        raise UserError(
            f"{root}: LabelMe files whose image was not found: {counted(found.missing)}: "
            "add the images, or remove these"
        )
    contents = _contents([*found.images, *found.embedded])
    classes, table = _classes(root, files, contents)
    virtual = {_name(path): path for path in found.embedded}
    file_of = {**{image: path for path, image in found.images.items()}, **virtual}
    placed = ((split_of(path.parent, root) or split_of(image.parent, root), image) for image, path in file_of.items())
    splits, remarks = by_split(placed)
    folders = _folders(splits, file_of, root)
    in_place = None
    if folders is not None and not virtual:
        in_place = InPlace("seglight.data.LabelMeDataModule", {"shapes": folders}, table)
    return Layout(
        form="LabelMe JSON",
        evidence=files[0],
        classes=classes,
        splits=splits,
        labels=LabelMeLabels(ShapeCodec(classes.names), file_of),
        remarks=[*remarks, *_remarks(found, contents, index)],
        in_place=in_place,
        image_bytes=EmbeddedImages(virtual) if virtual else None,
    )


def _name(path: Path) -> Path:
    """Path that an embedded image would have beside its file."""
    data = embedded_image(read_labelme(path)) or b""
    return path.with_suffix(".png" if data.startswith(PNG) else ".jpg")


def _contents(files: Sequence[Path]) -> Contents:
    found = Contents(Counter(), {}, 0, 0, [])
    damaged: list[tuple[Path, UserError]] = []
    for path in files:
        try:
            table = read_labelme(path)
            _count(found, table, path)
        except UserError as error:
            damaged.append((path, error))
        except (AttributeError, KeyError, OSError, OverflowError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__} {error}"
            damaged.append((path, UserError(f"{path}: not a file of LabelMe ({reason}): save it there again")))
    if damaged:
        more = f" (and {len(damaged) - 1} more: {counted([path for path, _ in damaged[1:]])})" if damaged[1:] else ""
        raise UserError(f"{damaged[0][1]}{more}")
    if found.faults:
        what, path = found.faults[0]
        number, files_of = len(found.faults), len({file for _, file in found.faults})
        more = f" ({number} shapes of {files_of} files can't be painted)" if number > 1 else ""
        raise UserError(f"{path}: {what}{more}: {REMEDY}")
    if not found.labels:
        flags = f"; {found.flagged} have flags, which describe a whole image" if found.flagged else ""
        raise UserError(f"{files[0]}: no shape in any of LabelMe's {len(files)} files{flags}: draw the objects")
    return found


def _count(found: Contents, table: Mapping[str, Any], path: Path) -> None:
    for shape in table["shapes"]:
        label = str(shape["label"])
        found.labels[label] += 1
        found.examples.setdefault(label, path)
        fault = fault_of(shape)
        if fault is not None:
            found.faults.append((fault, path))
    found.empty += not table["shapes"]
    found.flagged += not table["shapes"] and any((table.get("flags") or {}).values())


def _classes(root: Path, files: Sequence[Path], contents: Contents) -> tuple[Classes, dict[str, Any] | None]:
    """The classes, and the content of a `classes.yaml` if there is none."""
    if (root / CLASS_FILE).is_file():
        classes = read_classes(root / CLASS_FILE).classes
        _check_labels(classes, contents, root / CLASS_FILE)
        return classes, None
    listed = [folder / LABEL_FILE for folder in dict.fromkeys((root, files[0].parent, files[0].parent.parent))]
    source = next((path for path in listed if path.is_file() and path.is_relative_to(root)), None)
    if source is not None:
        names = [line.strip() for line in source.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    else:
        names = sorted(contents.labels)
    names = [name for name in dict.fromkeys(names) if name != IGNORE_LABEL and not is_background(name)]
    if not 0 < len(names) < MOST_CLASSES:
        raise UserError(
            f"{source or root}: {len(names)} labels beside the background, where 1 to {MOST_CLASSES - 1} are possible: "
            "check the labels of the shapes"
        )
    classes = Classes((BACKGROUND, *names), tuple(voc_color(index) for index in range(1 + len(names))))
    if source is not None:
        _check_labels(classes, contents, source)
    entries = [{"name": name, "color": list(color)} for name, color in zip(classes.names, classes.palette, strict=True)]
    return classes, {"classes": entries}


def _check_labels(classes: Classes, contents: Contents, source: Path) -> None:
    codec = ShapeCodec(classes.names)
    unknown = [label for label in sorted(contents.labels) if codec.index_of(label) is None]
    if unknown:
        shown = [
            f"{label!r} ({contents.labels[label]} shapes, such as in {contents.examples[label]})" for label in unknown
        ]
        raise UserError(f"{source}: labels that it does not name: {counted(shown)}: correct them, or add them to it")


def _folders(
    splits: Mapping[str, Sequence[Path]], file_of: Mapping[Path, Path], root: Path
) -> str | dict[str, str] | None:
    """The folder of the files of each split below root; None: the files of two splits are in one folder."""
    found = {
        split: Path(os.path.commonpath([file_of[image].parent for image in images])) for split, images in splits.items()
    }
    names = {split: folder.relative_to(root).as_posix() for split, folder in found.items()}
    if len(names) == 1 and not set(names) & {"train", "val", "test"}:
        return next(iter(names.values()))
    for split, folder in found.items():
        others = (file_of[image] for other, images in splits.items() if other != split for image in images)
        if any(path.is_relative_to(folder) for path in others):
            return None
    return names


def _remarks(found: LabelMeFiles, contents: Contents, index: ImageIndex) -> list[str]:
    remarks = []
    if found.doubles:
        remarks.append(f"Left out, because another file has the same image: {counted(found.doubles)}.")
    labelled = set(found.images.values())
    without = [image for images in index.by_name.values() for image in images if image not in labelled]
    if without:
        remarks.append(f"Images without a LabelMe file, which are left out: {len(without)}.")
    if found.embedded:
        remarks.append(f"Images that are only embedded in their LabelMe files: {len(found.embedded)}.")
    if contents.empty:
        flags = f", of which {contents.flagged} have flags" if contents.flagged else ""
        remarks.append(f"Files without a shape: {contents.empty}{flags}; all of their pixels are {BACKGROUND}.")
    alike: dict[str, list[str]] = {}
    for label in sorted(contents.labels):
        if not is_background(label):
            alike.setdefault(label.strip().casefold(), []).append(f"{label!r} ({contents.labels[label]})")
    remarks += [
        f"Labels that differ only in their case or in blanks are different classes: {', '.join(labels)} shapes."
        for labels in alike.values()
        if len(labels) > 1
    ]
    return remarks
