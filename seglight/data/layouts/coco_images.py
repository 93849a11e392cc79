"""The folder of the images that a file in COCO's format lists: masks often have the same names as their images."""

import filecmp
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seglight.data.layouts.coco_file import image_path
from seglight.data.layouts.finding import SAMPLE, folders_below, split_of
from seglight.errors import UserError
from seglight.images.image_header import image_header

OF_MASKS = re.compile(
    r"(?<![a-z])(gt|gts|seg|segs|lab|lbl|ann|anno|sem)(?![a-z])"
    r"|mask|label|annot|segm|semantic|ground.?truth|target|trimap|matte|panoptic|depth|overlay|visual|preview"
)
"""Names of folders of masks, or of other files that have the names of images."""


@dataclass(frozen=True)
class Candidate:
    """A folder in which images of the listed names are.

    Args:
        folder: The folder.
        images: Those of the first names that are in it.
        other_size: Whether the first image has another size than is listed.
        of_masks: Whether the name of the folder is that of masks.
        one_channel: Whether the first image has one channel, as index masks.
        place: 0 for a folder that is named by the split, 1 for one near the file, 2 for the others.
    """

    folder: Path
    images: tuple[Path, ...]
    other_size: bool
    of_masks: bool
    one_channel: bool
    place: int

    def alike(self, other: "Candidate") -> bool:
        """Whether both are folders of the same images."""
        return len(self.images) == len(other.images) and all(
            one.resolve() == two.resolve() or filecmp.cmp(one, two, shallow=False)
            for one, two in zip(self.images[:3], other.images[:3], strict=True)
        )


def image_folder(table: Any, path: Path, root: Path, split: str) -> Path:
    """The folder of the images: if several have images of their names, the one for which more speaks.

    Args:
        table: Content of the file.
        path: Path of the file.
        root: Folder of the data set.
        split: Split of the file.

    Raises:
        UserError: No folder has the images, or several may have them.
    """
    names = [str(image["file_name"]) for image in table["images"]]
    found = _candidates(table["images"], path, root, split)
    if not found:
        raise UserError(
            f"{path}: none of its {len(names)} images, such as {names[0]}, was found in {root}: "
            "export the images, too, and put them beside this file or into a folder `images`"
        )
    doubts = [(one.other_size, one.of_masks) for one in found]
    found = [one for one, doubt in zip(found, doubts, strict=True) if doubt == min(doubts)]
    by_content = min(found, key=lambda one: (one.one_channel, one.place))
    by_place = min(found, key=lambda one: (one.place, one.one_channel))
    rank = (by_content.one_channel, by_content.place)
    equal = [one for one in (by_place, *found) if one is by_place or (one.one_channel, one.place) == rank]
    other = next((one for one in equal if one is not by_content and not one.alike(by_content)), None)
    if other is not None:
        raise UserError(
            f"{path}: its images may be those in {by_content.folder} or in {other.folder}, which have the same names: "
            "move the others out of this folder, or put the images into a folder `images`"
        )
    return by_content.folder


def _candidates(entries: Sequence[Any], path: Path, root: Path, split: str) -> list[Candidate]:
    sample = entries[:: max(1, len(entries) // SAMPLE)][:SAMPLE]
    folders = folders_below(root, 3)
    named = [folder for folder in folders if split_of(folder, root) == split]
    near = [path.parent, path.parent / "images", root, root / "images"]
    places: dict[Path, int] = {}
    for place, group in enumerate((named, near, folders)):
        for folder in group:
            places.setdefault(folder, place)
    images = {
        folder: tuple(image for entry in sample if (image := image_path(folder, str(entry["file_name"]))).is_file())
        for folder in places
    }
    most = max(map(len, images.values()))
    return [
        _candidate(folder, images[folder], sample, places[folder], root)
        for folder in places
        if images[folder] and 2 * len(images[folder]) >= most
    ]


def _candidate(folder: Path, images: tuple[Path, ...], sample: Sequence[Any], place: int, root: Path) -> Candidate:
    first = images[0]
    listed: Any = next((entry for entry in sample if image_path(folder, str(entry["file_name"])) == first), {})
    parts = first.parent.relative_to(root).parts if first.is_relative_to(root) else ()
    of_masks = any(OF_MASKS.search(part.lower()) for part in parts)
    try:
        header = image_header(first)
        size, channels = sorted(header.size), header.channels
    except UserError:  # reading the image says why
        size, channels = [], 3
    other_size = bool(size) and sorted(map(str, size)) != sorted(str(listed.get(key)) for key in ("height", "width"))
    return Candidate(folder, images, other_size, of_masks, channels == 1, place)
