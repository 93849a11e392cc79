"""Public data sets in the folders in which they are published: CamVid, Cityscapes, ADE20K, KITTI and Mapillary.

They are read in place by their own data modules, or by a class table with the classes of Cityscapes.
"""

import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from seglight.data.classes import Classes
from seglight.data.datasets import ade20k_classes, camvid_classes, cityscapes_classes
from seglight.data.labels import Codec, read_index
from seglight.data.layouts.class_names import class_names
from seglight.data.layouts.layout import Choices, InPlace, Layout
from seglight.data.layouts.mask_layout import Described, MaskReader, described, layout_of, mask_layout
from seglight.data.layouts.mask_scan import scanned
from seglight.data.layouts.mask_values import class_table
from seglight.data.pairs import files_below
from seglight.errors import UserError

CAMVID_NAME = re.compile(r"(0001TP|0006R0|0016E5|Seq05VD)_f?\d+")
SPLITS = ("train", "val", "test")


def recognise_public(root: Path, choices: Choices) -> Layout | None:
    """Recognise a public data set by the names of its folders and files.

    Raises:
        UserError: A file is missing, or it is a form of a data set that is not read.
    """
    for recogniser in (_camvid, _cityscapes, _kitti, _mapillary, _ade20k, _whole_ade20k):
        layout = recogniser(root)
        if layout is not None:
            return layout
    return None


def _camvid(root: Path) -> Layout | None:
    """CamVid of the SegNet tutorial, whose masks hold indices."""
    masks = sorted((root / "trainannot").glob("*.png"))[:3]
    if not masks or not all(CAMVID_NAME.fullmatch(path.stem) for path in masks) or class_names([root]) is not None:
        return None
    try:
        if any(read_index(path).max() > camvid_classes.VOID for path in masks):
            return None
    except UserError:
        return None  # masks in colour, as other tools write them
    splits = [split for split in SPLITS if (root / split).is_dir()]
    found = described(root, {split: split for split in splits}, {split: f"{split}annot" for split in splits})
    return _of_module("CamVid", root / "trainannot", found, camvid_classes.CLASSES, camvid_classes.CODEC)


def _ade20k(root: Path) -> Layout | None:
    """ADE20K of the scene parsing benchmark."""
    base = root / "ADEChallengeData2016" if (root / "ADEChallengeData2016").is_dir() else root
    evidence = base / "annotations" / "training"
    if next(evidence.glob("ADE_train_*.png"), None) is None:
        return None
    below = "" if base == root else f"{base.name}/"
    folders = {"train": "training", "val": "validation"}
    found = described(
        root,
        {split: f"{below}images/{folder}" for split, folder in folders.items()},
        {split: f"{below}annotations/{folder}" for split, folder in folders.items()},
    )
    return _of_module("ADE20K", evidence, found, ade20k_classes.CLASSES, ade20k_classes.CODEC)


def _of_module(form: str, evidence: Path, found: Described, classes: Classes, codec: Codec) -> Layout:
    in_place = InPlace(f"seglight.data.{form}DataModule")
    return layout_of(form, evidence, found, classes, MaskReader(codec, found.masks), in_place, None, ())


def _whole_ade20k(root: Path) -> None:
    """Refuse all of ADE20K, whose masks number thousands of names in two channels."""
    for path in islice(files_below(root), 200):
        if path.name.endswith("_seg.png") and path.with_name(path.name.replace("_seg.png", ".json")).is_file():
            raise UserError(
                f"{path}: a mask of the whole ADE20K, which numbers thousands of names in two channels: use its 150 "
                "classes, ADEChallengeData2016 from the scene parsing benchmark"
            )


def _cityscapes(root: Path) -> Layout | None:
    """Cityscapes, with label ids or training ids in the masks."""
    for ids in ("labelIds", "labelTrainIds"):
        evidence = next((root / "gtFine" / "train").glob(f"*/*_gtFine_{ids}.png"), None)
        if evidence is None:
            continue
        splits = [name for name in SPLITS[: 2 if ids == "labelIds" else 3] if _has_masks(root, name, ids)]
        found = described(
            root,
            {split: f"leftImg8bit/{split}/**/{{stem}}_leftImg8bit.png" for split in splits},
            {split: f"gtFine/{split}/**/{{stem}}_gtFine_{ids}.png" for split in splits},
        )
        remarks = []
        if ids == "labelIds" and (root / "leftImg8bit" / "test").is_dir():
            remarks = ["Left out: the test images, whose labels are not public."]
        values = cityscapes_classes.TRAIN_IDS if ids == "labelIds" else range(len(cityscapes_classes.CLASSES))
        return mask_layout("Cityscapes", root / "gtFine", found, _city_table(values), None, remarks)
    return None


def _has_masks(root: Path, split: str, ids: str) -> bool:
    return next((root / "gtFine" / split).glob(f"*/*_gtFine_{ids}.png"), None) is not None


def _kitti(root: Path) -> Layout | None:
    """KITTI's semantic segmentation, with the label ids of Cityscapes."""
    training = root / "training"
    if not (training / "image_2").is_dir():
        return None
    if not (training / "semantic").is_dir():
        if (training / "instance").is_dir():
            raise UserError(
                f"{training / 'instance'}: masks of single objects; those of classes are in a folder `semantic` beside "
                "it: add it"
            )
        return None
    found = described(root, {None: "training/image_2"}, {None: "training/semantic"})
    return mask_layout("KITTI", training / "semantic", found, _city_table(cityscapes_classes.TRAIN_IDS))


def _mapillary(root: Path) -> Layout | None:
    """A part of Mapillary Vistas without its configuration, which names the classes."""
    versions = [name for name in ("v2.0", "v1.2") if (root / name / "labels").is_dir()]
    if not versions or not (root / "images").is_dir():
        return None
    evidence = root / versions[0] / "labels"
    found = described(root, {None: "images"}, {None: f"{versions[0]}/labels"})
    table, remarks = class_table(scanned(list(found.masks.values())), None, root)
    return mask_layout("Mapillary Vistas", evidence, found, table, None, remarks)


def _city_table(values: Any) -> Mapping[str, Any]:
    """Class table of the 19 classes of Cityscapes with these values; of label ids 0 to 33 the others are ignored."""
    classes = cityscapes_classes.CLASSES
    entries = [
        {"name": name, "color": list(color), "value": value}
        for name, color, value in zip(classes.names, classes.palette, values, strict=True)
    ]
    known = {*values}
    ignored = [value for value in np.arange(34).tolist() if value not in known]
    return {"classes": entries, "ignore": [*ignored, 255]}
