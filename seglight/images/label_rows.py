"""Label maps that are read a few rows at a time."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from seglight.images.label_png import KINDS, read_labels, unreadable_labels
from seglight.images.png import SIGNATURE
from seglight.images.types import LabelMap

BAND = 1 << 20
"""Number of pixels that are read at a time."""

HEADER = struct.Struct(">2I2s3B")
"""Width, height, bits and colour type, compression, filter method, interlacing (PNG specification, section 11.2.2)."""


class LabelRows(Protocol):
    """A label map.

    Attributes:
        shape: Its height and width.
        dtype: Type of its class indices.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]

    def bands(self) -> Iterator[LabelMap]:
        """Yield its rows (h, W) from the top, some at a time."""

    def whole(self) -> LabelMap:
        """All rows (H, W)."""


class LabelsInMemory:
    """A label map in memory.

    Args:
        labels: Class indices (H, W).
    """

    def __init__(self, labels: LabelMap) -> None:
        self.shape = (labels.shape[0], labels.shape[1])
        self.dtype = labels.dtype
        self._labels = labels

    def bands(self) -> Iterator[LabelMap]:
        """Yield its rows (h, W) from the top, some at a time."""
        step = max(1, BAND // self.shape[1])
        for top in range(0, self.shape[0], step):
            yield self._labels[top : top + step]

    def whole(self) -> LabelMap:
        """The label map itself."""
        return self._labels


class StoredLabels:
    """A label map in an index PNG.

    Those that `predict` writes by rows are read by rows. Pillow's own of 16 bits, whose rows are stored as differences
    to others, and those of other programs are read whole.

    Args:
        path: Path of the file.

    Raises:
        UserError: The file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                head = file.read(len(SIGNATURE) + 8 + HEADER.size)
            width, height, kind, *_, interlaced = HEADER.unpack_from(head, len(SIGNATURE) + 8)
        except (OSError, struct.error) as error:
            raise unreadable_labels(path, error) from error
        if not head.startswith(SIGNATURE) or not width * height:
            raise unreadable_labels(path, ValueError("it is no PNG"))
        self.shape: tuple[int, int] = (height, width)
        self.dtype = np.dtype(np.uint8 if kind[1] == KINDS[0][1] else np.uint16)
        self._is_plain = kind in KINDS and not interlaced

    def bands(self) -> Iterator[LabelMap]:
        """Yield its rows (h, W) from the top, some at a time.

        Raises:
            UserError: The file is damaged.
        """
        top = 0
        if self._is_plain:
            for rows in self._stored():
                if rows[:, 0].any():  # differences
                    break
                yield rows[:, 1:].copy().view(self.dtype.newbyteorder(">")).astype(self.dtype, copy=False)
                top += len(rows)
        if top < self.shape[0]:
            rest = self.whole()[top:]
            yield from LabelsInMemory(rest).bands()

    def whole(self) -> LabelMap:
        """All rows (H, W).

        Raises:
            UserError: The file is damaged.
        """
        return read_labels(self.path)

    def _stored(self) -> Iterator[NDArray[np.uint8]]:
        """Rows (h, 1 + bytes) as they are stored: each begins with the number of its filter; 0: none."""
        height, width = self.shape
        row = 1 + width * self.dtype.itemsize
        step = max(1, BAND // width)
        try:
            with self.path.open("rb") as file:
                content = _Pixels(file)
                for top in range(0, height, step):
                    rows = min(step, height - top)
                    yield np.frombuffer(content.read(rows * row), np.uint8).reshape(rows, row)
        except (OSError, ValueError, zlib.error) as error:
            raise unreadable_labels(self.path, error) from error


class _Pixels:
    """The decompressed pixels of a PNG, from the beginning.

    Args:
        file: The file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._chunks = _pixel_chunks(file)
        self._stream = zlib.decompressobj()
        self._rest = b""

    def read(self, length: int) -> bytes:
        """The next bytes.

        Raises:
            OSError, ValueError, zlib.error: The file is damaged.
        """
        found = bytearray()
        while len(found) < length:
            part = self._stream.decompress(self._rest, length - len(found))
            self._rest = self._stream.unconsumed_tail
            found += part
            if not part and not self._rest:
                self._rest = next(self._chunks)
        return bytes(found)


def _pixel_chunks(file: BinaryIO) -> Iterator[bytes]:
    """Contents of the chunks with pixels, none of which is empty.

    Raises:
        ValueError: A chunk is damaged, or the file is cut off.
    """
    file.seek(len(SIGNATURE))
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind != b"IDAT":
            file.seek(length + 4, 1)
            continue
        data = file.read(length)
        if file.read(4) != struct.pack(">I", zlib.crc32(kind + data)):
            raise ValueError("a checksum does not fit")
        if data:
            yield data
    raise ValueError("it is cut off")
