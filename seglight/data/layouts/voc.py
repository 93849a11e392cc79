"""VOC's layout with any classes, as CVAT ("Segmentation mask 1.1"), LabelMe, datumaro and others write it.

    root/JPEGImages/*  root/SegmentationClass/*.png  root/ImageSets/Segmentation/{train,val,test}.txt or default.txt
    root/labelmap.txt or class_names.txt

Masks are palette PNGs, whose index is the class, or RGB images whose colours are those of `labelmap.txt`.
`SegmentationObject` numbers objects and is not read.
"""

from pathlib import Path

from seglight.data.classes import voc_color
from seglight.data.datasets.voc_classes import CLASSES
from seglight.data.layouts.class_names import ClassNames, class_names
from seglight.data.layouts.layout import Choices, Layout
from seglight.data.layouts.mask_layout import described, mask_layout
from seglight.data.layouts.mask_scan import Values, rgb, scanned
from seglight.data.layouts.mask_values import class_table
from seglight.data.layouts.split_files import split_files
from seglight.errors import UserError

BORDER = (224, 224, 192)
"""Colour of index 255 in VOC's palette: the border of objects."""

IMAGES, MASKS = ("JPEGImages", "Images", "images"), "SegmentationClass"


def recognise_voc(root: Path, choices: Choices) -> Layout | None:
    """Recognise VOC's folders, in the root or one or two folders below it.

    Raises:
        UserError: Several folders below the root have this layout, or the data set is damaged.
    """
    bases = [path for path in (root, *sorted(root.glob("*/")), *sorted(root.glob("*/*/"))) if (path / MASKS).is_dir()]
    if not bases:
        return None
    if len(bases) > 1:
        raise UserError(f"{root}: {bases[0]} and {bases[1]} are both of VOC's layout: give one of the two")
    base = bases[0]
    images = next((name for name in IMAGES if (base / name).is_dir()), None)
    if images is None:
        raise UserError(f"{base}: there is no folder {IMAGES[0]} beside {MASKS}: add the images")
    below = base.relative_to(root).as_posix()
    folder = "" if below == "." else f"{below}/"
    nested = next((path for path in (base / MASKS).iterdir() if path.is_dir()), None) is not None
    deep = "/**" if nested else ""
    found = described(root, {None: f"{folder}{images}{deep}"}, {None: f"{folder}{MASKS}{deep}"})
    splits = split_files(base, found.masks)
    named = None if splits is None else {image for files in splits.images.values() for image in files}
    masks = {image: mask for image, mask in found.masks.items() if named is None or image in named}
    for image, mask in masks.items():
        if not mask.is_file():
            raise UserError(f"{image}: its mask {mask} is missing: add it, or remove the image from the lists")
    names = class_names([base, base / "ImageSets" / "Segmentation", base / MASKS])
    values = scanned(list(masks.values()))
    remarks = [] if names is None else names.remarks
    if names is None and _of_voc(values):
        names = _voc_names(values, base / MASKS)
        remarks = ["No file names the classes: they are those of PASCAL VOC, whose colours the masks have."]
    if names is not None and names.colors and BORDER in map(rgb, values.values if values.colored else ()):
        names = _with_border(names)
    table, about = class_table(values, names, base)
    cvat = names is not None and names.path.name == "labelmap.txt"
    form = "CVAT segmentation mask 1.1" if cvat else "PASCAL VOC layout"
    return mask_layout(form, names.path if names and cvat else base / MASKS, found, table, splits, [*remarks, *about])


def _of_voc(values: Values) -> bool:
    """Whether all colours are those of VOC's own 21 classes."""
    if values.two_colors:
        return False
    colors = {rgb(value) for value in values.values} if values.colored else set(values.palette.values())
    known = {*CLASSES.palette, BORDER}
    if not colors or not colors <= known or colors <= {CLASSES.palette[0]}:
        return False
    return values.colored or all(values.palette.get(value) == voc_color(value) for value in values.values)


def _voc_names(values: Values, path: Path) -> ClassNames:
    colors = dict(enumerate(CLASSES.palette)) if values.colored else {}
    return ClassNames(path, dict(enumerate(CLASSES.names)), colors)


def _with_border(names: ClassNames) -> ClassNames:
    """VOC's border as an ignored class, unless a class has its colour."""
    if BORDER in names.colors.values():
        return names
    value = max(names.names) + 1
    return ClassNames(names.path, {**names.names, value: "void"}, {**names.colors, value: BORDER})
