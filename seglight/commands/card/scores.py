"""The scores of a card, each with its 95 % interval, from the counts of single images."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seglight.commands.card.counters import Images
from seglight.metrics import Scores
from seglight.metrics.calibration import Calibration
from seglight.metrics.object_size import DEFINITION, SizeScores
from seglight.ops.iou import bootstrap_sums, class_iou, mean_iou, percentile_interval, ratio

CONFUSIONS = 20
"""Number of confused pairs of classes that are listed."""

BINS = 20
"""Number of bins of the distribution over images."""

TRUE_OUTLINE = 4
"""Row of the counts of boundaries with the pixels of true ones."""

QUANTILES = (0, 5, 25, 50, 75, 95, 100)

Values = Mapping[str, NDArray[np.float64]]


def plain(value: float | np.floating[Any] | None) -> float | None:
    """A number for JSON; None where it is not finite."""
    return None if value is None or not np.isfinite(value) else float(value)


def figures(counts: Sequence[NDArray[np.int64]]) -> dict[str, NDArray[np.float64]]:
    """All scores that have an interval.

    Args:
        counts: True positives, true and predicted pixels (..., C), and counts of boundaries (..., 6, C), summed over
            images.

    Returns:
        Scores of the split (...), and of the classes (..., C), by name.
    """
    hit, true, predicted, boundary = counts
    intersection, union, guessed, right, outline, found = np.moveaxis(boundary, -2, 0)
    boundary_iou = ratio(intersection, union)
    return {
        "miou": mean_iou(hit, true, predicted),
        "accuracy": ratio(hit.sum(-1), true.sum(-1)),
        "boundary_iou": _mean(boundary_iou),
        "boundary_f": _mean(_f(guessed, right, outline, found)),
        "classes.iou": class_iou(hit, true, predicted),
        "classes.f1": ratio(2 * hit, true + predicted),
        "classes.precision": ratio(hit, predicted),
        "classes.recall": ratio(hit, true),
        "classes.boundary_iou": boundary_iou,
    }


def _f(
    guessed: NDArray[np.int64], right: NDArray[np.int64], outline: NDArray[np.int64], found: NDArray[np.int64]
) -> NDArray[np.float64]:
    """F-measure of the boundary of each class, as `seglight.metrics.BoundaryF` defines it."""
    precision, recall = np.nan_to_num(ratio(right, guessed)), np.nan_to_num(ratio(found, outline))
    f = np.nan_to_num(ratio(2 * precision * recall, precision + recall))
    return np.where(guessed + outline == 0, np.nan, f)


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the classes that have a value; NaN if none has one."""
    there = ~np.isnan(values)
    return ratio(np.where(there, values, 0).sum(-1), there.sum(-1))


def with_intervals(images: Images, groups: NDArray[np.int64]) -> tuple[Values, Values]:
    """The scores of a split by name, and their intervals over samples of the groups, (2, ...).

    Args:
        images: Counts of each image.
        groups: (images,) index of the group of each image.
    """
    counts = (*images.confusion.by_class(), images.boundary)
    values = figures([each.sum(0) for each in counts])
    samples = figures(bootstrap_sums(counts, groups=groups))
    drawable = len(np.unique(groups))
    return values, {name: percentile_interval(each, drawable) for name, each in samples.items()}


def scores_of(images: Images, groups: NDArray[np.int64], class_names: Sequence[str]) -> dict[str, Any]:
    """The parts `score` and `classes` of a card.

    Args:
        images: Counts of each image.
        groups: (images,) index of the group of each image.
        class_names: Names of the classes.
    """
    values, intervals = with_intervals(images, groups)
    confusion = images.confusion.confusion()
    summary = Scores.from_confusion(torch.from_numpy(confusion), len(images.names))
    score: dict[str, Any] = {}
    for name in ("miou", "accuracy", "boundary_iou", "boundary_f"):
        score[name] = plain(values[name].item())
        score[f"{name}_interval"] = _bounds(intervals[name])
    if not images.boundary[:, TRUE_OUTLINE].any():  # F would be 0 whatever the net does
        score["boundary_f"] = score["boundary_f_interval"] = None
    score["miou"] = plain(summary.miou)
    score["accuracy"] = plain(summary.accuracy)
    score["fwiou"] = plain(summary.fwiou)
    return {"score": score, "classes": _classes(values, intervals, confusion.sum(1), class_names)}


def _classes(
    values: Values, intervals: Values, pixels: NDArray[np.int64], class_names: Sequence[str]
) -> list[dict[str, Any]]:
    share = ratio(pixels, pixels.sum())
    rows = []
    for index, name in enumerate(class_names):
        row: dict[str, Any] = {"name": name}
        for key in ("iou", "f1", "precision", "recall", "boundary_iou"):
            row[key] = plain(values[f"classes.{key}"][index])
            row[f"{key}_interval"] = _bounds(intervals[f"classes.{key}"][:, index])
        rows.append({**row, "pixels": int(pixels[index]), "share": plain(share[index])})
    return rows


def _bounds(interval: NDArray[np.float64]) -> list[float] | None:
    low, high = interval.tolist()
    return [low, high] if np.isfinite(low) and np.isfinite(high) else None


def confusions(
    confusion: NDArray[np.int64], class_names: Sequence[str], most: int = CONFUSIONS
) -> list[dict[str, Any]]:
    """Pairs of a true class and a wrongly predicted one, most pixels first.

    Args:
        confusion: int64 (C, C), rows are true classes.
        class_names: Names of the classes.
        most: Largest number of pairs.
    """
    wrong = confusion - np.diag(confusion.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    true, predicted = np.unravel_index(order, wrong.shape)
    totals = confusion.sum(1)
    return [
        {
            "true": class_names[row],
            "predicted": class_names[column],
            "pixels": int(wrong[row, column]),
            "share_of_true": int(wrong[row, column]) / int(totals[row]),
        }
        for row, column in zip(true.tolist(), predicted.tolist(), strict=True)
        if wrong[row, column]
    ]


def image_scores(images: Images) -> NDArray[np.float64]:
    """Mean IoU of each image over the classes that it has or is predicted to have; NaN where nothing is labelled."""
    return mean_iou(*images.confusion.by_class())


def distribution(scores: NDArray[np.float64]) -> dict[str, Any]:
    """Quantiles and a histogram of the scores of single images; images without a score are left out."""
    known = scores[~np.isnan(scores)]
    quantiles = np.percentile(known, QUANTILES) if len(known) else np.full(len(QUANTILES), np.nan)
    edges = np.linspace(0, 1, BINS + 1)
    counts, _ = np.histogram(known, edges)
    return {
        "quantiles": {str(at): plain(value) for at, value in zip(QUANTILES, quantiles, strict=True)},
        "bins": [
            {"from": float(low), "to": float(high), "images": int(count)}
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        ],
    }


def sizes_of(scores: SizeScores, edges: Sequence[int], class_names: Sequence[str]) -> dict[str, Any]:
    """The part `sizes` of a card: of each bin the means over the classes, and the IoU of each class.

    Args:
        scores: Scores by class and bin.
        edges: Areas in pixels between the bins.
        class_names: Names of the classes.
    """
    iou = scores.iou.numpy()
    means, recalls = (_mean(values.T) for values in (iou, scores.recall.numpy()))
    limits = [0, *edges, None]
    return {
        "definition": DEFINITION,
        "bins": [
            {
                "from": low,
                "to": high,
                "objects": int(scores.objects[:, index].sum()),
                "iou": plain(means[index]),
                "recall": plain(recalls[index]),
            }
            for index, (low, high) in enumerate(pairwise(limits))
        ],
        "classes": {name: [plain(value) for value in iou[index]] for index, name in enumerate(class_names)},
    }


def calibration_of(
    before: Calibration, temperature: float, after: Calibration | None, error_detection: float
) -> dict[str, Any]:
    """The part `calibration` of a card.

    Args:
        before: Calibration of the net as it is.
        temperature: The best temperature.
        after: Calibration at that temperature; None if there is none.
        error_detection: Average precision of a low confidence as a detector of errors.
    """
    return {
        "ece": plain(float(before.ece)),
        "mce": plain(float(before.mce)),
        "temperature": plain(temperature),
        "ece_after": None if after is None else plain(float(after.ece)),
        "mce_after": None if after is None else plain(float(after.mce)),
        "error_detection_ap": plain(error_detection),
        "bins": _reliability(before),
        "bins_after": [] if after is None else _reliability(after),
    }


def _reliability(found: Calibration) -> list[dict[str, Any]]:
    bins = len(found.pixels)
    return [
        {
            "from": index / bins,
            "to": (index + 1) / bins,
            "pixels": pixels,
            "confidence": plain(confidence),
            "accuracy": plain(accuracy),
        }
        for index, (pixels, confidence, accuracy) in enumerate(
            zip(found.pixels.tolist(), found.confidence.tolist(), found.accuracy.tolist(), strict=True)
        )
    ]
