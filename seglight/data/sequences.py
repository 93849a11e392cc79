"""Validation images out of a data set that has no split of its own, and folds: by sequence where names tell of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from seglight.data.image_names import sequences, versions
from seglight.errors import UserError

SHARE = 0.2
"""Fraction of the images that become validation images."""

MOST_IN_GROUP = 1.5
"""Size of a group of images, as a multiple of that of a part, up to which groups are kept whole."""

NO_COPIES: Mapping[int, int] = {}
"""All images differ."""


@dataclass(frozen=True)
class Parts:
    """Images in parts of about the same size.

    Args:
        parts: Indices of the images of each part, ascending.
        how: How they were divided, as a sentence for the user.
    """

    parts: tuple[tuple[int, ...], ...]
    how: str


def divided(images: Sequence[str], number: int, copies: Mapping[int, int] = NO_COPIES, seed: int = 0) -> Parts:
    """Divide images into parts, so that frames of one sequence are in one part, or at least next to each other.

    Args:
        images: Paths of the images.
        number: Number of parts.
        copies: Indices of images that are copies of another one, and its index: they are in one part.
        seed: Seed of the random order.

    Raises:
        UserError: There are fewer different images than parts.
    """
    originals = [index for index in range(len(images)) if index not in copies]
    if len(originals) < number:
        raise UserError(f"{len(originals)} different labelled images for {number} parts: label more images")
    found = _divided([images[index] for index in originals], number, seed)
    parts = [[originals[place] for place in part] for part in found.parts]
    for part in parts:
        inside = set(part)
        part += [index for index, original in copies.items() if original in inside]
    return Parts(tuple(tuple(sorted(part)) for part in parts), found.how)


def divided_within(images: Sequence[str], number: int, seed: int = 0) -> Parts:
    """Divide images into parts that resemble each other: each has a block of consecutive frames of every sequence.

    Args:
        images: Paths of the images.
        number: Number of parts.
        seed: Seed of the random order of images that are in no sequence.

    Raises:
        UserError: There are fewer images than parts.
    """
    found = sequences(images)
    if not found or len(images) < number:
        return divided(images, number, seed=seed)
    blocks = _blocks_of_each(list(found.values()), number)
    return Parts(blocks, f"by sequence: each part has a block of consecutive frames of each of the {len(found)}")


def _divided(images: Sequence[str], number: int, seed: int) -> Parts:
    rng = np.random.default_rng(seed)
    found = sequences(images)
    of_sources = list(versions(images))
    if found:
        groups = [found[name] for name in sorted(found)]
        whole = f"by sequence: file names tell of {len(groups)}, and each is in one part as a whole"
        few = f"by blocks of consecutive frames, since file names tell of {_number(len(groups), 'sequence')} only"
    elif len(of_sources) < len(images):
        groups = of_sources
        whole = f"at random, with seed {seed}, by source image: versions of each of the {len(groups)} are in one part"
        few = f"by blocks of names, since file names tell of versions of {_number(len(groups), 'source image')} only"
    else:
        groups = [[index] for index in range(len(images))]
        whole = f"at random, with seed {seed}"
        few = whole
    if (len(groups) >= number and max(map(len, groups)) <= MOST_IN_GROUP * len(images) / number) or whole == few:
        shuffled = [groups[index] for index in rng.permutation(len(groups))]
        return Parts(_filled(shuffled, number), whole)
    blocks = _blocks(groups, of_sources, number) if found else _blocks_of_each(groups, number)
    return Parts(blocks, few)


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def _filled(groups: Sequence[Sequence[int]], number: int) -> tuple[tuple[int, ...], ...]:
    """Parts of about the same size out of whole groups."""
    filled: list[list[int]] = [[] for _ in range(number)]
    for group in sorted(groups, key=lambda group: -len(group)):
        min(filled, key=len).extend(group)
    return tuple(tuple(sorted(part)) for part in filled)


def _blocks(
    groups: Sequence[Sequence[int]], of_sources: Sequence[Sequence[int]], number: int
) -> tuple[tuple[int, ...], ...]:
    """Parts that are blocks of the groups in order; versions of a source image are in one as long as none is empty."""
    source_of = {index: place for place, versions_of in enumerate(of_sources) for index in versions_of}
    units: dict[int, list[int]] = {}
    for index in (index for group in groups for index in group):
        units.setdefault(source_of[index] if len(of_sources) >= number else -1 - index, []).append(index)
    ordered = list(units.values())
    bounds = np.linspace(0, len(ordered), number + 1).round().astype(int)
    return tuple(tuple(sorted(index for unit in ordered[a:b] for index in unit)) for a, b in pairwise(bounds.tolist()))


def _blocks_of_each(groups: Sequence[Sequence[int]], number: int) -> tuple[tuple[int, ...], ...]:
    """Parts of which each has a block of every large group; small groups are in one part, unless one is left empty."""
    parts: list[list[int]] = [[] for _ in range(number)]
    for group in sorted(groups, key=lambda group: -len(group)):
        if len(group) < number:
            min(parts, key=len).extend(group)
            continue
        bounds = np.linspace(0, len(group), number + 1).round().astype(int)
        for part, (a, b) in zip(parts, pairwise(bounds.tolist()), strict=True):
            part.extend(group[a:b])
    return tuple(tuple(sorted(part)) for part in parts) if all(parts) else _blocks(groups, (), number)


def validation(images: Sequence[str], copies: Mapping[int, int] = NO_COPIES, seed: int = 0) -> Parts:
    """Divide images into about four fifths for training and one for validation, in this order.

    Args:
        images: Paths of the images.
        copies: Indices of images that are copies of another one, and its index.
        seed: Seed of the random order.

    Raises:
        UserError: There is only one image.
    """
    different = len(images) - len(copies)
    if different < 2:
        what = "labelled image" if different == len(images) else "different labelled image"
        raise UserError(f"{different} {what}: at least 2 are needed, one of them for validation")
    number = min(round(1 / SHARE), different)
    found = divided(images, number, copies, seed)
    val = found.parts[-1]
    train = tuple(sorted(set(range(len(images))) - set(val)))
    return Parts((train, val), found.how)
