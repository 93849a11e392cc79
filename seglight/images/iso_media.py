"""Files that consist of boxes (ISO/IEC 14496-12): their format, and the bits of AVIF and JPEG 2000."""

from collections.abc import Iterator
from typing import NamedTuple

CODESTREAM = b"\xff\x4f\xff\x51"
"""The beginning of the compressed data of JPEG 2000: SOC and SIZ (ITU-T T.800, annex A)."""

BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"), "HEIC or HEIF"),
    b"crx ": "camera raw (CR3)",
    **dict.fromkeys((b"mif1", b"msf1"), "HEIC or HEIF"),
}
"""Format by brand, the most specific first."""


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of the boxes in order, up to the first damaged one."""
    offset = 0
    while offset + 8 <= len(data):
        size = int.from_bytes(data[offset : offset + 4])
        kind = data[offset + 4 : offset + 8]
        header = 8
        if size == 1:
            size = int.from_bytes(data[offset + 8 : offset + 16])
            header = 16
        if size == 0:
            size = len(data) - offset
        if size < header:
            return
        yield kind, data[offset + header : offset + size]
        offset += size


def brand(data: bytes) -> str:
    """Name of an image format by the first box, or "" if it is unknown."""
    kind, content = next(boxes(data[:256]), (b"", b""))
    if kind != b"ftyp":
        return ""
    brands = {content[:4], *(content[start : start + 4] for start in range(8, len(content) - 3, 4))}
    return next((name for code, name in BRANDS.items() if code in brands), "")


def avif_bits(data: bytes) -> int:
    """Largest number of bits per sample in an AVIF (AV1 in ISOBMFF, section 2.3); 8 if it states none."""
    meta = next((content[4:] for kind, content in boxes(data) if kind == b"meta"), b"")
    properties = next((content for kind, content in boxes(meta) if kind == b"iprp"), b"")
    container = next((content for kind, content in boxes(properties) if kind == b"ipco"), b"")
    flags = [content[2] for kind, content in boxes(container) if kind == b"av1C" and len(content) > 2]
    return max((12 if flag & 0x20 else 10 if flag & 0x40 else 8 for flag in flags), default=8)


class Jpeg2000Header(NamedTuple):
    """Header of a JPEG 2000.

    Args:
        height: Height in pixels.
        width: Width in pixels.
        channels: Number of components.
        bits: Largest number of bits of a component.
        signed: Whether a component has signed values.
    """

    height: int
    width: int
    channels: int
    bits: int
    signed: bool


def jpeg2000_header(data: bytes) -> Jpeg2000Header | None:
    """Header of a JPEG 2000 by its codestream (ITU-T T.800, section A.5.1); None if it has none."""
    start = data.find(CODESTREAM)
    if start < 0:
        return None
    offset = start + 40  # after both markers, the length, the capabilities, and four sizes and offsets
    right, bottom, left, top = (int.from_bytes(data[start + place : start + place + 4]) for place in (8, 12, 16, 20))
    channels = int.from_bytes(data[offset : offset + 2])
    depths = data[offset + 2 : offset + 2 + 3 * channels : 3]
    if not depths:
        return None
    bits = max((byte & 0x7F) + 1 for byte in depths)
    return Jpeg2000Header(bottom - top, right - left, channels, bits, any(byte & 0x80 for byte in depths))


def jpeg2000_samples(data: bytes) -> tuple[int, int]:
    """Number of components of a JPEG 2000, and the largest number of bits of one; (0, 0) if it states none."""
    header = jpeg2000_header(data)
    return (0, 0) if header is None else (header.channels, header.bits)
