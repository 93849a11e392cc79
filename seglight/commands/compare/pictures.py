"""Pictures of the images that differ most between two sides: where each of them is right and the other one is not."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.checkpoints.checkpoint import net_weights, read_checkpoint, weights_checksum
from seglight.commands.compare.result import Result
from seglight.commands.compare.sides import CARD_FILE, Side, Training
from seglight.commands.recipe import datamodule_from
from seglight.data.augmentation.missing import without_missing
from seglight.data.datamodule import SegmentationDataModule
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.images.draw import Palette, overlay
from seglight.images.stretch import stretched, without_data
from seglight.inference.load import load
from seglight.inference.predictor import Predictor
from seglight.interfaces import Labelled
from seglight.metrics.image_counts import FILE
from seglight.ops.iou import mean_iou
from seglight.ops.label_types import ignore_index_of
from seglight.system.parsing import new_parser
from seglight.system.run_files import BEST, CHECKPOINTS, LAST, RECIPE_FILE, SCORES_FILE

PICTURES = 6
"""Number of images that are drawn."""

LONGEST = 480
"""Pixels of the longer side of a part of a picture."""

TOLERANCE = 0.02
"""Largest difference between the mIoU of an image as it is drawn and as it was scored."""

BOTH, ONE, OTHER, NEITHER, IGNORED = (245, 245, 245), (44, 123, 182), (230, 145, 30), (120, 40, 40), (150, 150, 150)
"""Colours of pixels that both sides have right, only the first, only the second, neither, and that are not scored."""


@dataclass
class Pictures:
    """Pictures of images, and why there are none of others.

    Attributes:
        drawn: Pixels uint8 (H, W, 3) by name, and the names of the two sides that are compared.
        reason: Why pictures are missing, as a sentence; None: all are there.
    """

    drawn: dict[str, tuple[NDArray[np.uint8], str, str]] = field(default_factory=dict)
    reason: str | None = None


def changed_pictures(sides: Sequence[Side], result: Result, config: str | None) -> Pictures:
    """Draw the images that differ most, each by the best and the worst of the sides on it.

    Args:
        sides: The sides.
        result: Result of `compared`.
        config: Recipe with the data; None: that of a run among the sides.
    """
    found = Pictures()
    try:
        data = _data(sides, config)
        split = data.split(result["split"])
        nets: dict[str, Predictor] = {}
        first = {side.name: side.trainings[0] for side in sides}
        for row in result["changed"][:PICTURES]:
            known = {name: score for name, score in row["scores"].items() if score is not None}
            worst, best = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
            pair = sorted((worst, best))
            image, mask = _read(split, first["A"].scored.names.index(row["name"]), row["name"], data.bands)
            for side in pair:
                if side not in nets:
                    nets[side] = load(_model(first[side]))
            one, other = (nets[side].predict(image) for side in pair)
            _check_scores(first, pair, row["name"], mask, (one, other))
            found.drawn[row["name"]] = (changes(image, mask, one, other, data.palette, data.bands), *pair)
    except UserError as error:
        found.reason = f"Pictures are missing: {error}."
    return found


def _read(split: Labelled, index: int, name: str, bands: Bands) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Image and labels of an image, without those of pixels without data.

    Raises:
        UserError: The image in this place has another name.
    """
    found = split.read(index) if index < len(split) else None
    if found is None or Path(found[2]).name != Path(name).name:
        raise UserError(f"the split of the recipe has other images than were scored: {name} is not in its place")
    image, mask, _ = found
    missing = without_data(image, bands)
    return image, mask if missing is None else without_missing(mask, missing)


def _data(sides: Sequence[Side], config: str | None) -> SegmentationDataModule:
    recipes = [Path(config)] if config is not None else []
    recipes += [path for side in sides for training in side.trainings for path in _recipes(training)]
    recipe = next((path for path in recipes if path.is_file()), None)
    if recipe is None:
        raise UserError("the data is not known: give --config, the recipe of a run")
    data, _ = datamodule_from(new_parser("compare"), ["--config", str(recipe)])
    return data


def _recipes(training: Training) -> list[Path]:
    """Places where the recipe of a training may be."""
    path = training.path
    named = _json(path / CARD_FILE).get("recipe")
    return [path / RECIPE_FILE, path.parent.parent / RECIPE_FILE, *([Path(named)] if isinstance(named, str) else [])]


def _model(training: Training) -> Path:
    """The model with the weights that were scored.

    Raises:
        UserError: It is not there any more.
    """
    if training.folder != training.path and not (training.path / CHECKPOINTS).is_dir():
        return training.path
    card = _json(training.path / CARD_FILE).get("model")
    if isinstance(card, dict) and Path(str(card.get("path"))).exists():
        return Path(card["path"])
    scored = _json(training.folder / SCORES_FILE).get("weights")
    for name in (LAST, BEST):
        checkpoint = training.path / CHECKPOINTS / name
        if checkpoint.is_file() and weights_checksum(net_weights(read_checkpoint(checkpoint))) == scored:
            return checkpoint
    raise UserError(f"{training.path}: no checkpoint with the weights that were scored is in it")


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _check_scores(
    first: dict[str, Training],
    pair: Sequence[str],
    name: str,
    mask: NDArray[np.uint8],
    labels: Sequence[NDArray[np.integer[Any]]],
) -> None:
    """Refuse predictions that are not those that were scored, as those of another inferer."""
    for side, predicted in zip(pair, labels, strict=True):
        training = first[side]
        classes = len(training.class_names)
        scored = mask != ignore_index_of(classes)
        cells = mask[scored].astype(np.int64) * classes + predicted[scored]
        matrix = np.bincount(cells, minlength=classes**2).reshape(classes, classes)
        own = float(mean_iou(matrix.diagonal(), matrix.sum(1), matrix.sum(0)))
        place = [Path(own).name for own in training.scored.names].index(Path(name).name)
        before = float(mean_iou(*(counts[place] for counts in training.scored.counts.by_class())))
        if not abs(own - before) <= TOLERANCE:
            raise UserError(
                f"{training.path} predicts {name} with a mIoU of {own:.3f}, not {before:.3f} as it is in {FILE}: "
                "it was scored in another way, such as by windows"
            )


def changes(
    image: NDArray[Any],
    mask: NDArray[np.uint8],
    one: NDArray[np.integer[Any]],
    other: NDArray[np.integer[Any]],
    palette: Palette,
    bands: Bands = RGB,
) -> NDArray[np.uint8]:
    """Labels and the map of changes above the predictions of both sides, two by two: uint8 (H', W', 3).

    Args:
        image: (H, W, bands).
        mask: True class index or the ignored value, (H, W).
        one: Prediction of the first side, (H, W).
        other: Prediction of the second side, (H, W).
        palette: Colours of the classes.
        bands: What the image holds; pixels without data are grey.
    """
    missing = without_data(image, bands)
    step = -(-max(mask.shape) // LONGEST)
    image = stretched(image, bands)[::step, ::step]
    maps: list[NDArray[Any]] = [labels[::step, ::step] for labels in (mask, one, other)]
    table = np.array([NEITHER, OTHER, ONE, BOTH, IGNORED], np.uint8)
    truth = maps[0]
    index = np.where(truth == ignore_index_of(len(palette)), 4, 2 * (maps[1] == truth) + (maps[2] == truth))
    drawn = [overlay(image, labels, palette, 0.6) for labels in maps]
    if missing is not None:
        for part in drawn:
            part[missing[::step, ::step]] = IGNORED
    top = np.concatenate([drawn[0], table[index]], 1)
    return np.concatenate([top, np.concatenate(drawn[1:], 1)])
