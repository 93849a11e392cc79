"""The report on label errors: plain values for JSON, and tables on a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console

from seglight import __version__
from seglight.commands.doctor.label_errors.held_out import HeldOut
from seglight.commands.doctor.label_errors.judge import Judged
from seglight.commands.doctor.label_errors.region import Region
from seglight.errors import terminal

SHOWN = 10
"""Regions that are listed on the terminal."""

PAIRS = 20
"""Pairs of label and suggested class that the report names."""


@dataclass(frozen=True)
class Judgement:
    """A judged split.

    Args:
        models: Models that have judged it.
        split: Name of the split.
        names: Names of the classes.
        held_out: What is known of the images that the net was trained on.
        judged: What was found.
        remarks: Further sentences for the user.
    """

    models: Sequence[str]
    split: str
    names: Sequence[str]
    held_out: HeldOut
    judged: Judged
    remarks: Sequence[str] = ()

    @property
    def all_remarks(self) -> list[str]:
        """Sentences for the user."""
        return [*filter(None, [self.held_out.remark, self.held_out.choice]), *self.remarks]


def as_dict(found: Judgement) -> dict[str, Any]:
    """The whole report as plain values."""
    judged = found.judged
    counts = judged.confidence.counts.tolist()
    thresholds = judged.confidence.thresholds().tolist()
    return {
        "seglight": __version__,
        "models": list(found.models),
        "split": found.split,
        "images": judged.images,
        "trained_on": found.held_out.trained_on,
        "chosen_by": found.held_out.chosen_by,
        "remarks": found.all_remarks,
        "pixels": sum(counts),
        "issue_pixels": int(judged.contradictions.sum()),
        "classes": [
            {"name": name, "pixels": pixels, "threshold": threshold if pixels else None, "issue_pixels": int(issues)}
            for name, pixels, threshold, issues in zip(
                found.names, counts, thresholds, judged.contradictions.sum(1), strict=True
            )
        ],
        "pairs": [
            {"labelled": found.names[label], "suggested": found.names[other], "pixels": pixels}
            for label, other, pixels in pairs(judged)
        ],
        "ranked_images": [
            {"image": one.image, "score": one.score, "issue_pixels": one.issues, "pixels": one.pixels}
            for one in judged.ranked_images
        ],
        "regions_found": judged.found,
        "regions": [_region(rank, region, found.names) for rank, region in enumerate(judged.regions, 1)],
    }


def pairs(judged: Judged) -> list[tuple[int, int, int]]:
    """Label, confident class and number of pixels of the most frequent contradictions."""
    order = np.argsort(-judged.contradictions, axis=None, kind="stable")[:PAIRS]
    labels, others = np.unravel_index(order, judged.contradictions.shape)
    found = zip(labels.tolist(), others.tolist(), judged.contradictions[labels, others].tolist(), strict=True)
    return [(label, other, pixels) for label, other, pixels in found if pixels]


def _region(rank: int, region: Region, names: Sequence[str]) -> dict[str, Any]:
    return {
        "rank": rank,
        "image": region.image,
        "labelled": names[region.label],
        "suggested": names[region.suggested],
        "pixels": region.pixels,
        "box": list(region.box),
        "score": region.score,
        "confidence": region.confidence,
        "label_probability": region.label_probability,
    }


def at_border(region: Region) -> str:
    """Whether a region may be part of an object that the border of the image cuts, for the end of a sentence."""
    return ", at the border of the image" if region.at_border else ""


def show(console: Console, found: Judgement) -> None:
    """Print the first regions and the most frequent contradictions: lines with whole names, not cut to any width."""
    judged = found.judged
    names = [terminal(name) for name in found.names]
    if judged.regions:
        console.print("regions whose labels are most likely wrong, each with its upper left corner (x, y):")
    for rank, region in enumerate(judged.regions[:SHOWN], 1):
        console.print(
            f"  {rank:>2}  {terminal(region.image)} at {region.box.x}, {region.box.y}: labelled {names[region.label]}, "
            f"found {names[region.suggested]}, {region.pixels} pixels, score {region.score:.2f}{at_border(region)}"
        )
    issues = int(judged.contradictions.sum())
    pixels = int(judged.confidence.counts.sum())
    console.print(
        f"{found.split}: {judged.images} images; the labels of {issues} of {pixels} pixels "
        f"({issues / max(1, pixels):.2%}) are contradicted with confidence, in {judged.found} regions"
    )
    for label, other, number in pairs(judged)[:3]:
        console.print(f"  labelled {names[label]}, found {names[other]}: {number} pixels")
    for remark in found.all_remarks:
        console.print(remark)
