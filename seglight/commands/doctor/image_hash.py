"""Duplicates and near duplicates of images: digests, perceptual hashes and thumbnails."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglight.images.bands import RGB, Bands

GRAIN = 32
"""Height and width to which an image is shrunk before the cosine transform."""

LOW = 8
"""Height and width of the block of lowest frequencies that is kept."""

HASH_BITS = 4
"""Largest number of bits of the hash in which near duplicates differ."""

GREY_LEVELS = 8.0
"""Near duplicates differ by less than this in the mean of their thumbnails."""

CHUNK = 1024
"""Number of images that are compared with all others at once."""


@dataclass(frozen=True)
class ImageHash:
    """What is kept of an image to compare it with others.

    Args:
        digest: Hash of size and pixels: equal only for equal images.
        phash: Perceptual hash of 64 bits, few of which change with scale, compression or brightness.
        thumb: Grey thumbnail, uint8 (16, 16).
    """

    digest: bytes
    phash: int
    thumb: NDArray[np.uint8]


def image_hash(image: NDArray[Any], bands: Bands = RGB) -> ImageHash:
    """Hash an image (H, W, bands)."""
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    grey = Image.fromarray(image).convert("L") if bands.is_rgb8 else Image.fromarray(_grey(image, bands))
    pixels = np.asarray(grey.resize((GRAIN, GRAIN), Image.Resampling.BOX), np.float32)
    thumb = pixels.reshape(16, 2, 16, 2).mean((1, 3)).astype(np.uint8)
    return ImageHash(digest.digest(), phash(pixels), thumb)


def _grey(image: NDArray[Any], bands: Bands) -> NDArray[np.uint8]:
    """Mean of the shown bands (H, W), stretched from their 1st to their 99th percentile; black without data."""
    shown = list(bands.shown)
    values = image[..., shown].astype(np.float32)
    values[bands.invalid(image)[..., shown]] = np.nan
    present = values[~np.isnan(values)]
    if not present.size:
        return np.zeros(image.shape[:2], np.uint8)
    least, most = np.percentile(present[:: max(1, present.size // 65536)].astype(np.float64), (1, 99))
    filled = np.nan_to_num(values.astype(np.float64), nan=float(least))
    stretched = (filled.mean(axis=2) - least) / max(float(most - least), 1e-9)
    return np.asarray(255 * np.clip(stretched, 0, 1), np.uint8)


def phash(grey: NDArray[np.float32]) -> int:
    """Perceptual hash of a grey image (32, 32): bit k tells whether low frequency k is above the median."""
    low = _COSINES @ grey @ _COSINES.T
    above = low.ravel() > np.median(low)
    return int.from_bytes(np.packbits(above).tobytes(), "big")


def _cosines() -> NDArray[np.float32]:
    frequency = np.arange(LOW)[:, None]
    position = np.arange(GRAIN)[None]
    cosines: NDArray[np.float32] = np.cos(np.pi / GRAIN * (position + 0.5) * frequency).astype(np.float32)
    return cosines


_COSINES = _cosines()


def near_duplicates(first: Sequence[ImageHash], second: Sequence[ImageHash]) -> Iterator[tuple[int, int]]:
    """Yield near duplicates as (index in first, index in second): the nearest of the first for each of the second."""
    if not first or not second:
        return
    ours = np.array([one.phash for one in first], np.uint64)
    theirs = np.array([one.phash for one in second], np.uint64)
    best = np.full(len(second), 65, np.uint8)  # more than there are bits
    where = np.zeros(len(second), np.int64)
    for start in range(0, len(ours), CHUNK):
        apart = np.bitwise_count(ours[start : start + CHUNK, None] ^ theirs)
        row = apart.argmin(0)
        least = apart[row, np.arange(len(second))]
        closer = least < best
        best[closer] = least[closer]
        where[closer] = row[closer] + start
    for index in np.flatnonzero(best <= HASH_BITS).tolist():
        if distance(first[where[index]], second[index]) < GREY_LEVELS:
            yield int(where[index]), index


def distance(one: ImageHash, other: ImageHash) -> float:
    """Mean absolute difference of two thumbnails in grey levels."""
    return float(np.abs(one.thumb.astype(np.int16) - other.thumb).mean())
