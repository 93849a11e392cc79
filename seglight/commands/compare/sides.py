"""The sides of a comparison: trainings of one recipe, or a net, with their counts per image."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.inference.members import members
from seglight.metrics.boundary_counts import FILE as BOUNDARIES
from seglight.metrics.boundary_counts import BoundaryCounts
from seglight.metrics.image_counts import FILE, ScoredImages
from seglight.metrics.same_images import image_order
from seglight.ops.iou import Counts
from seglight.system.run_files import SCORES_FILE

SEEDS_FILE = "seeds.json"
"""In the folder that `fit --seeds` writes, beside a run folder for each seed."""

CARD_FILE = "card.json"
"""In the folder that `card` writes."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Names of the sides."""


@dataclass(frozen=True)
class Training:
    """A training, or a net, that was scored on a split.

    Attributes:
        path: What was given: a run folder, a card folder, or a model.
        folder: Folder with the counts per image.
        scored: The counts.
        class_names: Names of the classes.
        boundary: Counts of boundaries, in the order of the counts; None if there are none.
    """

    path: Path
    folder: Path
    scored: ScoredImages
    class_names: list[str]
    boundary: BoundaryCounts | None


@dataclass(frozen=True)
class Side:
    """What is compared: several trainings of one recipe, or one.

    Attributes:
        name: "A", "B", ...
        given: Text on the command line.
        trainings: Its trainings.
    """

    name: str
    given: str
    trainings: list[Training]


def read_sides(texts: Sequence[str], evaluated: Callable[[Path], Training]) -> list[Side]:
    """Read the counts of each side.

    Args:
        texts: For each side a run folder, a card folder, a folder of `fit --seeds`, a model, or several of these with
            commas between them.
        evaluated: Function that scores a model.

    Raises:
        UserError: There are fewer than two sides, or too many; one does not exist; or its counts are damaged.
    """
    if not 2 <= len(texts) <= len(LETTERS):
        raise UserError(f"compare: {len(texts)} sides: give at least two, and at most {len(LETTERS)}")
    paths = [[path for part in members(text) for path in trainings_of(Path(part))] for text in texts]
    every = [path for own in paths for path in own]
    for path in every:
        if not path.exists():
            raise UserError(f"{path}: no such run folder, card folder or model")
    for path in every:
        if every.count(path) > 1:
            raise UserError(f"{path} is given twice: trainings of a side and of different sides must be different ones")
    for text, own in zip(texts, paths, strict=True):
        if not own:
            raise UserError(f"{text!r}: there is no path in it")
    return [
        Side(name, text, [read_training(path) if is_scored(path) else evaluated(path) for path in own])
        for name, text, own in zip(LETTERS, texts, paths, strict=False)
    ]


def trainings_of(path: Path) -> list[Path]:
    """The run folders in a folder of `fit --seeds`; any other path stands for itself.

    Raises:
        UserError: The trainings are not finished.
    """
    if is_scored(path):
        return [path]
    file = path / SEEDS_FILE
    if not file.is_file():
        if any(path.glob("seed_*")):
            raise UserError(
                f"{path}: there is no {SEEDS_FILE}, so not all trainings are finished: resume `fit --seeds`"
            )
        return [path]
    runs = _json(file).get("runs")
    if not isinstance(runs, dict) or not runs:
        raise UserError(f"{file}: not a file of `fit --seeds`: give the run folders with commas between them")
    return [path / f"seed_{seed}" for seed in runs]


def is_scored(path: Path) -> bool:
    """Whether a folder has counts per image."""
    return (path / FILE).is_file()


def read_training(folder: Path, path: Path | None = None) -> Training:
    """Read the counts and the names of the classes in a run folder or a card folder.

    Args:
        folder: The folder.
        path: What was given; None: the folder.

    Raises:
        UserError: A file is missing or damaged, or the files don't fit each other.
    """
    scored = ScoredImages.load(folder / FILE)
    is_card = (folder / CARD_FILE).is_file()
    names_file = CARD_FILE if is_card else SCORES_FILE
    content = _json(folder / names_file)
    names = content.get("class_names") if is_card else list(content.get("iou") or [])
    if not isinstance(names, list) or len(names) != scored.counts.num_classes:
        raise UserError(f"{folder}: {FILE} and {names_file} are not of one evaluation: {_again(names_file)}")
    boundary = BoundaryCounts.load(folder / BOUNDARIES) if (folder / BOUNDARIES).exists() else None
    if boundary is not None and boundary.union.shape != (len(scored.names), len(names)):
        raise UserError(f"{folder}: {FILE} and {BOUNDARIES} are not of one evaluation: write the card anew")
    return Training(path or folder, folder, scored, [str(name) for name in names], boundary)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: missing or damaged ({type(error).__name__}): {_again(path.name)}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: damaged: {_again(path.name)}")
    return content


def _again(file: str) -> str:
    """How a file is written again."""
    return {CARD_FILE: "write the card anew", SEEDS_FILE: "resume `fit --seeds`"}.get(file, "score the run again")


def aligned_counts(sides: Sequence[Side]) -> list[list[tuple[Counts, Counts, Counts]]]:
    """Pixels hit, true and predicted (images, C) of each training of each side, the images in the order of the first.

    Raises:
        UserError: Classes, images or labels are not the same; the message names the first difference.
    """
    first = sides[0].trainings[0]
    reference = first.scored.counts.by_class()
    found = []
    for side in sides:
        own = []
        for training in side.trainings:
            order = _order(first, training)
            hit, true, predicted = (counts[order] for counts in training.scored.counts.by_class())
            _check_labels(first, training, reference[1], true)
            own.append((hit, true, predicted))
        found.append(own)
    return found


def aligned_boundaries(sides: Sequence[Side]) -> list[list[tuple[Counts, Counts]]] | None:
    """Intersection and union of boundary bands (images, C) of each training, as `aligned_counts`; None if one has none.

    The sides have passed `aligned_counts`.
    """
    first = sides[0].trainings[0]
    found = []
    for side in sides:
        own = []
        for training in side.trainings:
            if training.boundary is None:
                return None
            order = _order(first, training)
            own.append((training.boundary.intersection[order], training.boundary.union[order]))
        found.append(own)
    return found


def _order(first: Training, other: Training) -> NDArray[np.int64]:
    """Place of each image of the first training in the other one."""
    ways = f"{first.path} and {other.path} can't be compared"
    for one, two in _differing(first.class_names, other.class_names):
        raise UserError(f"{ways}: their classes differ: {_shown(one)} in the first, {_shown(two)} in the second")
    mine, theirs = first.scored.names, other.scored.names
    places, lacking, extra = image_order(mine, theirs)
    if lacking is not None or extra is not None:
        which = f"{extra} is only in the second" if lacking is None else f"{lacking} is only in the first"
        splits = f"{first.scored.split}, {len(mine)}, and {other.scored.split}, {len(theirs)}"
        raise UserError(f"{ways}: they were scored on other images ({splits}): {which}")
    if places is None:
        raise UserError(f"{ways}: their images are in another order, and names occur twice: score both anew")
    return places


def _differing(one: Sequence[str], two: Sequence[str]) -> Iterator[tuple[str | None, str | None]]:
    length = max(len(one), len(two))
    padded = ([*names, *[None] * (length - len(names))] for names in (one, two))
    yield from ((a, b) for a, b in zip(*padded, strict=True) if a != b)


def _shown(name: str | None) -> str:
    return "none" if name is None else f"'{name}'"


def _check_labels(first: Training, other: Training, true: Counts, others: Counts) -> None:
    wrong = np.argwhere(true != others)
    if len(wrong):
        image, index = wrong[0].tolist()
        pixels = f"{true[image, index]} and {others[image, index]} pixels of {first.class_names[index]}"
        place = first.scored.names[image]
        raise UserError(f"{first.path} and {other.path} can't be compared: their labels differ: {pixels} in {place}")
