"""Checksums and headers of PNG files.

Pillow reads many damaged files without an error; a changed label is worse than none.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from seglight.images.exif import RAW_PROFILE, exif_in_text

SIGNATURE = b"\x89PNG\r\n\x1a\n"

LENGTH = struct.Struct(">I")
"""Length of a chunk's content."""

TEXTS = (b"tEXt", b"zTXt", b"iTXt")

KEYWORD = RAW_PROFILE.encode() + b"\0"

MOST_TEXT = 1 << 20
"""Largest number of bytes of a compressed text that is read, as in Pillow."""

TAIL = 1 << 15
"""Number of bytes at the end of a file that are searched for EXIF data behind the pixels."""

MOST_CHUNKS = 5000
"""Largest number of chunks before the pixels; a few dozen are common."""


class PngHeader(NamedTuple):
    """Header of a PNG.

    Args:
        height: Height in pixels, as stored.
        width: Width in pixels, as stored.
        bits: Bits of a sample, or of a palette index.
        channels: Samples of a pixel; 1 with a palette.
        palette: Whether the samples are palette indices.
        transparent: Whether a colour, or an entry of the palette, is transparent.
        pictures: Number of images in the file: more than 1 in an animation.
        exif: EXIF data, or b"".
    """

    height: int
    width: int
    bits: int
    channels: int
    palette: bool
    transparent: bool
    pictures: int
    exif: bytes


def png_header(head: bytes, tail: bytes = b"") -> PngHeader | None:
    """Header of a PNG; None if it is damaged, or `head` ends before the pixels.

    Args:
        head: The file, or its beginning.
        tail: End of the file, which may contain EXIF data, too.
    """
    chunks: dict[bytes, bytes] = {}
    frame_before = False
    place = len(SIGNATURE)
    for _ in range(MOST_CHUNKS):
        kind = head[place + 4 : place + 8]
        if kind == b"IDAT":
            break
        end = place + 8 + int.from_bytes(head[place : place + 4])
        if end + 4 > len(head) or kind == b"IEND":
            return None
        is_profile = kind in TEXTS and head.startswith(KEYWORD, place + 8)
        if is_profile or kind in (b"IHDR", b"tRNS", b"acTL", b"eXIf"):
            if zlib.crc32(head[place + 4 : end]) != int.from_bytes(head[end : end + 4]):
                return None
            chunks.setdefault(KEYWORD if is_profile else kind, head[place + 4 if is_profile else place + 8 : end])
        frame_before |= kind == b"fcTL"
        place = end + 4
    else:
        return None
    header, animation = chunks.get(b"IHDR", b""), chunks.get(b"acTL", b"")
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(header[9], 0) if len(header) == 13 else 0
    if not channels:
        return None
    # the pixels of IDAT are the first frame if it is described before them, else an image beside the frames
    pictures = int.from_bytes(animation[:4]) + (not frame_before) if animation else 1
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    exif = chunks.get(b"eXIf") or _late(tail, b"eXIf")[4:]
    exif = exif or _of_text(chunks.get(KEYWORD) or _late(tail, KEYWORD, before=4))
    return PngHeader(height, width, header[8], channels, header[9] == 3, b"tRNS" in chunks, pictures, exif)


def _late(tail: bytes, beginning: bytes, before: int = 0) -> bytes:
    """Type and content of the last matching chunk; empty if there is none, or its checksum does not fit.

    Args:
        tail: End of the file.
        beginning: Type of the chunk, or the beginning of its content.
        before: Number of bytes of the type in front of the beginning.
    """
    place = tail.rfind(beginning) - before
    end = place + 4 + int.from_bytes(tail[max(0, place - 4) : max(0, place)])
    sound = place >= 4 and zlib.crc32(tail[place:end]) == int.from_bytes(tail[end : end + 4] or b"\xff")
    return tail[place:end] if sound else b""


def _of_text(chunk: bytes) -> bytes:
    """EXIF data in a text chunk (PNG specification, section 11.3.3) that starts with its type; empty if damaged."""
    kind, text = chunk[:4], chunk[4 + len(KEYWORD) :]
    compressed = kind == b"zTXt" or (kind == b"iTXt" and text[:1] == b"\1")
    if kind == b"zTXt":
        text = text[1:]
    elif kind == b"iTXt":
        text = text[2:].split(b"\0", 2)[-1]
    elif kind != b"tEXt":
        return b""
    if compressed:
        try:
            text = zlib.decompressobj().decompress(text, MOST_TEXT)
        except zlib.error:
            return b""
    return exif_in_text(text.decode("latin-1"))


def png_fault(data: bytes) -> str:
    """Defect of the chunks of a PNG file, or "" (PNG specification, section 5)."""
    for start, end in _chunks(data):
        kind = data[start : start + 4].decode("latin-1")
        if zlib.crc32(memoryview(data)[start:end]) != int.from_bytes(data[end : end + 4]):
            return f"the checksum of a chunk {kind} does not fit"
        if kind == "IEND":
            return ""
    return "cut off before its end"


def is_cut_off(data: bytes) -> bool:
    """Whether a PNG file ends before its last chunk does, or has none; no checksum is read."""
    return all(data[start : start + 4] != b"IEND" for start, _ in _chunks(data))


def _chunks(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the type of each whole chunk begins, and where its content ends."""
    place = len(SIGNATURE)
    last = len(data) - 12
    while place <= last:
        (length,) = LENGTH.unpack_from(data, place)
        if place + length > last:
            return
        yield place + 4, place + 8 + length
        place += 12 + length
