"""Brush strokes of Label Studio: pixels as runs of bits, in the format of thi.ng's rle-pack.

The first 32 bits are the number of values, the next 5 the bits of a value less one, the next 4 x 4 the bits of a length
less one, for four sizes of it. A packet is a bit that says whether one value is repeated, 2 bits for the size of its
length, the length less one, and the value, or as many values as the length says. Values are those of an RGBA image.
"""

from array import array
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError

WORD = 8
"""Bits of a value."""

SIZES = (3, 4, 8, 16)
"""Bits of a length in what is written here, for runs of up to 8, 16 and 256 values, and for longer ones."""

UP_TO = (8, 16, 256)
LONGEST = 1 << 14
"""Pixels of a packet; longer runs are split."""

HEADER = 32 + 5 + 4 * 4
"""Bits before the first packet."""

FORMAT = int(f"{WORD - 1:05b}" + "".join(f"{size - 1:04b}" for size in SIZES), 2)
"""The header behind the number of values."""

MOST_PIXELS = (1 << 30) - 1
"""Pixels whose values can be counted in 32 bits."""


def encode_brush(mask: NDArray[np.bool_]) -> bytes:
    """Pack a mask as a brush stroke: the same bytes as label-studio-sdk's `mask2rle`.

    Args:
        mask: Pixels of the stroke: bool (H, W).

    Returns:
        The `rle`: values of RGBA, 255 in all four bands where the mask is true.

    Raises:
        UserError: The image has no pixels, or more than the format can count.
    """
    flat = mask.ravel()
    if flat.size > MOST_PIXELS:
        raise UserError(
            f"an image of {flat.size} pixels: a brush of Label Studio has at most {MOST_PIXELS}: give a smaller one"
        )
    if not flat.size:
        raise UserError("an image without pixels: a brush of Label Studio has at least one: give a larger one")
    ends = 2 * _ends(flat)
    runs = ends.copy()
    runs[1:] -= ends[:-1]
    runs[0 if flat[0] else 1 :: 2] += 1  # now places in the table of packets
    parts: list[Any] = []
    done = 0
    for place in np.flatnonzero(runs > 2 * LONGEST + 1).tolist():  # few are that long
        pixels, value = divmod(int(runs[place]), 2)
        full, rest = divmod(pixels - 1, LONGEST)
        last = LONGEST + rest + 1
        parts += runs[done:place], [2 * LONGEST + value] * full + [2 * last + value]
        done = place + 1
    runs = np.concatenate([*parts, runs[done:]])
    numbers, widths = _packets()
    backwards = runs[::-1]
    return _pack(numbers[backwards], widths[backwards], 4 * flat.size)


@cache
def _packets() -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Last packets of the runs of up to 2 * LONGEST pixels, and their bits.

    That of n pixels without the stroke is at 2n, that of n pixels with it at 2n + 1.
    """
    lengths = 4 * np.arange(2 * LONGEST + 1)
    size = np.searchsorted(UP_TO, lengths)  # by the length of the whole run, however short its last packet is
    bits = np.array(SIZES)[size]
    numbers = ((4 + size) << bits | (lengths - 1) % (4 * LONGEST)) << WORD
    return np.stack([numbers, numbers | 255], 1).ravel().astype(np.int32), np.repeat(3 + bits + WORD, 2)


def _ends(flat: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Places behind the last pixels of all runs."""
    size = flat.size
    octets = np.packbits(flat, bitorder="little")
    octets.resize(size // 32 * 4 + 4, refcheck=False)  # with zeros, and at least one bit of them
    if not flat[-1]:
        octets[size >> 3] |= 256 - (1 << size % 8)
        octets[(size >> 3) + 1 :] = 255
    words = octets.view("<i4")
    before = np.empty_like(words)  # the pixel before each word, in all bits
    before[0] = -int(flat[0])
    np.right_shift(words[:-1], 31, out=before[1:])
    changed = (words != before).nonzero()[0]  # few words are
    inner = words[changed]
    changes = inner ^ (2 * inner - before[changed])
    inside = np.unpackbits(changes.view(np.uint8), bitorder="little").view(bool).nonzero()[0]
    found: NDArray[np.intp] = changed[inside >> 5] * 32 + (inside & 31)
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
    # every fourth value is of the last band, which says where the stroke is
    pixels = np.minimum(np.cumsum(counts), number) >> 2
    pixels[1:] -= pixels[:-1]
    return np.repeat(values > 0, pixels).reshape(height, width)


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
    packets = _left(padded, starts)
    kinds = packets >> 61  # the first three bits
    bits = np.array(2 * sizes, np.uint64)[kinds]
    lengths = ((packets << 3 >> (64 - bits)) + 1).astype(np.int64)
    decoded = np.cumsum(lengths)
    used = int(np.searchsorted(decoded, number)) + 1 if number else 0
    if used > len(starts):
        raise ValueError(f"runs that end after {decoded[-1] if len(starts) else 0} of {number} values")
    repeated = kinds[:used] > 3
    lengths = lengths[:used]
    if used and int(starts[used - 1] + bits[used - 1]) + 3 + WORD * (1 if repeated[-1] else int(lengths[-1])) > end:
        raise ValueError(f"runs that end before their {number} values")
    if repeated.all():
        return (packets << (3 + bits) >> (64 - WORD)).astype(np.uint8)[:used], lengths
    counts = np.where(repeated, 1, lengths)  # values that are written in each packet
    nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.repeat(starts[:used] + 3 + bits[:used], counts) + WORD * nth.astype(np.uint64)
    values = (_left(padded, places) >> (64 - WORD)).astype(np.uint8)
    return values, np.repeat(np.where(repeated, lengths, 1), counts)


def _starts(padded: bytes, end: int, sizes: list[int]) -> NDArray[np.uint64]:
    """Bits at which packets start: one after the other, as each says where the next one is."""
    bits = np.unpackbits(np.frombuffer(padded, np.uint8))[: end + 2]
    twos = bits[:-1] + bits[:-1] + bits[1:]
    codes = twos[:-1] + twos[:-1] + bits[2:]  # of three bits
    # the length of a packet of one value; 0: of several, or behind the end
    table = bytes(4) + bytes(3 + size + WORD for size in sizes)
    widths = codes.tobytes().translate(table.ljust(256)) + bytes(27)
    found = array("Q")
    place = HEADER
    while place < end:
        while widths[place]:
            found.append(place)  # of every fourth packet; the others are found below, all at once
            place += widths[place]
            place += widths[place]
            place += widths[place]
            place += widths[place]
        if place < end:
            found.append(place)
            size = sizes[codes[place]]
            place += 3 + size + WORD * (_bits(padded, place + 3, size) + 1)
    steps = np.frombuffer(widths, np.uint8)
    places = np.empty((len(found), 4), np.uint64)
    places[:, 0] = found
    for k in range(3):
        places[:, k + 1] = places[:, k] + steps[places[:, k]]
    each = places.ravel()
    new = each < end
    new[1:] &= each[1:] != each[:-1]  # a packet of several values is passed more than once
    return each[new]


def _bits(data: bytes, place: int, number: int) -> int:
    """A number of so many bits, highest first, from a bit on."""
    last = (place + number + 7) >> 3
    return (int.from_bytes(data[place >> 3 : last], "big") >> (8 * last - place - number)) & ((1 << number) - 1)


def _left(padded: bytes, places: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The bits from each of these on, at least 57 of them, in the highest bits of a number."""
    windows: NDArray[np.uint64] = np.ndarray(len(padded) - 7, ">u8", padded, strides=(1,))
    found: NDArray[np.uint64] = windows[places >> 3] << (places & 7)
    return found


def _pack(numbers: NDArray[np.int32], widths: NDArray[np.int64], values: int) -> bytes:
    """Write the header and packets, which are given from the last to the first, and 1 to 8 zero bits to a byte's end.

    label-studio-sdk adds 8 zero bits where none would be needed. All bits are those of one large number, in words of 32
    bits, lowest first; a packet has at most 27 bits and reaches into the next word.
    """
    starts = widths.cumsum()
    place = int(starts[-1])
    padding = 8 - (place + HEADER) % 8
    starts -= widths
    starts += padding
    place += padding
    words = np.zeros((place + HEADER) // 32 + 2, np.int64)
    np.add.at(words, starts >> 5, numbers << (starts & 31))
    for number, width in (FORMAT, HEADER - 32), (values, 32):
        words[place >> 5] += number << (place & 31)
        place += width
    low = words.astype(np.uint32)
    low[1:] |= (words[:-1] >> 32).astype(np.uint32)
    return low[::-1].astype(">u4").tobytes()[-(place >> 3) :]
