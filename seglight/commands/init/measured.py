"""Bands of a data set whose images are not 8-bit RGB, measured before a recipe is written."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from seglight.commands.doctor.band_facts import undeclared_facts
from seglight.commands.doctor.band_statistics import band_statistics
from seglight.data.class_files import CLASS_FILE, read_classes
from seglight.data.layouts.layout import Layout
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.images.image_header import UnreadImageError
from seglight.images.read_bands import bare_bands, holding, read_bands
from seglight.system.pool import spread

FOLDER = "seglight.data.FolderDataModule"
"""Data module whose class table declares the bands."""

MOST = 2000
"""Largest number of images that are measured, evenly spread."""


@dataclass(frozen=True)
class Measured:
    """Bands of a data set.

    Args:
        bands: Description of the images.
        remarks: What the user should know about it, one sentence each.
        comment: Comment on the bands, where they are written.
    """

    bands: Bands = RGB
    remarks: Sequence[str] = ()
    comment: str = ""


def measured_bands(layout: Layout, root: Path, images: Sequence[Path]) -> Measured:
    """Measure the bands of the training images, unless they are declared or the first image is 8-bit RGB.

    Args:
        layout: Layout of the data set.
        root: Folder of the data set.
        images: Training images.

    Raises:
        UserError: No description reads the images.
    """
    if layout.image_bytes is not None or not images or _declared(layout, root):
        return Measured()
    try:
        refused, bands = _first_image(layout, images[0])
    except UserError:  # the scan names all damaged files
        return Measured()
    if refused is None and bands is None:
        return Measured()
    chosen = images[:: -(-len(images) // MOST)]
    read = partial(undeclared_facts, bands=bands)
    every = list(spread({"bands": read}, [("bands", str(path)) for path in chosen], "measuring bands"))
    numbers = band_statistics([one for one in every if one is not None])
    if numbers is None:
        raise refused or UserError(f"{images[0]}: no image could be read with its files {layout.bands}")
    bands = numbers.bands
    remark = (
        f"The images have {bands.line()}: their mean and std were measured in {numbers.images} training images and are "
        "written as `bands`."
    )
    unnamed = [name for name in bands.names if re.fullmatch(r"band\d+", name)]
    which = f"{', '.join(unnamed[:4])}{', ...' if len(unnamed) > 4 else ''}"
    names = f"The files state no name of {which}: change {'them' if unnamed[1:] else 'it'} in `bands`."
    comment = f"In the order of the files; mean and std in their units, of {numbers.images} training images."
    return Measured(bands, (remark, names) if unnamed else (remark,), comment)


def _first_image(layout: Layout, path: Path) -> tuple[UnreadImageError | None, Bands | None]:
    """Why an image is not 8-bit RGB, and the description of images that have one file a band, without statistics."""
    if layout.bands is not None:
        bare = bare_bands(holding(path))
        names = layout.bands.names
        zeros, ones = (0.0,) * len(names), (1.0,) * len(names)
        return None, replace(bare, names=names, mean=zeros, std=ones, files=layout.bands.files, pages=False)
    try:
        read_bands(path, RGB)
    except UnreadImageError as error:
        return error, None
    return None, None


def _declared(layout: Layout, root: Path) -> bool:
    """Whether the class table of the folder declares bands."""
    place = layout.in_place
    if place is None or place.class_path != FOLDER:
        return False
    if place.class_table is not None:
        return place.class_table.get("bands") is not None
    return not read_classes(Path(place.init_args.get("classes", root / CLASS_FILE))).bands.is_rgb8
