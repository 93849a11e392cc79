"""Whether two pictures are the same, or nearly: digests, perceptual hashes and thumbnails."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GRAIN, LOW = 32, 8
"""A picture is shrunk to 32x32, of whose cosine transform the 8x8 lowest frequencies are kept."""

HASH_BITS, GREY_LEVELS = 4, 8.0
"""Near duplicates differ by at most so many bits of the hash, and by less than so many grey levels in the mean."""

CHUNK = 1024
"""Pictures compared with all others at once."""


@dataclass(frozen=True)
class Likeness:
    """What of a picture is kept to compare it.

    Args:
        digest: Of size and pixels: equal for the same picture alone.
        phash: 64 bits, of which few change with scale, compression or brightness.
        thumb: Grey, uint8 (16, 16).
    """

    digest: bytes
    phash: int
    thumb: NDArray[np.uint8]


def likeness(rgb: NDArray[np.uint8]) -> Likeness:
    """The likeness of a picture (H, W, 3)."""
    digest = hashlib.blake2b(repr(rgb.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(rgb).data)
    grey = Image.fromarray(rgb).convert("L").resize((GRAIN, GRAIN), Image.Resampling.BOX)
    pixels = np.asarray(grey, np.float32)
    thumb = pixels.reshape(16, 2, 16, 2).mean((1, 3)).astype(np.uint8)
    return Likeness(digest.digest(), phash(pixels), thumb)


def phash(grey: NDArray[np.float32]) -> int:
    """Perceptual hash of a picture (32, 32): which of the 64 lowest frequencies lie above their median."""
    low = _COSINES @ grey @ _COSINES.T
    above = low.ravel() > np.median(low)
    return int.from_bytes(np.packbits(above).tobytes(), "big")


def _cosines() -> NDArray[np.float32]:
    frequency, place = np.arange(LOW)[:, None], np.arange(GRAIN)[None]
    cosines: NDArray[np.float32] = np.cos(np.pi / GRAIN * (place + 0.5) * frequency).astype(np.float32)
    return cosines


_COSINES = _cosines()


def nearest(first: Sequence[Likeness], second: Sequence[Likeness]) -> Iterator[tuple[int, int]]:
    """Near duplicates: (index in first, index in second), for each picture of the second its nearest in the first."""
    if not first or not second:
        return
    ours = np.array([one.phash for one in first], np.uint64)
    theirs = np.array([one.phash for one in second], np.uint64)
    best = np.full(len(second), 65, np.uint8)
    where = np.zeros(len(second), np.int64)
    for start in range(0, len(ours), CHUNK):
        apart = np.bitwise_count(ours[start : start + CHUNK, None] ^ theirs)
        row = apart.argmin(0)
        least = apart[row, np.arange(len(second))]
        closer = least < best
        best[closer], where[closer] = least[closer], row[closer] + start
    for index in np.flatnonzero(best <= HASH_BITS).tolist():
        if distance(first[where[index]], second[index]) < GREY_LEVELS:
            yield int(where[index]), index


def distance(one: Likeness, other: Likeness) -> float:
    """Mean difference of two thumbnails in grey levels."""
    return float(np.abs(one.thumb.astype(np.int16) - other.thumb).mean())
