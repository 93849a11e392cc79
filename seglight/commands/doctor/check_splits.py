"""Findings across splits: images that are in two splits, and sequences that are divided between them."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from seglight.commands.doctor.finding import Case, Finding
from seglight.commands.doctor.image_hash import ImageHash, distance, near_duplicates
from seglight.commands.doctor.rules import RULES
from seglight.commands.doctor.scan import Survey

NUMBERED = re.compile(r"(.*?)(\d+)(\D*)")
ALIKE = 0.6
"""Neighbours in a sequence differ by less than this fraction of the usual difference of two images."""

FEWEST = 3
"""Least number of neighbours in a sequence."""

Picture = tuple[str, ImageHash]
"""Path and hash of an image."""


def check_splits(survey: Survey) -> list[Finding]:
    """Find images that two splits have in common."""
    pictures = {
        name: [(one.image.header.path, one.image.image_hash) for one in facts if one.image.image_hash is not None]
        for name, facts in survey.splits.items()
    }
    found: list[Finding] = []
    for here, there in combinations(pictures, 2):
        both = f"{here}, {there}"
        same = _duplicates(pictures[here], pictures[there])
        known = {case.file for case in same}
        rest = [picture for picture in pictures[there] if picture[0] not in known]
        near = _near_duplicates(pictures[here], rest)
        frames = list(_neighbours(pictures[here], rest, here, there))
        for slug, cases in (("duplicate", same), ("near-duplicate", near), ("sequence", frames)):
            if cases:
                found.append(Finding(RULES[slug], both, cases))
    return found


def _duplicates(first: Sequence[Picture], second: Sequence[Picture]) -> list[Case]:
    where = {one.digest: path for path, one in first}
    return [Case(path, f"also {where[one.digest]}") for path, one in second if one.digest in where]


def _near_duplicates(first: Sequence[Picture], second: Sequence[Picture]) -> list[Case]:
    found = near_duplicates([one for _, one in first], [one for _, one in second])
    return [Case(second[there][0], f"like {first[here][0]}") for here, there in found]


def _neighbours(first: Sequence[Picture], second: Sequence[Picture], here: str, there: str) -> Iterator[Case]:
    """Images of the second split that resemble the image of the first with the nearest number in the same series."""
    usual = _usual_distance(first, second)
    series = _series(second, there)
    for key, ours in _series(first, here).items():
        pairs = _nearest_numbers(ours, series.get(key, {}))
        apart = [distance(first[a][1], second[b][1]) for a, b in pairs]
        if len(pairs) >= FEWEST and np.median(apart) < ALIKE * usual:
            alike = (pair for pair, difference in zip(pairs, apart, strict=True) if difference < ALIKE * usual)
            yield from (Case(second[b][0], f"next to {first[a][0]}") for a, b in alike)


def _usual_distance(first: Sequence[Picture], second: Sequence[Picture]) -> float:
    """Median difference of random pairs across the splits."""
    if not first or not second:
        return 0.0
    rng = np.random.default_rng(0)
    pairs = zip(rng.integers(len(first), size=400), rng.integers(len(second), size=400), strict=True)
    return float(np.median([distance(first[a][1], second[b][1]) for a, b in pairs]))


def _series(pictures: Sequence[Picture], split: str) -> dict[tuple[str, ...], dict[int, int]]:
    """Images by series, which is the path without the last number, and by that number: {series: {number: index}}."""
    found: dict[tuple[str, ...], dict[int, int]] = defaultdict(dict)
    for index, (path, _) in enumerate(pictures):
        numbered = NUMBERED.fullmatch(Path(path).stem)
        if numbered:
            folders = (part.replace(split, "") for part in Path(path).parts[:-1])
            found[(*folders, numbered[1], numbered[3])][int(numbered[2])] = index
    return found


def _nearest_numbers(ours: dict[int, int], theirs: dict[int, int]) -> list[tuple[int, int]]:
    """Indices of neighbours, whose numbers differ by at most twice the median step of the series."""
    if not theirs:
        return []
    numbers = np.array(sorted(ours))
    steps = np.diff(np.array(sorted({*ours, *theirs})))
    reach = 2 * np.median(steps) if len(steps) else 0
    pairs = []
    for number, index in theirs.items():
        nearest_one = int(numbers[np.abs(numbers - number).argmin()])
        if abs(nearest_one - number) <= reach:
            pairs.append((ours[nearest_one], index))
    return pairs
