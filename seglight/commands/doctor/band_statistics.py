"""Statistics of the bands of a data set, and the lines that declare them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from seglight.commands.doctor.band_facts import BandFacts
from seglight.images.bands import Bands

PERCENTILES = (1, 50, 99)

Kind = tuple[str, int]
"""Type of the values of an image, and number of its bands."""


@dataclass(frozen=True)
class BandStatistics:
    """Statistics of the images of the most frequent type and number of bands.

    Args:
        bands: Description with the measured mean and standard deviation.
        images: Number of images.
        percentiles: 1st, 50th and 99th percentile of each band in the units of the files, (C, 3); NaN without data.
        missing: Fraction of the values of each band that are no data, (C,).
        saturated: Fraction of the values of each band that equal its largest one, (C,).
        most: Largest value of each band, (C,).
        constant: Whether a band has one value in every image, (C,).
        equal: Pairs of bands that are equal in every image.
        zeros: Fraction of the pixels that are 0 in every band, and data in one of them.
    """

    bands: Bands
    images: int
    percentiles: NDArray[np.float64]
    missing: NDArray[np.float64]
    saturated: NDArray[np.float64]
    most: NDArray[np.float64]
    constant: NDArray[np.bool_]
    equal: tuple[tuple[str, str], ...]
    zeros: float

    def lines(self) -> str:
        """The lines of a `classes.yaml` that declare the bands."""
        return declaration(self.bands)

    def as_dict(self) -> dict[str, Any]:
        """The statistics as plain values for JSON."""
        columns = zip(self.percentiles.tolist(), self.missing.tolist(), self.saturated.tolist(), strict=True)
        return {
            "images": self.images,
            "declaration": self.bands.to_dict(),
            "bands": {
                name: {"percentiles": [_plain(value) for value in row], "missing": missing, "saturated": saturated}
                for name, (row, missing, saturated) in zip(self.bands.names, columns, strict=True)
            },
        }


def declaration(bands: Bands) -> str:
    """The lines of a `classes.yaml` that declare bands."""
    content = {"bands": bands.to_dict()}
    text: str = yaml.safe_dump(content, default_flow_style=None, sort_keys=False, allow_unicode=True, width=120)
    return text


def usual_kind(facts: Sequence[BandFacts]) -> Kind:
    """The most frequent type and number of bands."""
    return Counter(map(kind_of, facts)).most_common(1)[0][0]


def kind_of(facts: BandFacts) -> Kind:
    """Type of the values of an image, and number of its bands."""
    return facts.bands.type, len(facts.bands.names)


def band_statistics(facts: Sequence[BandFacts]) -> BandStatistics | None:
    """Statistics of the images of the most frequent type and number of bands; None without images."""
    if not facts:
        return None
    kind = usual_kind(facts)
    alike = [one for one in facts if kind_of(one) == kind]
    valid = np.sum([one.valid for one in alike], axis=0)
    weights = np.array([one.valid for one in alike]) / np.maximum(valid, 1)
    mean = (weights * [one.mean for one in alike]).sum(axis=0)
    between = np.array([one.valid * np.square(one.mean - mean) for one in alike])
    spread = np.sqrt((np.array([one.squares for one in alike]) + between).sum(axis=0) / np.maximum(valid, 1))
    largest = np.array([one.most for one in alike])
    most = np.max(np.where(np.isnan(largest), -np.inf, largest), axis=0)
    at_most = (np.array([one.at_most for one in alike]) * (largest == most)).sum(axis=0)
    pixels = sum(one.pixels for one in alike)
    kept = np.concatenate([one.kept for one in alike])
    return BandStatistics(
        measured(common_description(alike), mean, spread),
        len(alike),
        np.array([_percentiles(column) for column in kept.T]),
        1 - valid / pixels,
        at_most / np.maximum(valid, 1),
        most,
        np.all([(one.least == one.most) | (one.valid == 0) for one in alike], axis=0),
        _equal(alike),
        sum(one.zeros for one in alike) / pixels,
    )


def measured(bands: Bands, mean: NDArray[np.float64], std: NDArray[np.float64]) -> Bands:
    """A description with other statistics, rounded to what a measurement is worth; a constant band has the spread 1."""
    means = tuple(_rounded(value) for value in mean.tolist())
    stds = tuple(_rounded(value) if value > 0 else 1.0 for value in std.tolist())
    return replace(bands, mean=means, std=stds)


def common_description(facts: Sequence[BandFacts]) -> Bands:
    """The description of most images, with names and value without data that most files state."""
    return Counter(one.bands for one in facts).most_common(1)[0][0]


def _percentiles(values: NDArray[np.float32]) -> NDArray[np.float64]:
    present = values[~np.isnan(values)]
    return np.percentile(present.astype(np.float64), PERCENTILES) if present.size else np.full(3, np.nan)


def _equal(facts: Sequence[BandFacts]) -> tuple[tuple[str, str], ...]:
    names = facts[0].bands.names
    pairs = combinations(range(len(names)), 2)
    return tuple(
        (names[first], names[second])
        for first, second in pairs
        if all(one.digests[first] == one.digests[second] for one in facts)
    )


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else value
