"""Corruption scores of another net's card, and scores relative to them."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.metrics.image_counts import FILE, ScoredImages
from seglight.metrics.same_images import image_order


@dataclass(frozen=True)
class Reference:
    """What a card says about another net.

    Attributes:
        folder: Folder of the card.
        clean: Mean IoU without a corruption.
        means: Mean IoU of each kind over its severities.
    """

    folder: str
    clean: float
    means: dict[str, float]


def read_reference(folder: Path, split: str, names: Sequence[str], class_names: Sequence[str]) -> Reference:
    """Read the card of the reference net.

    Args:
        folder: Folder with a `card.json`.
        split: Name of the split that is scored.
        names: Names of its images.
        class_names: Names of the classes.

    Raises:
        UserError: It is no card with corruptions, or one of other images or classes.
    """
    path = folder / "card.json"
    try:
        card = json.loads(path.read_text("utf-8"))
        there = (card["split"], card["images"], card["class_names"])
        clean = card["score"]["miou"]
        kinds = (card["robustness"] or {}).get("corruptions") or {}
        means = {kind: float(found["mean"]) for kind, found in kinds.items() if found["mean"] is not None}
    except OSError as error:
        raise UserError(f"--reference {folder}: {path}: {error.strerror}: give the folder of a card") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"--reference {folder}: {path} is no card of this version: write it again") from error
    if not means or clean is None:
        raise UserError(f"--reference {folder}: the card has no corruptions: write it with --robustness")
    if there != (split, len(names), list(class_names)):
        raise UserError(
            f"--reference {folder}: the card is of {there[1]} images of {there[0]} with {len(there[2])} classes, and "
            f"this one of {len(names)} images of {split} with {len(class_names)}: both have to be of the same"
        )
    _order(folder, names, _scored(folder).names)
    return Reference(str(folder), float(clean), means)


def check_labels(folder: Path, own: ScoredImages, class_names: Sequence[str]) -> None:
    """Check that a card was scored with the same labels, as far as the pixels of each class in each image tell.

    Args:
        folder: Folder of the card.
        own: Counts of this card.
        class_names: Names of the classes.

    Raises:
        UserError: It was not.
    """
    other = _scored(folder)
    true = own.counts.by_class()[1]
    theirs = other.counts.by_class()[1][_order(folder, own.names, other.names)]
    wrong = np.argwhere(true != theirs)
    if len(wrong):
        image, index = wrong[0].tolist()
        raise UserError(
            f"--reference {folder}: its labels are others: {theirs[image, index]} pixels of {class_names[index]} in "
            f"{own.names[image]}, here {true[image, index]}: give a card of the same split"
        )


def _scored(folder: Path) -> ScoredImages:
    try:
        return ScoredImages.load(folder / FILE)
    except UserError as error:
        raise UserError(f"--reference {folder}: {FILE} is missing or damaged: give a whole card's folder") from error


def _order(folder: Path, mine: Sequence[str], theirs: Sequence[str]) -> NDArray[np.int64]:
    """Place of each image in the other card."""
    places, lacking, _ = image_order(mine, theirs)
    if places is None:
        what = "names occur twice, in another order" if lacking is None else f"{lacking} is not among them"
        raise UserError(f"--reference {folder}: the card is of other images: {what}: give a card of the same split")
    return places


def relative_scores(clean: float, means: dict[str, float], reference: Reference) -> dict[str, Any]:
    """Corruption degradation of the kinds that both nets were scored under, relative to the reference.

    With D = 1 - mIoU, CD is D / D_ref, and relative CD is (D - D_clean) / (D_ref - D_ref_clean) (Kamann & Rother, CVPR
    2020, arXiv 1908.05005), where D is the mean over the severities. Below 1 is better than the reference.

    Args:
        clean: Mean IoU without a corruption.
        means: Mean IoU of each kind over its severities.
        reference: What is compared with.

    Returns:
        "reference", "cd" and "relative_cd" by kind, and "mean_cd" and "mean_relative_cd" over these kinds. None where
        the reference has no error, or loses nothing by the corruption.
    """
    kinds = [kind for kind in means if kind in reference.means]
    cd = {kind: _quotient(1 - means[kind], 1 - reference.means[kind]) for kind in kinds}
    lost = {kind: _quotient(clean - means[kind], reference.clean - reference.means[kind]) for kind in kinds}
    return {
        "reference": reference.folder,
        "cd": cd,
        "mean_cd": _mean(list(cd.values())),
        "relative_cd": lost,
        "mean_relative_cd": _mean(list(lost.values())),
    }


def _quotient(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 and math.isfinite(part) else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None
