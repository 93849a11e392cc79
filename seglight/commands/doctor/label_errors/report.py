"""The report on label errors: plain values for JSON, and tables on a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from seglight import __version__
from seglight.commands.doctor.label_errors.held_out import HeldOut
from seglight.commands.doctor.label_errors.judge import Judged
from seglight.commands.doctor.label_errors.region import Region
from seglight.system.terminal import Name

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
        return [*filter(None, [self.held_out.remark]), *self.remarks]


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


def show(console: Console, found: Judgement) -> None:
    """Print the first regions and the most frequent contradictions."""
    judged = found.judged
    table = Table(title="regions whose labels are most likely wrong", title_justify="left")
    for heading in ("rank", "image", "x, y", "pixels", "labelled", "suggested", "confidence", "score"):
        table.add_column(heading, justify="left" if heading in ("image", "labelled", "suggested") else "right")
    for rank, region in enumerate(judged.regions[:SHOWN], 1):
        table.add_row(
            str(rank),
            Name(region.image),
            f"{region.box.x}, {region.box.y}",
            str(region.pixels),
            Name(found.names[region.label]),
            Name(found.names[region.suggested]),
            f"{region.confidence:.2f}",
            f"{region.score:.2f}",
        )
    console.print(table, soft_wrap=False)
    issues = int(judged.contradictions.sum())
    pixels = int(judged.confidence.counts.sum())
    console.print(
        f"{found.split}: {judged.images} images; the labels of {issues} of {pixels} pixels "
        f"({issues / max(1, pixels):.2%}) are contradicted with confidence, in {judged.found} regions"
    )
    for label, other, number in pairs(judged)[:3]:
        console.print(f"  labelled {found.names[label]}, found {found.names[other]}: {number} pixels")
    for remark in found.all_remarks:
        console.print(remark)
