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
    place, frame, exif, pictures = 2, (0, 0, 0, 0), b"", 1
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF or marker in BARE:
            place += 1 if marker == 0xFF else 2
            continue
        if marker == SCAN:
            return JpegHeader(*frame, exif, pictures) if frame[0] else None
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
            found = _pictures(data, place + 8, segment[4:])
            if found is None:
                return None
            pictures = found
        place = end
    return None


def _pictures(data: bytes, start: int, index: bytes) -> int | None:
    """Number of images in an index of the Multi-Picture Format; None if `data` ends before one of them.

    Pillow and phones give further images no type: one is counted if it has the size of the first and is not marked as a
    gain map.
    """
    order = "<" if index.startswith(b"II") else ">"
    count = 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", index, 4)
        (number,) = struct.unpack_from(f"{order}H", index, directory)
        entries = [struct.unpack_from(f"{order}HHII", index, directory + 2 + 12 * k) for k in range(number)]
        length, place = next(((entry[2], entry[3]) for entry in entries if entry[0] == 0xB002), (0, 0))
        for entry in range(place + 16, place + length, 16):  # the first one is this picture
            attribute, size, offset = struct.unpack_from(f"{order}III", index, entry)
            kind = attribute >> 16 & 0xFF
            if kind == MULTI_FRAME:
                count += 1
            elif kind == 0:
                if start + offset + size > len(data):
                    return None
                count += _is_picture(data[start + offset : start + offset + size], data)
    except struct.error:  # a damaged index: what follows the first picture is not reached
        return count
    return count


def _is_picture(other: bytes, data: bytes) -> bool:
    """Whether a further image counts: it is as large as the first, and no gain map."""
    if not other.startswith(JPEG) or any(mark in other[: 1 << 16] for mark in MAP_MARKS):
        return False
    return _size(other) == _size(data) != (0, 0)


def _size(data: bytes) -> tuple[int, int]:
    """Height and width by the first frame header; (0, 0) if there is none."""
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker in FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return height, width
        if marker == SCAN:
            break
        place += 1 if marker == 0xFF else 2 + (0 if marker in BARE else int.from_bytes(data[place + 2 : place + 4]))
    return 0, 0
