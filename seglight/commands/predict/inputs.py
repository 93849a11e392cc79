"""Inputs of predict: images, folders, globs, videos, TIFFs of many pages or too large to be decoded whole."""

from collections.abc import Callable, Iterator, Sequence, Set
from functools import partial
from glob import glob
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seglight.commands.predict.kinds import FILES, LABELS
from seglight.commands.predict.remote_inputs import MARKS, listing
from seglight.data.pairs import IMAGE_SUFFIXES, files_below, say_once, say_unread, unread_files, without_masks
from seglight.errors import UserError
from seglight.images.decode import pixel_count, read_image, read_page
from seglight.images.heif import SUFFIXES as HEIF
from seglight.images.heif import is_installed as reads_heif
from seglight.images.label_png import is_label_map
from seglight.images.read_bands import ARRAYS_AND_RASTERS
from seglight.images.tiff import LARGE, TiffWindows, pages
from seglight.images.types import Windows
from seglight.images.video import SUFFIXES as VIDEO_SUFFIXES
from seglight.images.video import frame_count, frames
from seglight.system.remote import RemoteFile, is_address
from seglight.system.remote_errors import StorageError

Pixels: TypeAlias = NDArray[Any] | Windows
"""An image (H, W, bands), or one that is read by windows: uint8 in RGB, or the bands and type that the net reads."""

SUFFIXES = IMAGE_SUFFIXES + VIDEO_SUFFIXES
"""Suffixes of images and videos."""


class Source(NamedTuple):
    """An input file.

    Args:
        path: Path of the file; of an object that is not downloaded yet, its address, which tells the suffix only.
        key: Relative path of its outputs below an output folder, without a suffix.
        remote: Object of a remote storage that the file is a copy of.
        copy: Keeps a downloaded copy, which is removed with the last reference to it.
    """

    path: Path
    key: Path
    remote: RemoteFile | None = None
    copy: object = None

    @property
    def is_video(self) -> bool:
        """Whether the file is a video, by its suffix."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES

    @property
    def is_tiff(self) -> bool:
        """Whether the file is a TIFF, by its suffix."""
        return self.path.suffix.lower() in (".tif", ".tiff")

    @property
    def shown(self) -> str:
        """The path or address as messages name it."""
        return str(self.path) if self.remote is None else self.remote.url

    def named(self, error: UserError) -> UserError:
        """An error about the file, with its address in place of the path of its copy."""
        return error if self.remote is None else UserError(str(error).replace(str(self.path), self.remote.url))


class Picture(NamedTuple):
    """One image of a source: the file itself, a page, or a frame.

    Args:
        source: File of the image.
        key: Relative path of its outputs; pages and frames are numbered from 1 in a folder of the file's key.
        read: Function that decodes the image; raises UserError if it is damaged.
        decoded: Function that returns how many pixels are decoded; 0 if none, or if the image is damaged.
        page: Index of the page of a TIFF with several; None: the image is the file, or a frame.
    """

    source: Source
    key: Path
    read: Callable[[], Pixels]
    decoded: Callable[[], int] = int
    page: int | None = None

    @property
    def name(self) -> str:
        """Name in tables: the image's own path below its folder, or the path of a page's or frame's label map."""
        ending = self.source.path.suffix if self.key == self.source.key else ".png"
        return self.key.as_posix() + ending

    def without_copy(self) -> "Picture":
        """The same image once nothing is read from its file any more: a downloaded copy is not kept for it."""
        return self._replace(source=self.source._replace(copy=None))


def find(inputs: Sequence[str], out: Path | str) -> list[Source]:
    """Find the input files: those named, images and videos in folders at any depth, and matches of globs.

    Files of a folder keep their path below it; matches of a glob keep their path below the part before the first
    wildcard; named files keep only their name. Files in the output folder are left out, and so are outputs of earlier
    runs, and masks beside their images, which are counted. Files that macOS writes beside images, whose names begin
    with "._", are used only if they are named.

    Args:
        inputs: Paths, addresses of objects and folders, and globs of both.
        out: Path or address of the output folder.

    Raises:
        UserError: An input is missing, contains neither image nor video, or only outputs; or a remote
            storage does not answer.
    """
    folder = str(out)
    # a file that is named and lies in a folder, too, is used once
    return list(dict.fromkeys(source for text in inputs for source in _found(text, folder)))


def _found(text: str, out: str) -> list[Source]:
    if is_address(text):
        return _found_remote(text, out)
    path = Path(text)
    if path.is_file():
        return [Source(path, Path(path.stem))]
    if path.is_dir():
        below = path
        files = [*files_below(path)]
    elif _is_glob(text):
        below = Path(*takewhile(lambda part: not _is_glob(part), path.parts))
        files = [*map(Path, glob(text, recursive=True))]
    else:
        raise UserError(f"{text}: no such image or folder: check the path")
    # only regular files, because reading a pipe would never end
    found = sorted(file for file in files if _is_known(file) and file.is_file())
    if not found:  # beside images, arrays are masks, and rasters are mosaics of them
        found = sorted(file for file in files if file.suffix.lower() in ARRAYS_AND_RASTERS and file.is_file())
    folder = None if is_address(out) else Path(out).resolve()
    outside = [file for file in found if folder is None or not file.resolve().is_relative_to(folder)]
    _check_some(text, files, found, outside)
    images = without_masks(text, _without_outputs(text, below, outside))
    return [Source(file, file.relative_to(below).with_suffix("")) for file in images]


def _found_remote(text: str, out: str) -> list[Source]:
    try:
        found = listing(text)
    except StorageError as error:
        raise UserError(str(error)) from error
    if found.below is None:
        return [Source(Path(file.url), Path(Path(file.url).stem), file) for file in found.files]
    files = [(Path(file.url), file) for file in found.files]
    known = sorted(pair for pair in files if _is_known(pair[0]))
    outside = [(path, file) for path, file in known if not file.url.startswith(f"{out.rstrip('/')}/")]
    _check_some(text, *([path for path, _ in pairs] for pairs in (files, known, outside)))
    kept = set(without_masks(text, [path for path, _ in outside]))
    below = Path(found.below)
    return [Source(path, path.relative_to(below).with_suffix(""), file) for path, file in outside if path in kept]


def _check_some(text: str, files: Sequence[Path], found: Sequence[Path], outside: Sequence[Path]) -> None:
    """Check that an input holds images or videos, and not only in the output folder.

    Args:
        text: Folder or glob.
        files: All of its files.
        found: Images and videos among them.
        outside: Those of them that do not lie in the output folder.

    Raises:
        UserError: There is none.
    """
    unread = [file for file in files if not _is_known(file)]
    if not found:
        what = "no file matches this glob" if _is_glob(text) else "no image or video in this folder"
        other = unread_files(unread)
        raise UserError(
            f"{text}: {what} ({', '.join(SUFFIXES)})" + (f", but {other}: convert them to PNG or JPEG" if other else "")
        )
    say_unread(text, unread)
    if not outside:
        raise UserError(
            f"{text}: all of it lies in --out, where files are outputs and not inputs: choose another --out"
        )


def _without_outputs(text: str, below: Path, files: Sequence[Path]) -> list[Path]:
    """Files without label maps of an earlier run, and what was made from these; a line on stderr counts them.

    Args:
        text: Folder or glob.
        below: Folder that the files lie in.
        files: Images and videos.

    Raises:
        UserError: No other file is there.
    """
    maps = [file for file in files if file.suffix.lower() == ".png" and is_label_map(file)]
    if not maps:
        return [*files]
    keys = {file.with_suffix("") for file in maps}
    folders = {file.parent for file in maps}
    own = {*maps, *(file for file in files if _is_made_from(file, keys, folders))}
    kept = [file for file in files if file not in own]
    if not kept:
        raise UserError(f"{text}: all of it was written by `seglight predict`: name the folder of the images")
    say_once(
        f"{text}: left out: {len(files) - len(kept)} files that `seglight predict` has written: label maps, such as "
        f"{maps[0].relative_to(below)}, and what was made from them"
    )
    return kept


def _is_made_from(file: Path, keys: Set[Path], folders: Set[Path]) -> bool:
    """Whether a file lies where `predict` writes what it makes from one of the label maps."""
    for kind, (folder, suffix) in FILES.items():
        if kind == LABELS or file.suffix != suffix:
            continue
        origins = folders if kind == "video" else keys
        parts = file.with_suffix("").parts
        if any(
            part == folder and Path(*parts[:place], *parts[place + 1 :]) in origins for place, part in enumerate(parts)
        ):
            return True
    return False


def _is_glob(text: str) -> bool:
    return any(mark in text for mark in MARKS)


def _is_known(path: Path) -> bool:
    """Whether a file is an image or a video, by its name."""
    suffix = path.suffix.lower()
    return (suffix in SUFFIXES or (suffix in HEIF and reads_heif())) and not path.name.startswith("._")


def count(source: Source) -> int:
    """Number of images in a source, for a video as its header states; 1 for a damaged file, and before a download."""
    if source.remote is not None:
        return 1
    try:
        if source.is_video:
            return frame_count(source.path)
        return len(pages(source.path)) if source.is_tiff else 1
    except UserError:
        return 1


def pictures(source: Source) -> Iterator[Picture]:
    """Yield the images of a source in order.

    Raises:
        UserError: The file is damaged, or a video is cut off; in that case after its last frame.
    """
    if source.is_video:
        for number, frame in enumerate(frames(source.path), 1):
            yield Picture(source, source.key / f"{number:06}", partial(np.asarray, frame))
    elif source.is_tiff:
        found = pages(source.path)
        for number, (page, size) in enumerate(found.items(), 1):
            key = source.key / f"{number:04}" if len(found) > 1 else source.key
            only = page if len(found) > 1 else None
            if size > LARGE:
                yield Picture(source, key, partial(TiffWindows, source.path, page), page=only)
            else:
                yield Picture(source, key, partial(read_page, source.path, page), partial(int, size), only)
    else:
        yield single(source)


def single(source: Source) -> Picture:
    """The only image of a source that is neither TIFF nor video, or need not be read."""
    return Picture(source, source.key, partial(read_image, source.path), partial(pixel_count, source.path))
