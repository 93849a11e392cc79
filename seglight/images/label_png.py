"""Label maps as PNGs: index PNGs with the classes' palette, or grey ones of 16 bits for more than 255 classes."""

import struct
import zlib
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile, PngInfo

from seglight.errors import UserError, one_line
from seglight.images.draw import palette_image
from seglight.images.png import SIGNATURE
from seglight.images.types import Color, LabelMap
from seglight.ops.label_types import label_type
from seglight.system.atomic import atomic_path

PROVENANCE = "seglight"
"""Key of the text in a file that states its input and its model."""

KIND = slice(24, 26)
"""Position in a PNG of its bits a sample and of its colour type."""

KINDS = (b"\x08\x03", b"\x10\x00")
"""Bits and colour type of label maps: 8 with a palette, 16 of grey."""

BAND = 1 << 20
"""Number of pixels that are copied at a time."""


def write_labels(path: Path, labels: LabelMap, palette: Sequence[Color], provenance: str) -> None:
    """Write a label map (H, W) atomically.

    Args:
        path: Path of the file.
        labels: Label map (H, W).
        palette: RGB colours of the classes, by index.
        provenance: Latin-1 text that the file keeps: its input and its model.
    """
    text = PngInfo()
    text.add_text(PROVENANCE, provenance)
    with atomic_path(path) as part:
        image = palette_image(labels if labels.dtype == np.uint16 else labels.astype(np.uint8), palette)
        image.save(part, pnginfo=text)


def write_label_rows(
    path: Path, size: tuple[int, int], rows: Iterable[LabelMap], palette: Sequence[Color], provenance: str
) -> None:
    """Write a label map that comes a few rows (h, W) at a time, atomically.

    Pillow needs the whole image; what it would write is a header, the palette and compressed rows (PNG specification,
    sections 5 and 11).

    Args:
        path: Path of the file.
        size: Height and width of the label map.
        rows: Bands of rows, uppermost first.
        palette: RGB colours of the classes, by index.
        provenance: As for `write_labels`.
    """
    sample = label_type(len(palette)).newbyteorder(">")
    wide = sample.itemsize > 1
    compressor = zlib.compressobj(6)
    with atomic_path(path) as part, part.open("wb") as file:
        file.write(SIGNATURE)
        file.write(_chunk(b"IHDR", struct.pack(">2I2s3B", size[1], size[0], KINDS[wide], 0, 0, 0)))
        if not wide:
            file.write(_chunk(b"PLTE", bytes(value for color in palette for value in color)))
        file.write(_chunk(b"tEXt", f"{PROVENANCE}\0{provenance}".encode("latin-1")))
        for band in rows:
            # every row begins with its filter: 0, none
            octets = np.ascontiguousarray(band, sample).view(np.uint8)
            data = compressor.compress(np.pad(octets, ((0, 0), (1, 0))).tobytes())
            if data:
                file.write(_chunk(b"IDAT", data))
        file.write(_chunk(b"IDAT", compressor.flush()))
        file.write(_chunk(b"IEND", b""))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def read_labels(path: Path) -> LabelMap:
    """Read a label map (H, W) that was written by `write_labels`.

    Raises:
        UserError: The file is damaged.
    """
    try:
        with PngImageFile(path) as image:  # Image.open refuses more than 2^27 pixels as a bomb
            dtype: np.dtype[Any] = np.dtype(np.uint8 if image.mode == "P" else np.uint16)
            labels: NDArray[Any] = np.empty((image.height, image.width), dtype)
            step = max(1, BAND // image.width)
            for top in range(0, image.height, step):  # Pillow would hold two further copies of the whole
                band = image.crop((0, top, image.width, min(top + step, image.height)))
                labels[top : top + step] = np.asarray(band)
            return labels
    except (OSError, SyntaxError, ValueError) as error:
        raise unreadable_labels(path, error) from error


def unreadable_labels(path: Path, error: Exception) -> UserError:
    """The error about a label map that can't be decoded."""
    return UserError(f"{path}: damaged ({one_line(error)}): delete it, and predict again")


def provenance_of(file: Path | BytesIO) -> str | None:
    """Provenance of a label map; None if the file does not exist or states none.

    Args:
        file: Path of the file, or its first bytes.
    """
    try:
        with PngImageFile(file) as image:
            found: str | None = image.info.get(PROVENANCE)
            return found
    except (OSError, SyntaxError, ValueError):
        return None


def is_label_map(path: Path) -> bool:
    """Whether a file is a label map that states its provenance."""
    try:
        with path.open("rb") as file:
            head = file.read(KIND.stop)
    except OSError:
        return False
    # most files end here
    return head.startswith(SIGNATURE) and head[KIND] in KINDS and provenance_of(path) is not None
