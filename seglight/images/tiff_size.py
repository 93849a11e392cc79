"""The size of a TIFF by its directories (TIFF 6.0, section 2, and BigTIFF).

A few tags are read, in little time and memory whatever the bytes are: a file can announce more tags, values and pages
than any process has room for, and it may have been sent by a stranger.
"""

import struct

from seglight.images.exif import ORIENTATION, turned_size
from seglight.images.tiff_pages import MASK, REDUCED

SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT = 254, 255, 256, 257

OLD_REDUCED = 2
"""Value of `OLD_SUBFILE` of a reduced copy."""

NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
"""Format of a value by its type: BYTE, SHORT, LONG, LONG8."""

MOST_TAGS = 4096
"""Largest number of tags of a page, as in tifffile."""

MOST_COPIES = 100
"""Largest number of reduced copies and masks before the image; a pyramid has about ten."""


def tiff_size(data: bytes) -> tuple[int, int]:
    """Height and width of the image in a TIFF, after its orientation is applied.

    Args:
        data: The file.

    Returns:
        Size of the first page that is neither a reduced copy nor a mask, or of the first page if all are.

    Raises:
        ValueError, struct.error: The file is damaged, or begins with more than `MOST_COPIES` reduced copies and masks.
    """
    order = "<" if data.startswith(b"II") else ">"
    is_big = 43 in data[2:4]
    offset = f"{order}{'Q' if is_big else 'I'}"
    (place,) = struct.unpack_from(offset, data, 8 if is_big else 4)
    if not place:
        raise ValueError("no page")
    tags, end = _tags(data, place, order, is_big)
    size = _size(tags)
    for _ in range(MOST_COPIES):
        if not _is_copy(tags):
            return _size(tags)
        (place,) = struct.unpack_from(offset, data, end)
        if not place:
            break
        tags, end = _tags(data, place, order, is_big)
    else:
        raise ValueError(f"more than {MOST_COPIES} reduced copies")
    return size


def _tags(data: bytes, place: int, order: str, is_big: bool) -> tuple[dict[int, int], int]:
    """Values of a directory's numbers that are of interest, and the place behind its tags."""
    (number,) = struct.unpack_from(f"{order}{'Q' if is_big else 'H'}", data, place)
    if number > MOST_TAGS:
        raise ValueError(f"{number} tags")
    start = place + (8 if is_big else 2)
    length = 20 if is_big else 12
    end = start + number * length
    tags: dict[int, int] = {}
    for entry in range(start, end, length):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        if tag in (SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, ORIENTATION) and kind in NUMBERS:
            (value,) = struct.unpack_from(f"{order}{NUMBERS[kind]}", data, entry + (12 if is_big else 8))
            tags.setdefault(tag, value)
    return tags, end


def _is_copy(tags: dict[int, int]) -> bool:
    return bool(tags.get(SUBFILE, 0) & (REDUCED | MASK)) or tags.get(OLD_SUBFILE) == OLD_REDUCED


def _size(tags: dict[int, int]) -> tuple[int, int]:
    height = tags.get(HEIGHT, 0)
    width = tags.get(WIDTH, 0)
    if not height or not width:
        raise ValueError("a page without a size")
    orientation = tags.get(ORIENTATION, 1)
    return turned_size((height, width), orientation if orientation in range(1, 9) else 1)
