"""HEIC and HEIF by pi-heif, an optional package."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError, one_line
from seglight.images.file_in_memory import AnyFile, openable
from seglight.images.holding import Holding, colour_names
from seglight.images.image_header import DAMAGE, MOST_PIXELS, damaged

SUFFIXES = (".heic", ".heif", ".hif")
"""Suffixes of the files."""

CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def is_installed() -> bool:
    """Whether the files can be read."""
    return find_spec("pi_heif") is not None


def heif_holding(file: AnyFile) -> Holding:
    """What a HEIC or HEIF holds, turned as its boxes state, which its EXIF orientation only repeats.

    Raises:
        UserError: The file is damaged, or pi-heif is not installed.
    """
    opened = _opened(file)
    colours, _, bits = opened.mode.partition(";")
    width, height = opened.size
    if width * height > MOST_PIXELS:
        raise damaged(file, f"{height} x {width} pixels")
    unread = "" if colours in CHANNELS else f"pixels of mode {opened.mode} are not read: save it as PNG"
    kind = "uint16" if bits else "uint8"
    count = CHANNELS.get(colours, 1)
    return Holding("HEIF", height, width, count, kind, len(opened), colour_names(count, True), unread=unread)


def heif_bands(file: AnyFile) -> NDArray[Any]:
    """Decode the only picture of a file (H, W, bands): uint8, or uint16 with values of 10 or 12 bits as stored.

    Raises:
        UserError: The file is damaged, or pi-heif is not installed.
    """
    opened = _opened(file)
    try:
        pixels = np.array(opened)  # copied: the memory is that of `opened`
    except DAMAGE as error:
        raise damaged(file, error) from error
    colours = opened.mode.partition(";")[0]
    pixels = np.atleast_3d(pixels)
    return np.ascontiguousarray(
        pixels[..., :1] if colours == "L" else pixels[..., [0, -1]] if colours == "LA" else pixels
    )


def _opened(file: AnyFile) -> Any:
    try:
        import pi_heif
    except ImportError as error:
        raise UserError(f'{file}: HEIC or HEIF needs pi-heif: pip install "seglight[heif]"') from error
    source = openable(file)
    if isinstance(source, Path) and not source.is_file():
        raise UserError(f"{file}: there is no such file: is the path right?")
    try:
        opened = pi_heif.open_heif(source, convert_hdr_to_8bit=False, hdr_to_16bit=False)
        pictures = len(opened)
    except DAMAGE as error:
        raise damaged(file, f"HEIC or HEIF; {one_line(error)}") from error
    if not pictures:
        raise damaged(file, "HEIC or HEIF without a picture")
    return opened
