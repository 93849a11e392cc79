"""Inputs that are read by their bands: a file, with all of its pages, is an image or a band of one."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from seglight.commands.predict.inputs import Picture, Source
from seglight.errors import UserError
from seglight.images.band_files import band_files, image_name
from seglight.images.band_windows import band_windows, has_parts
from seglight.images.bands import Bands
from seglight.images.holding import Holding
from seglight.images.pixels import are_rgb, as_net_reads, read_pixels
from seglight.images.raster import RASTERS, raster_parts
from seglight.images.read_bands import FURTHER, holding
from seglight.images.tiff import LARGE
from seglight.images.types import Windows

LARGE_BYTES = 3 * LARGE
"""Bytes of an image beyond which it is read by windows: those of the largest image in RGB that is not."""


def is_read_by_bands(source: Source, bands: Bands) -> bool:
    """Whether it is: images of a net that reads others than 8-bit RGB, and arrays, rasters and HEIC of any net."""
    if source.is_video:
        return not are_rgb(bands)
    return not bands.is_rgb8 or source.path.suffix.lower() in FURTHER


def band_picture(source: Source, bands: Bands) -> Picture:
    """The image of a source.

    Args:
        source: Input file; of an image with one file a band, that of the first band.
        bands: What the net reads.

    Raises:
        UserError: The file is a video.
    """
    if source.is_video:
        raise UserError(f"{source.shown}: frames of a video are 8-bit RGB, and the net reads {bands.line()}")
    return Picture(source, source.key, partial(_read, source.path, bands), partial(_decoded, source.path, bands))


def pixel_bytes(bands: Bands) -> int:
    """Bytes of a pixel of an image."""
    return len(bands.names) * bands.dtype.itemsize


def _read(path: Path, bands: Bands) -> NDArray[Any] | Windows:
    held = _held(path)
    if held is None or not _is_large(held, bands):
        return read_pixels(path, bands)
    with as_net_reads(bands):
        return band_windows(path, bands)


def _decoded(path: Path, bands: Bands) -> int:
    """Number of pixels that are decoded at once: 0 for an image of which only windows are."""
    held = _held(path)
    if held is None:
        return 1
    return 0 if _is_large(held, bands) and has_parts(path, held) else held.height * held.width


def _held(path: Path) -> Holding | None:
    try:
        return holding(path)
    except UserError:  # reading it raises the same
        return None


def _is_large(held: Holding, bands: Bands) -> bool:
    """Whether an image is predicted by windows."""
    return held.height * held.width * pixel_bytes(bands) > LARGE_BYTES


def further_versions(source: Source, bands: Bands) -> str:
    """Identifies the content of other files of an image, beside `file_version` of the first; "" without any.

    These are the files of the other bands, and the parts of mosaics.

    Raises:
        UserError: A file is missing or damaged.
    """
    if source.remote is not None:
        return ""
    files = band_files(source.path, bands) if bands.files else [source.path]
    parts = [part for file in files if file.suffix.lower() in RASTERS for part in raster_parts(file)]
    further = [*files[1:], *parts]
    if not further:
        return ""
    stats = " ".join(f"{stat.st_size} {stat.st_mtime_ns}" for stat in map(Path.stat, further))
    return f" {hashlib.sha256(stats.encode()).hexdigest()[:16]}"


def images_of(sources: Sequence[Source], bands: Bands) -> list[Source]:
    """The sources that are images: where each band is a file, those of the first band, of which a shard may have none.

    Args:
        sources: Input files.
        bands: What the net reads.

    Raises:
        UserError: The files are in a remote storage.
    """
    if not bands.files:
        return [*sources]
    remote = next((source for source in sources if source.remote is not None), None)
    if remote is not None:
        raise UserError(
            f"{remote.shown}: the net reads one file a band, {bands.files}, from folders of this machine only"
        )
    return [source for source in sources if image_name(source.path, bands) is not None]


def check_images(sources: Sequence[Source], bands: Bands) -> None:
    """Check that some of the sources, which are all inputs, are images.

    Raises:
        UserError: Each band is a file, and none of the files is one of a first band.
    """
    if not images_of(sources, bands):
        first = bands.files.replace("{band}", bands.names[0])
        raise UserError(
            f"{sources[0].shown}: no file of the first band, {bands.names[0]}, which is named {first}: the net reads "
            f"one file a band, {bands.files}"
        )
