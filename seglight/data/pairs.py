"""A split made of image files and label files."""

import errno
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

from numpy.typing import NDArray

from seglight.data.labels import Codec
from seglight.errors import UserError, say
from seglight.images.band_files import band_files
from seglight.images.bands import RGB, Bands
from seglight.images.decode import check_upright
from seglight.images.read_bands import read_bands
from seglight.images.unread import unread_ending

IMAGE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm",
    ".avif", ".jp2", ".j2k",
)  # fmt: skip
"""Suffixes of images in folders."""

BAND_SUFFIXES = (*IMAGE_SUFFIXES, ".npy", ".heic", ".heif", ".hif", ".vrt")
"""Suffixes of images in folders whose bands are declared."""

OF_MACOS = "._"
"""Beginning of the names of files that macOS leaves beside others on foreign disks; they are no data."""

MASK_END = re.compile(r"[ ._-](?:masks?|labels?|labelids|annotations?|segmentation|seg|gt)$", re.IGNORECASE)
"""What follows the stem of an image in the stem of its mask, where both are in one folder."""

RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
"""Environment variables with the rank of a training process."""


@runtime_checkable
class ImageSplit(Protocol):
    """A split whose images can be of any bands."""

    def with_bands(self, bands: Bands) -> Self:
        """The same images, read as these bands."""


@dataclass(frozen=True)
class FilePairs:
    """Images and their label files, in order, as a layout expects them; `checked` verifies that they exist.

    Args:
        images: Image files.
        masks: Label file of each image.
        codec: Codec that reads the label files.
        surplus: Label files that belong to no image.
        bands: What the images hold.
    """

    images: Sequence[Path]
    masks: Sequence[Path]
    codec: Codec
    surplus: Sequence[Path] = ()
    bands: Bands = RGB

    def __len__(self) -> int:
        return len(self.images)

    @property
    def fingerprint(self) -> str:
        """Identifies everything except the files that determines the labels."""
        return fingerprint_of(repr(self.codec), self.bands)

    def with_bands(self, bands: Bands) -> "FilePairs":
        """The same pairs with images of other bands."""
        return replace(self, bands=bands)

    def sources(self, index: int) -> tuple[Path, ...]:
        """The image, with one file a band all of them, and its label file."""
        return (*image_sources(self.images[index], self.bands), self.masks[index])

    def read(self, index: int) -> tuple[NDArray[Any], NDArray[Any], str]:
        """Image (H, W, bands) of its type, mask (H, W), and the path of the image.

        Raises:
            UserError: One of the files is damaged or not supported, a label value is not in the table, or the labels
                fit the image only as stored, without its EXIF orientation.
        """
        path, labels = self.images[index], self.masks[index]
        image, mask = read_bands(path, self.bands), self.codec.read(labels)
        check_upright(path, image, labels, mask)
        return image, mask, str(path)

    def checked(self) -> "FilePairs":
        """Check that all files exist, and no others; returns the same pairs.

        Raises:
            UserError: A file is missing or has no partner, with its name and how many there are.
        """
        for what, files, others in (("image", self.images, self.masks), ("mask", self.masks, self.images)):
            missing = [k for k, path in enumerate(files) if not path.is_file()]
            if missing:
                first = missing[0]
                raise UserError(
                    f"{others[first]}: its {what} {files[first]} is missing{_more(len(missing))}: "
                    "add it, or remove the other file"
                )
        if self.surplus:
            mask = self.surplus[0]
            raise UserError(
                f"{mask}: no image of this name in {self.images[0].parent}{_more(len(self.surplus))}: "
                "add it, or remove the mask"
            )
        return self


def fingerprint_of(labels: str, bands: Bands) -> str:
    """Identity of what determines samples: of the labels, and of the bands unless they are 8-bit RGB."""
    return labels if bands.is_rgb8 else f"{labels} {bands.to_dict()}"


def image_sources(path: Path, bands: Bands) -> Sequence[Path]:
    """Files of an image, that of the first band first; only this one if others are missing, which reading reports."""
    if not bands.files:
        return (path,)
    try:
        return band_files(path, bands)
    except UserError:
        return (path,)


def _more(number: int) -> str:
    return f" (and {number - 1} more are)" if number > 1 else ""


def root_folder(root: str) -> Path:
    """Path of the folder of a data set, which may not exist.

    Args:
        root: The path as text.

    Raises:
        UserError: The system takes no path of this length.
    """
    try:
        os.stat(root)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UserError(f"{root}: {error.strerror}: set data.root to the right place") from error
    except ValueError:
        pass  # a character that no path has: there is no such folder
    return Path(root)


def existing_folder(path: Path, holds: str) -> Path:
    """Check that a folder exists, and return it.

    Args:
        path: Path of the folder.
        holds: Description of its expected content.

    Raises:
        UserError: There is no such folder.
    """
    if not os.path.isdir(path):  # of a name that is too long, Path.is_dir() raises an error
        instead = ", or score with `seglight validate`" if holds.startswith("the test ") else ""
        raise UserError(f"{path}: no such folder, where {holds} should be: set data.root to the right place{instead}")
    return path


def image_files(folder: Path, holds: str, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """List the images of a folder by name; a line on stderr names unsupported formats in it.

    Raises:
        UserError: There is no such folder, or no supported image in it.
    """
    files = sorted(existing_folder(folder, holds).iterdir())
    found = [path for path in files if path.suffix.lower() in suffixes and not path.name.startswith(OF_MACOS)]
    if not found:
        other = unread_files(files)
        raise UserError(
            f"{folder}: no image there, where {holds} should be ({', '.join(suffixes)})"
            + (f", but {other}: convert them to PNG or JPEG" if other else "")
        )
    say_unread(folder, [path for path in files if path.suffix.lower() not in suffixes])
    return found


def image_suffixes(files: Iterable[Path]) -> Sequence[str]:
    """Suffixes of the images among files: `IMAGE_SUFFIXES`, or `BAND_SUFFIXES` where only these find any."""
    others = False
    for path in files:
        suffix = path.suffix.lower()
        if suffix in IMAGE_SUFFIXES and not path.name.startswith(OF_MACOS):
            return IMAGE_SUFFIXES
        others |= suffix in BAND_SUFFIXES and not path.name.startswith(OF_MACOS)
    return BAND_SUFFIXES if others else IMAGE_SUFFIXES


def images_below(folder: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """List the images of a folder at any depth, by path; only regular files, because reading a pipe would never end.

    A line on stderr names unsupported formats in it.
    """
    files = sorted(files_below(folder))
    say_unread(folder, files)
    return [path for path in files if path.suffix.lower() in suffixes]


def masks_beside_images(files: Iterable[Path]) -> list[Path]:
    """Files that are masks by their names, such as x_mask.png beside x.jpg."""
    paths = list(files)
    stems = {(path.parent, path.stem) for path in paths}
    return [
        path
        for path in paths
        if (end := MASK_END.search(path.stem)) and (path.parent, path.stem[: end.start()]) in stems
    ]


def without_masks(folder: Path | str, files: Sequence[Path]) -> list[Path]:
    """Images without the masks beside them; a line on stderr counts the masks.

    Args:
        folder: Folder of the files, for the line.
        files: Images and, perhaps, masks.
    """
    masks = set(masks_beside_images(files))
    if masks:
        first = min(masks)
        say_once(f"{folder}: left out: {len(masks)} masks by their names, such as {first.name} beside its image")
    return [path for path in files if path not in masks]


def unread_files(files: Iterable[Path]) -> str:
    """Number of files of each unsupported image format, as text; "" if there is none."""
    kinds = Counter(kind for path in files if (kind := unread_ending(path)) and not path.name.startswith(OF_MACOS))
    return ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items(), key=lambda item: (-item[1], item[0])))


def say_unread(folder: Path | str, files: Iterable[Path]) -> None:
    """Name unsupported image formats of a folder in one line on stderr, once, in the first of several processes.

    Args:
        folder: Folder of the files.
        files: All files of the folder.
    """
    found = unread_files(files)
    if found:
        say_once(f"{folder}: not read: {found}: convert them to PNG or JPEG, or remove them")


def say_once(line: str) -> None:
    """Print a line on stderr, once, in the first of several processes.

    Args:
        line: Line for the user that is not an error.
    """
    if all(os.environ.get(name, "0") == "0" for name in RANKS):
        _say_once(line)


@cache
def _say_once(line: str) -> None:
    say(line)


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files at any depth, except those of macOS; links elsewhere are followed, each folder once."""
    root = folder.resolve()
    entered = set[Path]()
    for parent, names, files in os.walk(folder, followlinks=True):
        below = {name: Path(parent, name) for name in names}
        names[:] = [
            name
            for name, path in below.items()
            if path.resolve() not in entered and not (path.is_symlink() and path.resolve().is_relative_to(root))
        ]
        entered |= {below[name].resolve() for name in names}
        yield from (path for name in files if not name.startswith(OF_MACOS) and (path := Path(parent, name)).is_file())


def surplus_masks(folder: Path, masks: Sequence[Path], pattern: str = "*.png") -> list[Path]:
    """Files of a label folder that match the pattern and are not in `masks`."""
    return sorted(path for path in set(folder.glob(pattern)) - set(masks) if not path.name.startswith(OF_MACOS))
