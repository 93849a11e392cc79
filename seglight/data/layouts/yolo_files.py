"""Label files of YOLO's images: in the folder `labels` in place of `images`, or beside the images.

Names may differ in case, and the folders of a split in the word for it, such as `images/val` and `labels/validation`.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from seglight.data.layouts.split_names import SPLIT_OF_WORD
from seglight.data.pairs import OF_MACOS
from seglight.errors import UserError


class LabelFiles:
    """Finds label files; the folders are listed once."""

    def __init__(self) -> None:
        self.listed: dict[Path, Mapping[str, list[Path]]] = {}

    def of(self, image: Path) -> Path | None:
        """The label file of an image; None: it has none.

        Raises:
            UserError: Several files may be.
        """
        name = f"{image.stem}.txt"
        found = [path for folder in self._folders(image) for path in self._named(folder, name) if path.is_file()]
        found = list(dict.fromkeys(found))
        if len({path.read_bytes() for path in found[:2]}) > 1:
            raise UserError(f"{image}: its labels can be {found[0]} or {found[1]}: remove one of the two")
        return found[0] if found else None

    def _folders(self, image: Path) -> Iterator[Path]:
        parts = image.parent.parts
        k = max((k for k, part in enumerate(parts) if part.lower() == "images"), default=None)
        level = [] if k is None else self._named(Path(*parts[:k]), "labels")
        for part in parts[k + 1 :] if k is not None else ():
            level = [child for folder in level for child in (self._named(folder, part) or self._of_split(folder, part))]
        yield from (folder for folder in level if folder.is_dir())
        yield image.parent

    def _of_split(self, folder: Path, part: str) -> list[Path]:
        split = SPLIT_OF_WORD.get(part.lower())
        names = [name for name in self._names(folder) if split is not None and SPLIT_OF_WORD.get(name) == split]
        return [path for name in names for path in self._names(folder)[name]]

    def _named(self, folder: Path, name: str) -> list[Path]:
        """Files and folders of this name: in this case, if there are some, or in another one."""
        alike = self._names(folder).get(name.lower(), [])
        if name.endswith(".txt"):
            return [path for path in alike if path.stem == name[:-4]] or alike
        return [path for path in alike if path.name == name] or alike

    def _names(self, folder: Path) -> Mapping[str, list[Path]]:
        """What a folder contains, by its name in lower case."""
        if folder not in self.listed:
            found: dict[str, list[Path]] = defaultdict(list)
            if folder.is_dir():
                for name in sorted(os.listdir(folder)):
                    if not name.startswith(OF_MACOS):
                        found[name.lower()].append(folder / name)
            self.listed[folder] = dict(found)
        return self.listed[folder]


def label_files(images: Iterable[Path]) -> dict[Path, Path | None]:
    """The label file of each image; None: it has none.

    Args:
        images: Images of all splits.

    Raises:
        UserError: Two files can be that of an image, or one that of two images.
    """
    lookup = LabelFiles()
    files = {image: lookup.of(image) for image in images}
    image_of: dict[Path, Path] = {}
    for image, path in files.items():
        if path is not None and image_of.setdefault(path, image) != image:
            raise UserError(f"{path}: the labels of {image_of[path]} or of {image}: rename one of the two images")
    return files


def unmatched(files: Mapping[Path, Path | None]) -> list[Path]:
    """Label files in the folders of those that belong to an image, which belong to none."""
    labelled = {path for path in files.values() if path is not None}
    folders = {path.parent for path in labelled}
    every = (folder / name for folder in folders for name in os.listdir(folder) if not name.startswith(OF_MACOS))
    return sorted(path for path in every if path.suffix.lower() == ".txt" and path not in labelled)


def check_splits(splits: Mapping[str, Iterable[Path]], files: Mapping[Path, Path | None], evidence: Path) -> None:
    """Check that each split has labels.

    Args:
        splits: Images by split.
        files: Label file of each image.
        evidence: File that names the splits.

    Raises:
        UserError: No image of a split has a label file.
    """
    for split, images in splits.items():
        names = list(images)
        if names and not any(files[image] for image in names):
            raise UserError(
                f"{evidence}: no label file for any of the {len(names)} images of the {split} split, such as "
                f"{names[0]}: put `labels/{names[0].parent.name}` beside `images`, or "
                "remove this split"
            )
