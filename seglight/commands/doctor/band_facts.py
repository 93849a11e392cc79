"""Facts about the bands of one image, small enough to be kept of every image. Imports no torch."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.bands import TYPES, Bands
from seglight.images.holding import Holding
from seglight.images.read_bands import bare_bands, holding, read_bands

KEPT_VALUES = 4096
"""Values of an image that are kept for percentiles, of all bands together."""

KEPT_IN_ALL = 1 << 24
"""Values of all images that are kept for percentiles; of each image at least one pixel."""


@dataclass(frozen=True)
class BandFacts:
    """Facts about the bands of an image, in the units of its file unless stated otherwise.

    Args:
        path: Path of the image.
        held: What its file holds, or that of its first band.
        bands: Description that it was read with.
        pixels: Number of pixels.
        valid: Number of values with data of each band, (C,).
        mean: Mean of each band after `clip` and `log`, (C,).
        squares: Sum of the squared deviations from that mean, (C,).
        least: Smallest value with data of each band, (C,).
        most: Largest value with data, (C,).
        at_most: Number of values that equal the largest one, (C,).
        zeros: Number of pixels that are 0 in every band, and data in one of them.
        digests: Hash of the values of each band.
        kept: Some pixels, float32 (N, C), NaN where there is no data.
    """

    path: str
    held: Holding
    bands: Bands
    pixels: int
    valid: NDArray[np.int64]
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    least: NDArray[np.float64]
    most: NDArray[np.float64]
    at_most: NDArray[np.int64]
    zeros: int
    digests: tuple[bytes, ...]
    kept: NDArray[np.float32]


def undeclared_facts(path: str, bands: Bands | None = None) -> BandFacts | None:
    """Facts about an image whose bands are not declared.

    Args:
        path: Path of the image.
        bands: Description to read it with; None: one by what its file states.

    Returns:
        The facts; None if the description, or none that there may be, reads it.
    """
    try:
        held = holding(Path(path))
        if held.type not in TYPES or held.unread:
            return None
        bands = bands or bare_bands(held)
        return band_facts(path, held, read_bands(Path(path), bands), bands)
    except UserError:
        return None


def band_facts(path: str, held: Holding, image: NDArray[Any], bands: Bands) -> BandFacts:
    """Facts about an image (H, W, bands) of declared bands."""
    has_data = ~bands.invalid(image)
    count = image.shape[2]
    of_band = [_of_band(image[..., index], has_data[..., index], name, bands) for index, name in enumerate(bands.names)]
    valid, mean, squares, least, most, at_most = (np.array(column) for column in zip(*of_band, strict=True))
    step = max(1, image.shape[0] * image.shape[1] * count // KEPT_VALUES)
    flat = image.reshape(-1, count)[::step].astype(np.float32)
    flat[~has_data.reshape(-1, count)[::step]] = np.nan
    return BandFacts(
        path,
        held,
        bands,
        image.shape[0] * image.shape[1],
        valid.astype(np.int64),
        mean,
        squares,
        least,
        most,
        at_most.astype(np.int64),
        int(np.count_nonzero(~image.any(axis=2) & has_data.any(axis=2))),
        tuple(hashlib.blake2b(image[..., index].tobytes(), digest_size=8).digest() for index in range(count)),
        flat,
    )


def lean(facts: BandFacts, images: int, known: dict[Any, Any]) -> BandFacts:
    """Facts that take less memory, for sets of many images.

    Args:
        facts: Facts about an image.
        images: Number of images of the set.
        known: Descriptions of earlier images, which take the place of equal ones.
    """
    rows = max(1, KEPT_IN_ALL // images // max(1, facts.kept.shape[1]))
    step = -(-len(facts.kept) // rows)
    kept = facts.kept if step <= 1 else facts.kept[step // 2 :: step].copy()
    held, bands = (known.setdefault(one, one) for one in (facts.held, facts.bands))
    return replace(facts, held=held, bands=bands, kept=kept)


def _of_band(
    values: NDArray[Any], has_data: NDArray[np.bool_], name: str, bands: Bands
) -> tuple[int, float, float, float, float, int]:
    """Number of values, mean, squared deviations, least, most, and number of the largest values."""
    found = values[has_data]
    if not found.size:
        return 0, 0.0, 0.0, np.nan, np.nan, 0
    least, most = found.min(), found.max()
    read = transformed(found.astype(np.float64), name, bands)
    mean = float(read.mean())
    return (
        found.size,
        mean,
        float(np.square(read - mean).sum()),
        float(least),
        float(most),
        int(np.count_nonzero(found == most)),
    )


def transformed(values: NDArray[np.float64], name: str, bands: Bands) -> NDArray[np.float64]:
    """Values of a band as the net normalises them: after `clip` and `log`."""
    if name in bands.clip:
        values = np.clip(values, *bands.clip[name])
    if name in bands.log:
        values = np.log1p(np.maximum(values - bands.clip.get(name, (0.0, 0.0))[0], 0))
    return values
