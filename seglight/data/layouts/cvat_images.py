"""CVAT for images 1.1: shapes of all images in XML (docs.cvat.ai, formats, "CVAT for images").

    root/annotations.xml  root/images/*

The XML may have another name, such as train.xml; several of them may lie in root and in the folders below it. Shapes
are painted by their `z_order`, equal ones in the order of the file, polygons by pycocotools as in CVAT's own exports of
masks.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from seglight.data.layouts.image_index import ImageIndex, match_images, missing_remark, none_found
from seglight.data.layouts.layout import Boxes, Choices, Layout
from seglight.data.layouts.painting import (
    IGNORED,
    NO_AREA,
    Patch,
    Size,
    background_remarks,
    box_corners,
    class_table,
    color_of,
    ellipse_corners,
    left_out_remarks,
    paint,
    polygon,
)
from seglight.data.layouts.safe_xml import read_xml
from seglight.data.layouts.split_names import by_split, split_of
from seglight.errors import UserError, one_line
from seglight.images.types import Color, LabelMap

ROOT_TAG = re.compile(rb"<annotations[\s>]")
"""Beginning of CVAT's files; those of VOC and of LabelMe's web tool begin with <annotation>."""

FIRST_BYTES = 4096
FIRST_FILES = 20
"""What is read of a folder in order to recognise it."""

AREAS = ("box", "ellipse", "mask", "polygon")
NO_AREAS = {"cuboid": "cuboids", "points": "points", "polyline": "polylines", "skeleton": "skeletons", "tag": "tags"}
NO_AREA_LABELS = ("cuboid", "points", "polyline", "skeleton", "tag")
"""Types of labels that no pixels belong to."""


class Shape(NamedTuple):
    """A shape with an area.

    Args:
        kind: Tag of the element.
        label: Name of the class; "": none.
        order: Its `z_order`.
        numbers: Attributes of its geometry.
    """

    kind: str
    label: str
    order: int
    numbers: Mapping[str, str]


class Drawing(NamedTuple):
    """The shapes of an image.

    Args:
        size: Height and width.
        subset: Name of its subset; "": none.
        shapes: Shapes in the order of the file.
    """

    size: Size
    subset: str
    shapes: Sequence[Shape]


@dataclass
class Export:
    """Content of a file.

    Args:
        path: Path of the file.
        labels: Colours of the labels by name.
        drawings: Shapes by name of the image.
        left_out: Number of shapes that are left out, by kind and reason.
    """

    path: Path
    labels: dict[str, Color | None] = field(default_factory=dict)
    drawings: dict[str, Drawing] = field(default_factory=dict)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True)
class CvatLabels:
    """Paints the label maps of images.

    Args:
        drawings: File and shapes of each image.
        index_of: Class index of each label.
        boxes: Treatment of boxes.
    """

    drawings: Mapping[Path, tuple[Path, Drawing]]
    index_of: Mapping[str, int]
    boxes: Boxes

    def __call__(self, image: Path) -> LabelMap:
        """Paint the label map (H, W) of an image.

        Raises:
            UserError: A shape can't be painted.
        """
        path, drawing = self.drawings[image]
        try:
            return paint(drawing.size, self._patches(drawing), 1 + max(self.index_of.values()))
        except (KeyError, MemoryError, OverflowError, TypeError, ValueError) as error:
            raise UserError(
                f"{path}: a shape of {image.name} can't be painted ({type(error).__name__} {one_line(error)}): "
                "correct it, or export it again"
            ) from error

    def _patches(self, drawing: Drawing) -> Iterator[Patch]:
        def order(shape: Shape) -> tuple[bool, int]:
            return (shape.kind != "box" or self.boxes == "fill", shape.order)

        for shape in sorted(drawing.shapes, key=order):
            ignored = not shape.label or (shape.kind == "box" and self.boxes == "ignore")
            value = IGNORED if ignored else self.index_of[shape.label]
            if shape.kind == "mask":
                yield Patch(value, *_mask(shape.numbers))
            else:
                yield Patch(value, polygon(_corners(shape.kind, shape.numbers), drawing.size))


def recognise_cvat_images(root: Path, choices: Choices) -> Layout | None:
    """Recognise an export of CVAT for images.

    Args:
        root: Folder of the data set.
        choices: What the layout may leave open.

    Raises:
        UserError: It is damaged, or an image or a label is not defined.
    """
    files = _files(root)
    if not files:
        return None
    exports = [_read(path) for path in files]
    labels = {name: color for export in exports for name, color in export.labels.items()}
    classes, index_of = class_table(labels or _used(exports), files[0])
    _check_labels(exports, index_of)
    index = ImageIndex(root)
    drawings: dict[Path, tuple[Path, Drawing]] = {}
    pairs: list[tuple[str | None, Path]] = []
    remarks: list[str] = []
    for export in exports:
        found = match_images(index, export.drawings, export.path.parent, export.path)
        remarks += missing_remark(export.path, len(export.drawings) - len(found))
        for name, image in found.items():
            if image in drawings:
                raise UserError(
                    f"{export.path}: the image {image} is in {drawings[image][0]}, too: remove it from one of them"
                )
            drawings[image] = (export.path, export.drawings[name])
            pairs.append((_split(export.drawings[name].subset, export.path, root), image))
    if not drawings:
        first = next((name for export in exports for name in export.drawings), "")
        raise none_found(files[0], sum(len(export.drawings) for export in exports), first, root)
    splits, more = by_split(pairs)
    remarks += [*more, *background_remarks(index_of)]
    remarks += _shape_remarks(exports, [drawing for _, drawing in drawings.values()], choices.boxes)
    return Layout(
        "CVAT for images 1.1", files[0], classes, splits, CvatLabels(drawings, index_of, choices.boxes), remarks
    )


def _files(root: Path) -> list[Path]:
    files = [path for pattern in ("*.xml", "*/*.xml") for path in sorted(root.glob(pattern))[:FIRST_FILES]]
    return [path for path in files if _begins(path)]


def _begins(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return bool(ROOT_TAG.search(file.read(FIRST_BYTES)))
    except OSError:
        return False


def _split(subset: str, path: Path, root: Path) -> str | None:
    """Split of an image by its subset, by the name of the file, or by the folder of the file."""
    folder = path.parent.name if path.parent != root else ""
    return next((split for name in (subset, path.stem, folder) if (split := split_of(name))), None)


def _read(path: Path) -> Export:
    export = Export(path)

    def at_end(element: Element) -> None:
        if element.tag == "label":
            _add_label(export, element)
        elif element.tag == "image":
            _add_image(export, element)
            element.clear()
        elif element.tag == "track":
            raise UserError(
                f"{path}: it has tracks of a video ('CVAT for video 1.1'): export the task as 'CVAT for images 1.1'"
            )

    read_xml(path, at_end)
    return export


def _add_label(export: Export, element: Element) -> None:
    name = (element.findtext("name") or "").strip()
    no_area = element.findtext("parent") is not None or element.findtext("type") in NO_AREA_LABELS
    if name and not no_area:
        export.labels[name] = color_of(element.findtext("color"))


def _add_image(export: Export, element: Element) -> None:
    try:
        name, size = element.attrib["name"], (int(element.attrib["height"]), int(element.attrib["width"]))
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{export.path}: an <image> without a name, width or height ({type(error).__name__} {error}): "
            "export it again"
        ) from error
    subset = element.get("subset", "")
    key = f"{subset}/{name}" if subset else name  # images of two subsets may have one name: images/<subset>/<name>
    if key in export.drawings:
        raise UserError(f"{export.path}: the image {key} is listed twice: remove one of the two entries")
    shapes = []
    for child in element:
        kind = child.tag
        if kind in NO_AREAS:
            export.left_out[NO_AREAS[kind], NO_AREA] += 1
        elif kind not in AREAS:
            raise UserError(
                f"{export.path}: {name} has a shape of the unknown kind <{kind}>: "
                f"{', '.join(AREAS)} are read; remove it, or draw it as a polygon"
            )
        elif kind == "polygon" and child.get("points", "").count(";") < 2:
            export.left_out["polygons of fewer than three points", NO_AREA] += 1
        else:
            shapes.append(_shape(export.path, name, child))
    export.drawings[key] = Drawing(size, subset, shapes)


def _shape(path: Path, image: str, element: Element) -> Shape:
    order = element.get("z_order") or "0"
    try:
        return Shape(element.tag, element.get("label", "").strip(), int(order), dict(element.attrib))
    except ValueError:
        raise UserError(f"{path}: {image} has a {element.tag} of z_order {order!r}: write a whole number") from None


def _used(exports: Sequence[Export]) -> dict[str, Color | None]:
    """Labels of the shapes, for files whose <meta> has none."""
    names = {shape.label for export in exports for image in export.drawings.values() for shape in image.shapes}
    return {name: None for name in sorted(names) if name}


def _check_labels(exports: Sequence[Export], known: Mapping[str, int]) -> None:
    for export in exports:
        for name, drawing in export.drawings.items():
            unknown = [shape for shape in drawing.shapes if shape.label and shape.label not in known]
            if unknown:
                raise UserError(
                    f"{export.path}: the label {unknown[0].label!r} of a {unknown[0].kind} in {name} is not among the "
                    f"labels in <meta> ({', '.join(known)}): add it there, or correct it"
                )


def _shape_remarks(exports: Sequence[Export], drawings: Sequence[Drawing], boxes: Boxes) -> list[str]:
    shapes = [shape for drawing in drawings for shape in drawing.shapes]
    unlabelled = sum(not shape.label for shape in shapes)
    boxed = sum(shape.kind == "box" for shape in shapes)
    bare = sum(not drawing.shapes for drawing in drawings)
    left_out = sum((export.left_out for export in exports), Counter())
    remarks = left_out_remarks(left_out)
    if unlabelled:
        remarks.append(f"Shapes with an empty label, whose pixels are ignored: {unlabelled}.")
    if boxed:
        how = "their pixels are ignored, except those of other shapes" if boxes == "ignore" else "they are filled"
        remarks.append(f"Boxes without an outline: {boxed}; {how}.")
    if bare:
        remarks.append(f"Images without a shape, which are background: {bare}.")
    return remarks


def _mask(numbers: Mapping[str, str]) -> tuple[NDArray[np.bool_], int, int]:
    """Pixels of a mask, and its left and upper edge: runs row by row in its box, those outside the shape first."""
    left, top, width, height = (int(numbers[key]) for key in ("left", "top", "width", "height"))
    runs = np.array(numbers["rle"].split(","), np.int64)
    if runs.min(initial=0) < 0 or runs.sum() != width * height:
        raise ValueError(f"runs of {runs.sum()} pixels in a mask of {width}x{height}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width), left, top


def _corners(kind: str, numbers: Mapping[str, str]) -> list[float]:
    if kind == "polygon":
        return [float(value) for point in numbers["points"].split(";") for value in point.split(",")]
    degrees = float(numbers.get("rotation") or 0)
    if kind == "ellipse":
        x, y, across, down = (float(numbers[key]) for key in ("cx", "cy", "rx", "ry"))
        return ellipse_corners(x, y, across, down, degrees)
    left, top, right, bottom = (float(numbers[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
    return box_corners(left, top, right - left, bottom - top, degrees)
