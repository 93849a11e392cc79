"""Files made of boxes (ISO/IEC 14496-12): which format they are, and how many bits AVIF and JPEG 2000 have."""

from collections.abc import Iterator

CODESTREAM = b"\xff\x4f\xff\x51"
"""The beginning of the compressed data of JPEG 2000: SOC and SIZ (ITU-T T.800, annex A)."""

BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"), "HEIC or HEIF"),
    b"crx ": "camera raw (CR3)",
    **dict.fromkeys((b"mif1", b"msf1"), "HEIC or HEIF"),
}
"""Format by brand, the most telling first."""


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of one box after another; it ends where they are damaged."""
    place = 0
    while place + 8 <= len(data):
        size, kind, header = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8], 8
        if size == 1:
            size, header = int.from_bytes(data[place + 8 : place + 16]), 16
        if size == 0:
            size = len(data) - place
        if size < header:
            return
        yield kind, data[place + header : place + size]
        place += size


def brand(data: bytes) -> str:
    """The name of a format of pictures by the first box; "" if it is none that is known."""
    kind, content = next(boxes(data[:256]), (b"", b""))
    if kind != b"ftyp":
        return ""
    said = {content[:4], *(content[place : place + 4] for place in range(8, len(content) - 3, 4))}
    return next((name for code, name in BRANDS.items() if code in said), "")


def avif_bits(data: bytes) -> int:
    """Bits of the samples of an AVIF, the most of its images (AV1 in ISOBMFF, section 2.3); 8 where it does not say."""
    meta = next((content[4:] for kind, content in boxes(data) if kind == b"meta"), b"")
    properties = next((content for kind, content in boxes(meta) if kind == b"iprp"), b"")
    container = next((content for kind, content in boxes(properties) if kind == b"ipco"), b"")
    flags = [content[2] for kind, content in boxes(container) if kind == b"av1C" and len(content) > 2]
    return max((12 if flag & 0x20 else 10 if flag & 0x40 else 8 for flag in flags), default=8)


def jpeg2000_samples(data: bytes) -> tuple[int, int]:
    """Components of a JPEG 2000, and the most bits of one; (0, 0) where it does not say."""
    start = data.find(CODESTREAM)
    if start < 0:
        return 0, 0
    place = start + 40  # after both markers, the length, the capabilities, and four sizes and offsets
    channels = int.from_bytes(data[place : place + 2])
    bits = [(byte & 0x7F) + 1 for byte in data[place + 2 : place + 2 + 3 * channels : 3]]
    return (channels, max(bits)) if bits else (0, 0)
