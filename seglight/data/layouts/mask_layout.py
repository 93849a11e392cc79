"""Layouts whose labels are mask files, described by a class table that `FolderDataModule` reads in place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.data.class_files import CLASS_FILE, class_file
from seglight.data.classes import Classes
from seglight.data.file_patterns import first_band, paired_files
from seglight.data.labels import Codec
from seglight.data.layouts.band_names import BandFiles
from seglight.data.layouts.layout import WITHOUT_SPLIT, InPlace, Layout
from seglight.data.layouts.split_files import Splits
from seglight.data.pairs import FilePairs
from seglight.errors import UserError
from seglight.images.exif import SIDEWAYS
from seglight.images.read_bands import exif_orientation, image_size
from seglight.images.types import LabelMap

FOLDER = "seglight.data.FolderDataModule"


@dataclass(frozen=True)
class MaskReader:
    """Reads the mask file of an image; other processes can receive it.

    Args:
        codec: Codec of the mask files.
        masks: Mask file of each image.
    """

    codec: Codec
    masks: Mapping[Path, Path]

    def __call__(self, image: Path) -> LabelMap:
        """The label map of an image.

        Raises:
            UserError: The mask is damaged, or fits the image only without its EXIF orientation.
        """
        mask = self.codec.read(self.masks[image])
        orientation = exif_orientation(image)
        if orientation in SIDEWAYS and image_size(image) == mask.shape[::-1] != mask.shape:
            raise UserError(
                f"{image}: its EXIF orientation {orientation} turns it, but {self.masks[image]} fits the image "
                "as it is stored: label the turned image, or remove the tag from the image"
            )
        return mask


@dataclass(frozen=True)
class Described:
    """Images and masks of a data set as a class table describes them.

    Args:
        pairs: Pairs by split, `WITHOUT_SPLIT` for a data set without splits.
        places: Keys `images` and `masks` of the class table; empty: no description of names tells the pairs.
    """

    pairs: Mapping[str, FilePairs]
    places: Mapping[str, Any] = field(default_factory=dict)

    @property
    def masks(self) -> dict[Path, Path]:
        """Mask of each image."""
        return {
            image: mask for pairs in self.pairs.values() for image, mask in zip(pairs.images, pairs.masks, strict=True)
        }


@dataclass(frozen=True)
class Unread:
    """Codec of masks whose classes are not known yet."""

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Not possible yet."""
        raise NotImplementedError


def described(
    root: Path, images: Mapping[str | None, str], masks: Mapping[str | None, str], bands: BandFiles | None = None
) -> Described:
    """List the pairs of all splits.

    Args:
        root: Folder of the data set.
        images: Description of the images by split; None as the only split: there is none.
        masks: Description of the masks.
        bands: Files of images that have one file a band; None: each image is a file.

    Raises:
        UserError: A folder is missing or has no images, or an image has several masks.
    """
    files = dict(images)
    if bands is not None:
        files = {split: first_band(text, bands.files, bands.names[0]) for split, text in images.items()}
    pairs = {
        split or WITHOUT_SPLIT: paired_files(root, files[split], masks[split], Unread(), f"{split} " if split else "")
        for split in images
    }
    for found in pairs.values():
        _refuse_twins(found.images, found.masks)
    if None in images:
        return Described(pairs, {"images": images[None], "masks": masks[None]})
    return Described(pairs, {"images": dict(images), "masks": dict(masks)})


def _refuse_twins(images: Sequence[Path], masks: Sequence[Path]) -> None:
    first: dict[Path, Path] = {}
    for image, mask in zip(images, masks, strict=True):
        other = first.setdefault(mask, image)
        if other != image:
            raise UserError(
                f"{image}: {other.name} has the same name without its suffix, and there is one mask for both, {mask}: "
                "rename or remove one of the two"
            )


def mask_layout(
    form: str,
    evidence: Path,
    found: Described,
    table: Mapping[str, Any],
    splits: Splits | None = None,
    remarks: Sequence[str] = (),
    own_file: Path | None = None,
) -> Layout:
    """Layout that is read in place with a class table, if descriptions of names tell its pairs.

    Args:
        form: Name of the form.
        evidence: File or folder that it was recognised by.
        found: Its images and masks.
        table: Content of the class table, without folders unless it is a file of the data set.
        splits: Lists that select the images of the splits, or None.
        remarks: Decisions taken and what was left out.
        own_file: File of the data set that contains the table, or None.

    Raises:
        UserError: The class table is not valid.
    """
    full = dict(table) if own_file else {**found.places, **table}
    parsed = class_file(full, own_file or Path(CLASS_FILE))
    arguments = {"classes": str(own_file)} if own_file and own_file.name != CLASS_FILE else {}
    in_place = InPlace(FOLDER, arguments, None if own_file else full) if own_file or found.places else None
    reader = MaskReader(parsed.codec, found.masks)
    return layout_of(form, evidence, found, parsed.classes, reader, in_place, splits, remarks)


def layout_of(
    form: str,
    evidence: Path,
    found: Described,
    classes: Classes,
    labels: MaskReader,
    in_place: InPlace | None,
    splits: Splits | None,
    remarks: Sequence[str],
) -> Layout:
    """Layout of pairs of files, divided by lists if there are any; all files are checked.

    Raises:
        UserError: An image or a mask is missing.
    """
    if splits is None:
        for pairs in found.pairs.values():
            pairs.checked()
        images = {split: list(pairs.images) for split, pairs in found.pairs.items()}
        return Layout(form, evidence, classes, images, labels, remarks, in_place)
    for name, files in splits.images.items():
        FilePairs(files, [labels.masks[file] for file in files], labels.codec).checked()
        if not files:
            raise UserError(f"{splits.evidence}: it names no image of the {name} split: correct it")
    surplus = [mask for pairs in found.pairs.values() for mask in pairs.surplus]
    unused = [f"Left out: label files without an image ({len(surplus)}, such as {surplus[0]})."] if surplus else []
    remarks = [*remarks, *splits.remarks, *unused]
    return Layout(
        form,
        evidence,
        classes,
        splits.images,
        labels,
        remarks,
        in_place,
        splits.folder,
        lists_needed=splits.foreign,
    )
