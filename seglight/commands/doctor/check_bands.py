"""Findings about bands: files of other types, bands in another order, and bands without information."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from seglight.commands.doctor.band_facts import BandFacts
from seglight.commands.doctor.band_statistics import BandStatistics, kind_of, usual_kind
from seglight.commands.doctor.facts import PairFacts
from seglight.commands.doctor.finding import Case, Finding
from seglight.commands.doctor.rules import RULES
from seglight.images.bands import Bands

SATURATED = 0.005
"""Fraction of the values at the largest one from which a band of integers counts as saturated."""

EMPTY = 0.01
"""Fraction of pixels that are 0 in every band from which they may be pixels without data."""

FEWEST = 5
"""Number of images from which the order of bands is compared by their brightness."""

FAR, NEAR = 4.0, 1.5
"""Mean distance from the usual brightness, in its spread, of a wrong and of a right order of bands."""


def check_bands(facts: Sequence[BandFacts], numbers: BandStatistics | None, declared: Bands) -> list[Finding]:
    """Find defects in the bands of a data set.

    Args:
        facts: Facts about the bands of each image that was read.
        numbers: Their statistics.
        declared: Bands that the data module declares.
    """
    if numbers is None or not facts:
        return []
    kind = usual_kind(facts)
    alike = [one for one in facts if kind_of(one) == kind]
    usual = f"most have {kind[1]} of {kind[0]}"
    found = [Finding(RULES["mixed-bands"], "", [Case(one.path, f"{one.held.line()}; {usual}") for one in facts
                                                if kind_of(one) != kind])]  # fmt: skip
    found.append(
        Finding(RULES["band-order"], "", list(_order_by_name(alike, numbers)) or list(_order_by_values(alike)))
    )
    notes = dict(_notes(numbers, declared, alike))
    return [one for one in found if one.cases] + [Finding(RULES[slug], "", note=note) for slug, note in notes.items()]


def check_missing(splits: Mapping[str, Sequence[PairFacts]]) -> list[Finding]:
    """Fraction of the pixels of each split that have data in no band."""
    found = []
    for name, facts in splits.items():
        sizes = [one.mask.header.size for one in facts if not one.mask.header.problem]
        share = sum(one.mask.nodata for one in facts) / max(1, sum(height * width for height, width in sizes))
        if share:
            found.append(Finding(RULES["no-data"], name, note=f"{share:.2%} of the pixels"))
    return found


def _order_by_name(facts: Sequence[BandFacts], numbers: BandStatistics) -> Iterator[Case]:
    """Files that state the same names in another order."""
    usual = [name.lower() for name in numbers.bands.names]
    for one in facts:
        names = [name.lower() for name in one.held.names]
        if names != usual and sorted(names) == sorted(usual):
            yield Case(one.path, f"its bands are {', '.join(one.held.names)}")


def _order_by_values(facts: Sequence[BandFacts]) -> Iterator[Case]:
    """Files whose bands are as bright as other bands usually are."""
    if len(facts) < FEWEST or len(facts[0].bands.names) < 2:
        return
    means = np.array([one.mean for one in facts])
    usual = np.median(means, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(means - usual), axis=0), 0.02 * np.abs(usual) + 1e-9)
    names = facts[0].bands.names
    for one, mean in zip(facts, means, strict=True):
        if one.valid.min() == 0 or _distance(mean, usual, spread) < FAR:
            continue
        best, order = min(
            ((_distance(mean[list(order)], usual, spread), order) for order in _orders(len(names))),
            default=(np.inf, ()),
        )
        if best < NEAR:
            yield Case(one.path, f"by their brightness its bands are {', '.join(_named(order, names))}")


def _orders(count: int) -> Iterator[tuple[int, ...]]:
    """Orders that mistakes produce: two bands, the first three or all of them exchanged."""
    whole = list(range(count))
    for first, second in combinations(range(min(count, 16)), 2):
        order = whole.copy()
        order[first], order[second] = order[second], order[first]
        yield tuple(order)
    yield tuple(reversed(whole))
    for shift in range(1, min(count, 16)):
        yield (*whole[shift:], *whole[:shift])


def _named(order: Sequence[int], names: Sequence[str]) -> list[str]:
    """Name of what each stored band is, where `order` gives the stored place of each band."""
    of_place = dict(zip(order, names, strict=True))
    return [of_place[place] for place in range(len(names))]


def _distance(mean: NDArray[np.float64], usual: NDArray[np.float64], spread: NDArray[np.float64]) -> float:
    return float(np.mean(np.abs(mean - usual) / spread))


def _notes(numbers: BandStatistics, declared: Bands, facts: Sequence[BandFacts]) -> Iterator[tuple[str, str]]:
    """Slugs and notes about bands of the whole data set."""
    names = numbers.bands.names
    constant = [name for name, is_constant in zip(names, numbers.constant, strict=True) if is_constant]
    if constant:
        yield "constant-band", ", ".join(constant)
    pairs = [f"{first} = {second}" for first, second in numbers.equal if not {first, second} & {*constant}]
    if pairs:
        yield "equal-bands", ", ".join(pairs[:8])
    full = [
        f"{name}: {share:.1%} are {most:g}"
        for name, share, most, is_constant in zip(names, numbers.saturated, numbers.most, numbers.constant, strict=True)
        if share > SATURATED and numbers.bands.type != "float32" and not is_constant and most > 1
    ]
    if full:
        yield "saturated-band", ", ".join(full)
    yield from _missing(numbers, declared, facts)
    yield from _statistics(numbers, declared)


def _missing(numbers: BandStatistics, declared: Bands, facts: Sequence[BandFacts]) -> Iterator[tuple[str, str]]:
    stated = {one.held.nodata for one in facts if one.held.nodata is not None and one.held.nodata == one.held.nodata}
    if numbers.bands.nodata is None and stated and not declared.is_rgb8:
        yield "undeclared-nodata", f"the files state {', '.join(f'{value:g}' for value in sorted(stated))}"
    elif numbers.bands.nodata is None and numbers.zeros > EMPTY:
        yield "undeclared-nodata", f"{numbers.zeros:.1%} of the pixels are 0 in every band"


def _statistics(numbers: BandStatistics, declared: Bands) -> Iterator[tuple[str, str]]:
    """Declared statistics that are not those of the files, as those of other units are."""
    if declared.is_rgb8 or not declared.mean:
        return
    columns = zip(declared.names, declared.mean, declared.std, numbers.bands.mean, numbers.bands.std, strict=False)
    far = [
        f"{name}: {mean:g} and {std:g} are declared, {measured:g} and {spread:g} measured"
        for name, mean, std, measured, spread in columns
        if abs(mean - measured) > spread or not 0.5 < std / spread < 2
    ]
    if far:
        yield "other-statistics", "; ".join(far[:4])
