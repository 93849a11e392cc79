"""Brush strokes of Label Studio: pixels as runs of bits, in the format of thi.ng's rle-pack.

The first 32 bits are the number of values, the next 5 the bits of a value less one, the next 4 x 4 the bits of a length
less one, for four sizes of it. A packet is a bit that says whether one value is repeated, 2 bits for the size of its
length, the length less one, and the value, or as many values as the length says. Values are those of an RGBA image.
"""

import numpy as np
from numpy.typing import NDArray

WORD = 8
"""Bits of a value."""

FEW = 8
"""Number of different values up to which they are read one by one."""


def brush_pixels(data: bytes, height: int, width: int) -> NDArray[np.bool_]:
    """Pixels of a brush stroke: bool (height, width).

    Args:
        data: Its `rle`.
        height: Height of the image.
        width: Width of the image.

    Raises:
        ValueError: The runs are cut off, or not those of an image of this size.
    """
    number = _bits(data[:4], 0, 32)
    if number != 4 * height * width:
        raise ValueError(f"a brush of {number} values, where {width}x{height} pixels have {4 * height * width}")
    alpha: NDArray[np.uint8] = decode_runs(data)[3::4]
    return alpha.reshape(height, width) > 0


def decode_runs(data: bytes) -> NDArray[np.uint8]:
    """All values of a brush stroke: uint8 (N,).

    Args:
        data: Its `rle`.

    Raises:
        ValueError: The runs are cut off, or have values of more or less than 8 bits.
    """
    end = 8 * len(data)
    data += bytes(8)  # a field may be read that begins behind the end
    number = _bits(data, 0, 32)
    word = _bits(data, 32, 5) + 1
    if word != WORD:
        raise ValueError(f"values of {word} bits")
    sizes = [_bits(data, 37 + 4 * k, 4) + 1 for k in range(4)]
    place = 53
    decoded = 0
    values: list[NDArray[np.uint8]] = []
    lengths: list[NDArray[np.int64]] = []
    some_values, some_lengths = [], []
    while decoded < number:
        if place >= end:
            raise ValueError(f"runs that end after {decoded} of {number} values")
        repeated = _bits(data, place, 1)
        size = sizes[_bits(data, place + 1, 2)]
        length = _bits(data, place + 3, size) + 1
        place += 3 + size
        decoded += length
        if repeated:
            some_values.append(_bits(data, place, WORD))
            some_lengths.append(length)
            place += WORD
            continue
        if length <= FEW:
            some_values += [_bits(data, place + WORD * k, WORD) for k in range(length)]
            some_lengths += length * [1]
        else:
            values += [np.array(some_values, np.uint8), _words(data, place, length)]
            lengths += [np.array(some_lengths, np.int64), np.ones(length, np.int64)]
            some_values, some_lengths = [], []
        place += WORD * length
    if place > end:
        raise ValueError(f"runs that end before their {number} values")
    values.append(np.array(some_values, np.uint8))
    lengths.append(np.array(some_lengths, np.int64))
    return np.repeat(np.concatenate(values), np.concatenate(lengths))[:number]


def _bits(data: bytes, place: int, number: int) -> int:
    """A number of so many bits, highest first, from a bit on."""
    last = (place + number + 7) >> 3
    return (int.from_bytes(data[place >> 3 : last], "big") >> (8 * last - place - number)) & ((1 << number) - 1)


def _words(data: bytes, place: int, number: int) -> NDArray[np.uint8]:
    """Bytes from a bit on."""
    first, shift = divmod(place, 8)
    content = np.frombuffer(data, np.uint8, min(number + 1, len(data) - first), first)
    found = np.packbits(np.unpackbits(content)[shift : shift + 8 * number])
    if len(found) < number:
        raise ValueError("runs that are cut off")
    return found
