"""Headers of JPEG files (ITU-T T.81, annex B), and further images in the file (CIPA DC-007)."""

import struct
from typing import NamedTuple

JPEG = b"\xff\xd8\xff"

FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a frame header."""

BARE = {0x01, *range(0xD0, 0xD9)}
"""Markers without a segment."""

SCAN = 0xDA
"""Marker of the first compressed data."""

MOST_SEGMENTS = 5000
"""Largest number of segments before the pixels: of the largest size, they have 300 MB."""

MOST_PICTURES = 100
"""Largest number of images of an index that are looked at."""

MULTI_FRAME = 2
"""Upper byte of the type of images that form a panorama, a stereo pair or another set; thumbnails have 1."""

MAP_MARKS = (b"hdrgm:", b"hdrgainmap")
"""Marks of a gain map, which only describes the brightness of the first image on displays that can show it."""


class JpegHeader(NamedTuple):
    """Header of a JPEG.

    Args:
        height: Height in pixels, as stored.
        width: Width in pixels, as stored.
        bits: Bits of a sample.
        channels: Number of components.
        exif: EXIF data, or b"".
        pictures: Number of images in the file, without thumbnails and gain maps.
    """

    height: int
    width: int
    bits: int
    channels: int
    exif: bytes
    pictures: int


def jpeg_header(data: bytes) -> JpegHeader | None:
    """Header of a JPEG; None if it is cut off or damaged.

    Args:
        data: The file, or its beginning: if that is too short, None is returned.
    """
    place, frame, exif, index = 2, (0, 0, 0, 0), b"", 0
    for _ in range(MOST_SEGMENTS):
        if place + 4 > len(data) or data[place] != 0xFF:
            return None
        marker = data[place + 1]
        if marker == 0xFF or marker in BARE:
            place += 1 if marker == 0xFF else 2
            continue
        if marker == SCAN:
            break
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4])
        segment = data[place + 4 : end]
        if end > len(data):
            return None
        if marker in FRAMES and len(segment) >= 6:
            bits, height, width, channels = struct.unpack_from(">BHHB", segment)
            frame = (height, width, bits, channels)
        elif marker == 0xE1 and segment.startswith(b"Exif\0\0") and not exif:
            exif = segment
        elif marker == 0xE2 and segment.startswith(b"MPF\0"):
            index = place
        place = end
    else:
        return None
    pictures = _pictures(data, index) if index else 1
    return JpegHeader(*frame, exif, pictures) if frame[0] and pictures else None


def _pictures(data: bytes, segment: int) -> int:
    """Number of images in an index of the Multi-Picture Format; 0 if `data` ends before one of them.

    Pillow and phones give further images no type: one is counted if it has the size of the first and is not marked as a
    gain map.

    Args:
        data: The file, or its beginning.
        segment: Place of the segment that holds the index.
    """
    start = segment + 8  # offsets count from here
    index = data[start : segment + 2 + int.from_bytes(data[segment + 2 : segment + 4])]
    order = "<" if index.startswith(b"II") else ">"
    count = 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", index, 4)
        (number,) = struct.unpack_from(f"{order}H", index, directory)
        entries = [struct.unpack_from(f"{order}HHII", index, directory + 2 + 12 * k) for k in range(number)]
        length, place = next(((entry[2], entry[3]) for entry in entries if entry[0] == 0xB002), (0, 0))
        for entry in range(place + 16, place + min(length, 16 * MOST_PICTURES), 16):  # the first one is this picture
            attribute, size, offset = struct.unpack_from(f"{order}III", index, entry)
            kind = attribute >> 16 & 0xFF
            if kind == MULTI_FRAME:
                count += 1
            elif kind == 0:
                if start + offset + size > len(data):
                    return 0
                count += _is_picture(data, start + offset, start + offset + size)
    except struct.error:  # a damaged index: what follows the first picture is not reached
        return count
    return count


def _is_picture(data: bytes, start: int, end: int) -> bool:
    """Whether the further image between two places counts: it is as large as the first, and no gain map."""
    head = data[start : min(end, start + (1 << 16))]
    if not head.startswith(JPEG) or any(mark in head for mark in MAP_MARKS):
        return False
    return _size(data, start, end) == _size(data, 0, len(data)) != (0, 0)


def _size(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Height and width of the image between two places by its first frame header; (0, 0) if there is none."""
    place = start + 2
    for _ in range(MOST_SEGMENTS):
        if place + 9 > end or data[place] != 0xFF:
            break
        marker = data[place + 1]
        if marker in FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return height, width
        if marker == SCAN:
            break
        place += 1 if marker == 0xFF else 2 + (0 if marker in BARE else int.from_bytes(data[place + 2 : place + 4]))
    return 0, 0
