"""What there is to predict: images, folders, globs, videos, TIFFs of many pages or too large to be decoded whole."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from glob import glob
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seglight.data.pairs import IMAGE_SUFFIXES, files_below, say_unread, unread_files
from seglight.errors import UserError
from seglight.images.decode import pixel_count, read_image, read_page
from seglight.images.tiff import LARGE, TiffWindows, pages
from seglight.images.video import SUFFIXES as VIDEO_SUFFIXES
from seglight.images.video import frame_count, frames

Pixels: TypeAlias = NDArray[np.uint8] | TiffWindows
"""An image uint8 (H, W, 3) in RGB, or one that is read by windows."""

SUFFIXES = IMAGE_SUFFIXES + VIDEO_SUFFIXES
"""Of the files that are looked for."""


class Source(NamedTuple):
    """A file, and the place of its outputs below a folder, without an ending."""

    path: Path
    place: Path

    @property
    def is_video(self) -> bool:
        """By its ending."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES

    @property
    def is_tiff(self) -> bool:
        """By its ending."""
        return self.path.suffix.lower() in (".tif", ".tiff")


class Picture(NamedTuple):
    """One image of a source: the file itself, a page, or a frame.

    Args:
        source: Where it comes from.
        place: As the source's; pages and frames are numbered from 1 in a folder of their own.
        read: Decodes it; raises UserError where it is damaged.
        decoded: How many pixels that makes; 0 where none, or where it is damaged.
    """

    source: Source
    place: Path
    read: Callable[[], Pixels]
    decoded: Callable[[], int] = int

    @property
    def name(self) -> str:
        """What tables call it: the image's own path below its folder, or that of a page's or frame's label map."""
        ending = self.source.path.suffix if self.place == self.source.place else ".png"
        return self.place.as_posix() + ending


def find(inputs: Sequence[str], out: Path) -> list[Source]:
    """The files that are meant: those named, images and videos in folders at any depth, and what a glob finds.

    What a folder holds keeps its place in it; what a glob finds, its place below the part before the first wildcard; a
    file that is named keeps its name alone. What lies in the folder of the outputs was written there. What macOS
    keeps beside images under names that begin with "._" is meant where it is named.

    Raises:
        UserError: An input is missing, holds neither image nor video, or lies in the folder of the outputs.
    """
    # once, what is named and lies in a folder as well
    return list(dict.fromkeys(source for given in inputs for source in _found(given, out.resolve())))


def _found(given: str, out: Path) -> list[Source]:
    path = Path(given)
    if path.is_file():
        return [Source(path, Path(path.stem))]
    if path.is_dir():
        below, files = path, [*files_below(path)]
    elif _is_glob(given):
        below = Path(*takewhile(lambda part: not _is_glob(part), path.parts))
        files = [*map(Path, glob(given, recursive=True))]
    else:
        raise UserError(f"{given}: no such image or folder")
    found = _known(files)
    if not found:
        what = "nothing fits this glob" if _is_glob(given) else "neither image nor video in this folder"
        other = unread_files(files)
        raise UserError(
            f"{given}: {what} ({', '.join(SUFFIXES)})"
            + (f", but {other}: convert them to PNG or JPEG" if other else "")
        )
    say_unread(given, files)
    found = [file for file in found if not file.resolve().is_relative_to(out)]
    if not found:
        raise UserError(f"{given}: all of it lies in --out, where outputs are no inputs: choose another --out")
    return [Source(file, file.relative_to(below).with_suffix("")) for file in found]


def _is_glob(text: str) -> bool:
    return any(mark in text for mark in "*?[")


def _known(paths: Iterable[Path]) -> list[Path]:
    """The images and videos among them; files alone, for a pipe of an image's name would be read for ever."""
    return sorted(p for p in paths if p.suffix.lower() in SUFFIXES and not p.name.startswith("._") and p.is_file())


def count(source: Source) -> int:
    """How many pictures a source holds, for a video as its header says; 1 for one that is damaged."""
    try:
        if source.is_video:
            return frame_count(source.path)
        return len(pages(source.path)) if source.is_tiff else 1
    except UserError:
        return 1


def pictures(source: Source) -> Iterator[Picture]:
    """The pictures of a source in order.

    Raises:
        UserError: It is damaged, or a video is cut off; then after its last frame.
    """
    if source.is_video:
        for number, frame in enumerate(frames(source.path), 1):
            yield Picture(source, source.place / f"{number:06}", partial(np.asarray, frame))
    elif source.is_tiff:
        found = pages(source.path)
        for number, (page, size) in enumerate(found.items(), 1):
            place = source.place / f"{number:04}" if len(found) > 1 else source.place
            if size > LARGE:
                yield Picture(source, place, partial(TiffWindows, source.path, page))
            else:
                yield Picture(source, place, partial(read_page, source.path, page), partial(int, size))
    else:
        yield Picture(source, source.place, partial(read_image, source.path), partial(pixel_count, source.path))
