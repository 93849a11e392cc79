"""A split made of image files and label files."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seglight.data.files import read_image
from seglight.data.labels import Codec
from seglight.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class FilePairs:
    """Images and their label files, in order, as a layout wants them: whether they are there, `checked` says.

    Args:
        images: Image files.
        masks: The label file of each image.
        codec: Reads the label files.
        surplus: Label files that belong to no image.
    """

    images: Sequence[Path]
    masks: Sequence[Path]
    codec: Codec
    surplus: Sequence[Path] = ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def fingerprint(self) -> str:
        """What decides the labels besides the files."""
        return repr(self.codec)

    def sources(self, index: int) -> tuple[Path, ...]:
        """The image and its label file."""
        return (self.images[index], self.masks[index])

    def read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
        """Image uint8 (H, W, 3), mask uint8 (H, W), and the path of the image.

        Raises:
            UserError: One of the files is damaged, or a label value is outside the table.
        """
        return read_image(self.images[index]), self.codec.read(self.masks[index]), str(self.images[index])

    def checked(self) -> "FilePairs":
        """The same pairs, if all of them are there and nothing else.

        Raises:
            UserError: A file is missing or has no partner; says which and how many.
        """
        for what, files, others in (("image", self.images, self.masks), ("mask", self.masks, self.images)):
            missing = [k for k, path in enumerate(files) if not path.is_file()]
            if missing:
                first = missing[0]
                raise UserError(
                    f"{others[first]}: its {what} {files[first]} is missing{_more(len(missing))}: "
                    "add it, or take the other away"
                )
        if self.surplus:
            mask = self.surplus[0]
            raise UserError(
                f"{mask}: no image of this name in {self.images[0].parent}{_more(len(self.surplus))}: "
                "add it, or take the mask away"
            )
        return self


def _more(number: int) -> str:
    return f" (and {number - 1} more are)" if number > 1 else ""


def existing_folder(path: Path, holds: str) -> Path:
    """The folder, if it is there.

    Raises:
        UserError: It is not; `holds` says what should lie in it.
    """
    if not path.is_dir():
        raise UserError(f"{path}: no such folder, where {holds} should be: set data.init_args.root to the right place")
    return path


def image_files(folder: Path, holds: str) -> list[Path]:
    """All images of a folder by name.

    Raises:
        UserError: There is no folder, or no image in it.
    """
    found = sorted(p for p in existing_folder(folder, holds).iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise UserError(f"{folder}: no image there, where {holds} should be ({', '.join(IMAGE_SUFFIXES)})")
    return found


def images_below(folder: Path) -> list[Path]:
    """All images of a folder at any depth, by path; files alone: a pipe of an image's name would be read for ever."""
    return sorted(p for p in files_below(folder) if p.suffix.lower() in IMAGE_SUFFIXES)


def files_below(folder: Path) -> Iterator[Path]:
    """The files at any depth; links to folders elsewhere are followed, each of these once."""
    root, entered = folder.resolve(), set[Path]()
    for place, names, files in os.walk(folder, followlinks=True):
        below = {name: Path(place, name) for name in names}
        names[:] = [
            name
            for name, path in below.items()
            if path.resolve() not in entered and not (path.is_symlink() and path.resolve().is_relative_to(root))
        ]
        entered |= {below[name].resolve() for name in names}
        yield from (path for name in files if (path := Path(place, name)).is_file())


def surplus_masks(folder: Path, masks: Sequence[Path], pattern: str = "*.png") -> list[Path]:
    """Files of a label folder that fit the pattern and are none of `masks`."""
    return sorted(set(folder.glob(pattern)) - set(masks))
