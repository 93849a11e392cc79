"""LabelMe's web tool (labelme.csail.mit.edu): an XML file for each image, with polygons and masks.

    root/Annotations/<folder>/x.xml  root/Images/<folder>/x.jpg  root/Masks/<folder>/x_mask_1.png

Pixels of polygons are those of pycocotools. The pixels of a mask are those whose alpha is above 0. Larger objects are
painted before smaller ones. Deleted objects, which stay in the files, are left out.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
from PIL import Image, UnidentifiedImageError
from pycocotools import mask as rle

from seglight.data.layouts.finding import SAMPLE, counted, head, split_of, walk_of
from seglight.data.layouts.image_index import ImageIndex
from seglight.data.layouts.layout import Boxes, Choices, Layout
from seglight.data.layouts.outlines import Size, paint
from seglight.data.layouts.painting import FARTHEST, IGNORED, class_table
from seglight.data.layouts.safe_xml import read_xml
from seglight.data.layouts.split_names import by_split
from seglight.errors import UserError
from seglight.images.read_bands import image_size
from seglight.images.types import LabelMap

BEGINNING = re.compile(r"(<\?xml[^>]*>\s*)?<annotation\b")
OBJECT = re.compile(r"<deleted>|<polygon>\s*(<username>[^<]*</username>\s*)?<pt>")

Outline = list[list[float]] | Path
"""A polygon in COCO's form, or the file of a mask."""


@dataclass(frozen=True)
class WebObject:
    """An object of a file.

    Args:
        label: Its name.
        outline: Its polygon or mask.
        is_box: Whether it is a box.
    """

    label: str
    outline: Outline
    is_box: bool


@dataclass(frozen=True)
class WebLabels:
    """Label maps of images.

    Args:
        objects: Objects of each image.
        index_of: Class index of each label.
        boxes: Treatment of boxes.
    """

    objects: Mapping[Path, Sequence[WebObject]]
    index_of: Mapping[str, int]
    boxes: Boxes

    def __call__(self, image: Path) -> LabelMap:
        """The label map of an image."""
        size = image_size(image)
        outlines: list[tuple[int, Any]] = []
        for one in self.objects[image]:
            ignored = one.is_box and self.boxes == "ignore"
            outline = mask_runs(one.outline, size) if isinstance(one.outline, Path) else one.outline
            outlines.append((IGNORED if ignored else self.index_of[one.label], outline))
        return paint(outlines, size, 1 + max(self.index_of.values()))


@dataclass
class Contents:
    """What the files contain.

    Args:
        objects: Objects of each image.
        files: File of each image.
        deleted: Number of deleted objects.
        missing: Files whose image was not found.
        faults: Objects that can't be painted: what is wrong, and the file.
    """

    objects: dict[Path, list[WebObject]] = field(default_factory=dict)
    files: dict[Path, Path] = field(default_factory=dict)
    deleted: int = 0
    missing: list[Path] = field(default_factory=list)
    faults: list[tuple[str, Path]] = field(default_factory=list)


def mask_runs(path: Path, size: Size) -> Any:
    """COCO's runs of the mask in a file.

    Raises:
        UserError: It is damaged, or of another size than its image.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGBA"))[..., 3] > 0
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise UserError(f"{path}: the mask can't be read ({error}): export it again") from error
    if pixels.shape != size:
        shown = "x".join(map(str, pixels.shape[::-1]))
        raise UserError(f"{path}: the mask has {shown} pixels, and its image {size[1]}x{size[0]}: export it again")
    return rle.encode(np.asfortranarray(pixels.astype(np.uint8)))


def recognise_labelme_xml(root: Path, choices: Choices) -> Layout | None:
    """Recognise files of LabelMe's web tool."""
    found = walk_of(root, 4, (".xml",))
    files = [path for _, paths in found if any(map(_is_one, paths[:SAMPLE])) for path in paths if _is_one(path)]
    if not files:
        return None
    index = ImageIndex(root)
    contents = Contents()
    for path in files:
        _read(contents, path, index)
    if contents.faults:
        what, path = contents.faults[0]
        more = f" ({len(contents.faults)} objects can't be painted)" if len(contents.faults) > 1 else ""
        raise UserError(f"{path}: {what}{more}: correct or remove the object")
    if contents.missing:
        raise UserError(
            f"{root}: LabelMe files whose image was not found: {counted(contents.missing)}: "
            "add the images, or remove these"
        )
    labels = Counter(one.label for objects in contents.objects.values() for one in objects)
    classes, index_of = class_table(dict.fromkeys(sorted(labels)), files[0])
    splits, remarks = by_split((split_of(image.parent, root), image) for image in contents.objects)
    boxes = sum(one.is_box for objects in contents.objects.values() for one in objects)
    if contents.deleted:
        remarks.append(f"Deleted objects, which are left out: {contents.deleted}.")
    if boxes:
        done = "the pixels of the boxes are ignored" if choices.boxes == "ignore" else "the box is their area"
        remarks.append(f"Objects that have a box and no outline: {boxes}; {done}.")
    return Layout(
        form="LabelMe XML",
        evidence=files[0],
        classes=classes,
        splits=splits,
        labels=WebLabels(contents.objects, index_of, choices.boxes),
        remarks=remarks,
    )


def _is_one(path: Path) -> bool:
    text = head(path)
    return BEGINNING.match(text) is not None and OBJECT.search(text) is not None


def _text(element: Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def _read(contents: Contents, path: Path, index: ImageIndex) -> None:
    tree = read_xml(path)
    image = index.find(f"Images/{_text(tree, 'folder')}/{_text(tree, 'filename')}", path.parent)
    if image is None:
        contents.missing.append(path)
        return
    if image in contents.files:
        raise UserError(f"{path}: its image {image} has {contents.files[image]}, too: remove one of them")
    contents.files[image] = path
    objects = contents.objects.setdefault(image, [])
    for element in tree.findall("object"):
        label = _text(element, "name")
        if _text(element, "deleted") == "1":
            contents.deleted += 1
            continue
        outline = _outline(element, path, index)
        if not label:
            contents.faults.append(("an object has no name", path))
        elif isinstance(outline, str):
            contents.faults.append((f"the object {label!r} {outline}", path))
        else:
            is_box = _text(element, "type") == "bounding_box" and not isinstance(outline, Path)
            objects.append(WebObject(label, outline, is_box))


def _outline(element: Element, path: Path, index: ImageIndex) -> Outline | str:
    """Outline of an object; a text: what is wrong with it."""
    mask = element.find("segm/mask")
    if mask is not None:
        name = (mask.text or "").strip()
        near = Path(*("Masks" if part == "Annotations" else part for part in path.parent.parts))
        beside = near / name
        found = beside if beside.is_file() else index.find(f"Masks/{path.parent.name}/{name}", path.parent)
        return found if found is not None else f"has a mask {name} that was not found"
    try:
        points = [(float(_text(pt, "x")), float(_text(pt, "y"))) for pt in element.iterfind("polygon/pt")]
    except ValueError:
        return "has a corner without coordinates"
    if not all(-FARTHEST <= value <= FARTHEST for point in points for value in point):
        return "has a corner far outside the image"
    if len(points) < 3:
        return f"has a polygon of {len(points)} corners"
    return [[value for point in points for value in point]]
