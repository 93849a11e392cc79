"""Deflated data: its beginning, which takes less time than all of it, and whether it is longer than it should be."""

import zlib
from functools import cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

LONGEST = 2**16
"""Bytes that may be missing at the end of a buffer that is too small: a stored block of deflate (RFC 1951, section
3.2.4) is copied as a whole or not at all, and has up to 65,535."""


def inflated(data: bytes | memoryview, length: int, whole: int, most: int | None = None) -> NDArray[np.uint8]:
    """Decode the first bytes of a zlib stream.

    libdeflate, which imagecodecs has, is twice as fast as zlib. The checksum is compared if all bytes are needed.

    Args:
        data: The stream.
        length: Number of bytes that are needed.
        whole: Number of bytes that the stream should hold; some programs write a little more.
        most: Number of bytes beyond which the stream is taken for damaged; None: twice as many as it should hold.

    Returns:
        At least `length` bytes.

    Raises:
        ValueError, zlib.error, RuntimeError: The stream is damaged, or holds fewer bytes, or too many.
    """
    if _has_libdeflate() and (length == whole or _fills_small_buffers()):
        found = np.empty(min(whole, length + LONGEST), np.uint8)
        number = _decoded(data, found)
        if number == len(found) or (number > len(found) and len(found) < whole):
            return found
    stream = zlib.decompressobj()
    most = 2 * whole if most is None else most
    found = np.frombuffer(stream.decompress(data, most if length == whole else length), np.uint8)
    if len(found) == most and length == whole and not stream.eof:
        raise ValueError("a strip or tile is decoded to more than its pixels")
    if len(found) < length or (length == whole and not stream.eof):
        raise ValueError("other bytes than its pixels")
    return found


def holds_more(data: bytes | memoryview, most: int) -> bool:
    """Whether a zlib stream holds more than some number of bytes, of which no more are decoded.

    Raises:
        zlib.error, RuntimeError: The stream is damaged.
    """
    if _has_libdeflate():
        return _decoded(data, np.empty(most, np.uint8)) > most
    return len(zlib.decompressobj().decompress(data, most + 1)) > most


def _decoded(data: bytes | memoryview, buffer: NDArray[np.uint8]) -> int:
    """Decode into a buffer, and return the number of bytes of the stream: one more than the buffer if it has more."""
    import imagecodecs

    try:
        return len(imagecodecs.deflate_decode(cast("bytes", data), out=buffer.data))  # it takes any buffer
    except imagecodecs.DeflateError as error:
        if "INSUFFICIENT_SPACE" not in str(error):
            raise
        return len(buffer) + 1


@cache
def _has_libdeflate() -> bool:
    try:
        import imagecodecs
    except ImportError:
        return False
    return bool(imagecodecs.DEFLATE.available)


@cache
def _fills_small_buffers() -> bool:
    """Whether a buffer that is too small is filled, which no documentation promises."""
    content = np.random.default_rng(0).integers(0, 4, 3 * LONGEST).astype(np.uint8)
    filled = []
    for level in (0, 1):  # stored and compressed
        buffer = np.full(2 * LONGEST, 255, np.uint8)
        filled.append(_decoded(zlib.compress(content.tobytes(), level), buffer) > len(buffer))
        filled.append(bool((buffer[:LONGEST] == content[:LONGEST]).all()))
    return all(filled)
