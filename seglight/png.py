"""The checksums of a PNG. Pillow reads many a damaged one without a word; a label that changed is worse than none."""

import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_fault(data: bytes) -> str:
    """What is wrong with the chunks of a PNG file, "" if nothing (PNG specification, section 5)."""
    place = len(SIGNATURE)
    while place + 12 <= len(data):
        end = place + 8 + int.from_bytes(data[place : place + 4])
        kind = data[place + 4 : place + 8].decode("latin-1")
        if end + 4 > len(data):
            break
        if zlib.crc32(memoryview(data)[place + 4 : end]) != int.from_bytes(data[end : end + 4]):
            return f"the checksum of a chunk {kind} does not fit"
        if kind == "IEND":
            return ""
        place = end + 4
    return "cut off before its end"
