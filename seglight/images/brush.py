"""Brush strokes of Label Studio: pixels as runs of bits, in the format of thi.ng's rle-pack.

The first 32 bits are the number of values, the next 5 the bits of a value less one, the next 4 x 4 the bits of a length
less one, for four sizes of it. A packet is a bit that says whether one value is repeated, 2 bits for the size of its
length, the length less one, and the value, or as many values as the length says. Values are those of an RGBA image.
"""

from array import array

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError

WORD = 8
"""Bits of a value."""

SIZES = np.array([3, 4, 8, 16])
"""Bits of a length in what is written here, for runs of up to 8, 16 and 256 values, and for longer ones."""

UP_TO = (8, 16, 256)
LONGEST = 1 << 16
"""Values of a packet; longer runs are split."""

HEADER = 32 + 5 + 4 * 4
"""Bits before the first packet."""

MOST_PIXELS = (1 << 30) - 1
"""Pixels whose values can be counted in 32 bits."""


def encode_brush(mask: NDArray[np.bool_]) -> bytes:
    """Pack a mask as a brush stroke: the same bytes as label-studio-sdk's `mask2rle`.

    Args:
        mask: Pixels of the stroke: bool (H, W).

    Returns:
        The `rle`: values of RGBA, 255 in all four bands where the mask is true.

    Raises:
        UserError: The image has more pixels than the format can count.
    """
    flat = mask.ravel()
    if flat.size > MOST_PIXELS:
        raise UserError(
            f"an image of {flat.size} pixels: a brush of Label Studio has at most {MOST_PIXELS}: give a smaller one"
        )
    ends = np.append(_changes(flat), flat.size)
    lengths = 4 * np.diff(ends, prepend=0)
    size = np.sum([lengths > longest for longest in UP_TO], axis=0)
    value = np.where(flat[ends - 1], 255, 0)
    if lengths.max() > LONGEST:
        packets = -(-lengths // LONGEST)
        last = np.cumsum(packets) - 1
        split = np.full(last[-1] + 1, LONGEST)
        split[last] = lengths - (packets - 1) * LONGEST
        lengths = split
        size = np.repeat(size, packets)
        value = np.repeat(value, packets)
    bits = SIZES[size]
    fields = ((4 + size) << bits | (lengths - 1)) << WORD | value
    header = 4 * flat.size
    for number, width in [(WORD - 1, 5), *((int(each) - 1, 4) for each in SIZES)]:
        header = header << width | number
    return _pack(np.append(header, fields).astype(np.uint64), np.append(HEADER, 3 + bits + WORD))


def _changes(flat: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Indices of the values that differ from the one before them."""
    changes = np.zeros(-(-flat.size // 8) * 8, bool)
    np.not_equal(flat[1:], flat[:-1], out=changes[1 : flat.size])
    words = np.flatnonzero(changes.view(np.uint64) != 0)  # most words of eight values have none
    inside = np.flatnonzero(changes.reshape(-1, 8)[words])
    found: NDArray[np.intp] = words[inside >> 3] * 8 + (inside & 7)
    return found


def brush_pixels(data: bytes, height: int, width: int) -> NDArray[np.bool_]:
    """Pixels of a brush stroke: bool (height, width).

    Args:
        data: Its `rle`.
        height: Height of the image.
        width: Width of the image.

    Raises:
        ValueError: The runs are cut off, not those of an image of this size, or their values do not have 8 bits.
    """
    number = _bits(data[:4], 0, 32)
    if number != 4 * height * width:
        raise ValueError(f"a brush of {number} values, where {width}x{height} pixels have {4 * height * width}")
    values, counts = _runs(data)
    ends = np.minimum(np.cumsum(counts), number)
    # every fourth value is of the last band, which says where the stroke is
    return np.repeat(values > 0, np.diff(ends // 4, prepend=0)).reshape(height, width)


def _runs(data: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The values of a brush stroke, each with its number; the last one may be too large."""
    end = 8 * len(data)
    padded = data + bytes(8)  # a field may be read that begins behind the end
    number = _bits(padded, 0, 32)
    word = _bits(padded, 32, 5) + 1
    if word != WORD:
        raise ValueError(f"values of {word} bits")
    sizes = [_bits(padded, 37 + 4 * k, 4) + 1 for k in range(4)]
    starts = _starts(padded, end, sizes)
    raw = np.frombuffer(padded, np.uint8)
    packet = _read(raw, starts, 27)  # the longest packet of one value
    bits = np.array(sizes)[packet >> 24 & 3]
    lengths = (packet >> (24 - bits) & ((1 << bits) - 1)) + 1
    decoded = np.cumsum(lengths)
    used = int(np.searchsorted(decoded, number)) + 1 if number else 0
    if used > len(starts):
        raise ValueError(f"runs that end after {decoded[-1] if len(starts) else 0} of {number} values")
    packet = packet[:used]
    lengths = lengths[:used]
    repeated = packet >> 26 == 1
    values_at = starts[:used] + 3 + bits[:used]
    if used and values_at[-1] + WORD * (1 if repeated[-1] else lengths[-1]) > end:
        raise ValueError(f"runs that end before their {number} values")
    counts = np.where(repeated, 1, lengths)  # values that are written in each packet
    nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    values = _read(raw, np.repeat(values_at, counts) + WORD * nth, WORD).astype(np.uint8)
    return values, np.repeat(np.where(repeated, lengths, 1), counts)


def _starts(padded: bytes, end: int, sizes: list[int]) -> NDArray[np.int64]:
    """Bits at which packets start: one after the other, as each says where the next one is."""
    bits = np.unpackbits(np.frombuffer(padded, np.uint8))
    codes = bits[:end] << 2 | bits[1 : end + 1] << 1 | bits[2 : end + 2]
    # from the first three bits, the length of a packet of one value; 0: of several
    table = bytes(4) + bytes(3 + size + WORD for size in sizes)
    widths = codes.tobytes().translate(table.ljust(256)) + bytes(27)
    found = array("q")
    place = HEADER
    while place < end:
        width = widths[place]
        while width:
            found.append(place)
            place += width
            width = widths[place]
        if place < end:
            found.append(place)
            size = sizes[codes[place]]
            place += 3 + size + WORD * (_bits(padded, place + 3, size) + 1)
    return np.array(found, np.int64)


def _bits(data: bytes, place: int, number: int) -> int:
    """A number of so many bits, highest first, from a bit on."""
    last = (place + number + 7) >> 3
    return (int.from_bytes(data[place >> 3 : last], "big") >> (8 * last - place - number)) & ((1 << number) - 1)


def _read(raw: NDArray[np.uint8], places: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """Numbers of so many bits, at most 33, from each of these bits on."""
    first = places >> 3
    window = np.zeros(len(places), np.int64)
    for k in range(5):
        window = window << 8 | raw[first + k]
    found: NDArray[np.int64] = window >> (40 - number - (places & 7)) & ((1 << number) - 1)
    return found


def _pack(fields: NDArray[np.uint64], widths: NDArray[np.int64]) -> bytes:
    """Write numbers of so many bits, less than 64, one after the other, and 1 to 8 zero bits to the end of a byte.

    label-studio-sdk adds 8 zero bits where none would be needed.
    """
    ends = np.cumsum(widths)
    starts = ends - widths
    word = starts >> 6
    beyond = (starts & 63) + widths - 64  # bits that belong to the next word
    high = fields << np.maximum(-beyond, 0).astype(np.uint64) >> np.maximum(beyond, 0).astype(np.uint64)
    # a field starts in every word, since none is as wide as a word
    words = np.append(np.bitwise_or.reduceat(high, np.flatnonzero(np.diff(word, prepend=-1))), np.uint64(0))
    spilled = beyond > 0
    words[word[spilled] + 1] |= fields[spilled] << (64 - beyond[spilled]).astype(np.uint64)
    return words.astype(">u8").tobytes()[: int(ends[-1]) // 8 + 1]
