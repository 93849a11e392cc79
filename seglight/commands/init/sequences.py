"""Validation images out of a data set that has no split of its own, and folds: by sequence where names tell of one."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from seglight.errors import UserError

SHARE = 0.2
"""Fraction of the images that become validation images."""

NUMBERED = re.compile(r"(.*?)(\d+)(\D*)")
"""A name with its last number: what comes before it names the sequence, the number the frame."""

FRAME_WORDS = re.compile(
    r"(?:^|[^a-z])(?:frame|frames|frm|seq|sequence|video|vid|clip|cam|camera|drive|shot)", re.IGNORECASE
)
"""Words in names of frames."""

LENGTH = 3
"""Frames that make a sequence."""

COUNTER = 4
"""Digits of a frame number with zeros in front, from which several prefixes are taken for sequences."""


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


def _divided(images: Sequence[str], number: int, seed: int) -> Parts:
    sequences = _sequences(images)
    rng = np.random.default_rng(seed)
    if not sequences:
        order = rng.permutation(len(images)).tolist()
        return Parts(tuple(tuple(sorted(order[part::number])) for part in range(number)), "at random, with seed 0")
    names = sorted(sequences)
    largest = max(len(frames) for frames in sequences.values())
    if len(names) >= number and largest <= 1.5 * len(images) / number:
        filled: list[list[int]] = [[] for _ in range(number)]
        shuffled = [names[index] for index in rng.permutation(len(names))]
        for name in sorted(shuffled, key=lambda name: -len(sequences[name])):
            min(filled, key=len).extend(sequences[name])
        parts = tuple(tuple(sorted(part)) for part in filled)
        return Parts(parts, f"by sequence: file names tell of {len(names)}, and each is in one part as a whole")
    ordered = [index for name in names for index in sequences[name]]
    bounds = np.linspace(0, len(ordered), number + 1).round().astype(int)
    blocks = tuple(tuple(sorted(ordered[a:b])) for a, b in pairwise(bounds.tolist()))
    few = f"{len(names)} sequence{'s' if len(names) > 1 else ''}"
    return Parts(blocks, f"by blocks of consecutive frames, since file names tell of {few} only")


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


def _sequences(images: Sequence[str]) -> dict[tuple[str, ...], list[int]]:
    """Indices of the frames of each sequence in order, if the names tell of sequences; else nothing.

    Numbered names alone do not tell: pictures without any order are numbered, too. Names tell of sequences by a word
    such as "frame", or by several prefixes before frame numbers of many digits.
    """
    found: dict[tuple[str, ...], list[tuple[int, str, int]]] = defaultdict(list)
    counters = words = 0
    for index, image in enumerate(images):
        path = Path(image)
        numbered = NUMBERED.fullmatch(path.stem)
        if numbered is None:
            continue
        counters += len(numbered[2]) >= COUNTER and numbered[1] != ""
        words += bool(FRAME_WORDS.search(path.stem) or FRAME_WORDS.search(path.parent.name))
        found[(str(path.parent), numbered[1], numbered[3])].append((int(numbered[2]), image, index))
    long = {name: [index for *_, index in sorted(frames)] for name, frames in found.items() if len(frames) >= LENGTH}
    covered = sum(map(len, long.values()))
    several = len(long) > 1 and counters >= 0.9 * len(images)
    if covered < 0.9 * len(images) or not (several or words >= 0.9 * len(images)):
        return {}
    single = {name: [index for *_, index in sorted(frames)] for name, frames in found.items() if name not in long}
    rest = sorted(
        set(range(len(images))) - {index for frames in [*long.values(), *single.values()] for index in frames}
    )
    return {**long, **single, **{("", str(index)): [index] for index in rest}}
