"""Label maps as index PNGs with the classes' palette: lossless, of the image's size."""

import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile, PngInfo

from seglight.errors import UserError, one_line
from seglight.images.draw import palette_image
from seglight.images.png import SIGNATURE
from seglight.images.types import Color, LabelMap
from seglight.system.atomic import atomic_path

MAKER = "seglight"
"""Key of the text in a file that says by which model it is."""

BAND = 1 << 20
"""Pixels that are copied at a time."""


def write_labels(path: Path, labels: LabelMap, palette: Sequence[Color], maker: str) -> None:
    """Write a label map (H, W), whole or not at all; `maker`, in Latin-1, is kept as a text in the file."""
    text = PngInfo()
    text.add_text(MAKER, maker)
    with atomic_path(path) as part:
        palette_image(labels.astype(np.uint8), palette).save(part, pnginfo=text)


def write_label_rows(
    path: Path, size: tuple[int, int], rows: Iterable[LabelMap], palette: Sequence[Color], maker: str
) -> None:
    """Write a label map that comes a few rows (h, W) at a time, whole or not at all.

    Pillow wants an image whole; what it would write is a header, the palette and compressed rows (PNG specification,
    sections 5 and 11).

    Args:
        path: The file.
        size: (H, W).
        rows: Uppermost first.
        palette: RGB by class.
        maker: As in `write_labels`.
    """
    compressor = zlib.compressobj(6)
    with atomic_path(path) as part, part.open("wb") as file:
        file.write(SIGNATURE)
        file.write(_chunk(b"IHDR", struct.pack(">2I5B", size[1], size[0], 8, 3, 0, 0, 0)))
        file.write(_chunk(b"PLTE", bytes(value for color in palette for value in color)))
        file.write(_chunk(b"tEXt", f"{MAKER}\0{maker}".encode("latin-1")))
        for band in rows:
            # every row begins with its filter: 0, none
            data = compressor.compress(np.pad(band.astype(np.uint8), ((0, 0), (1, 0))).tobytes())
            if data:
                file.write(_chunk(b"IDAT", data))
        file.write(_chunk(b"IDAT", compressor.flush()))
        file.write(_chunk(b"IEND", b""))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Read a label map that was written here: uint8 (H, W).

    Raises:
        UserError: It is damaged.
    """
    try:
        with PngImageFile(path) as image:  # Image.open takes one of more than 2^27 pixels for a bomb
            labels = np.empty((image.height, image.width), np.uint8)
            step = max(1, BAND // image.width)
            for top in range(0, image.height, step):  # of all at once Pillow holds two copies more
                band = image.crop((0, top, image.width, min(top + step, image.height)))
                labels[top : top + step] = np.asarray(band)
            return labels
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path}: damaged ({one_line(error)}): delete it, and it is made anew") from error


def maker_of(path: Path) -> str | None:
    """By which model a file is; None where it is not there or tells nothing."""
    try:
        with PngImageFile(path) as image:
            found: str | None = image.info.get(MAKER)
            return found
    except (OSError, SyntaxError, ValueError):
        return None
