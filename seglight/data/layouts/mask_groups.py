"""Files of folders of images and masks, and which of them descriptions of names fit."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seglight.data.file_patterns import MASK_SUFFIXES, Pattern
from seglight.data.layouts.mask_names import DUBIOUS
from seglight.data.pairs import BAND_SUFFIXES, IMAGE_SUFFIXES
from seglight.errors import UserError

SUFFIXES = (*BAND_SUFFIXES, *MASK_SUFFIXES)


@dataclass
class Group:
    """Files of one folder, or below it.

    Args:
        folder: Folder below the root.
        split: Split that its path names, or None.
        masks: Whether its path says that there are masks in it: None if it says neither.
        deep: Whether files lie in folders below it.
        below: Folders below those, which contain the files.
        files: Its files.
        suffixes: Suffixes of images.
    """

    folder: str
    split: str | None
    masks: bool | None
    deep: bool = False
    below: str = ""
    files: list[Path] = field(default_factory=list)
    suffixes: Sequence[str] = IMAGE_SUFFIXES

    def images(self) -> list[str]:
        """Stems of its images."""
        return [path.stem for path in self.files if path.suffix.lower() in self.suffixes]

    def labels(self) -> list[str]:
        """Stems of files that may be masks."""
        return [path.stem for path in self.files if path.suffix.lower() in MASK_SUFFIXES]

    def pattern(self, prefix: str, suffix: str) -> str:
        """Description of its files with these additions to the stem."""
        return str(Pattern(self.folder, prefix, suffix, self.deep, self.below))


def fits(pattern: Pattern, path: Path, root: Path) -> bool:
    """Whether a description fits a file."""
    folder = root / pattern.folder
    inside = path.is_relative_to(folder) if pattern.deep else path.parent == folder
    return inside and pattern.key(path, root, SUFFIXES) is not None


def swallowed(root: Path, groups: Sequence[Group], found: Mapping[str | None, tuple[str, str]]) -> bool:
    """Whether the description of a split fits files of other folders, as that of several folders of one split may."""
    return any(
        fits(pattern, path, root)
        for split, texts in found.items()
        for pattern in map(Pattern.parsed, texts)
        if pattern.deep
        for group in groups
        if group.split != split
        for path in group.files
    )


def left_out(
    root: Path, groups: Sequence[Group], pairs: Sequence[tuple[str, str]], by_split: Mapping[Path, str]
) -> list[str]:
    """Remarks on images and label files that no description fits.

    Args:
        root: Folder of the data set.
        groups: All files.
        pairs: Descriptions of images and masks.
        by_split: Split of each image, if one description fits those of all splits.

    Raises:
        UserError: An image has several label files.
    """
    of_images, of_masks = ([Pattern.parsed(pair[index]) for pair in pairs] for index in (0, 1))
    unlabelled = Counter[str]()
    unused: list[Path] = []
    used: list[Path] = []
    for group in groups:
        known = [path for path in group.files if any(fits(pattern, path, root) for pattern in of_masks)]
        used += known
        left = {*group.files} - {*known}
        left = {path for path in left if not any(fits(pattern, path, root) for pattern in of_images)} | (
            {path for path in left if path not in by_split} if by_split else set()
        )
        if group.masks:
            unused += sorted(path for path in left if path.suffix.lower() in MASK_SUFFIXES)
            continue
        where = f"{group.split} images without masks" if group.split else f"images in {group.folder}"
        unlabelled[where] += sum(path.suffix.lower() in group.suffixes for path in left)
    _refuse_several(unused, used, of_masks, root)
    shown = [f"{number} {where}" for where, number in unlabelled.items() if number]
    remarks = [f"Left out: {', '.join(shown)}."] if shown else []
    if unused:
        remarks.append(f"Left out: label files of no image that is read ({len(unused)}, such as {unused[0]}).")
    return remarks


def _refuse_several(unused: Sequence[Path], used: Sequence[Path], patterns: Sequence[Pattern], root: Path) -> None:
    """Refuse label files beside the masks that are read, whose names are those of the same images."""
    keys: dict[tuple[Path, str], Path] = {}
    for path in used:
        for pattern in patterns:
            key = pattern.key(path, root, SUFFIXES) if fits(pattern, path, root) else None
            if key is not None:
                keys[path.parent, key[1]] = path
    several = []
    for path in unused:
        parts = [match.start() for match in re.finditer(r"[._-]", path.stem)]
        stems = [path.stem, *(path.stem[:at] for at in parts), *(path.stem[at + 1 :] for at in parts)]
        other = next((keys[path.parent, stem] for stem in stems if (path.parent, stem) in keys), None)
        if other is not None and not DUBIOUS.search(path.stem.casefold()):
            several.append((path, other))
    if several:
        path, other = several[0]
        raise UserError(
            f"{path}: another label file of the image whose mask would be {other.name} ({len(several)} files like it): "
            "paint all labels of an image into one mask, or move these files to a folder of another data set"
        )
