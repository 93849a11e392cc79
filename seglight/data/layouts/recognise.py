"""Recognises the layout of a folder. The order matters: specific evidence first, plain folders of masks last."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from seglight.data.layouts.coco import recognise_coco
from seglight.data.layouts.cvat_images import recognise_cvat_images
from seglight.data.layouts.huggingface import recognise_huggingface
from seglight.data.layouts.kaggle import recognise_kaggle
from seglight.data.layouts.label_studio import recognise_label_studio
from seglight.data.layouts.label_studio_masks import recognise_label_studio_masks
from seglight.data.layouts.labelme import recognise_labelme
from seglight.data.layouts.labelme_xml import recognise_labelme_xml
from seglight.data.layouts.layout import Choices, Layout, Recogniser
from seglight.data.layouts.mask_pairs import recognise_pairs
from seglight.data.layouts.masks import recognise_masks, recognise_own_folder
from seglight.data.layouts.public_sets import recognise_public
from seglight.data.layouts.segment_anything import recognise_segment_anything
from seglight.data.layouts.supervisely import recognise_supervisely
from seglight.data.layouts.voc import recognise_voc
from seglight.data.layouts.yolo import recognise_yolo
from seglight.errors import UserError

RECOGNISERS: tuple[Recogniser, ...] = (
    # files that name the classes, and folders that only one data set has
    recognise_own_folder,
    recognise_public,
    # files that only one tool writes
    recognise_cvat_images,
    recognise_label_studio,
    recognise_label_studio_masks,
    recognise_supervisely,
    recognise_segment_anything,
    recognise_coco,
    recognise_labelme,
    recognise_labelme_xml,
    recognise_yolo,
    recognise_kaggle,
    recognise_huggingface,
    # folders of masks
    recognise_voc,
    recognise_pairs,
    recognise_masks,
)
"""In the order in which they are asked."""

KNOWN = (
    "images with masks as PNG, TIFF, BMP, GIF or NPY, PASCAL VOC, COCO JSON, LabelMe, YOLO outlines, CVAT, "
    "Label Studio, Supervisely, Segment Anything, run lengths as CSV, or parquet of Hugging Face"
)
"""The layouts that are recognised, for a message."""


OF_TOOLS = RECOGNISERS[RECOGNISERS.index(recognise_cvat_images) : RECOGNISERS.index(recognise_voc)]
"""Those of the files of labelling tools, of which a folder may have those of two."""


def recognise(root: Path, choices: Choices) -> Layout:
    """Find out the layout of a data set.

    Args:
        root: Folder of the data set.
        choices: What the layout may leave open.

    Raises:
        UserError: There is no such folder, its layout is not known, or it is damaged.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder: give the folder of a labelled data set")
    for number, recogniser in enumerate(RECOGNISERS):
        layout = recogniser(root, choices)
        if layout is not None:
            others = RECOGNISERS[number + 1 :] if recogniser in OF_TOOLS else ()
            return _beside_others(layout, [other for other in others if other in OF_TOOLS], root, choices)
    raise UserError(
        f"{root}: no labelled data set of a known layout was found in this folder: give one of {KNOWN} (see the page "
        "'Use your own data' of the manual)"
    )


def _beside_others(layout: Layout, others: Sequence[Recogniser], root: Path, choices: Choices) -> Layout:
    """The layout, with remarks on the files of other tools, which are not read.

    Raises:
        UserError: Another tool has labelled more of the images.
    """
    remarks = list(layout.remarks)
    images = _images(layout)
    for recogniser in others:
        try:
            other = recogniser(root, choices)
        except UserError as error:
            remarks.append(f"Files of another tool are not read: {error}.")
            continue
        if other is None:
            continue
        more = len(_images(other))
        if more > len(images):
            raise UserError(
                f"{root}: files of two tools: {layout.form} ({layout.evidence.name}) with {len(images)} images, and "
                f"{other.form} ({other.evidence.name}) with {more}: keep those of one tool in this folder"
            )
        only = len(_images(other) - images)
        left_out = f", {only} of which are labelled only there and are left out" if only else ""
        remarks.append(f"Not read: {other.form} ({other.evidence.name}) with {more} images{left_out}.")
    return replace(layout, remarks=remarks)


def _images(layout: Layout) -> set[Path]:
    return {image for images in layout.splits.values() for image in images}
