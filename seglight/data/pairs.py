"""A split made of image files and label files."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seglight.data.labels import Codec
from seglight.errors import UserError, say
from seglight.images.decode import check_upright, read_image
from seglight.images.unread import unread_ending

IMAGE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm",
    ".avif", ".jp2", ".j2k",
)  # fmt: skip
"""Of the images that are looked for in folders."""

RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
"""Environment variables that number the processes of a training."""


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
            UserError: One of the files is damaged or not read, a label value is outside the table, or the labels fit
                the image only as it is stored, not as its EXIF orientation turns it.
        """
        path, labels = self.images[index], self.masks[index]
        image, mask = read_image(path), self.codec.read(labels)
        check_upright(path, image, labels, mask)
        return image, mask, str(path)

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
    """All images of a folder by name; a line says which kinds of images in it are not read.

    Raises:
        UserError: There is no folder, or no image in it that is read.
    """
    files = sorted(existing_folder(folder, holds).iterdir())
    found = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    if not found:
        other = unread_files(files)
        raise UserError(
            f"{folder}: no image there, where {holds} should be ({', '.join(IMAGE_SUFFIXES)})"
            + (f", but {other}: convert them to PNG or JPEG" if other else "")
        )
    say_unread(folder, files)
    return found


def images_below(folder: Path) -> list[Path]:
    """All images of a folder at any depth, by path; files alone: a pipe of an image's name would be read for ever.

    A line says which kinds of images in it are not read.
    """
    files = sorted(files_below(folder))
    say_unread(folder, files)
    return [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]


def unread_files(files: Iterable[Path]) -> str:
    """How many files of each kind of image that is not read are among these, in words; "" if there is none."""
    kinds = Counter(kind for path in files if (kind := unread_ending(path)) and not path.name.startswith("._"))
    return ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items(), key=lambda item: (-item[1], item[0])))


def say_unread(folder: Path | str, files: Iterable[Path]) -> None:
    """Name the kinds of images in a folder that are not read in one line: once in a process, by the first of several.

    Args:
        folder: Where they lie.
        files: All files there.
    """
    found = unread_files(files)
    if found and all(os.environ.get(name, "0") == "0" for name in RANKS):
        _say_once(f"{folder}: not read: {found}: convert them to PNG or JPEG, or take them away")


@cache
def _say_once(line: str) -> None:
    say(line)


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
