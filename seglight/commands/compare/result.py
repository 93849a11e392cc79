"""The result of a comparison, as it is written to compare.json; the tables and the page show what is in it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight import __version__
from seglight.commands.compare.sides import Side, aligned_boundaries, aligned_counts
from seglight.metrics.comparison import (
    ACCURACY,
    CLASSES,
    MIOU,
    SIGNIFICANT,
    Difference,
    all_differences,
    boundary_estimates,
    estimates,
    holm,
    image_scores,
    interval,
    letters,
)
from seglight.metrics.groups import groups_of
from seglight.metrics.jackknife import Estimates, Values, training_variance
from seglight.ops.iou import Counts

ALIKE = "can't be told apart"
IDENTICAL = "their scores are identical: each image has the same pixels of each class, true, predicted and right"
UNKNOWN = "not known"
OTHERS = (
    "Accuracy and boundary IoU have no verdict: which side is better is decided by the mIoU, and by the IoU of classes."
)
FEW = 20
"""Images or groups below which a bootstrap, as that of `card`, gives intervals that are clearly narrower."""

CHANGED = 10
"""Number of images that are listed."""

Result = dict[str, Any]


def compared(sides: Sequence[Side], groups: str | None, seed_deviation: float) -> Result:
    """Compare each side with each other one.

    Args:
        sides: The sides.
        groups: As for `groups_of`.
        seed_deviation: As for `all_differences`.

    Raises:
        UserError: The sides were not scored on the same images, or the groups don't fit them.
    """
    counts = aligned_counts(sides)
    first = sides[0].trainings[0]
    grouped = groups_of(first.scored.names, groups)
    found = [estimates(trainings, grouped.ids) for trainings in counts]
    boundaries = aligned_boundaries(sides)
    edges = None if boundaries is None else [boundary_estimates(trainings, grouped.ids) for trainings in boundaries]
    differences = all_differences(found, seed_deviation)
    corrected = _corrected(differences)
    pairs = [
        _pair(sides, pair, differences[pair], p, first.class_names)
        for pair, p in zip(differences, corrected, strict=True)
    ]
    for pair, (one, other) in zip(pairs, differences, strict=True):
        pair["identical"] = identical(counts[one], counts[other])
    trained = training_variance(found)
    deviation = None if trained is None else plain(math.sqrt(trained.total[MIOU]))
    return {
        "seglight": __version__,
        "split": first.scored.split,
        "images": len(first.scored.names),
        "groups": {"by": grouped.by, "count": len(grouped.names)},
        "class_names": first.class_names,
        "intervals": "images" if trained is None else "images and trainings",
        "seed_deviation": {
            "measured": deviation,
            "assumed": seed_deviation if trained is None else None,
        },
        "correction": "Holm: the mIoU over the pairs of sides, classes over the pairs and classes",
        "sides": _with_boundaries(_sides(sides, found, pairs), edges),
        "pairs": _with_boundary_differences(pairs, edges),
        "changed": changed_images(sides, first.scored.names, [image_scores(trainings) for trainings in counts]),
    }


def _corrected(differences: dict[tuple[int, int], Difference]) -> NDArray[np.float64]:
    """p-values (pairs, K): that of the mIoU corrected for the pairs, those of the classes for pairs and classes."""
    p = np.stack([difference.p for difference in differences.values()])
    p[:, MIOU] = holm(p[:, MIOU])
    p[:, CLASSES:] = holm(p[:, CLASSES:])
    return p


def _sides(sides: Sequence[Side], found: Sequence[Estimates], pairs: Sequence[Result]) -> list[Result]:
    """The sides' own scores, and the letters that tell which can't be told apart, the best side first."""
    trained = training_variance(found)
    ranked = sorted(range(len(sides)), key=lambda place: -np.nan_to_num(found[place].mean()[MIOU]))
    rank = {sides[place].name: number for number, place in enumerate(ranked)}
    apart = [(rank[pair["one"]], rank[pair["other"]]) for pair in pairs if "better" in pair["miou"]["verdict"]]
    groups = letters(len(sides), apart)
    rows = []
    for side, own in zip(sides, found, strict=True):
        mean = own.mean()
        low, high = interval(own, trained)
        rows.append(
            {
                "name": side.name,
                "given": side.given,
                "trainings": [str(training.path) for training in side.trainings],
                "miou": plain(mean[MIOU]),
                "miou_interval": bounds(low[MIOU], high[MIOU]),
                "miou_by_training": [plain(value) for value in own.values[:, MIOU]],
                "accuracy": plain(mean[ACCURACY]),
                "accuracy_interval": bounds(low[ACCURACY], high[ACCURACY]),
                "iou": [plain(value) for value in mean[CLASSES:]],
                "letters": groups[rank[side.name]],
            }
        )
    return rows


def _with_boundaries(rows: list[Result], edges: Sequence[Estimates] | None) -> list[Result]:
    """The sides with their boundary IoU, null where it was not counted."""
    trained = None if edges is None else training_variance(edges)
    for place, row in enumerate(rows):
        own = None if edges is None else edges[place]
        row["boundary_iou"] = None if own is None else plain(own.mean()[0])
        row["boundary_iou_interval"] = None if own is None else bounds(*(end[0] for end in interval(own, trained)))
    return rows


def _with_boundary_differences(pairs: list[Result], edges: Sequence[Estimates] | None) -> list[Result]:
    """The pairs with the difference of their boundary IoU, null where it was not counted."""
    differences = [None] * len(pairs) if edges is None else list(all_differences(edges, 0.0).values())
    for pair, found in zip(pairs, differences, strict=True):
        pair["boundary_iou"] = None if found is None else difference_of(found, 0)
    return pairs


def _pair(
    sides: Sequence[Side], pair: tuple[int, int], found: Difference, p: Values, class_names: Sequence[str]
) -> Result:
    one, other = (sides[place].name for place in pair)

    def row(place: int) -> Result:
        value = found.values[place]
        verdict = verdict_of(one, other, value, p[place])
        return {**difference_of(found, place), "p": plain(p[place]), "verdict": verdict}

    return {
        "one": one,
        "other": other,
        "miou": row(MIOU),
        "accuracy": difference_of(found, ACCURACY),
        "classes": [{"name": name, **row(CLASSES + index)} for index, name in enumerate(class_names)],
    }


def difference_of(found: Difference, place: int) -> Result:
    """A difference with its interval."""
    return {
        "difference": plain(found.values[place]),
        "interval": bounds(found.low[place], found.high[place]),
    }


def verdict_of(one: str, other: str, difference: float, p: float) -> str:
    """Which of two sides is better, in words.

    Args:
        one: Name of the first side.
        other: Name of the second side.
        difference: Score of the first less that of the second.
        p: Corrected p-value; NaN if there is no interval.
    """
    if math.isnan(p):
        return UNKNOWN
    return f"{one if difference > 0 else other} is better" if p < SIGNIFICANT else ALIKE


def identical(one: Sequence[tuple[Counts, Counts, Counts]], other: Sequence[tuple[Counts, Counts, Counts]]) -> bool:
    """Whether the trainings of two sides have the same counts (images, C), in the same order."""
    return np.array_equal(np.array(one), np.array(other))


def changed_images(sides: Sequence[Side], names: Sequence[str], scores: Sequence[NDArray[np.float64]]) -> list[Result]:
    """The images whose mIoU differs most between two sides, most first.

    Args:
        sides: The sides.
        names: Names of the images.
        scores: mIoU of each image (images,) of each side.
    """
    matrix = np.stack(scores)
    known = ~np.isnan(matrix).any(0)
    spread = np.where(known, matrix.max(0) - matrix.min(0), -1.0)
    order = [index for index in np.argsort(-spread, kind="stable")[:CHANGED].tolist() if spread[index] > 0]
    return [
        {
            "name": names[index],
            "scores": {side.name: plain(value) for side, value in zip(sides, matrix[:, index], strict=True)},
            "spread": plain(spread[index]),
        }
        for index in order
    ]


def plain(value: Any) -> float | None:
    """A number of Python; None in place of NaN and infinity."""
    number = float(value)
    return number if math.isfinite(number) else None


def bounds(low: Any, high: Any) -> list[float] | None:
    """Both ends of an interval, or None."""
    ends = [plain(low), plain(high)]
    return None if None in ends else [end for end in ends if end is not None]


def notes(result: Result) -> list[str]:
    """What the intervals and the verdicts contain, and what they don't, in sentences."""
    groups = result["groups"]
    if groups["by"] == "image":
        drawn = (
            f"Intervals: 95 %, over the choice of the {result['images']} images, each by itself: where images resemble "
            "each other, as frames of one drive do, they are too narrow without --groups."
        )
    else:
        drawn = f"Intervals: 95 %, over the choice of {groups['count']} groups of images ({groups['by']})."
    if groups["count"] < FEW:
        drawn += " Of so few they are wider than those of card and validate, which are too narrow then."
    deviation = result["seed_deviation"]
    if deviation["measured"] is not None:
        trained = (
            f"They contain the variation between trainings, too: a standard deviation of {deviation['measured']:.4f}, "
            "measured and taken to be the same on each side."
        )
    elif deviation["assumed"]:
        trained = (
            "With one training a side they say nothing about another training of the same recipe. The verdicts allow "
            f"for it: they assume a standard deviation of {deviation['assumed']:g} between trainings "
            "(--seed_deviation; several trainings a side measure it)."
        )
    else:
        trained = "They are of these nets: another training of the same recipe may differ by more."
    verdicts = f"Verdicts: 5 % error in all, corrected ({result['correction']})."
    return [drawn, trained, verdicts, apart(result), OTHERS]


def apart(result: Result) -> str:
    """Why an interval that excludes 0 may have no verdict beside it."""
    allows = ", and don't allow for another training of each side" if result["seed_deviation"]["assumed"] else ""
    return f"Intervals are not corrected{allows}: one may exclude 0 where the verdict tells nothing apart."
