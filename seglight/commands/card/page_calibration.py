"""Section of a card on how far the confidences can be trusted."""

from collections.abc import Mapping, Sequence
from typing import Any

from seglight.commands.card.page_parts import absent
from seglight.commands.html_page.charts import reliability
from seglight.commands.html_page.element import Child, element
from seglight.commands.html_page.frame import Section
from seglight.commands.html_page.numbers import count, defined, percent, score
from seglight.commands.html_page.tables import Column, table

ENOUGH = 0.01
"""Share of the pixels that a bin needs so that its gap says something."""

ABOUT = (
    "The confidence of a pixel is the largest probability that the net gives it. In a calibrated net, 80 % of the "
    "pixels with a confidence of 0.8 are right: the bars end on the dashed line. The red part is the gap: below the "
    "line the net is too sure."
)


def calibration(card: Mapping[str, Any]) -> Section:
    """Calibration errors and reliability diagrams, before and after the temperature."""
    known = card.get("calibration") or {}
    bins, after = known.get("bins") or [], known.get("bins_after") or []
    if not bins:
        return Section("Calibration", [absent("Calibration was not measured.")], ABOUT)
    rows: list[list[Child]] = [
        ["calibration error (ECE)", score(known.get("ece"), 4), score(known.get("ece_after"), 4)],
        ["largest gap of a bin (MCE)", score(known.get("mce"), 4), score(known.get("mce_after"), 4)],
        ["pixels in that bin", count(_largest(bins)[1]), count(_largest(after)[1])],
        [f"largest gap of bins with at least {percent(ENOUGH)} of the pixels", *_gaps(bins, after)],
        ["temperature", "1.000", score(known.get("temperature"))],
    ]
    columns = [Column("", "name"), Column("as the net is"), Column("with the temperature")]
    charts = [reliability("As the net is", bins), reliability("With the temperature", after)]
    content: list[Child] = [
        table("Calibration, before and after the logits are divided by a temperature.", columns, rows),
        absent("The MCE is often that of a bin with few pixels, where it says little: see how many there are."),
        element("div", charts, class_="charts"),
        element(
            "p",
            f"Average precision of finding wrong pixels by a low confidence: {score(known.get('error_detection_ap'))}. "
            "It is 1 if every wrong pixel has a lower confidence than every right one; for confidences that say "
            "nothing it is the share of wrong pixels.",
        ),
        _bins(bins),
    ]
    return Section("Calibration", content, ABOUT)


def _largest(bins: Sequence[Mapping[str, Any]], share: float = 0.0) -> tuple[float | None, float | None]:
    """The largest gap between confidence and accuracy, and the pixels of its bin.

    Args:
        bins: Bins of a reliability diagram.
        share: Smallest share of all pixels that a bin may have.
    """
    fewest = share * sum(one.get("pixels") or 0 for one in bins)
    gaps = [
        (abs(one["confidence"] - one["accuracy"]), one["pixels"])
        for one in bins
        if one.get("pixels") and one["pixels"] >= fewest
        if defined(one.get("confidence")) and defined(one.get("accuracy"))
    ]
    return max(gaps, default=(None, None))


def _gaps(*diagrams: Sequence[Mapping[str, Any]]) -> list[Child]:
    return [score(_largest(bins, ENOUGH)[0], 4) for bins in diagrams]


def _bins(bins: list[Mapping[str, Any]]) -> Child:
    rows: list[list[Child]] = [
        [
            f"{score(one['from'], 2)} to {score(one['to'], 2)}",
            score(one.get("confidence")),
            score(one.get("accuracy")),
            count(one.get("pixels")),
        ]
        for one in bins
        if one.get("pixels")
    ]
    columns = [Column("confidence", "name"), Column("mean confidence"), Column("accuracy"), Column("pixels")]
    return table("Pixels by their confidence, as the net is; empty bins are left out.", columns, rows)
